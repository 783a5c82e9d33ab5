// What RunOnce does with one due message, case by case.
//
// Method: a real database, a clock that stands where it is put, and a transport that does as the
// test says; after each step the stored recipients, the queue and CheckStore are looked at.

#include "spooler/spooler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "spooler/deferred_messages.h"
#include "spooler/internet_message.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class ManualClock final : public Clock {
 public:
  Time Now() const override { return now_; }
  void Advance(std::chrono::nanoseconds by) { now_ += by; }

 private:
  Time now_ = FromFileTime(kFileTimeOfUnixEpoch) + std::chrono::hours(500'000);
};

// What the test wants of the next SubmitMessage calls, and what they were offered.
struct Script {
  struct Step {
    SubmitResult result;
    std::vector<RecipientOutcome> outcomes;  // By position; the last one for the rest.
    bool mark_in_doubt = false;
    bool die_after_mark = false;  // Nothing more happens: no outcome is set.
  };
  std::deque<Step> steps;
  std::vector<std::vector<std::string>> offered;
  std::vector<std::string> contents;
  std::string reverse_path;
  int end_messages = 0;
};

class ScriptedTransport final : public TransportProvider {
 public:
  explicit ScriptedTransport(Script& script, std::vector<std::string> types = {"SMTP"})
      : script_(script), types_(std::move(types)) {}
  std::string_view Name() const override { return "scripted"; }
  std::vector<std::string> AddressTypes() const override { return types_; }
  SubmitResult SubmitMessage(OutboundMessage& message) override {
    std::vector<std::string> addresses;
    std::vector<RecipientRowId> rows;
    for (const OutboundRecipient& recipient : message.Recipients()) {
      addresses.push_back(recipient.address);
      rows.push_back(recipient.row);
    }
    script_.offered.push_back(addresses);
    script_.reverse_path = message.ReversePath();
    std::string content;
    for (;;) {
      const auto piece = message.Content().Next();
      if (!piece || piece->empty()) break;
      content += *piece;
    }
    script_.contents.push_back(content);
    if (script_.steps.empty()) return {};
    const Script::Step step = script_.steps.front();
    script_.steps.pop_front();
    if (step.mark_in_doubt) {
      EXPECT_TRUE(message.MarkInDoubt(rows));
    }
    if (step.die_after_mark) throw step;  // The process is gone: nothing below runs.
    for (std::size_t i = 0; i < rows.size() && !step.outcomes.empty(); ++i) {
      message.StatusRecipient(rows[i], step.outcomes[std::min(i, step.outcomes.size() - 1)]);
    }
    return step.result;
  }
  EndResult EndMessage(std::uint32_t /*reference*/) override {
    ++script_.end_messages;
    return EndResult::kSent;
  }

 private:
  Script& script_;
  std::vector<std::string> types_;
};

RecipientOutcome Delivered() { return {OutcomeKind::kDelivered, {250, "2.0.0", "Ok"}, "mx"}; }
RecipientOutcome Failed() { return {OutcomeKind::kFailed, {550, "5.1.1", "No such user"}, "mx"}; }
RecipientOutcome Later() { return {OutcomeKind::kRetryLater, {450, "4.2.0", "Busy"}, "mx"}; }
RecipientOutcome InDoubt() { return {OutcomeKind::kInDoubt, {0, "", "connection lost"}, "mx"}; }
Script::Step Outcomes(std::vector<RecipientOutcome> outcomes) {
  Script::Step step;
  step.outcomes = std::move(outcomes);
  step.mark_in_doubt = true;
  return step;
}
Script::Step Unavailable() {
  Script::Step step;
  step.result.status = SubmitStatus::kUnavailable;
  step.result.reply = {0, "4.4.1", "connection refused"};
  return step;
}

constexpr std::string_view kOriginal = "Subject: test\nBcc: secret@x.test\n\nbody\n";

class SpoolerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    InitializeInternetMessage();
    path_ = directory_.Path() / "db";
    ASSERT_TRUE(Database::Create(path_));
    Open();
    store_.emplace(*database_->CreateMessageStore("outgoing"));
    options_.retry.first = 60s;
    options_.retry.jitter = 0;
    options_.retry.expire_after = 24h;
    options_.reporting_host = "mail.test";
  }

  void Open() {
    DatabaseOptions options;
    options.clock = &clock_;
    options.free_bytes_min = 0;
    Result<Database> opened = Database::Open(path_, options);
    ASSERT_TRUE(opened) << ToString(opened.error());
    database_.emplace(*std::move(opened));
    session_.emplace(*database_->OpenSpoolerSession());
    shared_ = std::make_unique<SpoolerShared>();
  }

  // The process dies after the mark; the next offer, in a new one, delivers.
  void DieInDoubt() {
    Script::Step dying = Outcomes({});
    dying.die_after_mark = true;
    script_.steps = {dying, Outcomes({Delivered()})};
    EXPECT_THROW(RunOnce(), Script::Step);
    spooler_.reset();
    session_.reset();
    store_.reset();
    database_.reset();
    Open();
  }

  void MakeSpooler() {
    std::vector<std::unique_ptr<TransportProvider>> transports;
    for (Script* script : scripts_) {
      transports.push_back(std::make_unique<ScriptedTransport>(*script, types_[script]));
    }
    spooler_ = std::make_unique<Spooler>(
        *database_, *session_, *shared_, std::move(transports), options_, [] { return 0.5; },
        [this](const SpoolerEvent& event) { events_.push_back(event); });
  }

  StepResult RunOnce() {
    if (!spooler_) MakeSpooler();
    StepResult step = spooler_->RunOnce(clock_.Now());
    const auto check = database_->CheckStore();
    EXPECT_TRUE(check);
    if (check) {
      EXPECT_THAT(check->findings, IsEmpty());
    }
    return step;
  }

  // `asked`: properties of every recipient.
  EntryId Submit(const std::vector<std::string>& recipients, const PropertyList& properties = {},
                 std::string_view original = kOriginal, const PropertyList& asked = {}) {
    Message message = *store_->CreateMessage(store_->Folders().outbox);
    std::vector<Property> all(properties.begin(), properties.end());
    all.push_back(Property::Bytes(pr::kSubject, "test"));
    if (properties.Find(pr::kSenderEmailAddress) == nullptr) {
      all.push_back(Property::Bytes(pr::kSenderEmailAddress, "amy@x.test"));
    }
    all.push_back(Property::Number(pr::kDeleteAfterSubmit, 1));
    EXPECT_TRUE(message.SetProps(all));
    std::vector<RecipientRow> rows;
    for (const std::string& address : recipients) {
      rows.push_back(MakeSmtpRecipient(address, kRecipientTo));
      for (const Property& property : asked) rows.back().properties.Set(property);
    }
    EXPECT_TRUE(message.ModifyRecipients(kModifyRecipientsAdd, rows));
    MessageBodyWriter content = store_->NewContent();
    EXPECT_TRUE(content.Append(original));
    EXPECT_TRUE(message.SetContent(*content.Finish()));
    const EntryId id = *message.Id();
    const Result<void> submitted = message.SubmitMessage();
    EXPECT_TRUE(submitted) << ToString(submitted.error());
    return id;
  }

  RecipientTable Recipients(const EntryId& id) {
    const auto message = database_->OpenMessageForOperator(MessageId{id.Object()});
    return message ? *message->GetRecipientTable() : RecipientTable();
  }

  std::vector<QueueRow> Queue() { return *database_->GetOutgoingQueue().Rows(100); }

  TemporaryDirectory directory_;
  std::filesystem::path path_;
  ManualClock clock_;
  std::optional<Database> database_;
  std::optional<MessageStore> store_;
  std::optional<SpoolerSession> session_;
  std::unique_ptr<SpoolerShared> shared_;
  SpoolerOptions options_;
  Script script_;
  std::vector<Script*> scripts_{&script_};
  std::map<Script*, std::vector<std::string>> types_{{&script_, {"SMTP"}}};
  std::unique_ptr<Spooler> spooler_;
  std::vector<SpoolerEvent> events_;
};

TEST_F(SpoolerTest, NothingDueIsNoWork) {
  const StepResult step = RunOnce();
  EXPECT_FALSE(step.worked);
  EXPECT_FALSE(step.next_due);
}

TEST_F(SpoolerTest, DeliveredMessageLeavesTheQueueAndBccNeverLeaves) {
  Submit({"b@x.test", "c@x.test"});
  script_.steps = {Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());
  EXPECT_THAT(script_.offered, ElementsAre(ElementsAre("b@x.test", "c@x.test")));
  EXPECT_EQ(script_.contents.at(0), "Subject: test\r\n\r\nbody\r\n");
  EXPECT_EQ(script_.reverse_path, "amy@x.test");
  EXPECT_EQ(script_.end_messages, 1);
}

// Not rendered from properties, as one without an original is.
TEST_F(SpoolerTest, AnEmptyOriginalIsSentEmpty) {
  Submit({"b@x.test"}, {}, "");
  script_.steps = {Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.contents, ElementsAre(""));
}

TEST_F(SpoolerTest, RetriedRecipientWaitsWithDoublingDelayAndOthersAreNotOfferedAgain) {
  const EntryId id = Submit({"b@x.test", "c@x.test"});
  script_.steps = {Outcomes({Delivered(), Later()}), Outcomes({Later()}), Outcomes({Delivered()})};
  const Time start = clock_.Now();
  EXPECT_TRUE(RunOnce().worked);
  const RecipientTable rows = Recipients(id);
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].delivery.state, RecipientState::kDelivered);
  EXPECT_TRUE(rows[0].delivery.responsibility);
  EXPECT_EQ(rows[1].delivery.state, RecipientState::kPending);
  EXPECT_FALSE(rows[1].delivery.responsibility);
  EXPECT_EQ(rows[1].delivery.attempts, 1U);
  EXPECT_EQ(rows[1].delivery.next_attempt, start + 60s);
  EXPECT_EQ(rows[1].delivery.last_reply.text, "Busy");
  EXPECT_EQ(RunOnce().next_due, start + 60s);

  clock_.Advance(60s);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_EQ(Recipients(id)[1].delivery.next_attempt, start + 60s + 120s);
  clock_.Advance(120s);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.offered, ElementsAre(ElementsAre("b@x.test", "c@x.test"),
                                           ElementsAre("c@x.test"), ElementsAre("c@x.test")));
  EXPECT_THAT(Queue(), IsEmpty());
}

TEST_F(SpoolerTest, FailedRecipientIsReportedToTheSenderInTheSameStep) {
  Submit({"b@x.test"});
  script_.steps = {Outcomes({Failed()}), Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  ASSERT_THAT(Queue(), SizeIs(1));  // The report.
  EXPECT_EQ(Queue()[0].display_to, "amy@x.test");
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_EQ(script_.reverse_path, "");
  EXPECT_THAT(script_.contents.at(1), HasSubstr("multipart/report"));
  EXPECT_THAT(script_.contents.at(1), HasSubstr("No such user"));
  EXPECT_THAT(Queue(), IsEmpty());
}

TEST_F(SpoolerTest, ReportGoesIntoTheInboxOfASenderWithAStoreHere) {
  MessageStore amy = *database_->CreateMessageStore("amy@x.test");
  Submit({"b@x.test"});
  script_.steps = {Outcomes({Failed()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());
  EXPECT_EQ(amy.GetFolder(amy.Folders().inbox)->content_unread, 1U);
}

TEST_F(SpoolerTest, ReportOnAReportIsNeverMade) {
  Submit({"b@x.test"}, {Property::Bytes(pr::kSenderEmailAddress, "")});
  Submit({"b@x.test"}, {Property::Bytes(pr::kMessageClass, "REPORT.IPM.Note.NDR")});
  Submit({"b@x.test"}, {Property::Number(pr::kOriginatorNonDeliveryReportRequested, 0)});
  script_.steps = {Outcomes({Failed()}), Outcomes({Failed()}), Outcomes({Failed()})};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());
}

TEST_F(SpoolerTest, ExpiryEndsInAReport) {
  Submit({"b@x.test"});
  script_.steps = {Outcomes({Later()}), Outcomes({Later()})};
  EXPECT_TRUE(RunOnce().worked);
  clock_.Advance(25h);
  EXPECT_TRUE(RunOnce().worked);
  ASSERT_THAT(Queue(), SizeIs(1));
  EXPECT_THAT(Queue()[0].subject, HasSubstr("Undeliverable"));
}

// Whatever keeps it: an answer that is an error each time, or content that cannot be read.
TEST_F(SpoolerTest, ExpiryEndsAnErrorThatComesEachTime) {
  const EntryId id = Submit({"b@x.test"});
  Script::Step error;
  error.result = {SubmitStatus::kError, {0, "4.3.0", "no idea"}, {}, 0s};
  script_.steps = {error, error, error};
  EXPECT_TRUE(RunOnce().worked);
  clock_.Advance(23h);
  EXPECT_TRUE(RunOnce().worked);
  ASSERT_THAT(Recipients(id), SizeIs(1));
  EXPECT_EQ(Recipients(id)[0].delivery.state, RecipientState::kPending);
  clock_.Advance(2h);
  EXPECT_TRUE(RunOnce().worked);
  ASSERT_THAT(Queue(), SizeIs(1));
  EXPECT_THAT(Queue()[0].subject, HasSubstr("Undeliverable"));
}

TEST_F(SpoolerTest, ADelayIsReportedOnceAndRememberedAcrossARestart) {
  const PropertyList asked{Property::Number(pr::kDelayReportRequested, 1)};
  const EntryId id = Submit({"b@x.test", "c@x.test"}, {}, kOriginal, asked);
  Submit({"d@x.test"});
  script_.steps = {Outcomes({Later(), Delivered()}), Outcomes({Later()}), Outcomes({Later()}),
                   Outcomes({Later()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_TRUE(RunOnce().worked);
  clock_.Advance(4h - 1s);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), SizeIs(2)) << "not yet";
  clock_.Advance(1s);
  ASSERT_TRUE(database_->GetOutgoingQueue().Retry(MessageId{id.Object()}));
  script_.steps = {Outcomes({Later()}), Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_EQ(Recipients(id).at(0).delivery.delay_reported, clock_.Now());
  ASSERT_THAT(Queue(), SizeIs(3));
  EXPECT_EQ(Queue()[2].subject, "Delayed: test");
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.contents.back(), HasSubstr("Final-Recipient: rfc822; b@x.test\r\n"
                                                 "Action: delayed"));
  EXPECT_EQ(script_.contents.back().find("; c@x.test"), std::string::npos);

  spooler_.reset();
  session_.reset();
  store_.reset();
  database_.reset();
  Open();
  clock_.Advance(5h);
  script_.steps = {Outcomes({Later()}), Outcomes({Later()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), SizeIs(2)) << "once, and for those who asked";
}

TEST_F(SpoolerTest, ADelayIsReportedAlthoughTheTransportCannotBeReached) {
  const EntryId id =
      Submit({"b@x.test"}, {}, kOriginal, {Property::Number(pr::kDelayReportRequested, 1)});
  shared_->SetUnavailable(0, clock_.Now() + 1000h, 9);
  EXPECT_FALSE(RunOnce().worked);
  clock_.Advance(4h);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), SizeIs(2));
  EXPECT_FALSE(RunOnce().worked);
  EXPECT_EQ(Recipients(id).at(0).delivery.attempts, 0U);
}

TEST_F(SpoolerTest, WhatAnotherServerTookIsRelayedNotDelivered) {
  const PropertyList asked{Property::Number(pr::kOriginatorDeliveryReportRequested, 1)};
  Submit({"b@x.test"}, {Property::Bytes(pr::kEnvelopeId, "job 7")}, kOriginal, asked);
  RecipientOutcome relayed = Delivered();
  relayed.delivered_to = DeliveredTo::kRelay;
  script_.steps = {Outcomes({relayed}), Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.contents.at(1), HasSubstr("Action: relayed"));
  EXPECT_THAT(script_.contents.at(1), HasSubstr("Original-Envelope-Id: job 7"));
  EXPECT_THAT(Queue(), IsEmpty());
}

TEST_F(SpoolerTest, WhatAReportingServerTookIsLeftToItsReport) {
  const PropertyList asked{Property::Number(pr::kOriginatorDeliveryReportRequested, 1)};
  RecipientOutcome told = Delivered();
  told.delivered_to = DeliveredTo::kNotifyingRelay;
  RecipientOutcome relayed = Delivered();
  relayed.delivered_to = DeliveredTo::kRelay;
  Submit({"told@x.test"}, {}, kOriginal, asked);
  script_.steps = {Outcomes({told})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());

  // One message may go to servers of both kinds, and what such a server refuses is ours to report.
  Submit({"told@x.test", "relayed@x.test", "failed@x.test"}, {}, kOriginal, asked);
  script_.steps = {Outcomes({told, relayed, Failed()})};
  EXPECT_TRUE(RunOnce().worked);
  script_.contents.clear();
  while (RunOnce().worked) {
  }
  ASSERT_THAT(script_.contents, SizeIs(2)) << "one that it failed, one that it was relayed";
  for (const std::string& report : script_.contents) {
    EXPECT_THAT(report, Not(HasSubstr("told@x.test\r\nAction")));
  }
}

TEST_F(SpoolerTest, OnlyTheHeaderIsReturnedWhenThatIsAskedFor) {
  Submit({"b@x.test"}, {Property::Number(pr::kReportHeadersOnly, 1)});
  script_.steps = {Outcomes({Failed()}), Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.contents.at(1), HasSubstr("text/rfc822-headers"));
  EXPECT_EQ(script_.contents.at(1).find("\r\nbody\r\n"), std::string::npos);
}

TEST_F(SpoolerTest, InDoubtIsStoredBeforeThePointOfNoReturnAndSurvivesADeath) {
  const EntryId id = Submit({"b@x.test"});
  DieInDoubt();
  ASSERT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kInDoubt);
  EXPECT_EQ(Recipients(id).at(0).delivery.attempts, 1U);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());
  EXPECT_THAT(script_.offered, SizeIs(2));
}

TEST_F(SpoolerTest, InDoubtIsHeldForTheOperatorWhenThePolicySaysSo) {
  options_.in_doubt = InDoubtPolicy::kHold;
  const EntryId id = Submit({"b@x.test"});
  script_.steps = {Outcomes({InDoubt()})};
  EXPECT_TRUE(RunOnce().worked);
  clock_.Advance(60s);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_FALSE(RunOnce().worked);
  EXPECT_EQ(Queue().at(0).lane, DueLane::kHeld);
  EXPECT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kInDoubt);
  EXPECT_THAT(script_.offered, SizeIs(1));

  // The operator decides: it is sent again. A refusal for now does not say that the first attempt
  // did not deliver, so the doubt stays and the next decision is the operator's, too.
  ASSERT_TRUE(database_->GetOutgoingQueue().Release(MessageId{id.Object()}));
  script_.steps = {Outcomes({Later()}), Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.offered, SizeIs(2));
  EXPECT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kInDoubt);
  EXPECT_EQ(Recipients(id).at(0).delivery.last_reply.text, "Busy");
  clock_.Advance(1h);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_EQ(Queue().at(0).lane, DueLane::kHeld);
  ASSERT_TRUE(database_->GetOutgoingQueue().Retry(MessageId{id.Object()}));
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());
}

TEST_F(SpoolerTest, ADeathInDoubtIsHeldToo) {
  options_.in_doubt = InDoubtPolicy::kHold;
  const EntryId id = Submit({"b@x.test"});
  DieInDoubt();
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.offered, SizeIs(1));
  EXPECT_EQ(Queue().at(0).lane, DueLane::kHeld);
  ASSERT_TRUE(database_->GetOutgoingQueue().Release(MessageId{id.Object()}));
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());
}

// Nothing was handed over, whatever was marked before: the transport says so.
TEST_F(SpoolerTest, AMarkIsTakenBackWhenNothingWasHandedOver) {
  for (const SubmitStatus status :
       {SubmitStatus::kBusy, SubmitStatus::kWait, SubmitStatus::kUnavailable, SubmitStatus::kError,
        SubmitStatus::kCancelled}) {
    const EntryId id = Submit({"b@x.test"});
    Script::Step step;
    step.mark_in_doubt = true;
    step.result.status = status;
    script_.steps = {step};
    EXPECT_TRUE(RunOnce().worked);
    EXPECT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kPending)
        << static_cast<int>(status);
    ASSERT_TRUE(store_->AbortSubmit(id));
    spooler_.reset();
    shared_ = std::make_unique<SpoolerShared>();
  }
}

// Before its attempt has ended nobody can have decided what is to become of a doubt.
TEST_F(SpoolerTest, AReleaseDuringTheAttemptDecidesNothing) {
  options_.in_doubt = InDoubtPolicy::kHold;
  const EntryId id = Submit({"b@x.test"});
  Result<Message> locked = session_->OpenMessage(id);
  ASSERT_TRUE(locked);
  ASSERT_TRUE(session_->SetLockState(*locked, LockState::kLocked));
  const std::vector<RecipientRowId> rows{Recipients(id).at(0).id};
  ASSERT_TRUE(session_->MarkInDoubt(id, rows, clock_.Now()));
  ASSERT_TRUE(database_->GetOutgoingQueue().Retry(MessageId{id.Object()}));
  session_->Unlock(id);  // As when its owner has died.
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.offered, IsEmpty());
  EXPECT_EQ(Queue().at(0).lane, DueLane::kHeld);
}

// A release that comes while the worker makes up its mind to hold - before it has locked the
// message, or after - is not overwritten by the hold.
TEST_F(SpoolerTest, AReleaseBeforeTheHoldIsKept) {
  options_.in_doubt = InDoubtPolicy::kHold;
  for (const bool is_locked_first : {true, false}) {
    SCOPED_TRACE(is_locked_first);
    Submit({"b@x.test"});
    script_.steps = {Outcomes({InDoubt()})};
    EXPECT_TRUE(RunOnce().worked);
    clock_.Advance(60s);
    const DueMessage due = session_->NextDue(clock_.Now())->message.value();
    const auto release = [&] { return database_->GetOutgoingQueue().Release(due.message); };
    EXPECT_EQ(session_->HoldInDoubt(due, clock_.Now()).error().code, ErrorCode::kNoAccess);
    if (!is_locked_first) {
      ASSERT_TRUE(release());
    }
    ASSERT_TRUE(*session_->LockDue(due));
    if (is_locked_first) {
      ASSERT_TRUE(release());
    }
    const Result<bool> held = session_->HoldInDoubt(due, clock_.Now());
    ASSERT_TRUE(held) << ToString(held.error());
    EXPECT_FALSE(*held);
    EXPECT_EQ(Queue().at(0).lane, DueLane::kScheduled);
    session_->Unlock(due.entry_id);
    script_.steps = {Outcomes({Delivered()})};
    EXPECT_TRUE(RunOnce().worked);
    EXPECT_THAT(Queue(), IsEmpty()) << "sent, as the operator said";
  }
}

TEST_F(SpoolerTest, AFlushDoesNotDecideForTheOperator) {
  options_.in_doubt = InDoubtPolicy::kHold;
  Submit({"b@x.test"});
  script_.steps = {Outcomes({InDoubt()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_TRUE(spooler_->FlushQueues(kFlushUpload, clock_.Now()));
  EXPECT_THAT(script_.offered, SizeIs(1));
  clock_.Advance(1h);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_EQ(Queue().at(0).lane, DueLane::kHeld);
}

TEST(DeferredMessagesTest, WhatHasBeenReturnedIsNotHeldByAll) {
  DeferredMessages deferred;
  const int owner = 0;
  deferred.Defer(MessageId{7}, 0, &owner);
  deferred.SetAllHeld(MessageId{7});
  EXPECT_TRUE(deferred.AreAllHeld(MessageId{7}));
  EXPECT_TRUE(deferred.SentDeferred(MessageId{7}, 0, &owner));
  deferred.SetAllHeld(MessageId{7});  // By a worker that looked before.
  EXPECT_FALSE(deferred.AreAllHeld(MessageId{7}));
}

TEST_F(SpoolerTest, UnavailableTransportIsLeftAloneAndTheOrderIsKept) {
  const EntryId first = Submit({"first@x.test"});
  clock_.Advance(1s);
  Submit({"second@x.test"});
  script_.steps = {Unavailable(), Outcomes({Delivered()}), Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_EQ(Recipients(first).at(0).delivery.last_reply.text, "connection refused");
  const StepResult waiting = RunOnce();
  EXPECT_FALSE(waiting.worked);
  EXPECT_EQ(waiting.next_due, clock_.Now() + 60s);
  EXPECT_THAT(script_.offered, SizeIs(1));
  clock_.Advance(60s);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(script_.offered, ElementsAre(ElementsAre("first@x.test"), ElementsAre("first@x.test"),
                                           ElementsAre("second@x.test")));
}

TEST_F(SpoolerTest, YoungerMessageOvertakesOnlyThroughAnotherTransport) {
  Script other;
  scripts_.push_back(&other);
  types_[&other] = {"FAX"};
  Submit({"first@x.test"});
  script_.steps = {Unavailable()};
  EXPECT_TRUE(RunOnce().worked);
  Submit({"second@x.test"});
  Message fax = *store_->CreateMessage(store_->Folders().outbox);
  RecipientRow row = MakeSmtpRecipient("12345", kRecipientTo);
  row.properties.Set(Property::Bytes(pr::kAddressType, "FAX"));
  ASSERT_TRUE(fax.ModifyRecipients(kModifyRecipientsAdd, {row}));
  ASSERT_TRUE(fax.SubmitMessage());
  other.steps = {Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(other.offered, ElementsAre(ElementsAre("12345")));
  EXPECT_FALSE(RunOnce().worked);
  EXPECT_THAT(script_.offered, SizeIs(1));
}

TEST_F(SpoolerTest, MessageTooOldExpiresAlthoughItsTransportCannotBeReached) {
  const EntryId id = Submit({"b@x.test"});
  script_.steps = {Unavailable()};
  EXPECT_TRUE(RunOnce().worked);
  shared_->SetUnavailable(0, clock_.Now() + 1000h, 9);
  clock_.Advance(25h);
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Recipients(id), IsEmpty());  // Finished; its report is queued.
  ASSERT_THAT(Queue(), SizeIs(1));
  EXPECT_FALSE(RunOnce().worked);
}

TEST_F(SpoolerTest, HeldMessageIsNotOfferedUntilReleasedAndRetryIgnoresTheSchedule) {
  const EntryId id = Submit({"b@x.test"});
  OutgoingQueue queue = database_->GetOutgoingQueue();
  const MessageId message{id.Object()};
  ASSERT_TRUE(queue.Hold(message));
  EXPECT_FALSE(RunOnce().worked);
  ASSERT_TRUE(queue.Release(message));
  script_.steps = {Outcomes({Later()}), Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_FALSE(RunOnce().worked);
  ASSERT_TRUE(queue.Retry(message));
  EXPECT_TRUE(RunOnce().worked);
  EXPECT_THAT(Queue(), IsEmpty());
}

TEST_F(SpoolerTest, HoldDuringAnAttemptIsKept) {
  Submit({"b@x.test"});
  const auto due = session_->NextDue(clock_.Now());
  auto locked = session_->LockDue(*due->message);
  ASSERT_TRUE(locked && *locked);
  ASSERT_TRUE(database_->GetOutgoingQueue().Hold(due->message->message));
  Attempt attempt;
  attempt.next_due = clock_.Now();
  ASSERT_TRUE(session_->CommitAttempt(due->message->entry_id, attempt));
  EXPECT_EQ(Queue().at(0).lane, DueLane::kHeld);
  EXPECT_FALSE(RunOnce().worked);
}

TEST_F(SpoolerTest, TwoWorkersNeverHoldOneMessage) {
  for (int i = 0; i < 50; ++i) Submit({"b@x.test"});
  SpoolerSession second = *database_->OpenSpoolerSession();
  const auto first_due = session_->NextDue(clock_.Now());
  ASSERT_TRUE(*session_->LockDue(*first_due->message));
  EXPECT_FALSE(second.LockDue(*first_due->message)->has_value());
  const auto second_due = second.NextDue(clock_.Now());
  EXPECT_NE(second_due->message->message, first_due->message->message);
}

TEST_F(SpoolerTest, MessageComposedOfPropertiesLeavesAsInternetMail) {
  Message message = *store_->CreateMessage(store_->Folders().outbox);
  const Property properties[] = {Property::Bytes(pr::kSubject, "Grüße"),
                                 Property::Bytes(pr::kBody, "Hallo\n"),
                                 Property::Bytes(pr::kSenderEmailAddress, "amy@x.test"),
                                 Property::Bytes(pr::kSenderName, "Amy")};
  ASSERT_TRUE(message.SetProps(properties));
  ASSERT_TRUE(message.ModifyRecipients(kModifyRecipientsAdd,
                                       {MakeSmtpRecipient("b@x.test", kRecipientTo, "Bob"),
                                        MakeSmtpRecipient("c@x.test", kRecipientBcc)}));
  ASSERT_TRUE(message.SubmitMessage());
  script_.steps = {Outcomes({Delivered()})};
  EXPECT_TRUE(RunOnce().worked);
  const std::string& sent = script_.contents.at(0);
  EXPECT_THAT(sent, HasSubstr("From: Amy <amy@x.test>\r\n"));
  EXPECT_THAT(sent, HasSubstr("To: Bob <b@x.test>\r\n"));
  EXPECT_THAT(sent, HasSubstr("Message-I"));
  EXPECT_EQ(sent.find("c@x.test"), std::string::npos);
}

}  // namespace
}  // namespace bobbin

// Statements C32, C48, C55, C64 to C67, C70 to C82 and C87: how the spooler and its transports
// talk.
//
// The real Spooler runs on a real database; the transports are scripted (tests/support/
// scripted_transport.h), so that a test sees every call and decides every answer.
#include <atomic>
#include <condition_variable>
#include <thread>

#include "tests/conformance/conformance.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

namespace notification = spooler_notification;

std::vector<std::string> Addresses(const TransportScript& script) {
  std::vector<std::string> all;
  for (const auto& offer : script.offers) {
    all.insert(all.end(), offer.addresses.begin(), offer.addresses.end());
  }
  return all;
}

std::size_t IndexOf(const std::vector<std::string>& calls, const std::string& call) {
  return static_cast<std::size_t>(std::find(calls.begin(), calls.end(), call) - calls.begin());
}

RecipientRow Typed(const std::string& address, const std::string& type) {
  RecipientRow row = MakeSmtpRecipient(address, kRecipientTo);
  row.properties.Set(Property::Bytes(pr::kAddressType, type));
  row.properties.Erase(pr::kSearchKey);
  return row;
}

EntryId SubmitTo(MessageStore& store, const RecipientTable& rows) {
  Message message = NewDraft(store, {});
  Must(message.ModifyRecipients(kModifyRecipientsAdd, rows));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  return id;
}

// C32: Unresolved recipients do not fail SubmitMessage; each yields an NDR.
TEST_F(Conformance, C032_UnresolvedRecipientsAreReportedNotRefused) {
  RecipientTable rows;
  for (const std::string name : {"Nobody", "No One"}) {
    RecipientRow row;
    row.properties.Set(Property::Number(pr::kRecipientType, kRecipientTo));
    row.properties.Set(Property::Bytes(pr::kDisplayName, name));
    rows.push_back(row);
  }
  rows.push_back(MakeSmtpRecipient("b@x.test", kRecipientTo));
  const EntryId id = SubmitTo(Store(), rows);
  TransportScript script;
  ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now());
  EXPECT_THAT(Addresses(script), ElementsAre("b@x.test"));
  EXPECT_FALSE(IsQueued(id));
  const auto inbox = Must(Store().GetContentsTable(Store().Folders().inbox, 10));
  ASSERT_THAT(inbox, SizeIs(1)) << "one report on both";
  Message report = Must(Store().OpenMessage(inbox[0].entry_id, 0));
  EXPECT_EQ(Must(report.GetProp(pr::kMessageClass)).bytes, "REPORT.IPM.Note.NDR");
  MessageBodyReader content = Must(report.OpenContent());
  EXPECT_THAT(std::string(Must(content.Next())),
              AllOf(testing::HasSubstr("Nobody"), testing::HasSubstr("No One"),
                    Not(testing::HasSubstr("unknown; b@x.test"))));
}

// How a transport makes a message wait.
struct Wait {
  const char* name;
  SubmitStatus status = SubmitStatus::kDone;
  EndResult end = EndResult::kSent;
};
const Wait kError{"other error", SubmitStatus::kError};
const Wait kResendLater{"resend later", SubmitStatus::kDone, EndResult::kResendLater};
const Wait kDoNotResend{"do not resend", SubmitStatus::kDone, EndResult::kDoNotResend};

// From now on, `message` is made to wait, every time; all others are taken.
void MakeWait(TransportScript& script, const Wait& wait, MessageId message) {
  script.retry_after = std::chrono::seconds(60);
  script.during = [&script, wait, message](OutboundMessage& offered) {
    const bool waits = MessageId{offered.Id().Object()} == message;
    script.status = waits ? wait.status : SubmitStatus::kDone;
    script.ends.assign(waits && wait.end != EndResult::kSent ? 1 : 0, wait.end);
    script.outcome = [waits](const OutboundRecipient&) {
      return waits ? OutcomeKind::kNotServed : OutcomeKind::kDelivered;
    };
  };
}

// Whose turn it was, one after the other: offered again at once is one turn.
std::vector<MessageId> Turns(const TransportScript& script) {
  std::vector<MessageId> turns;
  for (const auto& offer : script.offers) {
    if (turns.empty() || turns.back() != offer.message) turns.push_back(offer.message);
  }
  return turns;
}

// C48: A younger message may be sent before an older one only when the older one's transport is
// temporarily unavailable and the younger needs another transport. Whatever makes the older one
// wait: the wire, a wish to wait, being busy, any other error, or the end of the message.
TEST_F(Conformance, C048_AYoungerMessageOvertakesOnlyThroughAnotherTransport) {
  for (const Wait& wait :
       {Wait{"unavailable", SubmitStatus::kUnavailable}, Wait{"wait", SubmitStatus::kWait},
        Wait{"busy", SubmitStatus::kBusy}, kError, kResendLater,
        Wait{"resend now, for ever", SubmitStatus::kDone, EndResult::kResendNow}}) {
    SCOPED_TRACE(wait.name);
    TransportScript smtp;
    TransportScript fax;
    fax.address_types = {"FAX"};
    const MessageId older = IdOf(SubmitNew(Store(), {"older@x.test"}));
    const MessageId younger = IdOf(SubmitNew(Store(), {"younger@x.test"}));
    const MessageId by_fax = IdOf(SubmitTo(Store(), {Typed("+1 555", "FAX")}));
    MakeWait(smtp, wait, older);
    ScriptedSpooler spooler(Db(), {&smtp, &fax});
    const StepResult idle = spooler.RunUntilIdle(Clock().Now());
    ASSERT_THAT(Turns(smtp), ElementsAre(older)) << "the younger one must wait behind it";
    EXPECT_THAT(Turns(fax), ElementsAre(by_fax));
    ASSERT_TRUE(idle.next_due);
    EXPECT_GT(*idle.next_due, Clock().Now());
    EXPECT_LE(*idle.next_due, Clock().Now() + std::chrono::seconds(60));
    spooler.RunUntilIdle(*idle.next_due - std::chrono::nanoseconds(100));
    ASSERT_THAT(Turns(smtp), ElementsAre(older));
    smtp.offers.clear();
    MakeWait(smtp, {}, {});
    spooler.RunUntilIdle(*idle.next_due);
    EXPECT_THAT(Turns(smtp), ElementsAre(older, younger)) << "in the order of their submission";
    EXPECT_THAT(QueueOrder(Db()), IsEmpty());
    Clock().Set(*idle.next_due + std::chrono::hours(1));
  }
}

// C48, ruling: what may be the older message's own fault - any other error, "resend later" - makes
// the transport wait once. By the letter one message that is never taken would stop all mail behind
// it until it expires, days later. A restart between the two attempts is no first time.
TEST_F(Conformance, C048_AMessageThatIsRefusedAgainWaitsAlone) {
  for (const Wait& wait : {kError, kResendLater}) {
    for (const bool restarts : {false, true}) {
      SCOPED_TRACE(wait.name);
      TransportScript smtp;
      const MessageId older = IdOf(SubmitNew(Store(), {"older@x.test"}));
      const MessageId younger = IdOf(SubmitNew(Store(), {"younger@x.test"}));
      MakeWait(smtp, wait, older);
      std::optional<ScriptedSpooler> spooler;
      spooler.emplace(Db(), smtp);
      const StepResult idle = spooler->RunUntilIdle(Clock().Now());
      ASSERT_THAT(Turns(smtp), ElementsAre(older));
      ASSERT_TRUE(idle.next_due);
      if (restarts) {
        spooler.reset();
        spooler.emplace(Db(), smtp);
      }
      smtp.offers.clear();
      const StepResult again = spooler->RunUntilIdle(*idle.next_due);
      EXPECT_THAT(Turns(smtp), ElementsAre(older, younger));
      EXPECT_THAT(QueueOrder(Db()), ElementsAre(older));
      ASSERT_TRUE(again.next_due);
      EXPECT_GT(*again.next_due, *idle.next_due) << "on a schedule of its own";
      MakeWait(smtp, {}, {});
      spooler->RunUntilIdle(*again.next_due);
      EXPECT_THAT(QueueOrder(Db()), IsEmpty());
      Clock().Set(*again.next_due + std::chrono::hours(1));
    }
  }
}

// C48, ruling: a message that the transport has taken aside waits for nothing; the transport does
// that to go on with the others, and may keep it for as long as it likes.
TEST_F(Conformance, C048_AMessageTakenAsideKeepsNobodyWaiting) {
  TransportScript smtp;
  const MessageId older = IdOf(SubmitNew(Store(), {"older@x.test"}));
  const MessageId younger = IdOf(SubmitNew(Store(), {"younger@x.test"}));
  MakeWait(smtp, kDoNotResend, older);
  ScriptedSpooler spooler(Db(), smtp);
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_THAT(Turns(smtp), ElementsAre(older, younger));
  EXPECT_THAT(QueueOrder(Db()), ElementsAre(older));
}

// C55: AbortSubmit of a message deferred by a transport leads to
// TransportNotify(ABORT_DEFERRED|CANCEL_MESSAGE) with its entry identifier.
TEST_F(Conformance, C055_AnAbortedDeferralIsToldToItsTransport) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
  script.ends = {EndResult::kDoNotResend};
  ScriptedSpooler spooler(Db(), script);
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_EQ(script.Count(Notice(TransportNotification::kCancelDeferred)), 0U);
  Must(Store().AbortSubmit(id));
  spooler.RunUntilIdle(Clock().Now());
  ASSERT_EQ(script.notices.back().first, TransportNotification::kCancelDeferred);
  EXPECT_EQ(script.notices.back().second.message, id);
  EXPECT_EQ(static_cast<std::uint32_t>(TransportNotification::kCancelDeferred),
            static_cast<std::uint32_t>(TransportNotification::kAbortDeferred) |
                static_cast<std::uint32_t>(TransportNotification::kCancelMessage));
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_EQ(script.Count(Notice(TransportNotification::kCancelDeferred)), 1U) << "told once";
  EXPECT_THAT(script.support->SpoolerNotify(notification::kSentDeferred, id),
              IsError(ErrorCode::kNotFound));
}

// C55, while the spooler waits for work: the abort wakes it.
TEST_F(Conformance, C055_AnAbortWakesTheSpoolerThatMustTell) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
  script.ends = {EndResult::kDoNotResend};
  std::mutex mutex;
  std::condition_variable changed;
  bool told = false;
  script.on_notify = [&](TransportNotification which) {
    if (which != TransportNotification::kCancelDeferred) return;
    const std::lock_guard lock(mutex);
    told = true;
    changed.notify_all();
  };
  ScriptedSpooler spooler(Db(), script);
  spooler.RunUntilIdle(Clock().Now());
  std::thread worker([&] { Must(spooler->Run(Clock())); });
  Must(Store().AbortSubmit(id));
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return told; }));
  }
  spooler->Stop();
  worker.join();
}

// C64: AddressTypes is called immediately after TransportLogon and again after
// SpoolerNotify(CONFIG_CHANGE), and what it then says counts.
TEST_F(Conformance, C064_AddressTypesAreAskedAfterLogonAndAfterAConfigChange) {
  TransportScript script;
  script.address_types = {"X400"};
  ScriptedSpooler spooler(Db(), script);
  EXPECT_THAT(script.Calls(), ElementsAre("TransportLogon", "AddressTypes",
                                          Notice(TransportNotification::kBeginOutbound)));
  script.address_types = {"SMTP"};
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_EQ(script.Count("AddressTypes"), 1U);
  Must(script.support->SpoolerNotify(notification::kConfigChange));
  SubmitNew(Store());
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_EQ(script.Count("AddressTypes"), 2U);
  EXPECT_THAT(script.offers, SizeIs(1));
  // ValidateState may say the same.
  script.config_changed = true;
  Must(spooler->ValidateState());
  EXPECT_EQ(script.Count("AddressTypes"), 3U);
}

// C65: No SubmitMessage before TransportNotify(BEGIN_OUTBOUND), none after END_OUTBOUND; one in
// progress is completed.
TEST_F(Conformance, C065_MessagesAreOfferedBetweenBeginAndEndOutbound) {
  SubmitNew(Store());
  const EntryId later = SubmitNew(Store(), {"later@x.test"});
  TransportScript script;
  std::optional<ScriptedSpooler> spooler;
  // Stopped in the middle of the first message.
  script.during = [&](OutboundMessage&) { (*spooler)->Stop(); };
  spooler.emplace(Db(), script);
  Must((*spooler)->Run(Clock()));
  spooler->LogOff();
  EXPECT_THAT(
      script.Calls(),
      ElementsAre("TransportLogon", "AddressTypes", Notice(TransportNotification::kBeginOutbound),
                  "SubmitMessage", "EndMessage 0", Notice(TransportNotification::kEndOutbound),
                  "TransportLogoff"));
  EXPECT_THAT(QueueOrder(Db()), ElementsAre(IdOf(later))) << "the one in progress was completed";
}

// C66: UID matches are tried before address-type matches, each in transport order.
TEST_F(Conformance, C066_UidsAreTriedBeforeAddressTypes) {
  const std::string uid = "0123456789abcdef";
  TransportScript by_type;
  TransportScript second_by_uid;
  TransportScript third_by_uid;
  second_by_uid.address_types = third_by_uid.address_types = {""};  // None by type.
  second_by_uid.uids = third_by_uid.uids = {uid};
  std::vector<std::string> asked;
  const auto decline = [&](TransportScript& script, const std::string& name) {
    script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
    script.during = [&asked, name](OutboundMessage&) { asked.push_back(name); };
  };
  decline(by_type, "type");
  decline(second_by_uid, "uid 2");
  decline(third_by_uid, "uid 3");
  RecipientRow row = MakeSmtpRecipient("b@x.test", kRecipientTo);
  row.properties.Set(Property::Bytes(pr::kEntryId, std::string(4, '\0') + uid + "rest"));
  SubmitTo(Store(), {row});
  ScriptedSpooler(Db(), {&by_type, &second_by_uid, &third_by_uid}).RunUntilIdle(Clock().Now());
  ASSERT_GE(asked.size(), 3U);
  asked.resize(3);  // Then comes the report, which has no UID.
  EXPECT_THAT(asked, ElementsAre("uid 2", "uid 3", "type"));
}

// C67: A recipient the first transport leaves FALSE is offered to the next match.
TEST_F(Conformance, C067_WhoIsLeftFalseIsOfferedToTheNextMatch) {
  const EntryId id = SubmitNew(Store(), {"first@x.test", "second@x.test"});
  TransportScript first;
  TransportScript second;
  first.outcome = [](const OutboundRecipient& recipient) {
    return recipient.address == "first@x.test" ? OutcomeKind::kDelivered : OutcomeKind::kNotServed;
  };
  ScriptedSpooler(Db(), {&first, &second}).RunUntilIdle(Clock().Now());
  EXPECT_THAT(Addresses(first), ElementsAre("first@x.test", "second@x.test"));
  EXPECT_THAT(Addresses(second), ElementsAre("second@x.test"));
  EXPECT_FALSE(IsQueued(id));
}

// C70: S_OK from SubmitMessage is followed by exactly one EndMessage with the returned reference.
TEST_F(Conformance, C070_EndMessageFollowsOnceWithTheReference) {
  SubmitNew(Store());
  SubmitNew(Store());
  TransportScript script;
  std::uint32_t reference = 41;
  script.during = [&](OutboundMessage& message) { message.SetReference(++reference); };
  ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now());
  std::vector<std::string> calls = script.Calls();
  calls.erase(calls.begin(), calls.begin() + 3);
  calls.resize(4);
  EXPECT_THAT(calls,
              ElementsAre("SubmitMessage", "EndMessage 42", "SubmitMessage", "EndMessage 43"));
}

// C71: MAPI_E_NOT_ME and MAPI_E_BUSY are not followed by EndMessage. Nor is any other error.
TEST_F(Conformance, C071_NoEndMessageWithoutSuccess) {
  for (const SubmitStatus status :
       {SubmitStatus::kNotMe, SubmitStatus::kBusy, SubmitStatus::kWait, SubmitStatus::kUnavailable,
        SubmitStatus::kCancelled, SubmitStatus::kNotDeferred, SubmitStatus::kError}) {
    SCOPED_TRACE(static_cast<int>(status));
    const EntryId id = SubmitNew(Store());
    TransportScript script;
    script.status = status;
    TransportScript next;
    ScriptedSpooler spooler(Db(), {&script, &next});
    (*spooler).RunOnce(Clock().Now());
    EXPECT_EQ(script.Count("SubmitMessage"), 1U);
    EXPECT_THAT(script.Calls(), Not(Contains(testing::StartsWith("EndMessage"))));
    // Only MAPI_E_NOT_ME sends the recipients on.
    EXPECT_THAT(next.offers, SizeIs(status == SubmitStatus::kNotMe ? 1 : 0));
    if (IsQueued(id)) Must(Store().AbortSubmit(id));
  }
}

// C72: After MAPI_E_WAIT with 5 the next offer comes no earlier than 5 s later.
TEST_F(Conformance, C072_WaitIsWaitedFor) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.status = SubmitStatus::kWait;
  script.retry_after = std::chrono::seconds(5);
  ScriptedSpooler spooler(Db(), script);
  const Time start = Clock().Now();
  EXPECT_EQ(spooler.RunUntilIdle(start).next_due, start + std::chrono::seconds(5));
  script.status = SubmitStatus::kDone;
  spooler.RunUntilIdle(start + std::chrono::seconds(5) - std::chrono::nanoseconds(100));
  EXPECT_THAT(script.offers, SizeIs(1));
  EXPECT_EQ(
      Must(Must(Db().OpenMessageForOperator(IdOf(id))).GetRecipientTable())[0].delivery.attempts,
      0U)
      << "waiting is no attempt";
  spooler.RunUntilIdle(start + std::chrono::seconds(5));
  EXPECT_THAT(script.offers, SizeIs(2));
  EXPECT_FALSE(IsQueued(id));
}

// C73: If SubmitMessage fails, responsibility changes it did not save are gone at the next offer;
// saved ones persist. Persist means: also in the database, before the call returns.
TEST_F(Conformance, C073_AFailedSubmitKeepsOnlyWhatWasSaved) {
  const EntryId id = SubmitNew(Store(), {"saved@x.test", "unsaved@x.test", "untouched@x.test"});
  TransportScript script;
  script.status = SubmitStatus::kError;
  script.during = [&](OutboundMessage& message) {
    for (const OutboundRecipient& recipient : message.Recipients()) {
      const RecipientOutcome delivered{OutcomeKind::kDelivered, {250, "", "ok"}, "mx"};
      if (recipient.address == "saved@x.test") {
        message.StatusRecipient(recipient.row, delivered);
        Must(message.SaveChanges());
        const Message stored = Must(Db().OpenMessageForOperator(IdOf(id)));
        for (const RecipientRow& row : Must(stored.GetRecipientTable())) {
          EXPECT_EQ(row.delivery.responsibility, row.EmailAddress() == "saved@x.test");
        }
      } else if (recipient.address == "unsaved@x.test") {
        message.StatusRecipient(recipient.row, delivered);
      }
    }
  };
  ScriptedSpooler spooler(Db(), script);
  const StepResult idle = spooler.RunUntilIdle(Clock().Now());
  ASSERT_TRUE(idle.next_due);
  script.status = SubmitStatus::kDone;
  script.during = [](OutboundMessage&) {};
  spooler.RunUntilIdle(*idle.next_due);
  ASSERT_THAT(script.offers, SizeIs(2));
  EXPECT_THAT(script.offers[1].addresses, ElementsAre("unsaved@x.test", "untouched@x.test"));
  EXPECT_FALSE(IsQueued(id));
  EXPECT_EQ(Findings(Db()), "");
}

// C74: The reference passed in is 0: until the transport has set one, a cancellation names 0.
TEST_F(Conformance, C074_TheReferenceIsZeroUntilItIsSet) {
  for (const bool is_set : {false, true}) {
    const EntryId id = SubmitNew(Store());
    TransportScript script;
    std::optional<ScriptedSpooler> spooler;
    script.during = [&](OutboundMessage& message) {
      if (is_set) message.SetReference(9);
      (*spooler)->Cancel();
    };
    spooler.emplace(Db(), script);
    (*spooler)->RunOnce(Clock().Now());
    ASSERT_THAT(script.notices, SizeIs(2));
    EXPECT_EQ(script.notices[1].first, TransportNotification::kCancelMessage);
    EXPECT_EQ(script.notices[1].second.reference, is_set ? 9U : 0U);
    EXPECT_FALSE(IsQueued(id)) << "a transport may come to its end all the same";
  }
}

// C75: END_RESEND_NOW leads to an immediate new SubmitMessage; END_RESEND_LATER to a later one;
// neither finishes the message. A transport that never lets go is made to wait.
TEST_F(Conformance, C075_ResendNowAndLater) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
  script.ends = {EndResult::kResendNow, EndResult::kResendLater};
  ScriptedSpooler spooler(Db(), script);
  const Time start = Clock().Now();
  const StepResult idle = spooler.RunUntilIdle(start);
  EXPECT_EQ(script.Count("SubmitMessage"), 2U) << "now, once more; then later";
  EXPECT_TRUE(IsQueued(id));
  ASSERT_TRUE(idle.next_due);
  EXPECT_GT(*idle.next_due, start);

  script.ends.assign(100, EndResult::kResendNow);
  const StepResult calm = spooler.RunUntilIdle(*idle.next_due);
  EXPECT_LE(script.Count("SubmitMessage"), 10U) << "livelock";
  EXPECT_TRUE(IsQueued(id));
  ASSERT_TRUE(calm.next_due);
  script.ends.clear();
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  spooler.RunUntilIdle(*calm.next_due);
  EXPECT_FALSE(IsQueued(id));
}

// C76: END_DONT_RESEND: no further offer until SENTDEFERRED; then the offer carries BEGIN_DEFERRED
// and the same entry identifier. Another message, and a restart, are not held up by it; after the
// restart the message is offered as a new one.
TEST_F(Conformance, C076_ADeferredMessageComesBackWhenItsTransportAsks) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
  script.ends = {EndResult::kDoNotResend};
  std::optional<ScriptedSpooler> spooler;
  spooler.emplace(Db(), script);
  spooler->RunUntilIdle(Clock().Now());
  Clock().Advance(std::chrono::hours(10));
  spooler->RunUntilIdle(Clock().Now());
  ASSERT_THAT(script.offers, SizeIs(1));
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  const EntryId other = SubmitNew(Store());
  spooler->RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsQueued(other));
  EXPECT_TRUE(IsQueued(id));

  EXPECT_THAT(script.support->SpoolerNotify(notification::kSentDeferred, other),
              IsError(ErrorCode::kNotFound));
  Must(script.support->SpoolerNotify(notification::kSentDeferred, id));
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
  script.ends = {EndResult::kDoNotResend};
  spooler->RunUntilIdle(Clock().Now());
  ASSERT_THAT(script.offers, SizeIs(3));
  EXPECT_EQ(script.offers[2].message, IdOf(id));
  EXPECT_EQ(script.Count("SubmitMessage deferred"), 1U);
  EXPECT_TRUE(IsQueued(id));

  spooler.reset();
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  spooler.emplace(Db(), script);
  spooler->RunUntilIdle(Clock().Now());
  EXPECT_EQ(script.Count("SubmitMessage deferred"), 1U) << "as a new one";
  EXPECT_FALSE(IsQueued(id));
}

// C77: MAPI_E_CANCEL in answer to BEGIN_DEFERRED: not offered again to that transport in this
// session.
TEST_F(Conformance, C077_ADeferralThatIsDroppedIsNotOfferedAgain) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
  script.ends = {EndResult::kDoNotResend};
  {
    ScriptedSpooler spooler(Db(), script);
    spooler.RunUntilIdle(Clock().Now());
    Must(script.support->SpoolerNotify(notification::kSentDeferred, id));
    script.status = SubmitStatus::kNotDeferred;
    spooler.RunUntilIdle(Clock().Now());
    ASSERT_EQ(script.Count("SubmitMessage deferred"), 1U);
    script.status = SubmitStatus::kDone;
    Clock().Advance(std::chrono::hours(1));
    spooler.RunUntilIdle(Clock().Now());
    EXPECT_THAT(script.offers, SizeIs(2));
    EXPECT_TRUE(IsQueued(id)) << "it stays";
  }
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsQueued(id)) << "the next session offers it";
}

// C78: Spooler logoff with deferred messages: TransportNotify(ABORT_DEFERRED) without
// CANCEL_MESSAGE; messages stay queued.
TEST_F(Conformance, C078_LogoffGivesDeferralsUpAndKeepsMessages) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kNotServed; };
  script.ends = {EndResult::kDoNotResend};
  ScriptedSpooler spooler(Db(), script);
  spooler.RunUntilIdle(Clock().Now());
  spooler.LogOff();
  const std::vector<std::string> calls = script.Calls();
  const std::size_t told = IndexOf(calls, Notice(TransportNotification::kAbortDeferred));
  ASSERT_LT(told, calls.size());
  EXPECT_LT(told, IndexOf(calls, "TransportLogoff"));
  for (const auto& [which, data] : script.notices) {
    if (which == TransportNotification::kAbortDeferred) {
      EXPECT_EQ(data.message, id);
    }
  }
  EXPECT_EQ(script.Count(Notice(TransportNotification::kCancelDeferred)), 0U);
  EXPECT_TRUE(IsQueued(id));
  EXPECT_THAT(script.support, testing::NotNull());
}

// C79: TransportNotify(CANCEL_MESSAGE) may arrive on another thread during SubmitMessage. The
// transport here never returns by itself; meanwhile another worker sends other messages.
TEST_F(Conformance, C079_ACancellationArrivesDuringSubmitMessage) {
  const EntryId stuck = SubmitNew(Store(), {"stuck@x.test"});
  std::mutex mutex;
  std::condition_variable changed;
  bool entered = false;
  bool cancelled = false;
  std::thread::id notified_on;
  TransportScript script;
  script.status = SubmitStatus::kCancelled;
  script.during = [&](OutboundMessage&) {
    std::unique_lock lock(mutex);
    entered = true;
    changed.notify_all();
    changed.wait(lock, [&] { return cancelled; });
  };
  script.on_notify = [&](TransportNotification which) {
    if (which != TransportNotification::kCancelMessage) return;
    const std::lock_guard lock(mutex);
    cancelled = true;
    notified_on = std::this_thread::get_id();
    changed.notify_all();
  };
  SpoolerShared shared;
  ScriptedSpooler spooler(Db(), {&script}, ScriptedSpooler::Options(), &shared);
  std::thread worker([&] { spooler->RunOnce(Clock().Now()); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return entered; });
  }
  const EntryId other = SubmitNew(Store());
  TransportScript quick;
  ScriptedSpooler(Db(), {&quick}, ScriptedSpooler::Options(), &shared).RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsQueued(other)) << "the other worker goes on";
  EXPECT_THAT(Addresses(quick), Not(Contains("stuck@x.test"))) << "and leaves this one alone";
  spooler->Cancel();
  worker.join();
  EXPECT_EQ(notified_on, std::this_thread::get_id());
  EXPECT_TRUE(IsQueued(stuck));
  TransportScript after;
  ScriptedSpooler(Db(), after).RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsQueued(stuck));
}

// C80: After MAPI_W_CANCEL_MESSAGE from SpoolerYield no further recipient is served.
TEST_F(Conformance, C080_YieldSaysWhenToStop) {
  const EntryId id = SubmitNew(Store(), {"a@x.test", "b@x.test", "c@x.test"});
  TransportScript script;
  std::optional<ScriptedSpooler> spooler;
  script.status = SubmitStatus::kCancelled;
  script.during = [&](OutboundMessage& message) {
    for (const OutboundRecipient& recipient : message.Recipients()) {
      if (script.support->SpoolerYield() == YieldResult::kCancelMessage) return;
      message.StatusRecipient(recipient.row, {OutcomeKind::kDelivered, {}, {}});
      Must(message.SaveChanges());
      if (recipient.address == "b@x.test") (*spooler)->Cancel();
    }
  };
  spooler.emplace(Db(), script);
  (*spooler)->RunOnce(Clock().Now());
  std::vector<std::string> served;
  for (const RecipientRow& row :
       Must(Must(Db().OpenMessageForOperator(IdOf(id))).GetRecipientTable())) {
    if (row.delivery.responsibility) served.emplace_back(row.EmailAddress());
  }
  EXPECT_THAT(served, ElementsAre("a@x.test", "b@x.test"));
  EXPECT_TRUE(IsQueued(id));
}

// C81: After SpoolerNotify(CRITICAL_ERROR) the transport receives no call but release. Mail that
// needs it waits; another transport's mail goes out.
TEST_F(Conformance, C081_NothingIsCalledAfterACriticalError) {
  TransportScript broken;
  broken.wishes = kLogonIdle | kLogonPoll;
  broken.status = SubmitStatus::kError;
  broken.during = [&](OutboundMessage&) {
    Must(broken.support->SpoolerNotify(notification::kCriticalError));
  };
  TransportScript fax;
  fax.address_types = {"FAX"};
  SubmitNew(Store());
  SubmitNew(Store());
  const EntryId by_fax = SubmitTo(Store(), {Typed("+1 555", "FAX")});
  SpoolerOptions options = ScriptedSpooler::Options();
  options.inbound_store = Store().Id();
  ScriptedSpooler spooler(Db(), {&broken, &fax}, options);
  spooler.RunUntilIdle(Clock().Now());
  Clock().Advance(std::chrono::hours(1));
  spooler.RunUntilIdle(Clock().Now());
  Must(spooler->FlushQueues(kFlushUpload | kFlushDownload, Clock().Now()));
  Must(spooler->ValidateState());
  spooler->Cancel();
  spooler.LogOff();
  EXPECT_EQ(broken.Calls().back(), "SubmitMessage");
  EXPECT_FALSE(IsQueued(by_fax));
  EXPECT_THAT(QueueOrder(Db()), SizeIs(2));
}

// C82: Poll is called only with LOGON_SP_POLL, Idle only with LOGON_SP_IDLE, neither inside a
// critical section. ValidateState is refused there. What Poll announces StartMessage brings, with
// reference 1, into the Inbox, unread.
TEST_F(Conformance, C082_PollAndIdleAreCalledWhenAskedForAndOutsideCriticalSections) {
  TransportScript neither;
  TransportScript idle;
  idle.wishes = kLogonIdle;
  TransportScript poll;
  poll.wishes = kLogonPoll;
  poll.inbox = {"one", "two"};
  SpoolerOptions options = ScriptedSpooler::Options();
  options.inbound_store = Store().Id();
  ScriptedSpooler spooler(Db(), {&neither, &idle, &poll}, options);
  Must(idle.support->SpoolerNotify(notification::kCriticalSection));
  Must(poll.support->SpoolerNotify(notification::kCriticalSection));
  const StepResult step = spooler.RunUntilIdle(Clock().Now());
  EXPECT_FALSE(step.store_failed);
  EXPECT_EQ(idle.Count("Idle") + poll.Count("Poll"), 0U);
  EXPECT_THAT(spooler->ValidateState(), IsError(ErrorCode::kBusy));
  EXPECT_EQ(neither.Count("ValidateState"), 1U);
  EXPECT_EQ(idle.Count("ValidateState"), 0U);

  Must(idle.support->SpoolerNotify(notification::kNonCritical));
  Must(poll.support->SpoolerNotify(notification::kNonCritical));
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_GT(idle.Count("Idle"), 0U);
  EXPECT_GT(poll.Count("Poll"), 0U);
  EXPECT_EQ(idle.Count("Poll") + poll.Count("Idle"), 0U);
  EXPECT_EQ(neither.Count("Idle") + neither.Count("Poll"), 0U);
  EXPECT_EQ(poll.Count("StartMessage 1"), 2U);
  std::vector<std::string> subjects;
  for (const ContentsRow& row : Must(Store().GetContentsTable(Store().Folders().inbox, 10))) {
    const Message arrived = Must(Store().OpenMessage(row.entry_id, 0));
    subjects.push_back(Must(arrived.GetProp(pr::kSubject)).bytes);
    EXPECT_EQ(Must(arrived.GetProp(pr::kMessageFlags)).number & kMsgFlagRead, 0);
  }
  EXPECT_THAT(subjects, ElementsAre("one", "two"));
}

// SpoolerNotify(READYTOSEND): the transport has recovered, so what waits for it is offered at once.
TEST_F(Conformance, ATransportThatRecoveredIsOfferedAtOnce) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  script.status = SubmitStatus::kUnavailable;
  ScriptedSpooler spooler(Db(), script);
  spooler.RunUntilIdle(Clock().Now());
  script.status = SubmitStatus::kDone;
  spooler.RunUntilIdle(Clock().Now());
  ASSERT_THAT(script.offers, SizeIs(1));
  Must(script.support->SpoolerNotify(notification::kReadyToSend));
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsQueued(id));
}

// SpoolerNotify refuses what a transport may not say.
TEST_F(Conformance, ATransportMayNotSayEverything) {
  TransportScript script;
  ScriptedSpooler spooler(Db(), script);
  const EntryId id = SubmitNew(Store());
  EXPECT_THAT(script.support->SpoolerNotify(0x8), IsError(ErrorCode::kUnknownFlags));
  EXPECT_THAT(script.support->SpoolerNotify(notification::kNewMailReceived),
              IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(
      script.support->SpoolerNotify(notification::kCriticalSection | notification::kNonCritical),
      IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(
      script.support->SpoolerNotify(notification::kCriticalError | notification::kSentDeferred, id),
      IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(script.support->SpoolerNotify(notification::kSentDeferred),
              IsError(ErrorCode::kInvalidParameter));
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsQueued(id)) << "nothing of it was taken";
}

// C87: One transport's view never causes another transport's rows to be stored as TRUE. The view
// shows them TRUE; what is said of them is ignored.
TEST_F(Conformance, C087_AnotherTransportsRowsAreSeenTrueAndNeverStoredSo) {
  const EntryId id =
      SubmitTo(Store(), {MakeSmtpRecipient("mail@x.test", kRecipientTo), Typed("+1 555", "FAX")});
  TransportScript smtp;
  smtp.during = [&](OutboundMessage& message) {
    for (const RecipientRow& row : message.GetRecipientTable()) {
      EXPECT_EQ(row.delivery.responsibility, row.AddressType() == "FAX") << row.EmailAddress();
      message.StatusRecipient(row.id, {OutcomeKind::kDelivered, {}, {}});
    }
    Must(message.SaveChanges());
    for (const RecipientRow& row :
         Must(Must(Db().OpenMessageForOperator(IdOf(id))).GetRecipientTable())) {
      EXPECT_EQ(row.delivery.responsibility, row.AddressType() == "SMTP") << row.EmailAddress();
    }
  };
  TransportScript fax;
  fax.address_types = {"FAX"};
  ScriptedSpooler(Db(), {&smtp, &fax}).RunUntilIdle(Clock().Now());
  EXPECT_THAT(Addresses(fax), ElementsAre("+1 555"));
  EXPECT_FALSE(IsQueued(id));
}

}  // namespace
}  // namespace bobbin

// Statements C104 to C106, and section 6's INLINE: recipients that are stores of the same database.
#include <algorithm>
#include <functional>
#include <thread>

#include "engine/attachment.h"
#include "tests/conformance/conformance.h"
#include "tests/support/child_process.h"
#include "tests/support/recorded_events.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Coupling : public Conformance {
 protected:
  void SetUp() override {
    Must(Store().SetTightlyCoupled(true));
    Must(Db().CreateMessageStore("b@a.test"));
    Must(Db().CreateMessageStore("c@a.test"));
  }
  void TearDown() override { EXPECT_EQ(Findings(Db()), ""); }

  std::vector<ContentsRow> Inbox(std::string_view store_name) {
    const MessageStore store = Must(Db().OpenMessageStore(store_name));
    return Must(store.GetContentsTable(store.Folders().inbox, 1'000));
  }
  RecipientTable Recipients(const EntryId& id) {
    return Must(Must(Db().OpenMessageForOperator(IdOf(id))).GetRecipientTable());
  }
  EntryId SubmitWithContent(const std::vector<std::string>& recipients, std::string_view content) {
    Message message = NewDraft(Store(), recipients);
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(content));
    Must(message.SetContent(Must(writer.Finish())));
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    return id;
  }
};

// C104: Coupled store, all recipients served, no preprocessing, no post-processing wanted: never
// appears in the queue to the spooler, completes inside SubmitMessage.
TEST_F(Coupling, C104_WhatTheStoreServesItselfNeverAppearsInTheQueue) {
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  const std::string content = "Subject: s\r\n\r\n" + std::string(100'000, 'x');
  Message message = NewDraft(Store(), {"B@a.test", "c@a.test"});
  MessageBodyWriter writer = Store().NewContent();
  Must(writer.Append(content));
  Must(message.SetContent(Must(writer.Finish())));
  Must(message.ModifyRecipients(kModifyRecipientsAdd,
                                {MakeSmtpRecipient("alice@a.test", kRecipientBcc)}));
  ASSERT_TRUE(SetProp(
      message, Property::Bytes(pr::kSentMailEntryId,
                               Store().EntryIdOf(Store().Folders().sent_items.value).ToBytes())));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());

  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  const MessageId marker = IdOf(SubmitNew(Store(), {"foreign@x.test"}));
  EXPECT_THAT(events.Until([&](const QueueEvent& event) { return event.message == marker; }),
              IsEmpty());
  const PropertyList sent = StoredProps(Db(), id);
  EXPECT_EQ(sent.NumberOr(pr::kMessageFlags, -1) & (kMsgFlagSubmit | kMsgFlagUnsent), 0);
  EXPECT_NE(sent.NumberOr(pr::kMessageFlags, 0) & kMsgFlagRead, 0);
  EXPECT_EQ(FolderOf(id), Store().Folders().sent_items);
  for (const RecipientRow& row : Recipients(id)) {
    EXPECT_TRUE(row.delivery.responsibility);
    EXPECT_EQ(row.delivery.state, RecipientState::kDelivered);
  }
  for (const char* name : {"b@a.test", "c@a.test", "alice@a.test"}) {
    const auto inbox = Inbox(name);
    ASSERT_THAT(inbox, SizeIs(1)) << name;
    const Message arrived = Must(Db().OpenMessageForOperator(inbox[0].message));
    const PropertyList props = Must(arrived.GetProps());
    EXPECT_EQ(props.NumberOr(pr::kMessageFlags, -1), kMsgFlagUnmodified);
    EXPECT_EQ(props.BytesOr(pr::kSearchKey, "?"), sent.BytesOr(pr::kSearchKey, {}));
    EXPECT_EQ(props.BytesOr(pr::kInternetMessageId, "?"), sent.BytesOr(pr::kInternetMessageId, {}));
    EXPECT_EQ(props.BytesOr(pr::kDisplayBcc, "?"), "");
    EXPECT_EQ(props.Find(pr::kSentMailEntryId), nullptr);
    EXPECT_NE(props.Find(pr::kMessageDeliveryTime), nullptr);
    EXPECT_THAT(Must(arrived.GetRecipientTable()), SizeIs(2)) << "Bcc is shown";
    EXPECT_EQ(Must(arrived.OpenContent()).Bytes(), content.size());
  }
  EXPECT_EQ(Must(Db().CheckStore()).bodies, 1U) << "the content is shared";
}

TEST_F(Coupling, C104_DeleteAfterSubmitLeavesOnlyTheRecipientsCopies) {
  Message message = NewDraft(Store(), {"b@a.test"});
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kDeleteAfterSubmit, 1)));
  Attachment attachment = Must(message.CreateAttachment());
  ASSERT_THAT(Must(attachment.SetProps(std::vector{Property::Bytes(pr::kAttachFilename, "a.txt")})),
              IsEmpty());
  Must(attachment.SaveChanges());
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  EXPECT_FALSE(IsStored(Db(), id));
  ASSERT_THAT(Inbox("b@a.test"), SizeIs(1));
  const Message arrived = Must(Db().OpenMessageForOperator(Inbox("b@a.test")[0].message));
  EXPECT_THAT(Must(arrived.GetAttachmentTable()), SizeIs(1));
}

TEST_F(Coupling, C104_AnUncoupledStoreServesNobody) {
  Must(Store().SetTightlyCoupled(false));
  const EntryId id = SubmitNew(Store(), {"b@a.test"});
  EXPECT_TRUE(IsQueued(id));
  EXPECT_THAT(Inbox("b@a.test"), IsEmpty());
}

// C105: Coupled store, some recipients foreign: served ones TRUE, message queued, spooler offers
// only the rest.
TEST_F(Coupling, C105_TheSpoolerIsOfferedOnlyTheForeignRecipients) {
  const EntryId id = SubmitNew(Store(), {"b@a.test", "foreign@x.test", "c@a.test"});
  EXPECT_TRUE(IsQueued(id));
  EXPECT_THAT(Inbox("b@a.test"), SizeIs(1));
  EXPECT_THAT(Inbox("c@a.test"), SizeIs(1));
  const RecipientTable rows = Recipients(id);
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_TRUE(rows[0].delivery.responsibility);
  EXPECT_FALSE(rows[1].delivery.responsibility);
  EXPECT_TRUE(rows[2].delivery.responsibility);
  TransportScript script;
  ScriptedSpooler spooler(Db(), script);
  spooler.RunUntilIdle(Clock().Now());
  ASSERT_THAT(script.offers, SizeIs(1));
  EXPECT_THAT(script.offers[0].addresses, ElementsAre("foreign@x.test"));
  EXPECT_FALSE(IsQueued(id));
  EXPECT_THAT(Inbox("b@a.test"), SizeIs(1));
}

// C106: Coupled store + preprocessing: CompleteMsg is used, hooks and RemovePreprocessInfo run.
// Here: nobody is served before preprocessing is over, and then the message stays queued and
// locked, all recipients TRUE, for the spooler to complete.
TEST_F(Coupling, C106_APreprocessedMessageIsServedAfterwardsAndCompletedByTheSpooler) {
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  TransportProfile profile;
  profile.transports.push_back({true, {}, {}, {{{}, {}}}});
  Must(session.PublishTransports(profile));
  const EntryId id = SubmitNew(Store(), {"b@a.test", "c@a.test"});
  EXPECT_TRUE(IsQueued(id));
  EXPECT_THAT(Inbox("b@a.test"), IsEmpty());
  Message message = Must(session.OpenMessage(id));
  Must(session.SetLockState(message, LockState::kLocked));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "preprocessed")));
  Must(message.SubmitMessage());
  ASSERT_THAT(Inbox("b@a.test"), SizeIs(1));
  EXPECT_EQ(Inbox("b@a.test")[0].subject, "preprocessed");
  EXPECT_TRUE(IsQueued(id));
  EXPECT_THAT(Recipients(id),
              testing::Each(testing::ResultOf(
                  [](const RecipientRow& row) { return row.delivery.responsibility; }, true)));
  EXPECT_THAT(Store().AbortSubmit(id), IsError(ErrorCode::kUnableToAbort));
  Must(session.FinishMessage(id));
  EXPECT_FALSE(IsQueued(id));
}

TEST_F(Coupling, C106_OutboundHooksKeepAServedMessageForTheSpooler) {
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(session.PublishTransports({{}, true}));
  const EntryId id = SubmitNew(Store(), {"b@a.test"});
  EXPECT_THAT(Inbox("b@a.test"), SizeIs(1));
  EXPECT_TRUE(IsQueued(id));
}

// A Bcc field in the original must not reach anybody: its copies are made by the spooler.
TEST_F(Coupling, ContentWithABccFieldIsLeftToTheSpooler) {
  const EntryId hidden =
      SubmitWithContent({"b@a.test"}, "Subject: s\r\nbCC : x@x.test\r\n\r\ntext");
  EXPECT_TRUE(IsQueued(hidden));
  const EntryId folded = SubmitWithContent({"b@a.test"}, "Subject: s\n bcc: x\n\nbcc: in the text");
  EXPECT_FALSE(IsQueued(folded));
  EXPECT_THAT(Inbox("b@a.test"), SizeIs(1));
}

TEST_F(Coupling, ADeferredMessageIsNotServedBeforeItsTime) {
  Message message = NewDraft(Store(), {"b@a.test"});
  ASSERT_TRUE(SetProp(
      message,
      Property::Number(pr::kDeferredSendTime, ToFileTime(Clock().Now() + std::chrono::hours(1)))));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  EXPECT_TRUE(IsQueued(id));
  EXPECT_THAT(Inbox("b@a.test"), IsEmpty());
}

// More recipients than one transaction serves: INLINE in between.
class Inline : public Coupling {
 protected:
  static constexpr int kMany = 350;
  std::vector<std::string> Many() {
    std::vector<std::string> names;
    for (int i = 0; i < kMany; ++i) {
      names.push_back("r" + std::to_string(i) + "@a.test");
      if (!Db().OpenMessageStore(names.back())) Must(Db().CreateMessageStore(names.back()));
    }
    return names;
  }
  int Arrived(const std::vector<std::string>& names) {
    return static_cast<int>(std::count_if(names.begin(), names.end(), [&](const std::string& name) {
      return Inbox(name).size() == 1;
    }));
  }
};

// Runs something, on a thread of its own, whenever a step asks for the time.
struct WatchedClock final : Clock {
  Time Now() const override {
    if (on_now) std::thread(on_now).join();
    return SystemClock().Now();
  }
  std::function<void()> on_now;
};

TEST_F(Inline, ServesMoreThanOneTransactionTakesAndCompletes) {
  const std::vector<std::string> names = Many();
  const EntryId id = SubmitNew(Store(), names);
  EXPECT_EQ(Arrived(names), kMany);
  EXPECT_FALSE(IsQueued(id));
  EXPECT_EQ(StoredFlags(Db(), id) & kMsgFlagSubmit, 0U);
}

// What another logon sees of an INLINE message: a locked one that is not in the queue table.
TEST_F(Inline, IsLockedToEveryoneElseAndNotInTheQueueTable) {
  const std::vector<std::string> names = Many();
  WatchedClock clock;
  DatabaseOptions options;
  options.clock = &clock;
  Database database = Must(Database::Open(database_.Path(), options));
  MessageStore store = Must(database.OpenMessageStore(TemporaryDatabase::kStoreName));
  Message message = NewDraft(store, names);
  const EntryId id = Must(message.Id());
  bool looked = false;
  clock.on_now = [&] {
    if (looked || !IsStored(Db(), id)) return;
    looked = true;
    EXPECT_THAT(Store().OpenMessage(id, 0), IsError(ErrorCode::kNoAccess));
    EXPECT_THAT(Store().OpenMessage(id, kMapiModify), IsError(ErrorCode::kSubmitted));
    EXPECT_THAT(QueueOrder(Db()), IsEmpty());
    EXPECT_THAT(Db().GetOutgoingQueue().Row(IdOf(id)), IsError(ErrorCode::kNotInQueue));
    EXPECT_NE(StoredFlags(Db(), id) & kMsgFlagSubmit, 0U);
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    EXPECT_FALSE(Must(session.NextDue(Clock().Now())).message);
    EXPECT_THAT(session.OpenMessage(id), IsError(ErrorCode::kNoAccess));
  };
  Must(message.SubmitMessage());
  EXPECT_TRUE(looked);
}

const ChildProgram kSubmitToMany("submit-to-many", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments.at(0)));
  MessageStore store = Must(database.OpenMessageStore(TemporaryDatabase::kStoreName));
  std::vector<std::string> names(arguments.begin() + 1, arguments.end());
  Message message = NewDraft(store, names);
  Say(Must(message.Id()).ToHex());
  Must(message.SubmitMessage());
  Say("submitted");
  Hear();
  return 0;
});

// The session dies while it serves: the rest becomes an ordinary queue entry, and the spooler's
// work; who was served is not served again.
TEST_F(Inline, OfAProcessThatDiesBecomesAnOrdinaryQueueEntry) {
  const std::vector<std::string> names = Many();
  std::vector<std::string> arguments{database_.Path().string()};
  arguments.insert(arguments.end(), names.begin(), names.end());
  int cut_short = 0;
  for (int attempt = 0; attempt < 200 && cut_short < 3; ++attempt) {
    ChildProcess child("submit-to-many", arguments);
    const EntryId id = Must(EntryId::FromHex(child.ReadLine()));
    // Killed as soon as some of it is durable.
    while (!IsStored(Db(), id)) std::this_thread::yield();
    child.Kill();
    const RecipientTable rows = Recipients(id);
    const auto served = std::count_if(rows.begin(), rows.end(), [](const RecipientRow& row) {
      return row.delivery.responsibility;
    });
    if (served == kMany) continue;
    ++cut_short;
    EXPECT_THAT(QueueOrder(Db()), ElementsAre(IdOf(id)));
    TransportScript script;
    ScriptedSpooler spooler(Db(), script);
    spooler.RunUntilIdle(Clock().Now() + std::chrono::hours(24 * 365 * 100));
    std::size_t offered = 0;
    for (const auto& offer : script.offers) offered += offer.addresses.size();
    EXPECT_EQ(offered, static_cast<std::size_t>(kMany - served));
    EXPECT_FALSE(IsQueued(id));
  }
  EXPECT_EQ(cut_short, 3) << "no kill came while the message was being served";
}

}  // namespace
}  // namespace bobbin

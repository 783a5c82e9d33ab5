// Statements C41 to C46: the outgoing queue table, its order, and what is told about it.
#include <functional>

#include "engine/kv/commit_fault.h"
#include "tests/conformance/conformance.h"

namespace bobbin {
namespace {

// C41: Queue rows are ordered by ascending PR_CLIENT_SUBMIT_TIME; equal times keep submit order.
// The clock advances, stands still, and steps back: the order is that of the submissions.
TEST_F(Conformance, C041_TheQueueIsInSubmitOrderWhateverTheClockDoes) {
  std::vector<MessageId> submitted;
  for (const auto step :
       {std::chrono::seconds(0), std::chrono::seconds(60), std::chrono::seconds(0),
        std::chrono::seconds(0), std::chrono::seconds(-3600), std::chrono::seconds(0),
        std::chrono::seconds(1), std::chrono::seconds(7200)}) {
    Clock().Advance(step);
    // Created in an order of their own, so that identifiers do not happen to give the order.
    Message later = NewDraft(Store());
    Message sooner = NewDraft(Store());
    submitted.push_back(IdOf(Must(sooner.Id())));
    Must(sooner.SubmitMessage());
    submitted.push_back(IdOf(Must(later.Id())));
    Must(later.SubmitMessage());
  }
  EXPECT_EQ(QueueOrder(Db()), submitted);
  const std::vector<QueueRow> rows = Must(Db().GetOutgoingQueue().Rows(100));
  for (std::size_t i = 1; i < rows.size(); ++i) {
    EXPECT_LE(rows[i - 1].client_submit_time, rows[i].client_submit_time) << i;
    EXPECT_LT(rows[i - 1].sequence, rows[i].sequence) << i;
  }
  // The spooler takes them in the same order.
  Clock().Advance(std::chrono::hours(24));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  std::vector<MessageId> taken;
  for (std::size_t i = 0; i < submitted.size(); ++i) {
    const DueResult due = Must(session.NextDue(Clock().Now()));
    ASSERT_TRUE(due.message);
    taken.push_back(due.message->message);
    Must(Lock(session, due.message->entry_id));
    Must(session.FinishMessage(due.message->entry_id));
  }
  EXPECT_EQ(taken, submitted);
}

// C42: All eleven required columns are present in the default column set, with the message's
// values.
TEST_F(Conformance, C042_TheQueueTableHasTheElevenRequiredColumns) {
  Message message = NewDraft(Store(), std::vector<std::string>{}, "the subject");
  Must(message.ModifyRecipients(kModifyRecipientsReplace,
                                {MakeSmtpRecipient("to@x.test", kRecipientTo, "The To"),
                                 MakeSmtpRecipient("cc@x.test", kRecipientCc, "The Cc"),
                                 MakeSmtpRecipient("bcc@x.test", kRecipientBcc, "The Bcc")}));
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kPriority, 1)));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSenderName, "Alice")));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());

  const PropertyList row = Must(Db().GetOutgoingQueue().Rows(10)).at(0).AsProperties();
  EXPECT_EQ(row.NumberOr(pr::kClientSubmitTime, 0), ToFileTime(Clock().Now()));
  EXPECT_EQ(row.BytesOr(pr::kDisplayTo, "absent"), "The To");
  EXPECT_EQ(row.BytesOr(pr::kDisplayCc, "absent"), "The Cc");
  EXPECT_EQ(row.BytesOr(pr::kDisplayBcc, "absent"), "The Bcc");
  EXPECT_EQ(row.BytesOr(pr::kEntryId, "absent"), id.ToBytes());
  EXPECT_EQ(row.NumberOr(pr::kMessageFlags, 0) & kMsgFlagSubmit, kMsgFlagSubmit);
  EXPECT_GT(row.NumberOr(pr::kMessageSize, 0), 0);
  EXPECT_EQ(row.NumberOr(pr::kPriority, 0), 1);
  EXPECT_EQ(row.BytesOr(pr::kSenderName, "absent"), "Alice");
  EXPECT_EQ(row.BytesOr(pr::kSubject, "absent"), "the subject");
  EXPECT_EQ(row.NumberOr(pr::kSubmitFlags, -1), 0);
}

// How one change of the queue is taken, on a message that has been brought to where it may be.
struct QueueChange {
  std::string name;
  bool submitted_before;
  bool locked_before;
  std::function<Result<void>(MessageStore&, SpoolerSession&, const EntryId&)> take;
};

const std::vector<QueueChange> kQueueChanges{
    {"submit", false, false,
     [](MessageStore& store, SpoolerSession&, const EntryId& id) -> Result<void> {
       ASSIGN_OR_RETURN(Message message, store.OpenMessage(id, kMapiModify));
       return message.SubmitMessage();
     }},
    {"abort", true, false,
     [](MessageStore& store, SpoolerSession&, const EntryId& id) { return store.AbortSubmit(id); }},
    {"hold", true, false,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) {
       return session.GetOutgoingQueue().Hold(MessageId{id.Object()});
     }},
    {"lock with pending edits", true, false,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) -> Result<void> {
       ASSIGN_OR_RETURN(Message message, session.OpenMessage(id));
       SetProp(message, Property::Bytes(pr::kSubject, "edited"));
       return session.SetLockState(message, LockState::kLocked);
     }},
    {"attempt", true, true,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) -> Result<void> {
       RETURN_IF_ERROR(session.CommitAttempt(id, Attempt{}));
       return {};
     }},
    {"finish", true, true,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) -> Result<void> {
       RETURN_IF_ERROR(session.FinishMessage(id));
       return {};
     }},
};

enum class Fault : std::uint8_t { kNone, kWrite, kCommitLost, kAnswerLost };

// How many events `change` causes when `fault` meets it.
std::size_t EventsOf(const QueueChange& change, Fault fault) {
  TemporaryDatabase database;
  Message draft = NewDraft(database.Store());
  const EntryId id = Must(draft.Id());
  Must(draft.SaveChanges(kKeepOpenReadWrite));
  SpoolerSession session = Must(database.Database().OpenSpoolerSession());
  if (change.submitted_before) Must(draft.SubmitMessage());
  if (change.locked_before) {
    Message message = Must(session.OpenMessage(id));
    Must(session.SetLockState(message, LockState::kLocked));
  }
  std::size_t events = 0;
  const QueueAdvise advise =
      database.Database().GetOutgoingQueue().Advise([&](const QueueEvent&) { ++events; });
  const auto engine = database.Engine();
  switch (fault) {
    case Fault::kNone:
      break;
    case Fault::kWrite:
      kv::FailWriteForTesting(*engine, 1);
      break;
    case Fault::kCommitLost:
      kv::FailCommitForTesting(*engine, 1, kv::CommitFault::kNothingCommitted);
      break;
    case Fault::kAnswerLost:
      kv::FailCommitForTesting(*engine, 1, kv::CommitFault::kCommitted);
      break;
  }
  const Result<void> outcome = change.take(database.Store(), session, id);
  EXPECT_FALSE(kv::FaultPendingForTesting(*engine)) << "the fault never happened";
  EXPECT_EQ(outcome.has_value(), fault == Fault::kNone);
  return events;
}

// C44: No notification is delivered for a change that did not commit. Every change of the queue,
// with a write that fails and with a commit that fails in both ways; each of them does cause
// exactly one notification when it succeeds.
TEST_F(Conformance, C044_WhatDidNotCommitIsNotTold) {
  for (const QueueChange& change : kQueueChanges) {
    SCOPED_TRACE(change.name);
    EXPECT_EQ(EventsOf(change, Fault::kNone), 1U);
    EXPECT_EQ(EventsOf(change, Fault::kWrite), 0U);
    EXPECT_EQ(EventsOf(change, Fault::kCommitLost), 0U);
    EXPECT_EQ(EventsOf(change, Fault::kAnswerLost), 0U);
  }
}

// C46: The queue after restart equals the set of messages carrying SUBMIT, same order. Two stores,
// with messages submitted, aborted, finished, locked and only saved; the set is taken from the
// contents of all folders.
TEST_F(Conformance, C046_TheQueueAfterRestartIsTheSetOfSubmittedMessages) {
  MessageStore other = Must(Db().CreateMessageStore("bob@b.test"));
  std::vector<MessageId> expected_here;
  std::vector<MessageId> expected_other;
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    for (int i = 0; i < 24; ++i) {
      MessageStore& store = i % 3 == 0 ? other : Store();
      const EntryId id = SubmitNew(store);
      const int fate = i / 3 % 4;
      if (fate == 1) {
        Must(store.AbortSubmit(id));
      } else if (fate == 2) {
        Must(Lock(session, id));
        Must(session.FinishMessage(id));
      } else {
        if (fate == 3) Must(Lock(session, id));
        (i % 3 == 0 ? expected_other : expected_here).push_back(IdOf(id));
      }
      Must(NewDraft(store).SaveChanges());
    }
  }
  other = Store();  // Lets go of the database.
  database_.Reopen();
  other = Must(Db().OpenMessageStore("bob@b.test"));

  const auto order = [&](const MessageStore& store) {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    std::vector<MessageId> ids;
    for (const QueueRow& row : Must(session.GetOutgoingQueue(store.Id()).Rows(100))) {
      ids.push_back(row.message);
    }
    return ids;
  };
  const auto submitted = [](const MessageStore& store) {
    std::vector<MessageId> ids;
    for (const ContentsRow& row : Must(store.GetContentsTable(store.Folders().outbox, 100))) {
      if ((row.message_flags & kMsgFlagSubmit) != 0) ids.push_back(row.message);
    }
    return ids;
  };
  EXPECT_EQ(order(Store()), expected_here);
  EXPECT_EQ(order(other), expected_other);
  EXPECT_THAT(submitted(Store()), testing::UnorderedElementsAreArray(expected_here));
  EXPECT_THAT(submitted(other), testing::UnorderedElementsAreArray(expected_other));
  EXPECT_EQ(Findings(Db()), "");
}

// What an adviser of the queue table is told.
class Advised : public Conformance {
 protected:
  std::vector<QueueEventKind> Told(const EntryId& id) {
    std::vector<QueueEventKind> kinds;
    for (const QueueEvent& event : events_) {
      if (event.message == IdOf(id)) kinds.push_back(event.kind);
    }
    events_.clear();
    return kinds;
  }
  std::vector<QueueEvent> events_;
  QueueAdvise advise_ =
      Db().GetOutgoingQueue().Advise([this](const QueueEvent& event) { events_.push_back(event); });
};

// C43: Submit yields exactly one TABLE_ROW_ADDED, abort and finish exactly one TABLE_ROW_DELETED,
// to an adviser of the queue table.
TEST_F(Advised, C043_SubmitAbortAndFinishAreToldOnce) {
  const EntryId id = SubmitNew(Store());
  EXPECT_THAT(Told(id), testing::ElementsAre(QueueEventKind::kRowAdded));
  Must(Store().AbortSubmit(id));
  EXPECT_THAT(Told(id), testing::ElementsAre(QueueEventKind::kRowDeleted));
  Message draft = Must(Store().OpenMessage(id, kMapiModify));
  Must(draft.SubmitMessage());
  EXPECT_THAT(Told(id), testing::ElementsAre(QueueEventKind::kRowAdded));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  events_.clear();
  Must(session.FinishMessage(id));
  EXPECT_THAT(Told(id), testing::ElementsAre(QueueEventKind::kRowDeleted));
}

// C45: Lock, unlock and second submit yield TABLE_ROW_MODIFIED.
TEST_F(Advised, C045_LockUnlockAndSecondSubmitModifyTheQueueRow) {
  const EntryId id = SubmitNew(Store());
  events_.clear();
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  EXPECT_THAT(Told(id), testing::ElementsAre(QueueEventKind::kRowModified));
  Must(Lock(session, id));
  EXPECT_THAT(Told(id), testing::IsEmpty()) << "it was locked already";
  Must(Must(session.OpenMessage(id)).SubmitMessage());
  EXPECT_THAT(Told(id), testing::ElementsAre(QueueEventKind::kRowModified));
  Must(Unlock(session, id));
  EXPECT_THAT(Told(id), testing::ElementsAre(QueueEventKind::kRowModified));
  Must(Unlock(session, id));
  EXPECT_THAT(Told(id), testing::IsEmpty());
}

// C47: PR_PRIORITY does not change queue order.
TEST_F(Conformance, C047_PriorityDoesNotChangeTheOrder) {
  std::vector<MessageId> submitted;
  for (const std::int64_t priority : {0, -1, 1, 0, 1}) {
    Message message = NewDraft(Store());
    ASSERT_TRUE(SetProp(message, Property::Number(pr::kPriority, priority)));
    submitted.push_back(IdOf(Must(message.Id())));
    Must(message.SubmitMessage());
  }
  EXPECT_EQ(QueueOrder(Db()), submitted);
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(submitted[2])).priority, 1);
  const SpoolerSession session = Must(Db().OpenSpoolerSession());
  EXPECT_EQ(Must(session.NextDue(Clock().Now())).message->message, submitted[0]);
}

// C49: Sorting the queue table by PR_CLIENT_SUBMIT_TIME is accepted; an unsupported sort fails
// MAPI_E_TOO_COMPLEX and keeps the old order.
TEST_F(Conformance, C049_TheQueueIsSortedBySubmitTimeOnly) {
  for (int i = 0; i < 3; ++i) SubmitNew(Store());
  const std::vector<MessageId> order = QueueOrder(Db());
  const OutgoingQueue queue = Db().GetOutgoingQueue();
  Must(queue.SortTable(std::vector<SortOrder>{{pr::kClientSubmitTime}}));
  const std::vector<std::vector<SortOrder>> others{{},
                                                   {{pr::kSubject}},
                                                   {{pr::kClientSubmitTime, true}},
                                                   {{pr::kClientSubmitTime}, {pr::kSubject}}};
  for (const auto& other : others) {
    EXPECT_THAT(queue.SortTable(other), IsError(ErrorCode::kTooComplex));
    EXPECT_EQ(QueueOrder(Db()), order);
  }
}

}  // namespace
}  // namespace bobbin

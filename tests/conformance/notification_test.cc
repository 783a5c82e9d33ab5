// Statements C43 to C45, and what C33 and C36 say about the queue's notifications.
//
// Method: two advisers of the whole queue, one in this process, one in another. Each step is
// followed by the submission of a marker; what both were told before they were told of it is what
// the step caused, no more and no less.
#include <functional>

#include "engine/kv/commit_fault.h"
#include "tests/conformance/conformance.h"
#include "tests/support/advised_process.h"
#include "tests/support/recorded_events.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kinds = std::vector<QueueEventKind>;

class ToldConformance : public Conformance {
 protected:
  // What both processes have been told since the last call, about `id` only; of others they must
  // have been told nothing but the marker.
  Kinds Told(const EntryId& id) {
    const MessageId marker = IdOf(SubmitNew(Store()));
    Kinds here;
    for (const QueueEvent& event : events_.Until([&](const QueueEvent& told) {
           return told.kind == QueueEventKind::kRowAdded && told.message == marker;
         })) {
      EXPECT_EQ(event.message, IdOf(id));
      here.push_back(event.kind);
    }
    Kinds there;
    for (const AdvisedProcess::Told& told : other_.UntilAdded(marker)) {
      EXPECT_EQ(told.message, IdOf(id));
      there.push_back(told.kind);
    }
    EXPECT_EQ(here, there);
    return there;
  }

  RecordedEvents<QueueEvent> events_;
  QueueAdvise advise_ = Db().GetOutgoingQueue().Advise(events_.Sink());
  AdvisedProcess other_{database_.Path()};
};

// C33: A failing PrepareSubmit or ExpandRecips leaves no queue row: nobody is told of one.
TEST_F(ToldConformance, C033_AFailingExpansionIsNotTold) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.ModifyRecipients(kModifyRecipientsAdd,
                                {MakeListRecipient("nobody knows it", kRecipientTo)}));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(Told(id), IsEmpty());
  Must(message.ModifyRecipients(kModifyRecipientsReplace,
                                {MakeSmtpRecipient("b@x.test", kRecipientTo)}));
  Must(message.SubmitMessage());
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowAdded));
}

// C36: A message submitted from any folder is told as one from the Outbox.
TEST_F(ToldConformance, C036_TheFolderIsNoMatterToTheQueue) {
  const StandardFolders& folders = Store().Folders();
  const FolderId below = Must(Store().CreateFolder(folders.inbox, "Below"));
  for (const FolderId folder : {folders.outbox, folders.inbox, below}) {
    Message message = NewDraft(Store(), folder, {"b@x.test"});
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowAdded)) << folder.value;
  }
}

// C43: Submit yields exactly one TABLE_ROW_ADDED, abort and finish exactly one TABLE_ROW_DELETED,
// to an adviser of the queue table.
TEST_F(ToldConformance, C043_SubmitAbortAndFinishAreToldOnce) {
  const EntryId id = SubmitNew(Store());
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowAdded));
  Must(Store().AbortSubmit(id));
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowDeleted));
  Message draft = Must(Store().OpenMessage(id, kMapiModify));
  Must(draft.SubmitMessage());
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowAdded));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowModified));
  Must(session.FinishMessage(id));
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowDeleted));
}

// C45: Lock, unlock and second submit yield TABLE_ROW_MODIFIED.
TEST_F(ToldConformance, C045_LockUnlockAndSecondSubmitModifyTheQueueRow) {
  const EntryId id = SubmitNew(Store());
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowAdded));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowModified));
  Must(Lock(session, id));
  EXPECT_THAT(Told(id), IsEmpty()) << "it was locked already";
  Must(Must(session.OpenMessage(id)).SubmitMessage());
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowModified));
  Must(Unlock(session, id));
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowModified));
  Must(Unlock(session, id));
  EXPECT_THAT(Told(id), IsEmpty());
  const DueResult due = Must(session.NextDue(Clock().Now()));
  ASSERT_TRUE(due.message && Must(session.LockDue(*due.message)));
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowModified));
  session.Unlock(id);
  EXPECT_THAT(Told(id), ElementsAre(QueueEventKind::kRowModified));
  session.Unlock(id);
  EXPECT_THAT(Told(id), IsEmpty());
}

// How one change of the queue is taken, on a message that has been brought to where it may be.
struct QueueChange {
  std::string name;
  bool submitted_before;
  bool locked_before;
  bool told_by_commit;  // Else by the lock that comes or goes after it.
  std::function<Result<void>(MessageStore&, SpoolerSession&, const EntryId&)> take;
};

const std::vector<QueueChange> kQueueChanges{
    {"submit", false, false, true,
     [](MessageStore& store, SpoolerSession&, const EntryId& id) -> Result<void> {
       ASSIGN_OR_RETURN(Message message, store.OpenMessage(id, kMapiModify));
       return message.SubmitMessage();
     }},
    {"abort", true, false, true,
     [](MessageStore& store, SpoolerSession&, const EntryId& id) { return store.AbortSubmit(id); }},
    {"hold", true, false, true,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) {
       return session.GetOutgoingQueue().Hold(MessageId{id.Object()});
     }},
    {"lock with pending edits", true, false, false,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) -> Result<void> {
       ASSIGN_OR_RETURN(Message message, session.OpenMessage(id));
       SetProp(message, Property::Bytes(pr::kSubject, "edited"));
       return session.SetLockState(message, LockState::kLocked);
     }},
    {"attempt", true, true, false,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) -> Result<void> {
       RETURN_IF_ERROR(session.CommitAttempt(id, Attempt{}));
       return {};
     }},
    {"finish", true, true, true,
     [](MessageStore&, SpoolerSession& session, const EntryId& id) -> Result<void> {
       RETURN_IF_ERROR(session.FinishMessage(id));
       return {};
     }},
};

enum class Fault : std::uint8_t { kNone, kWrite, kCommitLost, kAnswerLost };

void Arm(kv::Engine& engine, Fault fault) {
  if (fault == Fault::kWrite) kv::FailWriteForTesting(engine, 1);
  if (fault == Fault::kCommitLost) {
    kv::FailCommitForTesting(engine, 1, kv::CommitFault::kNothingCommitted);
  }
  if (fault == Fault::kAnswerLost) {
    kv::FailCommitForTesting(engine, 1, kv::CommitFault::kCommitted);
  }
}

// How many events about its row `change` causes in another process when `fault` meets it.
std::size_t EventsOf(const QueueChange& change, Fault fault) {
  TemporaryDatabase database;
  std::optional<AdvisedProcess> other;
  EntryId id;
  {
    Message draft = NewDraft(database.Store());
    id = Must(draft.Id());
    Must(draft.SaveChanges(kKeepOpenReadWrite));
    SpoolerSession session = Must(database.Database().OpenSpoolerSession());
    if (change.submitted_before) Must(draft.SubmitMessage());
    if (change.locked_before) {
      Message message = Must(session.OpenMessage(id));
      Must(session.SetLockState(message, LockState::kLocked));
    }
    other.emplace(database.Path());
    Arm(*database.Engine(), fault);
    const Result<void> outcome = change.take(database.Store(), session, id);
    EXPECT_FALSE(kv::FaultPendingForTesting(*database.Engine())) << "the fault never happened";
    EXPECT_EQ(outcome.has_value(), fault == Fault::kNone);
  }
  database.Reopen();
  const MessageId marker{SubmitNew(database.Store()).Object()};
  std::size_t events = 0;
  for (const AdvisedProcess::Told& told : other->UntilAdded(marker)) {
    events += told.message.value == id.Object() ? 1U : 0U;
  }
  return events;
}

// C44: No notification is delivered for a change that did not commit. Every change of the queue,
// with a write that fails and with a commit that fails in both ways; each of them does cause
// exactly one notification when it succeeds, and also when all that was lost is the answer to the
// commit: the other process sees what is stored.
TEST_F(Conformance, C044_WhatDidNotCommitIsNotTold) {
  for (const QueueChange& change : kQueueChanges) {
    SCOPED_TRACE(change.name);
    EXPECT_EQ(EventsOf(change, Fault::kNone), 1U);
    EXPECT_EQ(EventsOf(change, Fault::kWrite), 0U);
    EXPECT_EQ(EventsOf(change, Fault::kCommitLost), 0U);
    EXPECT_EQ(EventsOf(change, Fault::kAnswerLost), change.told_by_commit ? 1U : 0U);
  }
}

}  // namespace
}  // namespace bobbin

// Statements C1 to C16: who may open a queued message how, and what a lock is.
#include "tests/conformance/conformance.h"
#include "tests/support/child_process.h"

namespace bobbin {
namespace {

// C1: OpenEntry(MAPI_MODIFY) by a client on a queued message fails MAPI_E_SUBMITTED, locked or not.
TEST_F(Conformance, C001_ClientOpeningAQueuedMessageForModifyFailsSubmittedLockedOrNot) {
  const EntryId id = SubmitNew(Store());
  EXPECT_THAT(Store().OpenEntry(id, kMapiModify), IsError(ErrorCode::kSubmitted));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  EXPECT_THAT(Store().OpenEntry(id, kMapiModify), IsError(ErrorCode::kSubmitted));
}

// C2: OpenEntry(0) by a client on a queued, unlocked message succeeds, PR_ACCESS_LEVEL 0.
TEST_F(Conformance, C002_ClientOpensAQueuedUnlockedMessageReadOnly) {
  const EntryId id = SubmitNew(Store());
  Message message = Must(Store().OpenMessage(id, 0));
  EXPECT_EQ(Must(message.GetProp(pr::kAccessLevel)).number, 0);
  EXPECT_EQ(Must(message.Access()), AccessLevel::kReadOnly);
  EXPECT_THAT(message.SetProps(std::vector{Property::Bytes(pr::kSubject, "other")}),
              IsError(ErrorCode::kNoAccess));
}

// C3: OpenEntry(MAPI_BEST_ACCESS) by a client on a queued, unlocked message succeeds read-only.
// The same holds for MAPI_MODIFY with it: best access wins (specification 4.1).
TEST_F(Conformance, C003_BestAccessOnAQueuedUnlockedMessageIsReadOnly) {
  const EntryId id = SubmitNew(Store());
  for (const std::uint32_t flags : {kMapiBestAccess, kMapiBestAccess | kMapiModify}) {
    const Message message = Must(Store().OpenMessage(id, flags));
    EXPECT_EQ(Must(message.GetProp(pr::kAccessLevel)).number, 0) << flags;
  }
  // Best access is not simply "read-only": on a draft it is read/write.
  Message draft = NewDraft(Store());
  const EntryId draft_id = Must(draft.Id());
  Must(draft.SaveChanges());
  EXPECT_EQ(
      Must(Must(Store().OpenMessage(draft_id, kMapiBestAccess)).GetProp(pr::kAccessLevel)).number,
      1);
}

// C4: OpenEntry(0) by a client on a locked message fails MAPI_E_NO_ACCESS.
TEST_F(Conformance, C004_ClientOpeningALockedMessageFailsNoAccess) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  EXPECT_THAT(Store().OpenEntry(id, 0), IsError(ErrorCode::kNoAccess));
}

// C5: OpenEntry(MAPI_BEST_ACCESS) by a client on a locked message fails MAPI_E_NO_ACCESS.
TEST_F(Conformance, C005_BestAccessOnALockedMessageFailsNoAccess) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  for (const std::uint32_t flags : {kMapiBestAccess, kMapiBestAccess | kMapiModify}) {
    EXPECT_THAT(Store().OpenEntry(id, flags), IsError(ErrorCode::kNoAccess)) << flags;
  }
}

// C7: After unlock, C2 and C3 hold again.
TEST_F(Conformance, C007_AfterUnlockClientsOpenTheMessageReadOnlyAgain) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, id));
  ASSERT_THAT(Store().OpenEntry(id, 0), IsError(ErrorCode::kNoAccess));
  Must(Unlock(session, id));
  for (const std::uint32_t flags : {0U, kMapiBestAccess}) {
    EXPECT_EQ(Must(Must(Store().OpenMessage(id, flags)).GetProp(pr::kAccessLevel)).number, 0);
  }
  EXPECT_THAT(Store().OpenEntry(id, kMapiModify), IsError(ErrorCode::kSubmitted));
}

template <class Logon>
concept CanSetLockState = requires(Logon& logon, Message& message) {
  logon.SetLockState(message, LockState::kLocked);
};
template <class Logon>
concept CanGetOutgoingQueue = requires(Logon& logon) {
  logon.GetOutgoingQueue();
};
template <class Logon>
concept CanFinishMessage = requires(Logon& logon, const EntryId& id) {
  logon.FinishMessage(id);
};
template <class Logon>
concept CanNotifyNewMail = requires(Logon& logon, const EntryId& id) {
  logon.NotifyNewMail(id);
};

// C8: SetLockState, GetOutgoingQueue, FinishedMsg, NotifyNewMail on a client logon fail
// MAPI_E_NO_SUPPORT. Here the compiler refuses them: a client logon does not have them. The
// concepts are seen to work by SpoolerSession, which does.
TEST_F(Conformance, C008_AClientLogonHasNoneOfTheSpoolersMethods) {
  static_assert(CanSetLockState<SpoolerSession> && CanGetOutgoingQueue<SpoolerSession> &&
                CanFinishMessage<SpoolerSession>);
  static_assert(!CanSetLockState<MessageStore>);
  static_assert(!CanGetOutgoingQueue<MessageStore>);
  static_assert(!CanFinishMessage<MessageStore>);
  static_assert(!CanNotifyNewMail<MessageStore>);
}

// C9: SetLockState(MSG_LOCKED) twice from one session returns S_OK twice; one unlock frees it.
TEST_F(Conformance, C009_LockingTwiceFromOneSessionSucceedsAndOneUnlockFreesIt) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  EXPECT_THAT(Lock(session, id), IsOk());
  EXPECT_THAT(Lock(session, id), IsOk());
  Must(Unlock(session, id));
  EXPECT_THAT(Store().OpenEntry(id, 0), IsOk());
  EXPECT_THAT(Unlock(session, id), IsOk()) << "unlocking what is not locked changes nothing";
  EXPECT_THAT(Store().AbortSubmit(id), IsOk());
}

// C10: SetLockState(MSG_LOCKED) from a second spooler session on a locked message fails
// MAPI_E_NOT_IN_QUEUE. The second session opened the message before the lock was taken, because
// afterwards it cannot even open it; its unlock fails and leaves the lock with its owner.
TEST_F(Conformance, C010_LockingWhatAnotherSessionHasLockedFailsNotInQueue) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession first = Must(Db().OpenSpoolerSession());
  SpoolerSession second = Must(Db().OpenSpoolerSession());
  Message opened = Must(second.OpenMessage(id));
  Must(Lock(first, id));
  EXPECT_THAT(second.SetLockState(opened, LockState::kLocked), IsError(ErrorCode::kNotInQueue));
  EXPECT_THAT(second.SetLockState(opened, LockState::kUnlocked), IsError(ErrorCode::kNoAccess));
  EXPECT_THAT(second.OpenMessage(id), IsError(ErrorCode::kNoAccess));
  EXPECT_THAT(Store().AbortSubmit(id), IsError(ErrorCode::kUnableToAbort));
  Must(Unlock(first, id));
  EXPECT_THAT(second.SetLockState(opened, LockState::kLocked), IsOk());
}

// C11: SetLockState on a message never submitted fails MAPI_E_NOT_IN_QUEUE.
TEST_F(Conformance, C011_LockingAMessageNeverSubmittedFailsNotInQueue) {
  Message draft = NewDraft(Store());
  const EntryId id = Must(draft.Id());
  Must(draft.SaveChanges());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message message = Must(session.OpenMessage(id));
  EXPECT_THAT(session.SetLockState(message, LockState::kLocked), IsError(ErrorCode::kNotInQueue));
  EXPECT_THAT(session.SetLockState(message, LockState::kUnlocked), IsError(ErrorCode::kNotInQueue));
  // The failed call has left no lock behind.
  EXPECT_EQ(Must(Db().Statistics()).locks, 0U);
  EXPECT_THAT(Store().OpenMessage(id, kMapiModify), IsOk());
}

// C12: Property changes pending on the object passed to SetLockState are durable when it returns.
// For both states; durable = there after the database has been closed and opened.
TEST_F(Conformance, C012_SetLockStateSavesWhatIsPendingOnTheObject) {
  const EntryId id = SubmitNew(Store());
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Message message = Must(session.OpenMessage(id));
    ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "changed by locking")));
    Must(session.SetLockState(message, LockState::kLocked));
  }
  database_.Reopen();
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "changed by locking");
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Message message = Must(session.OpenMessage(id));
    Must(session.SetLockState(message, LockState::kLocked));
    ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "changed by unlocking")));
    Must(session.SetLockState(message, LockState::kUnlocked));
  }
  database_.Reopen();
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "changed by unlocking");
  EXPECT_TRUE(IsQueued(id));
  EXPECT_EQ(Findings(Db()), "");
}

// C13: While locked, PR_SUBMIT_FLAGS has SUBMITFLAG_LOCKED in the queue table; before and after,
// not.
TEST_F(Conformance, C013_SubmitFlagLockedMirrorsTheLockInTheQueueTable) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  const auto submit_flags = [&] {
    const PropertyList row = Must(session.GetOutgoingQueue().Rows(10)).at(0).AsProperties();
    return row.NumberOr(pr::kSubmitFlags, -1);
  };
  EXPECT_EQ(submit_flags(), 0);
  Must(Lock(session, id));
  EXPECT_EQ(submit_flags(), kSubmitFlagLocked);
  Must(Unlock(session, id));
  EXPECT_EQ(submit_flags(), 0);
}

// C14: Right after SubmitMessage the LOCKED bit is clear.
TEST_F(Conformance, C014_LockedIsClearRightAfterSubmitMessage) {
  const EntryId id = SubmitNew(Store());
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(IdOf(id))).submit_flags & kSubmitFlagLocked, 0U);
  EXPECT_EQ(ClientProp(id, pr::kSubmitFlags), 0);
}

// Locks the message of `arguments` (path, entry id) and holds the lock until it is killed.
const ChildProgram kHoldLock("hold-lock", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments.at(0)));
  SpoolerSession session = Must(database.OpenSpoolerSession());
  Message message = Must(session.OpenMessage(Must(EntryId::FromHex(arguments.at(1)))));
  Must(session.SetLockState(message, LockState::kLocked));
  Say("locked");
  Hear();
  return 0;
});

// C15: Close and reopen the store (or kill the process) with a locked message: it is unlocked and
// abortable. Both ways: closed in this process, and another process killed that had it locked and
// was the only one that had the database open.
TEST_F(Conformance, C015_NoLockSurvivesClosingTheStoreOrKillingTheProcess) {
  const EntryId first = SubmitNew(Store());
  const EntryId second = SubmitNew(Store());
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Must(Lock(session, first));
    ASSERT_THAT(Store().AbortSubmit(first), IsError(ErrorCode::kUnableToAbort));
  }
  database_.Reopen();
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(IdOf(first))).submit_flags, 0U);
  EXPECT_THAT(Store().AbortSubmit(first), IsOk());

  database_.Close();
  ChildProcess child("hold-lock", {database_.Path(), second.ToHex()});
  ASSERT_EQ(child.ReadLine(), "locked");
  child.Kill();
  database_.Open();
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(IdOf(second))).submit_flags, 0U);
  EXPECT_THAT(Store().AbortSubmit(second), IsOk());
  EXPECT_EQ(Findings(Db()), "");
}

// C16: Killing only the locking spooler process frees its locks for a second process with the
// store open. This process has it open all the time, and is refused until the other is dead.
TEST_F(Conformance, C016_KillingTheLockingProcessFreesItsLocksForOthers) {
  const EntryId first = SubmitNew(Store());
  const EntryId second = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  for (const EntryId& id : {first, second}) {
    ChildProcess child("hold-lock", {database_.Path(), id.ToHex()});
    ASSERT_EQ(child.ReadLine(), "locked");
    EXPECT_THAT(Store().AbortSubmit(id), IsError(ErrorCode::kUnableToAbort));
    EXPECT_THAT(session.OpenMessage(id), IsError(ErrorCode::kNoAccess));
    EXPECT_NE(Must(Db().GetOutgoingQueue().Row(IdOf(id))).submit_flags & kSubmitFlagLocked, 0U);
    child.Kill();
    EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(IdOf(id))).submit_flags, 0U);
    if (id == first) {
      EXPECT_THAT(Store().AbortSubmit(id), IsOk());
    } else {
      EXPECT_THAT(Lock(session, id), IsOk());
    }
  }
}

// C6: OpenEntry(MAPI_MODIFY) through the spooler logon on a queued message succeeds, also when that
// session holds the lock.
TEST_F(Conformance, C006_TheSpoolerOpensAQueuedMessageForWriting) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message unlocked = Must(session.OpenMessage(id));
  EXPECT_EQ(Must(unlocked.Access()), AccessLevel::kModify);
  Must(session.SetLockState(unlocked, LockState::kLocked));
  Message locked = Must(session.OpenMessage(id));
  EXPECT_EQ(Must(locked.GetProp(pr::kAccessLevel)).number, 1);
  ASSERT_TRUE(SetProp(locked, Property::Bytes(pr::kSubject, "by the spooler")));
  Must(locked.SaveChanges());
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "by the spooler");
  EXPECT_TRUE(IsQueued(id));
}

}  // namespace
}  // namespace bobbin

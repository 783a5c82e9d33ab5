// The specification's conformance statements (section 9), one test each, named C<number>_<rule>.
//
// Method: a real database on a real file system, driven through the public interface only; real
// processes where a statement speaks of processes; time from a clock the test moves. A statement
// that is a project ruling is marked R in the specification and is a test like any other.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {

class Conformance : public testing::Test {
 protected:
  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }
  ManualClock& Clock() { return database_.Clock(); }

  static MessageId IdOf(const EntryId& id) { return MessageId{id.Object()}; }

  // Through a client logon, for reading; fails on locked messages as C4 wants it.
  std::int64_t ClientProp(const EntryId& id, PropertyTag tag) {
    return Must(Must(Store().OpenMessage(id, 0)).GetProp(tag)).number;
  }
  bool IsQueued(const EntryId& id) {
    return testing::Matches(testing::Contains(IdOf(id)))(QueueOrder(Db()));
  }
  FolderId FolderOf(const EntryId& id) {
    const PropertyList props = StoredProps(Db(), id);
    return {Must(EntryId::FromBytes(props.BytesOr(pr::kParentEntryId, {}))).Object()};
  }
  // Locks through the spooler logon; the object is dropped, the lock stays the session's.
  static Result<void> Lock(SpoolerSession& session, const EntryId& id) {
    ASSIGN_OR_RETURN(Message message, session.OpenMessage(id));
    return session.SetLockState(message, LockState::kLocked);
  }
  static Result<void> Unlock(SpoolerSession& session, const EntryId& id) {
    ASSIGN_OR_RETURN(Message message, session.OpenMessage(id));
    return session.SetLockState(message, LockState::kUnlocked);
  }

  TemporaryDatabase database_;
};

}  // namespace bobbin

// LockTable: which message is locked by which session. Volatile by construction.
//
//   no lock --TryLock--> held by a session --Unlock, session closed, owner died--> no lock
//
// A lock lives in memory shared by every process that has the database open, is
// never in the database file, never times out while its owner lives, and is gone
// the moment its owner's process is (statements C15, C16).
//
// A *reservation* is the same thing for the length of one call (AbortSubmit takes
// one while its transaction runs), so that abort and lock exclude each other
// (C53). It is not shown as SUBMITFLAG_LOCKED.
//
// Durability  None, on purpose.
// Threads     Any number; every call is short and takes one mutex.
// Processes   Any number. A process killed inside a call leaves the table usable.
// Errors      kNotEnoughResources  the table of sessions or locks is full
//             kDiskError           the shared memory cannot be opened or mapped, or /proc not read
//             kInvalidObject       TryLock for a session that is closed or a forked parent's
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/entry_id.h"
#include "engine/kv/lmdb_shared.h"
#include "engine/result.h"

namespace bobbin {

struct LockSession {
  std::uint64_t value = 0;  // Never 0 for an open session, never used twice.
  friend bool operator==(LockSession, LockSession) = default;
};

// kInline: a tightly coupled store serves the message inside SubmitMessage (specification 6). To
// everyone else it is locked, and it is not in the queue table.
enum class LockKind : std::uint8_t { kLock, kReservation, kInline };

struct LockHolder {
  LockSession session;
  LockKind kind;
  std::int32_t process_id;
  bool IsLock() const { return kind != LockKind::kReservation; }
};

class LockTable {
 public:
  virtual ~LockTable() = default;

  // Sessions belong to the calling process and end with it; a forked child opens its own.
  virtual Result<LockSession> OpenSession() = 0;
  // Frees every lock of the session. A session of a forked parent is left alone.
  virtual void CloseSession(LockSession session) = 0;

  enum class Outcome : std::uint8_t { kAcquired, kAlreadyOurs, kHeldByOther };
  virtual Result<Outcome> TryLock(MessageId message, LockSession session, LockKind kind) = 0;

  // Frees the lock if `session` holds it; otherwise changes nothing.
  virtual void Unlock(MessageId message, LockSession session) = 0;

  // The living holder, if there is one. Locks of dead owners are removed on sight.
  virtual std::optional<LockHolder> Holder(MessageId message) = 0;

  // How many locks and reservations living sessions hold (for `bobbin stat`).
  virtual std::uint32_t Count() = 0;
};

// The queue signal: a counter to wait on, so that a submit in one process wakes a
// spooler in another. Losing a wake-up is harmless: the due index is the truth.
class QueueSignal {
 public:
  virtual ~QueueSignal() = default;
  virtual void Raise() = 0;                   // Wakes every waiter. Async-signal-safe.
  virtual std::uint32_t Current() const = 0;  // Read before looking at the queue.
  // Returns as soon as the counter differs from `seen`, or after `timeout`.
  virtual void Wait(std::uint32_t seen, std::chrono::milliseconds timeout) = 0;
};

class ChangeFeed;
class TransportProfiles;

// All of them in one shared-memory segment named after the database.
struct VolatileState {
  std::shared_ptr<LockTable> locks;
  std::shared_ptr<QueueSignal> signal;
  std::shared_ptr<TransportProfiles> transports;  // engine/transport_profile.h
  std::shared_ptr<ChangeFeed> changes;            // engine/change_feed.h
  std::shared_ptr<kv::LmdbShared> lmdb;           // engine/kv/lmdb_shared.h
};

// Opens the segment of `database`, creating it when this is the first process. It goes with the
// last process that closes it; one left by processes that were all killed is begun anew.
//   kVersion  a running process has it open in another layout (an older Bobbin)
Result<VolatileState> OpenVolatileState(const DatabaseId& database);

// Whether a process has opened it since the machine was started.
bool HasVolatileState(const DatabaseId& database);

// Removes a segment that killed processes have left, or one under living processes: those keep
// it, but whoever opens it later gets another. For tests and for databases that are deleted.
void RemoveVolatileState(const DatabaseId& database);

}  // namespace bobbin

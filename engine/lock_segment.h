// The memory that all processes with one database open share: sessions, locks, signals, changes.
//
// A process may be killed between any two instructions, also inside a call. So everything that
// says "this exists" is one word, written after what it covers:
//
//   Segment   magic    after everything else; 0 = not initialised yet
//   Session   id       after process and start time; 0 = free
//   Lock      owner    after the message
//   Profile   owner    after what was published
//   Changes   end      after the slots before it (engine/change_feed.h)
//   all locks active   locks are rebuilt in the half not in use, then the halves change places
//
// The counters beside them may be wrong after a death inside the mutex. The next process that
// gets the mutex learns of the death (it is a robust one) and rebuilds, which also counts anew.
//
// Durability  None, on purpose. Nothing here is ever written to the database.
// Threads     Any number, under SegmentGuard; signals are atomic and need no guard, and changes are
//             read without it, so that a reader that is stopped stops nobody.
// Processes   Any number, all of the same layout: its version and size are checked on opening.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/change_feed.h"
#include "engine/entry_id.h"
#include "engine/kv/lmdb_shared.h"
#include "engine/lock_table.h"
#include "engine/result.h"

namespace bobbin {

inline constexpr std::uint64_t kLockSegmentMagic = 0x31'6B'63'6F'6C'62'6F'62;  // "boblock1".
inline constexpr std::uint32_t kLockSegmentLayout = 5;
inline constexpr std::uint32_t kLockSessionsMax = 1024;
inline constexpr std::uint32_t kLockSlots = 65536;
// An open-addressing table gets slow when it is full. Freed slots count until they are cleaned,
// and the distance between the two limits is how many unlocks pay for one cleaning.
inline constexpr std::uint32_t kLocksMax = kLockSlots / 4 * 3;
inline constexpr std::uint32_t kLockSlotsUsedMax = kLockSlots / 8 * 7;
inline constexpr std::uint32_t kProfilesMax = 16;
inline constexpr std::uint32_t kProfileBytesMax = 4'080;

// What processes change often is on cache lines of its own.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct LockSegment {
  struct Session {
    std::atomic<std::uint64_t> id;  // counter * kLockSessionsMax + index in the table.
    std::uint64_t start_time;
    std::int32_t process_id;
    std::uint32_t locks;
    std::uint32_t readers;  // Of the changes.
  };

  struct Lock {
    std::uint64_t message;
    std::atomic<std::uint64_t> owner;  // kNeverUsed, kFreed, or an OwnerWord.
  };
  static constexpr std::uint64_t kNeverUsed = 0;
  static constexpr std::uint64_t kFreed = 1;  // A search goes on behind it.

  struct Profile {                     // engine/transport_profile.h
    std::atomic<std::uint64_t> owner;  // A session; written last; 0 = free.
    std::uint32_t generation;          // When it was published.
    std::uint32_t bytes;
    std::array<char, kProfileBytesMax> packed;
  };

  using ChangeSlot = std::array<std::atomic<std::uint64_t>, 8>;  // engine/shared_change_feed.cc

  std::atomic<std::uint64_t> magic;
  std::uint32_t layout;
  std::uint32_t size_bytes;
  pthread_mutex_t mutex;
  std::uint64_t sessions_opened;
  std::atomic<std::uint32_t> active;  // The half of `halves` that is in use.
  std::uint32_t locks;
  std::uint32_t slots_used;  // Locks and freed slots.
  alignas(64) std::atomic<std::uint32_t> signal;
  std::atomic<std::uint32_t> profile_generation;  // One more with every published profile.
  std::array<Profile, kProfilesMax> profiles;
  alignas(64) std::atomic<std::uint32_t> change_readers;  // Of all sessions.
  std::atomic<std::uint32_t> change_signal;
  alignas(64) std::atomic<std::uint64_t> changes_end;  // Slots written since the beginning.
  std::atomic<std::uint64_t> changes_reserved;  // Slots before this may be being written; ascends.
  std::uint64_t announcements;
  std::array<ChangeSlot, kChangeSlots> changes;
  alignas(64) kv::LmdbShared lmdb;
  alignas(64) std::array<Session, kLockSessionsMax> sessions;
  std::array<std::array<Lock, kLockSlots>, 2> halves;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

constexpr std::uint64_t OwnerWord(std::uint64_t session, LockKind kind) {
  return session * 4 + static_cast<std::uint64_t>(kind);
}
constexpr std::uint64_t SessionIn(std::uint64_t owner) { return owner / 4; }
constexpr LockKind KindIn(std::uint64_t owner) { return static_cast<LockKind>(owner % 4); }

// "/bobbin-" and the database's id in hexadecimal, as shm_open takes it.
std::string LockSegmentName(const DatabaseId& database);

// Maps the segment. The first process to open it begins it anew, whatever killed ones have left;
// the last one to close it removes it. Forked children share the mapping, but do not count.
//   kDiskError  it cannot be opened, given memory or mapped
//   kVersion    another process has it open in another layout
Result<std::shared_ptr<LockSegment>> OpenLockSegment(const DatabaseId& database);

// Keeps every other thread of every process out. Everything below is called under it.
class SegmentGuard {
 public:
  explicit SegmentGuard(LockSegment& segment);
  ~SegmentGuard();
  SegmentGuard(const SegmentGuard&) = delete;
  SegmentGuard& operator=(const SegmentGuard&) = delete;

 private:
  LockSegment& segment_;
};

// Closes the sessions whose process is gone, drops their locks and takes back their readers. Reads
// /proc once for each session of another process.
void ForgetDeadSessions(LockSegment& segment);

// Whether `session`'s process lives. Reads /proc unless it is the calling process.
bool IsSessionAlive(const LockSegment::Session& session);

// Counts the readers of open sessions anew.
void CountReaders(LockSegment& segment);

// Keeps the locks of open sessions and no others, leaves no freed slots, and counts anew.
void RebuildLocks(LockSegment& segment);

// The slot that holds `message`'s lock, or null. An open session is its owner.
LockSegment::Lock* FindLock(LockSegment& segment, MessageId message);

// `message` must have no lock and `segment` room for one more.
void AddLock(LockSegment& segment, MessageId message, std::uint64_t owner);

void FreeLock(LockSegment& segment, LockSegment::Lock& lock);

// The session of an owner word. It may have been closed since.
LockSegment::Session& SessionOf(LockSegment& segment, std::uint64_t owner);

}  // namespace bobbin

#include "engine/lock_table.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <string>
#include <utility>

#include "engine/lock_segment.h"
#include "engine/process_identity.h"
#include "engine/published_profiles.h"
#include "engine/shared_change_feed.h"

namespace bobbin {
namespace {

using Lock = LockSegment::Lock;
using Session = LockSegment::Session;

class SharedLockTable final : public LockTable {
 public:
  explicit SharedLockTable(std::shared_ptr<LockSegment> segment) : segment_(std::move(segment)) {}

  Result<LockSession> OpenSession() override {
    const std::uint64_t start_time = OwnProcessStartTime();
    if (start_time == 0) {
      return Fail(ErrorCode::kDiskError,
                  "/proc/self/stat cannot be read: without it no other process could tell whether "
                  "this one lives; mount /proc, or free file descriptors");
    }
    const SegmentGuard guard(*segment_);
    Session* session = FreeSession();
    if (session == nullptr) {
      ForgetDeadSessions(*segment_);
      session = FreeSession();
    }
    if (session == nullptr) {
      return Fail(ErrorCode::kNotEnoughResources,
                  "all " + std::to_string(kLockSessionsMax) +
                      " sessions of this database are in use by living processes; end some");
    }
    const auto index = static_cast<std::uint64_t>(session - segment_->sessions.data());
    const std::uint64_t id = ++segment_->sessions_opened * kLockSessionsMax + index;
    session->process_id = getpid();
    session->start_time = start_time;
    session->locks = 0;
    session->readers = 0;
    session->id.store(id);
    return LockSession{id};
  }

  void CloseSession(LockSession session) override {
    const SegmentGuard guard(*segment_);
    Session* const own = OwnSession(session);
    if (own == nullptr) return;
    own->id.store(0);
    if (own->readers > 0) CountReaders(*segment_);
    if (own->locks == 0) return;
    RebuildLocks(*segment_);
    AnnounceLostLocks(*segment_);
  }

  Result<Outcome> TryLock(MessageId message, LockSession session, LockKind kind) override {
    const SegmentGuard guard(*segment_);
    if (OwnSession(session) == nullptr) {
      return Fail(ErrorCode::kInvalidObject,
                  "lock session " + std::to_string(session.value) +
                      " is closed, or belongs to the process that this one was forked from");
    }
    if (const Lock* const lock = FindLivingLock(message)) {
      return SessionIn(lock->owner.load()) == session.value ? Outcome::kAlreadyOurs
                                                            : Outcome::kHeldByOther;
    }
    if (segment_->locks >= kLocksMax) ForgetDeadSessions(*segment_);
    if (segment_->locks >= kLocksMax) {
      return Fail(ErrorCode::kNotEnoughResources,
                  std::to_string(kLocksMax) +
                      " messages of this database are locked at once, the most there can be");
    }
    AddLock(*segment_, message, OwnerWord(session.value, kind));
    return Outcome::kAcquired;
  }

  void Unlock(MessageId message, LockSession session) override {
    const SegmentGuard guard(*segment_);
    if (OwnSession(session) == nullptr) return;
    Lock* const lock = FindLock(*segment_, message);
    if (lock != nullptr && SessionIn(lock->owner.load()) == session.value)
      FreeLock(*segment_, *lock);
  }

  std::optional<LockHolder> Holder(MessageId message) override {
    const SegmentGuard guard(*segment_);
    const Lock* const lock = FindLivingLock(message);
    if (lock == nullptr) return std::nullopt;
    const std::uint64_t owner = lock->owner.load();
    return LockHolder{LockSession{SessionIn(owner)}, KindIn(owner),
                      SessionOf(*segment_, owner).process_id};
  }

  std::uint32_t Count() override {
    const SegmentGuard guard(*segment_);
    ForgetDeadSessions(*segment_);
    return segment_->locks;
  }

 private:
  Session* FreeSession() {
    const auto found = std::ranges::find_if(
        segment_->sessions, [](const Session& session) { return session.id.load() == 0; });
    return found == segment_->sessions.end() ? nullptr : &*found;
  }

  // Null unless `session` was opened by this process and not closed since.
  Session* OwnSession(LockSession session) {
    Session& found = segment_->sessions[session.value % kLockSessionsMax];
    const bool open = session.value != 0 && found.id.load() == session.value;
    return open && found.process_id == getpid() && IsSessionAlive(found) ? &found : nullptr;
  }

  // The lock of `message`, unless its owner's process is gone: then it is removed with all others
  // of that process.
  Lock* FindLivingLock(MessageId message) {
    Lock* const lock = FindLock(*segment_, message);
    if (lock == nullptr || IsSessionAlive(SessionOf(*segment_, lock->owner.load()))) return lock;
    ForgetDeadSessions(*segment_);
    return nullptr;
  }

  std::shared_ptr<LockSegment> segment_;
};

class SharedQueueSignal final : public QueueSignal {
 public:
  SharedQueueSignal(std::shared_ptr<LockSegment> segment, std::atomic<std::uint32_t>& counter)
      : segment_(std::move(segment)), counter_(counter) {}

  void Raise() override {
    const int saved_errno = errno;  // A signal handler may be the caller.
    counter_.fetch_add(1);
    syscall(SYS_futex, Word(), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    errno = saved_errno;
  }

  std::uint32_t Current() const override { return counter_.load(); }

  void Wait(std::uint32_t seen, std::chrono::milliseconds timeout) override {
    using std::chrono::nanoseconds;
    using Clock = std::chrono::steady_clock;
    // More than a day is only cut so that the sum below cannot overflow; the header allows it no
    // other way out, but nobody waits that long without looking.
    timeout = std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24));
    const Clock::time_point end = Clock::now() + timeout;
    while (counter_.load() == seen) {
      const nanoseconds left = end - Clock::now();
      if (left <= nanoseconds::zero()) return;
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      const timespec limit{seconds.count(), (left - seconds).count()};
      // Interrupted, woken, too late or changed before it slept: the loop's condition tells.
      syscall(SYS_futex, Word(), FUTEX_WAIT, seen, &limit, nullptr, 0);
    }
  }

 private:
  std::uint32_t* Word() const { return reinterpret_cast<std::uint32_t*>(&counter_); }

  std::shared_ptr<LockSegment> segment_;  // Where the counter is.
  std::atomic<std::uint32_t>& counter_;
};

}  // namespace

Result<VolatileState> OpenVolatileState(const DatabaseId& database) {
  ASSIGN_OR_RETURN(const std::shared_ptr<LockSegment> segment, OpenLockSegment(database));
  return VolatileState{
      std::make_shared<SharedLockTable>(segment),
      std::make_shared<SharedQueueSignal>(segment, segment->signal), ShareProfiles(segment),
      ShareChangeFeed(segment,
                      std::make_shared<SharedQueueSignal>(segment, segment->change_signal)),
      std::shared_ptr<kv::LmdbShared>(segment, &segment->lmdb)};
}

bool HasVolatileState(const DatabaseId& database) {
  const int file = shm_open(LockSegmentName(database).c_str(), O_RDONLY | O_CLOEXEC, 0);
  if (file >= 0) close(file);
  return file >= 0;
}

void RemoveVolatileState(const DatabaseId& database) {
  shm_unlink(LockSegmentName(database).c_str());
}

}  // namespace bobbin

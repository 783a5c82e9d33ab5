#include "engine/lock_segment.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/check.h"
#include "engine/process_identity.h"
#include "engine/shared_change_feed.h"

namespace bobbin {
namespace {

using Lock = LockSegment::Lock;
using Session = LockSegment::Session;
using Half = std::array<Lock, kLockSlots>;

class FileDescriptor {
 public:
  explicit FileDescriptor(int file) : file_(file) {}
  FileDescriptor(FileDescriptor&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (file_ >= 0) close(file_);
  }
  int Get() const { return file_; }

 private:
  int file_;
};

bool HasName(const FileDescriptor& file) {
  struct stat status {};
  return fstat(file.Get(), &status) == 0 && status.st_nlink > 0;
}

// A segment for as long as this process has it open. A shared flock says so to the others; it
// goes with the process, however that ends. Who has it alone may begin the segment or remove it.
class OpenSegment {
 public:
  OpenSegment(std::string name, FileDescriptor file, LockSegment* memory)
      : name_(std::move(name)), file_(std::move(file)), memory_(memory), process_(getpid()) {}
  OpenSegment(const OpenSegment&) = delete;
  OpenSegment& operator=(const OpenSegment&) = delete;
  ~OpenSegment() {
    munmap(memory_, sizeof(LockSegment));
    // A forked child has the same flock as its parent, and would take it from it.
    if (getpid() != process_) return;
    const bool last = flock(file_.Get(), LOCK_EX | LOCK_NB) == 0;
    if (last && HasName(file_)) shm_unlink(name_.c_str());
  }

 private:
  std::string name_;
  FileDescriptor file_;
  LockSegment* memory_;
  pid_t process_;
};

tl::unexpected<Error> FailSegment(const std::string& name, const char* what, int error_number) {
  return Fail(ErrorCode::kDiskError,
              "shared memory " + name + " (a file in /dev/shm): " + what + ": " +
                  std::strerror(error_number) + "; locks need a mounted /dev/shm with room for " +
                  std::to_string(sizeof(LockSegment) >> 10) +
                  " KiB, and every process of this database to run as one user");
}

// O_CREAT only when there is none: where the kernel protects files in sticky directories
// (fs.protected_regular), O_CREAT on another user's segment fails even for root.
Result<FileDescriptor> OpenOrCreate(const std::string& name) {
  for (;;) {
    FileDescriptor file(shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0));
    if (file.Get() >= 0) return file;
    if (errno != ENOENT) return FailSegment(name, "open", errno);
    FileDescriptor created(shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (created.Get() >= 0) return created;
    if (errno != EEXIST) return FailSegment(name, "create", errno);
  }
}

Result<LockSegment*> Map(const std::string& name, const FileDescriptor& file) {
  void* const memory =
      mmap(nullptr, sizeof(LockSegment), PROT_READ | PROT_WRITE, MAP_SHARED, file.Get(), 0);
  if (memory == MAP_FAILED) return FailSegment(name, "map", errno);
  return static_cast<LockSegment*>(memory);
}

Result<void> Initialise(const std::string& name, const FileDescriptor& file) {
  // All of the memory now: a page that cannot be had later would be a SIGBUS. Empty first, so
  // that nothing is left of processes that were all killed.
  if (ftruncate(file.Get(), 0) != 0) return FailSegment(name, "truncate", errno);
  int error = 0;
  do {
    error = posix_fallocate(file.Get(), 0, static_cast<off_t>(sizeof(LockSegment)));
  } while (error == EINTR);
  if (error != 0) return FailSegment(name, "allocate", error);

  ASSIGN_OR_RETURN(LockSegment* const segment, Map(name, file));
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  error = pthread_mutex_init(&segment->mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  segment->layout = kLockSegmentLayout;
  segment->size_bytes = sizeof(LockSegment);
  if (error == 0) segment->magic.store(kLockSegmentMagic);
  munmap(segment, sizeof(LockSegment));
  if (error != 0) return FailSegment(name, "mutex", error);
  return {};
}

// Makes `file` this process's, beginning the segment anew if no other has it open. False: look
// again, it was removed, or whoever began it was killed before the end.
Result<bool> Join(const std::string& name, const FileDescriptor& file) {
  if (flock(file.Get(), LOCK_EX | LOCK_NB) == 0) {
    RETURN_IF_ERROR(Initialise(name, file));
  } else if (errno != EWOULDBLOCK && errno != EINTR) {
    return FailSegment(name, "flock", errno);
  }
  while (flock(file.Get(), LOCK_SH) != 0) {
    if (errno != EINTR) return FailSegment(name, "flock", errno);
  }
  if (!HasName(file)) return false;
  struct {
    std::uint64_t magic;
    std::uint32_t layout;
    std::uint32_t size_bytes;
  } start{};
  if (pread(file.Get(), &start, sizeof(start), 0) < 0) return FailSegment(name, "read", errno);
  if (start.magic == 0) return false;
  if (start.magic != kLockSegmentMagic || start.layout != kLockSegmentLayout ||
      start.size_bytes != sizeof(LockSegment)) {
    return Fail(ErrorCode::kVersion, "shared memory " + name +
                                         " (a file in /dev/shm) is in use by another version of "
                                         "Bobbin; stop every process of this database");
  }
  return true;
}

std::uint32_t HomeOf(std::uint64_t message) {
  return static_cast<std::uint32_t>((message * 0x9E3779B97F4A7C15U) >> 48);
}
static_assert(kLockSlots == std::uint32_t{1} << 16);

std::uint32_t After(std::uint32_t slot) { return (slot + 1) % kLockSlots; }
std::uint32_t Before(std::uint32_t slot) { return (slot + kLockSlots - 1) % kLockSlots; }

bool IsHeld(std::uint64_t owner) { return owner > LockSegment::kFreed; }

Half& ActiveHalf(LockSegment& segment) { return segment.halves[segment.active.load() % 2]; }

// The first slot on `message`'s way that holds no lock. Returns whether it was never used.
bool PlaceLock(Half& half, std::uint64_t message, std::uint64_t owner) {
  std::uint32_t slot = HomeOf(message);
  while (IsHeld(half[slot].owner.load())) slot = After(slot);
  const bool never_used = half[slot].owner.load() == LockSegment::kNeverUsed;
  half[slot].message = message;
  half[slot].owner.store(owner);
  return never_used;
}

}  // namespace

std::string LockSegmentName(const DatabaseId& database) {
  return "/bobbin-" + ToHex(std::string_view(reinterpret_cast<const char*>(database.bytes.data()),
                                             database.bytes.size()));
}

Result<std::shared_ptr<LockSegment>> OpenLockSegment(const DatabaseId& database) {
  const std::string name = LockSegmentName(database);
  for (;;) {
    ASSIGN_OR_RETURN(FileDescriptor file, OpenOrCreate(name));
    ASSIGN_OR_RETURN(const bool joined, Join(name, file));
    if (!joined) continue;
    ASSIGN_OR_RETURN(LockSegment* const memory, Map(name, file));
    auto open = std::make_shared<OpenSegment>(name, std::move(file), memory);
    return std::shared_ptr<LockSegment>(std::move(open), memory);
  }
}

SegmentGuard::SegmentGuard(LockSegment& segment) : segment_(segment) {
  const int result = pthread_mutex_lock(&segment_.mutex);
  if (result == EOWNERDEAD) {
    // Killed here, the next one is told of an owner that died, too, and begins again.
    ForgetDeadSessions(segment_);
    RebuildLocks(segment_);
    BOBBIN_CHECK(pthread_mutex_consistent(&segment_.mutex) == 0);
  } else {
    BOBBIN_CHECK(result == 0);
  }
}

SegmentGuard::~SegmentGuard() { BOBBIN_CHECK(pthread_mutex_unlock(&segment_.mutex) == 0); }

bool IsSessionAlive(const Session& session) {
  if (session.process_id == getpid()) return session.start_time == OwnProcessStartTime();
  return IsProcessAlive(session.process_id, session.start_time);
}

void ForgetDeadSessions(LockSegment& segment) {
  bool held_locks = false;
  for (Session& session : segment.sessions) {
    if (session.id.load() == 0 || IsSessionAlive(session)) continue;
    held_locks = held_locks || session.locks > 0;
    session.id.store(0);
  }
  CountReaders(segment);
  if (!held_locks) return;
  RebuildLocks(segment);
  AnnounceLostLocks(segment);
}

void CountReaders(LockSegment& segment) {
  std::uint32_t readers = 0;
  for (const Session& session : segment.sessions) {
    if (session.id.load() != 0) readers += session.readers;
  }
  segment.change_readers.store(readers);
}

void RebuildLocks(LockSegment& segment) {
  for (Session& session : segment.sessions) session.locks = 0;
  segment.locks = 0;
  const std::uint32_t spare = 1 - segment.active.load() % 2;
  for (Lock& slot : segment.halves[spare]) slot.owner.store(LockSegment::kNeverUsed);
  for (const Lock& lock : ActiveHalf(segment)) {
    const std::uint64_t owner = lock.owner.load();
    if (!IsHeld(owner)) continue;
    Session& session = SessionOf(segment, owner);
    if (session.id.load() != SessionIn(owner)) continue;
    PlaceLock(segment.halves[spare], lock.message, owner);
    ++session.locks;
    ++segment.locks;
  }
  segment.slots_used = segment.locks;
  segment.active.store(spare);
}

Lock* FindLock(LockSegment& segment, MessageId message) {
  Half& half = ActiveHalf(segment);
  std::uint32_t slot = HomeOf(message.value);
  for (; half[slot].owner.load() != LockSegment::kNeverUsed; slot = After(slot)) {
    if (half[slot].message == message.value && IsHeld(half[slot].owner.load())) return &half[slot];
  }
  return nullptr;
}

void AddLock(LockSegment& segment, MessageId message, std::uint64_t owner) {
  if (segment.slots_used >= kLockSlotsUsedMax) RebuildLocks(segment);
  if (PlaceLock(ActiveHalf(segment), message.value, owner)) ++segment.slots_used;
  ++segment.locks;
  ++SessionOf(segment, owner).locks;
}

void FreeLock(LockSegment& segment, Lock& lock) {
  --SessionOf(segment, lock.owner.load()).locks;
  --segment.locks;
  lock.owner.store(LockSegment::kFreed);
  // A search that would end at the next slot anyway may as well end here.
  Half& half = ActiveHalf(segment);
  auto slot = static_cast<std::uint32_t>(&lock - half.data());
  if (half[After(slot)].owner.load() != LockSegment::kNeverUsed) return;
  for (; half[slot].owner.load() == LockSegment::kFreed; slot = Before(slot)) {
    half[slot].owner.store(LockSegment::kNeverUsed);
    --segment.slots_used;
  }
}

Session& SessionOf(LockSegment& segment, std::uint64_t owner) {
  return segment.sessions[SessionIn(owner) % kLockSessionsMax];
}

}  // namespace bobbin

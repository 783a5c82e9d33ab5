// The recorder: a library to be preloaded into a program. It passes every call on to the C library
// and writes down what it did to the files below one directory (record_log.h).
//
// Order    Calls that change names or the page cache are made and logged under one mutex, which all
//          processes forked from the program share, with the log and whatever else is known.
//          Flushes and synchronous writes have two entries, one before and one after: what is
//          written while a flush runs is thereby seen to be written meanwhile.
// Delay    Every flush takes a little time, as a disk would: without it no other thread would ever
//          write during one, and no group would form.
// Missed   What it does not know (fallocate, copy_file_range, writable mappings) ends the program
//          when it meets a recorded file. The replayer compares its last state with the real files,
//          so that what goes past the recorder does not go unseen.

#include <dlfcn.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <random>
#include <string>
#include <utility>

#include "tests/powerloss/mark.h"
#include "tests/powerloss/record_log.h"

namespace bobbin::powerloss {
namespace {

template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
#define NEXT(name) (Next<decltype(name)>(#name))

[[noreturn]] void Stop(const char* what) {
  std::fprintf(stderr, "recorder: %s\n", what);
  std::abort();
}

constexpr std::uint64_t kVolatile = ~std::uint64_t{0};  // lock.mdb.

struct Mutants {
  bool no_sync = false;
  bool lmdb_no_sync = false;
  bool no_directory_sync = false;
  bool after_creation = false;
  std::uint64_t drop_fdatasync = 0;
  std::uint64_t fail_flush = 0;
  std::uint64_t fail_directory_flush = 0;
  std::uint64_t fail_write = 0;
  std::uint64_t fail_again = 0;

  Mutants() = default;
  explicit Mutants(const char* text) {
    if (text == nullptr) return;
    const std::string all = std::string(",") + text + ",";
    const auto has = [&](const std::string& name) { return all.find("," + name) != all.npos; };
    const auto number = [&](const std::string& name) {
      const std::size_t at = all.find("," + name + "=");
      return at == all.npos ? 0 : std::strtoull(all.c_str() + at + name.size() + 2, nullptr, 10);
    };
    no_sync = has("no-sync,");
    lmdb_no_sync = has("lmdb-no-sync,");
    no_directory_sync = has("no-directory-sync,");
    after_creation = has("after-creation,");
    drop_fdatasync = number("drop-fdatasync");
    fail_flush = number("fail-flush");
    fail_write = number("fail-write");
    fail_directory_flush = number("fail-directory-flush");
    fail_again = number("fail-again");
  }
};

// Of all processes.
class SharedMutex {
 public:
  SharedMutex() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (pthread_mutex_init(&mutex_, &attributes) != 0) Stop("cannot make a mutex");
  }
  // NOLINTBEGIN(readability-identifier-naming): as std::lock_guard calls them.
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }
  // NOLINTEND(readability-identifier-naming)

 private:
  pthread_mutex_t mutex_;
};

// Which number a file or directory has. What is deleted stays until its inode is used again.
class ObjectTable {
 public:
  // 0: none.
  std::uint64_t Find(const struct stat& status) const {
    const Slot& slot = slots_[Place(status)];
    return slot.object;
  }
  void Set(const struct stat& status, std::uint64_t object) {
    Slot& slot = slots_[Place(status)];
    if (slot.object == 0 && ++used_ > kSlots / 2) Stop("too many files");
    slot = {status.st_dev, status.st_ino, object};
  }

 private:
  static constexpr std::size_t kSlots = std::size_t{1} << 16;
  struct Slot {
    dev_t device;
    ino_t inode;
    std::uint64_t object;
  };

  std::size_t Place(const struct stat& status) const {
    std::size_t place = status.st_ino * 0x9E3779B97F4A7C15U >> 48;
    while (slots_[place].object != 0 &&
           (slots_[place].inode != status.st_ino || slots_[place].device != status.st_dev)) {
      place = (place + 1) % kSlots;
    }
    return place;
  }

  std::array<Slot, kSlots> slots_{};
  std::size_t used_ = 0;
};

// Made in shared memory before the program begins.
class Recorder {
 public:
  Recorder(const char* root, const char* log) {
    const int file = NEXT(open)(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || NEXT(ftruncate)(file, static_cast<off_t>(kLogBytesMax)) != 0) {
      Stop("cannot make the log");
    }
    void* const memory =
        NEXT(mmap)(nullptr, kLogBytesMax, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) Stop("cannot map the log");
    log_ = static_cast<char*>(memory);
    NEXT(close)(file);
    struct stat status {};
    if (stat(root, &status) != 0) Stop("cannot see the root");
    objects_.Set(status, kRootObject);
  }

  SharedMutex& Mutex() { return mutex_; }
  const Mutants& Lies() const {
    static const Mutants none = {};
    return lying_ ? mutants_ : none;
  }
  void BeginToLie() { lying_ = true; }

  // --- Under the mutex ---

  std::uint64_t ObjectOf(const struct stat& status) const { return objects_.Find(status); }
  std::uint64_t ObjectOf(int file) const {
    struct stat status {};
    return fstat(file, &status) == 0 ? ObjectOf(status) : 0;
  }
  // Of the directory that `path` is in; 0 = not recorded.
  std::uint64_t ParentOf(int at, const char* path, std::string& name) const {
    std::string text = path;
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    const std::size_t slash = text.rfind('/');
    name = text.substr(slash == text.npos ? 0 : slash + 1);
    const std::string parent = slash == text.npos ? "." : slash == 0 ? "/" : text.substr(0, slash);
    struct stat status {};
    return fstatat(at, parent.c_str(), &status, 0) == 0 ? ObjectOf(status) : 0;
  }

  // Gives what now has this name a number.
  void Made(int at, const char* path) {
    std::string name;
    const std::uint64_t parent = ParentOf(at, path, name);
    struct stat status {};
    if (parent == 0 || fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (name == "lock.mdb") {
      objects_.Set(status, kVolatile);
      return;
    }
    const std::uint64_t object = ++last_object_;
    objects_.Set(status, object);
    const bool directory = S_ISDIR(status.st_mode);
    Log(EntryKind::kAdd, directory ? kDirectory : std::uint16_t{0}, parent, object, 0, 0, name);
  }

  void Log(EntryKind kind, std::uint16_t flags, std::uint64_t object, std::uint64_t other,
           std::uint64_t offset, std::uint64_t ticket, std::string_view data) {
    auto* const entry = reinterpret_cast<Entry*>(log_ + end_);
    const std::size_t bytes = (sizeof(Entry) + data.size() + 7) / 8 * 8;
    if (end_ + bytes + sizeof(Entry) > kLogBytesMax) Stop("the log is full");
    *entry = {
        0, kind, flags, object, other, offset, ticket, static_cast<std::uint32_t>(data.size()), 0};
    std::memcpy(log_ + end_ + sizeof(Entry), data.data(), data.size());
    entry->bytes = static_cast<std::uint32_t>(bytes);
    end_ += bytes;
  }

  std::uint64_t NewTicket() { return ++last_ticket_; }
  enum class Flushed { kFile, kDirectory, kWrite };
  bool FailsNow(Flushed what) {
    const Mutants& lies = Lies();
    const auto counts = [](std::uint64_t number, std::uint64_t& count) {
      return number != 0 && ++count == number;
    };
    bool fails = counts(lies.fail_flush, flushes_);
    if (what == Flushed::kDirectory) fails |= counts(lies.fail_directory_flush, directory_flushes_);
    if (what == Flushed::kWrite) fails |= counts(lies.fail_write, writes_);
    if (fails) {
      fail_next_ = lies.fail_again;
    } else if (what == Flushed::kFile && fail_next_ > 0) {
      --fail_next_;
      fails = true;
    }
    return fails;
  }
  bool DropsNow() {
    return Lies().drop_fdatasync != 0 && ++fdatasyncs_ % Lies().drop_fdatasync == 0;
  }

  unsigned Delay() { return static_cast<unsigned>(random_() % 300); }

 private:
  SharedMutex mutex_;
  const Mutants mutants_{std::getenv(kMutantVariable)};
  bool lying_ = !mutants_.after_creation;
  char* log_ = nullptr;
  std::uint64_t end_ = 0;
  ObjectTable objects_;
  std::uint64_t last_object_ = kRootObject;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint64_t directory_flushes_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t fail_next_ = 0;
  std::uint64_t fdatasyncs_ = 0;
  std::minstd_rand random_;
};

Recorder* recorder = nullptr;

__attribute__((constructor)) void Start() {
  const char* const root = std::getenv(kRootVariable);
  const char* const log = std::getenv(kLogVariable);
  if (root == nullptr || log == nullptr) return;
  void* const memory = NEXT(mmap)(nullptr, sizeof(Recorder), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Stop("cannot share memory");
  recorder = new (memory) Recorder(root, log);
}

// A write of `bytes` at `offset`, which `call` makes.
template <class Call>
ssize_t Write(int file, std::string_view bytes, std::uint64_t offset, const Call& call) {
  if (recorder == nullptr) return call();
  std::unique_lock lock(recorder->Mutex());
  const std::uint64_t object = recorder->ObjectOf(file);
  if (object == 0 || object == kVolatile) return call();
  const int flags = fcntl(file, F_GETFL);
  if ((flags & O_APPEND) != 0) Stop("O_APPEND");
  const bool synchronous =
      (flags & O_DSYNC) != 0 && !recorder->Lies().no_sync && !recorder->Lies().lmdb_no_sync;
  if (!synchronous) {
    const ssize_t written = call();
    const int saved = errno;
    if (written > 0) {
      recorder->Log(EntryKind::kWrite, 0, object, 0, offset, 0,
                    bytes.substr(0, static_cast<std::size_t>(written)));
    }
    errno = saved;
    return written;
  }
  const std::uint64_t ticket = recorder->NewTicket();
  const bool fails = recorder->FailsNow(Recorder::Flushed::kWrite);
  recorder->Log(EntryKind::kWrite, kSynchronous, object, 0, offset, ticket, bytes);
  const unsigned delay = recorder->Delay();
  lock.unlock();
  ssize_t written = call();
  if (written != static_cast<ssize_t>(bytes.size())) Stop("a synchronous write was cut short");
  usleep(delay);
  lock.lock();
  recorder->Log(EntryKind::kDone, fails ? kFailed : std::uint16_t{0}, object, 0, 0, ticket, {});
  if (fails) {
    errno = EIO;
    written = -1;
  }
  return written;
}

template <class Call>
int Flush(int file, bool is_fdatasync, const Call& call) {
  if (recorder == nullptr) return call();
  std::unique_lock lock(recorder->Mutex());
  struct stat status {};
  const std::uint64_t object = fstat(file, &status) == 0 ? recorder->ObjectOf(status) : 0;
  if (object == 0 || object == kVolatile) {
    lock.unlock();
    return call();
  }
  const Mutants& lies = recorder->Lies();
  const bool counts = S_ISDIR(status.st_mode)
                          ? !lies.no_directory_sync
                          : !lies.no_sync && !(is_fdatasync && recorder->DropsNow());
  const std::uint64_t ticket = recorder->NewTicket();
  const bool fails =
      counts && recorder->FailsNow(S_ISDIR(status.st_mode) ? Recorder::Flushed::kDirectory
                                                           : Recorder::Flushed::kFile);
  if (counts) recorder->Log(EntryKind::kFlush, 0, object, 0, 0, ticket, {});
  const unsigned delay = recorder->Delay();
  lock.unlock();
  if (call() != 0) Stop("a flush failed by itself");
  usleep(delay);
  lock.lock();
  if (counts) {
    recorder->Log(EntryKind::kDone, fails ? kFailed : std::uint16_t{0}, object, 0, 0, ticket, {});
  }
  if (!fails) return 0;
  errno = EIO;
  return -1;
}

template <class Call>
int Open(int at, const char* path, int flags, const Call& call) {
  if (recorder == nullptr || (flags & (O_CREAT | O_TRUNC)) == 0) return call();
  const std::lock_guard lock(recorder->Mutex());
  struct stat status {};
  const bool existed = fstatat(at, path, &status, 0) == 0;
  const std::uint64_t emptied = existed && (flags & O_TRUNC) != 0 ? recorder->ObjectOf(status) : 0;
  const int file = call();
  const int saved = errno;
  if (file >= 0 && !existed) recorder->Made(at, path);
  if (file >= 0 && emptied != 0 && emptied != kVolatile) {
    recorder->Log(EntryKind::kTruncate, 0, emptied, 0, 0, 0, {});
  }
  errno = saved;
  return file;
}

int Make(int at, const char* path, int result) {
  const int saved = errno;
  if (result == 0) recorder->Made(at, path);
  errno = saved;
  return result;
}

template <class Call>
int Remove(int at, const char* path, const Call& call) {
  if (recorder == nullptr) return call();
  const std::lock_guard lock(recorder->Mutex());
  std::string name;
  const std::uint64_t parent = recorder->ParentOf(at, path, name);
  const int result = call();
  const int saved = errno;
  if (result == 0 && parent != 0 && name != "lock.mdb") {
    recorder->Log(EntryKind::kRemove, 0, parent, 0, 0, 0, name);
  }
  errno = saved;
  return result;
}

template <class Call>
int Rename(int from_at, const char* from, int to_at, const char* to, const Call& call) {
  if (recorder == nullptr) return call();
  const std::lock_guard lock(recorder->Mutex());
  std::string old_name;
  std::string new_name;
  const std::uint64_t source = recorder->ParentOf(from_at, from, old_name);
  const std::uint64_t target = recorder->ParentOf(to_at, to, new_name);
  if ((source == 0) != (target == 0)) Stop("a rename into or out of what is recorded");
  struct stat status {};
  const bool seen = fstatat(from_at, from, &status, AT_SYMLINK_NOFOLLOW) == 0;
  const std::uint64_t object = seen ? recorder->ObjectOf(status) : 0;
  const int result = call();
  const int saved = errno;
  if (result == 0 && source != 0) {
    recorder->Log(EntryKind::kRename, 0, source, object, target, 0, old_name + '\0' + new_name);
  }
  errno = saved;
  return result;
}

void Refuse(int file, const char* what) {
  if (recorder == nullptr) return;
  const std::lock_guard lock(recorder->Mutex());
  const std::uint64_t object = recorder->ObjectOf(file);
  if (object != 0 && object != kVolatile) Stop(what);
}

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace
}  // namespace bobbin::powerloss

// NOLINTBEGIN(readability-identifier-naming): the C library's names.
using namespace bobbin::powerloss;  // NOLINT(google-build-using-namespace)

extern "C" {

#pragma GCC visibility push(default)

void bobbin_power_loss_mark(const Mark* mark) {
  if (recorder == nullptr) return;
  const std::lock_guard lock(recorder->Mutex());
  recorder->Log(EntryKind::kMark, 0, 0, 0, 0, 0,
                {reinterpret_cast<const char*>(mark), sizeof(Mark)});
  if (mark->subject == Subject::kDatabase && mark->acknowledged) recorder->BeginToLie();
}

#define RECORD_OPEN(name)                                                              \
  int name(const char* path, int flags, ...) {                                         \
    va_list arguments;                                                                 \
    va_start(arguments, flags);                                                        \
    const mode_t mode = ModeOf(flags, arguments);                                      \
    va_end(arguments);                                                                 \
    return Open(AT_FDCWD, path, flags, [&] { return NEXT(name)(path, flags, mode); }); \
  }
RECORD_OPEN(open)
RECORD_OPEN(open64)

#define RECORD_OPENAT(name)                                                          \
  int name(int at, const char* path, int flags, ...) {                               \
    va_list arguments;                                                               \
    va_start(arguments, flags);                                                      \
    const mode_t mode = ModeOf(flags, arguments);                                    \
    va_end(arguments);                                                               \
    return Open(at, path, flags, [&] { return NEXT(name)(at, path, flags, mode); }); \
  }
RECORD_OPENAT(openat)
RECORD_OPENAT(openat64)

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  return Write(file, {static_cast<const char*>(bytes), count}, static_cast<std::uint64_t>(offset),
               [&] { return NEXT(pwrite)(file, bytes, count, offset); });
}
ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  return pwrite(file, bytes, count, offset);
}
ssize_t write(int file, const void* bytes, size_t count) {
  const off_t offset = recorder == nullptr ? 0 : lseek(file, 0, SEEK_CUR);
  return Write(file, {static_cast<const char*>(bytes), count}, static_cast<std::uint64_t>(offset),
               [&] { return NEXT(write)(file, bytes, count); });
}
ssize_t writev(int file, const struct iovec* pieces, int count) {
  std::string all;
  for (int i = 0; recorder != nullptr && i < count; ++i) {
    all.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  const off_t offset = recorder == nullptr ? 0 : lseek(file, 0, SEEK_CUR);
  return Write(file, all, static_cast<std::uint64_t>(offset),
               [&] { return NEXT(writev)(file, pieces, count); });
}
ssize_t pwritev(int file, const struct iovec* pieces, int count, off_t offset) {
  Refuse(file, "pwritev");
  return NEXT(pwritev)(file, pieces, count, offset);
}

int fsync(int file) {
  return Flush(file, false, [&] { return NEXT(fsync)(file); });
}
int fdatasync(int file) {
  return Flush(file, true, [&] { return NEXT(fdatasync)(file); });
}
int msync(void* address, size_t bytes, int flags) {
  return NEXT(msync)(address, bytes, flags);  // Of lock.mdb at most: see mmap.
}
void* mmap(void* address, size_t bytes, int protection, int flags, int file, off_t offset) {
  if (file >= 0 && (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0) {
    Refuse(file, "a writable mapping");
  }
  return NEXT(mmap)(address, bytes, protection, flags, file, offset);
}

int ftruncate(int file, off_t bytes) {
  if (recorder == nullptr) return NEXT(ftruncate)(file, bytes);
  const std::lock_guard lock(recorder->Mutex());
  const std::uint64_t object = recorder->ObjectOf(file);
  const int result = NEXT(ftruncate)(file, bytes);
  if (result == 0 && object != 0 && object != kVolatile) {
    recorder->Log(EntryKind::kTruncate, 0, object, 0, static_cast<std::uint64_t>(bytes), 0, {});
  }
  return result;
}
int ftruncate64(int file, off64_t bytes) { return ftruncate(file, bytes); }
int fallocate(int file, int mode, off_t offset, off_t bytes) {
  Refuse(file, "fallocate");
  return NEXT(fallocate)(file, mode, offset, bytes);
}
ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t bytes,
                        unsigned flags) {
  Refuse(to, "copy_file_range");
  return NEXT(copy_file_range)(from, from_offset, to, to_offset, bytes, flags);
}

int mkdir(const char* path, mode_t mode) {
  if (recorder == nullptr) return NEXT(mkdir)(path, mode);
  const std::lock_guard lock(recorder->Mutex());
  return Make(AT_FDCWD, path, NEXT(mkdir)(path, mode));
}
int mkdirat(int at, const char* path, mode_t mode) {
  if (recorder == nullptr) return NEXT(mkdirat)(at, path, mode);
  const std::lock_guard lock(recorder->Mutex());
  return Make(at, path, NEXT(mkdirat)(at, path, mode));
}
int link(const char* from, const char* to) {
  if (recorder != nullptr) {
    const std::lock_guard lock(recorder->Mutex());
    std::string name;
    if (recorder->ParentOf(AT_FDCWD, to, name) != 0) Stop("link");
  }
  return NEXT(link)(from, to);
}
int unlink(const char* path) {
  return Remove(AT_FDCWD, path, [&] { return NEXT(unlink)(path); });
}
int unlinkat(int at, const char* path, int flags) {
  return Remove(at, path, [&] { return NEXT(unlinkat)(at, path, flags); });
}
int remove(const char* path) {
  return Remove(AT_FDCWD, path, [&] { return NEXT(remove)(path); });
}
int rmdir(const char* path) {
  return Remove(AT_FDCWD, path, [&] { return NEXT(rmdir)(path); });
}
int rename(const char* from, const char* to) {
  return Rename(AT_FDCWD, from, AT_FDCWD, to, [&] { return NEXT(rename)(from, to); });
}
int renameat(int from_at, const char* from, int to_at, const char* to) {
  return Rename(from_at, from, to_at, to, [&] { return NEXT(renameat)(from_at, from, to_at, to); });
}

int mdb_env_open(MDB_env* environment, const char* path, unsigned flags, mdb_mode_t mode) {
  const bool lie = recorder != nullptr && recorder->Lies().lmdb_no_sync;
  return NEXT(mdb_env_open)(environment, path, lie ? flags | MDB_NOSYNC : flags, mode);
}
int mdb_env_get_flags(MDB_env* environment, unsigned* flags) {
  const int code = NEXT(mdb_env_get_flags)(environment, flags);
  if (recorder != nullptr && recorder->Lies().lmdb_no_sync) *flags &= ~unsigned{MDB_NOSYNC};
  return code;
}

#pragma GCC visibility pop
}
// NOLINTEND(readability-identifier-naming)

#include "tests/faults/fault_library.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// glibc's own names of what is replaced here. NOLINTBEGIN
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* memory, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
}
// NOLINTEND

namespace bobbin::faults {
namespace {

Fault active;
Counters own_counters;
Counters* counters = &own_counters;
std::atomic<bool> armed{false};

constexpr std::uint64_t kPageBytes = 4096;
struct Unreadable {
  char path[PATH_MAX];
  std::uint64_t pages[kUnreadableMax];
  std::size_t count;
} unreadable;

[[noreturn]] void KillThisProcess() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Whether this call is the one, or one of those, that fail.
bool Fires(std::uint32_t call) {
  if (!armed.load(std::memory_order_acquire) || (active.calls & call) == 0) return false;
  const std::uint64_t number = counters->seen.fetch_add(1) + 1;
  const bool fires = active.sticky ? number >= active.number : number == active.number;
  if (fires) counters->fired.fetch_add(1);
  if (fires && active.action == Action::kKillBefore) KillThisProcess();
  return fires;
}

// Not a stream or a std::string: this must not allocate.
bool GetPath(int file, char (&path)[PATH_MAX]) {
  char link[64];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  const ssize_t bytes = readlink(link, path, sizeof(path) - 1);
  path[bytes < 0 ? 0 : bytes] = '\0';
  return bytes >= 0;
}

bool IsOf(int file, const char* name) {
  char path[PATH_MAX];
  return GetPath(file, path) && std::strstr(path, name) != nullptr;
}

bool IsUnreadable(int file) {
  char path[PATH_MAX];
  if (unreadable.count == 0 || !GetPath(file, path)) return false;
  const std::size_t bytes = std::strlen(path);
  const std::size_t end_bytes = std::strlen(unreadable.path);
  return bytes >= end_bytes && std::strcmp(path + bytes - end_bytes, unreadable.path) == 0;
}

// Of `count` bytes at `offset`, how many come before a page that cannot be read.
std::size_t ReadableBytes(int file, std::size_t count, std::uint64_t offset) {
  const int before = errno;
  std::size_t readable = count;
  for (std::size_t i = 0; IsUnreadable(file) && i < unreadable.count; ++i) {
    const std::uint64_t begin = unreadable.pages[i] * kPageBytes;
    if (offset + count <= begin || offset >= begin + kPageBytes) continue;
    const bool is_direct = (fcntl(file, F_GETFL) & O_DIRECT) != 0;
    const std::size_t ahead = is_direct || begin <= offset ? 0 : begin - offset;
    readable = ahead < readable ? ahead : readable;
  }
  errno = before;
  return readable;
}

bool IsDatabase(int file) { return IsOf(file, "/data.mdb"); }
bool IsMapped(int file) {
  return file >= 0 &&
         (IsDatabase(file) || IsOf(file, "/lock.mdb") || IsOf(file, "/dev/shm/bobbin"));
}

std::uint32_t KindOfWrite(int file) {
  return (fcntl(file, F_GETFL) & O_DSYNC) != 0 ? kSyncWrite : kWrite;
}

// `call` is what the C library would do; `half` the same for the first half of the bytes.
template <class Call, class Half>
ssize_t Write(int file, Call call, Half half) {
  const int before = errno;
  const bool counts = armed && IsDatabase(file);
  const bool fires = counts && Fires(KindOfWrite(file));
  errno = before;
  if (!fires) return call();
  if (active.action == Action::kShort) return half();
  if (active.action == Action::kError) {
    errno = active.error;
    return -1;
  }
  (void)call();
  KillThisProcess();
}

template <class Call>
int Do(std::uint32_t kind, bool counts, Call call) {
  if (!counts || !Fires(kind)) return call();
  if (active.action == Action::kKillAfter) {
    (void)call();
    KillThisProcess();
  }
  errno = active.error;
  return -1;
}

bool AllocationFails() {
  if (!Fires(kAllocate)) return false;
  errno = ENOMEM;
  return true;
}

std::uint32_t CallsNamed(const char* name) {
  constexpr struct {
    const char* name;
    std::uint32_t calls;
  } kNames[] = {{"write", kWrite},     {"sync-write", kSyncWrite},
                {"fdatasync", kFlush}, {"ftruncate", kTruncate},
                {"mmap", kMap},        {"malloc", kAllocate},
                {"durable", kDurable}};
  for (const auto& known : kNames) {
    if (std::strcmp(known.name, name) == 0) return known.calls;
  }
  return 0;
}

// Loaded into a program that does not know this library.
__attribute__((constructor)) void ArmFromEnvironment() {
  const char* text = std::getenv("BOBBIN_FAULT");
  if (text == nullptr) return;
  char pages[512];
  char path[512];
  if (std::sscanf(text, "read-page %511s %511s", pages, path) == 2) {
    return MakeUnreadable(pages, path);
  }
  char calls[16];
  char times[16];
  char action[16];
  unsigned long number = 0;
  Fault fault;
  if (std::sscanf(text, "%15s %lu %15s %15s %d", calls, &number, times, action, &fault.error) !=
      5) {
    std::abort();
  }
  fault.calls = CallsNamed(calls);
  fault.number = number;
  fault.sticky = std::strcmp(times, "sticky") == 0;
  if (std::strcmp(action, "short") == 0) fault.action = Action::kShort;
  if (std::strcmp(action, "kill-before") == 0) fault.action = Action::kKillBefore;
  if (std::strcmp(action, "kill-after") == 0) fault.action = Action::kKillAfter;
  if (fault.calls == 0) std::abort();
  Arm(fault, own_counters);
}

}  // namespace

void Arm(const Fault& fault, Counters& shared) {
  active = fault;
  counters = &shared;
  armed.store(true, std::memory_order_release);
}

void PassPoint() {
  if (Fires(kPoint) && active.action == Action::kKillAfter) KillThisProcess();
}

void MakeUnreadable(const char* pages, const char* path) {
  unreadable.count = 0;
  std::snprintf(unreadable.path, sizeof(unreadable.path), "%s", path);
  for (const char* at = pages; *at != '\0' && unreadable.count < kUnreadableMax;) {
    char* end = nullptr;
    unreadable.pages[unreadable.count++] = std::strtoull(at, &end, 10);
    at = *end == ',' ? end + 1 : end;
  }
}

}  // namespace bobbin::faults

// --- What stands before the C library's ---

using namespace bobbin::faults;  // NOLINT(google-build-using-namespace)

extern "C" {

ssize_t write(int file, const void* bytes, std::size_t count) {
  const auto as = [&](std::size_t n) { return syscall(SYS_write, file, bytes, n); };
  return Write(
      file, [&] { return as(count); }, [&] { return as(count / 2); });
}

ssize_t pwrite(int file, const void* bytes, std::size_t count, off_t offset) {
  const auto as = [&](std::size_t n) { return syscall(SYS_pwrite64, file, bytes, n, offset); };
  return Write(
      file, [&] { return as(count); }, [&] { return as(count / 2); });
}

ssize_t pread(int file, void* bytes, std::size_t count, off_t offset) {
  const std::size_t readable = ReadableBytes(file, count, static_cast<std::uint64_t>(offset));
  if (readable == 0 && count != 0) {
    errno = EIO;
    return -1;
  }
  return syscall(SYS_pread64, file, bytes, readable, offset);
}

ssize_t writev(int file, const iovec* parts, int count) {
  return Write(
      file, [&] { return syscall(SYS_writev, file, parts, count); },
      [&] { return syscall(SYS_write, file, parts[0].iov_base, parts[0].iov_len / 2); });
}

int fdatasync(int file) {
  return Do(kFlush, armed && IsDatabase(file),
            [&] { return static_cast<int>(syscall(SYS_fdatasync, file)); });
}

int fsync(int file) {
  return Do(kFlush, armed && IsDatabase(file),
            [&] { return static_cast<int>(syscall(SYS_fsync, file)); });
}

// Only LMDB calls it here, and only for its data file.
int msync(void* memory, std::size_t bytes, int flags) {
  return Do(kFlush, true,
            [&] { return static_cast<int>(syscall(SYS_msync, memory, bytes, flags)); });
}

int ftruncate(int file, off_t bytes) noexcept {
  return Do(kTruncate, armed && IsMapped(file),
            [&] { return static_cast<int>(syscall(SYS_ftruncate, file, bytes)); });
}

void* mmap(void* address, std::size_t bytes, int protection, int flags, int file,
           off_t offset) noexcept {
  if (armed && IsMapped(file) && Fires(kMap)) {
    errno = active.error;
    return MAP_FAILED;
  }
  const auto mapped = syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
  return reinterpret_cast<void*>(mapped);  // NOLINT(performance-no-int-to-ptr)
}

void* malloc(std::size_t bytes) noexcept {
  return AllocationFails() ? nullptr : __libc_malloc(bytes);
}

void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return AllocationFails() ? nullptr : __libc_calloc(count, bytes);
}

void* realloc(void* memory, std::size_t bytes) noexcept {
  return AllocationFails() ? nullptr : __libc_realloc(memory, bytes);
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return AllocationFails() ? nullptr : __libc_memalign(alignment, bytes);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) noexcept {
  if (AllocationFails()) return ENOMEM;
  void* const allocated = __libc_memalign(alignment, bytes);
  if (allocated == nullptr) return ENOMEM;
  *memory = allocated;
  return 0;
}

}  // extern "C"

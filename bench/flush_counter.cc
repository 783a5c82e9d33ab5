#include "bench/flush_counter.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<std::uint64_t> flushes{0};

void Count() { flushes.fetch_add(1, std::memory_order_relaxed); }

void CountIfSynchronous(int file) {
  const int flags = fcntl(file, F_GETFL);
  if (flags >= 0 && (flags & O_DSYNC) != 0) Count();
}

// The C library's own function of that name.
template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

namespace bobbin::bench {

std::uint64_t FlushCount() { return flushes.load(std::memory_order_relaxed); }

}  // namespace bobbin::bench

extern "C" {

int fsync(int file) {
  static auto* const next = Next<int(int)>("fsync");
  Count();
  return next(file);
}

int fdatasync(int file) {
  static auto* const next = Next<int(int)>("fdatasync");
  Count();
  return next(file);
}

int msync(void* address, size_t length, int flags) {
  static auto* const next = Next<int(void*, size_t, int)>("msync");
  if ((flags & MS_SYNC) != 0) Count();
  return next(address, length, flags);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  static auto* const next = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  CountIfSynchronous(file);
  return next(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  static auto* const next = Next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  CountIfSynchronous(file);
  return next(file, bytes, count, offset);
}

ssize_t writev(int file, const iovec* parts, int count) {
  static auto* const next = Next<ssize_t(int, const iovec*, int)>("writev");
  CountIfSynchronous(file);
  return next(file, parts, count);
}
}

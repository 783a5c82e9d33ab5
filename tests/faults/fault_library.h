// Makes the system calls of this process fail, or kill it, at the n-th of them.
//
// A shared library that stands before the C library: linked by a test, which then arms it in a
// child process, or loaded into any program by LD_PRELOAD with BOBBIN_FAULT in its environment:
//
//   BOBBIN_FAULT="fdatasync 3 once error 5"    the third flush of the database says EIO
//   BOBBIN_FAULT="write 1 sticky short 0"      every write from the first on writes half
//   BOBBIN_FAULT="durable 7 once kill-after 0" SIGKILL behind the seventh durable step
//
//   BOBBIN_FAULT="read-page 3,7 db/data.mdb"   pread of the pages 3 and 7 of that file says EIO
//
// Counted are calls on the files of a database alone (data.mdb, lock.mdb, shared memory), so that
// pipes, sockets and logs of the process go on. Until it is armed every call passes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bobbin::faults {

// What is counted; joined by |.
inline constexpr std::uint32_t kWrite = 0x01;      // write, pwrite, writev of data.mdb.
inline constexpr std::uint32_t kSyncWrite = 0x02;  // The same through an O_DSYNC descriptor.
inline constexpr std::uint32_t kFlush = 0x04;      // fdatasync, fsync, msync of data.mdb.
inline constexpr std::uint32_t kTruncate = 0x08;   // ftruncate.
inline constexpr std::uint32_t kMap = 0x10;        // mmap of a file.
inline constexpr std::uint32_t kAllocate = 0x20;   // malloc and its kin, operator new with them.
inline constexpr std::uint32_t kPoint = 0x40;      // PassPoint.
inline constexpr std::uint32_t kDurable = kWrite | kSyncWrite | kFlush;

enum class Action : std::uint8_t {
  kError,       // The call does nothing and says `error`.
  kShort,       // A write writes half of its bytes and says so.
  kKillBefore,  // SIGKILL to the process instead of the call.
  kKillAfter,   // The same when the call is done.
};

struct Fault {
  std::uint32_t calls = 0;
  std::uint64_t number = 0;  // The first call is 1.
  bool sticky = false;       // All later ones, too.
  Action action = Action::kError;
  int error = 0;
};

struct Counters {
  std::atomic<std::uint64_t> seen{0};   // Calls of the kind asked for.
  std::atomic<std::uint64_t> fired{0};  // Of these, how many were made to fail.
};

// From now on. `counters` must outlive the process, and be shared with whoever wants to read them
// when it is gone.
void Arm(const Fault& fault, Counters& counters);

// A moment between two calls that is counted, too: at it a process can only be killed.
void PassPoint();

// From now on pread says EIO of pages of 4 KiB of the file whose path ends in `path`: "3,7", up to
// kUnreadableMax of them, instead of those before. Like the kernel it returns what lies before the
// first of them; with O_DIRECT, where a request is one for the disk, nothing.
inline constexpr std::size_t kUnreadableMax = 64;
void MakeUnreadable(const char* pages, const char* path);

}  // namespace bobbin::faults

// What the recorder writes down and the replayer reads: everything that reached the kernel for the
// files below one directory, and what the application said meanwhile, in one order.
//
// The log is a file that the recorder maps; an entry is a header and its data, padded to 8 bytes.
// An entry of 0 bytes ends it. Files and directories have numbers of their own, given when they are
// made: an inode number is used again. The root directory has number 1.
//
//   kAdd       directory `object` gets the name `data` for `other`
//   kRemove    directory `object` loses the name `data`
//   kRename    "<old>\0<new>" from directory `object` to directory `offset`; `other` moves
//   kWrite     `data` at `offset` of file `object`; with kSynchronous it is durable when kDone of
//              the same `ticket` says so
//   kTruncate  file `object` has `offset` bytes
//   kFlush     fsync or fdatasync of `object` begins; its end is kDone of the same `ticket`
//   kDone      with kFailed: the kernel said EIO
//   kMark      `data` is a Mark (tests/powerloss/mark.h)
//
// What is written to a file named lock.mdb is left out: LMDB begins it anew after a crash, and the
// replayer opens every state with whatever an earlier one has left there.
#pragma once

#include <cstdint>
#include <string_view>

namespace bobbin::powerloss {

enum class EntryKind : std::uint16_t {
  kAdd = 1,
  kRemove,
  kRename,
  kWrite,
  kTruncate,
  kFlush,
  kDone,
  kMark,
};

inline constexpr std::uint16_t kSynchronous = 0x1;
inline constexpr std::uint16_t kFailed = 0x2;
inline constexpr std::uint16_t kDirectory = 0x4;  // kAdd

inline constexpr std::uint64_t kRootObject = 1;
inline constexpr std::uint64_t kLogBytesMax = std::uint64_t{8} << 30;  // Sparse.

struct Entry {
  std::uint32_t bytes;  // Of all of it; written last.
  EntryKind kind;
  std::uint16_t flags;
  std::uint64_t object;
  std::uint64_t other;
  std::uint64_t offset;
  std::uint64_t ticket;
  std::uint32_t data_bytes;
  std::uint32_t unused;

  std::string_view Data() const {
    return {reinterpret_cast<const char*>(this) + sizeof(Entry), data_bytes};
  }
  bool Has(std::uint16_t flag) const { return (flags & flag) != 0; }
};
static_assert(sizeof(Entry) == 48);

// Of the recorder's environment.
inline constexpr char kRootVariable[] = "BOBBIN_POWER_LOSS_ROOT";
inline constexpr char kLogVariable[] = "BOBBIN_POWER_LOSS_LOG";
// How the recorder lies or fails, so that the replayer can be seen to find it; joined by commas.
//   no-sync             no flush counts, O_DSYNC means nothing: what MDB_NOSYNC makes of LMDB
//   lmdb-no-sync        MDB_NOSYNC itself, and the engine is told that it is not set
//   drop-fdatasync=N    every Nth fdatasync does not count
//   no-directory-sync   fsync of directories does not count
//   fail-flush=N        the Nth flush, or synchronous write, answers EIO
//   fail-write=N        the Nth synchronous write answers EIO: LMDB's root pages
//   fail-directory-flush=N  the Nth fsync of a directory answers EIO
//   fail-again=N     after one of these three the next N flushes of files answer EIO, too
//   after-creation      all of this from when the database has been created
inline constexpr char kMutantVariable[] = "BOBBIN_POWER_LOSS_MUTANT";

}  // namespace bobbin::powerloss

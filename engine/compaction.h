// Compaction: a smaller data.mdb under a database that is in use.
//
// LMDB reuses pages and never gives any back, so its file stays as large as it ever was. Compact
// copies all records into a new file beside it, slice by slice, while everybody goes on; then it
// keeps writers out, copies what has changed meanwhile, and puts the new file into the place of the
// old one (kv::ReplaceLmdbFile). Every process goes over to it with its next transaction.
//
// Writers     Wait while all keys are read once, at most for `stall_max`.
// Readers     Go on; a process with an old snapshot begins no transaction until that has ended.
// Space       Needs as much free disk as the new file; the old one is freed when the last process
//             has gone over to the new one.
// Durability  A crash leaves the old file or the new one, which are equal.
// Damage      Nothing is done to a database with a record that does not open.
// Processes   One compaction at a time. Every process must be of a version that knows this.
// Errors      kBusy         another compaction is under way
//             kTimeout      writers would have waited for longer than `stall_max`; nothing changed
//             kCorruptData  a record does not open; nothing changed
//             kNoAccess     the new file cannot be given to the owner of the old one
//             kNotEnoughDisk, kDiskError, kStoreFailed
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "engine/result.h"
#include "engine/table_copy.h"

namespace bobbin {

class Database;

struct CompactionOptions {
  std::chrono::seconds stall_max{10};
  CopyProgress progress{};
};

struct CompactionReport {
  std::uint64_t bytes_before = 0;  // Of data.mdb.
  std::uint64_t bytes_after = 0;
  std::uint64_t records = 0;
  std::chrono::milliseconds stall{};
};

// `path` is where `database` was opened.
Result<CompactionReport> Compact(const Database& database, const std::filesystem::path& path,
                                 const CompactionOptions& options = {});

}  // namespace bobbin

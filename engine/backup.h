// Backups: a copy of a database while it is in use, and a database made of a copy.
//
//   BackUp(database, target)                     a new directory: data.mdb and `backup`
//   BackUp(database, target, incremental)        the same directory, made equal once more
//   Restore(backup, path)                        a new database
//
// A backup is whole: the database as one transaction left it. It is no database: opening it is
// refused, since its mail would be sent a second time.
//
// Snapshots   A full backup copies a few MiB at a time, each from a snapshot of its own, then
//             compares everything once in a single snapshot and copies what has changed meanwhile.
//             That one lives for as long as reading all keys takes, at most for `age_max`; writers
//             of the database go on, and only what they free meanwhile cannot be reused.
// Increments  Every record bears the sequence of the transaction that wrote it. An increment reads
//             all keys, copies what bears another sequence than its copy, and erases what is gone,
//             in one transaction of the backup. When so much has changed that one transaction is
//             too large for it, the backup is made anew aside and takes the other's place.
// Durability  On success the backup is on disk. Killed at any moment, it is as it was before, or
//             not there; what lies aside may be deleted (engine/database_directory.h).
// Damage      A record that does not open never replaces a good copy. It is reported, and copied
//             as it lies where there is no copy. When whole rows are lost, which only the totals
//             tell, an increment is refused: the backup may be the last that has them.
// Duplicates  What the backup has queued may have left since it was made. Restore holds every
//             queued message, and what is released from quarantine, with each recipient that is not
//             served in doubt, "may have been sent": an operator releases or aborts it. Identifiers
//             and sequences that were given out after the backup are not given out again: the
//             counters jump.
// Identity    A restored database has the identity of the original, so that entry identifiers stay
//             good. The two must not be used at the same time: they would share their locks.
// Errors      kCollision         the target exists (incremental: no)
//             kNotADatabase      incremental, Restore: it is no backup
//             kInvalidParameter  incremental: it is one of another database
//             kCorruptStore      incremental: rows of the database are lost
//             kBusy              incremental: another backup into `target` is under way
//             kTimeout           the snapshot would have lived for longer than `age_max`
//             kNotEnoughDisk, kDiskError, kNoAccess
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "engine/result.h"
#include "engine/table_copy.h"

namespace bobbin {

class Database;

struct BackupOptions {
  bool incremental = false;  // `target` is a backup; else it must not exist.
  std::chrono::seconds age_max = std::chrono::minutes(10);
  CopyProgress progress{};
  // An increment beyond that is made aside. LMDB gets slow with larger transactions.
  std::uint64_t increment_bytes_max = std::uint64_t{256} << 20;
};

struct BackupReport {
  CopyReport copy;
  bool incremental = false;  // False also when the increment was too large and all was copied.
};

// `path` is where `database` was opened.
Result<BackupReport> BackUp(const Database& database, const std::filesystem::path& path,
                            const std::filesystem::path& target, const BackupOptions& options = {});

struct RestoreOptions {
  // The caller knows that nothing has left since: the queue stays as it is in the backup.
  bool nothing_sent_since = false;
  CopyProgress progress{};
};

struct RestoreReport {
  std::uint64_t records = 0;
  std::uint64_t queued = 0;  // Messages.
  std::uint64_t held = 0;    // Of these.
  std::uint64_t recipients_in_doubt = 0;
  std::vector<Error> damaged;  // As they lie in the backup.
};

Result<RestoreReport> Restore(const std::filesystem::path& backup,
                              const std::filesystem::path& path,
                              const RestoreOptions& options = {});

}  // namespace bobbin

// One open MDB_env with its tables and its pool of readers; no grouping, no sharing.
//
// data.mdb may be replaced by an equal file while it is open (Replace, by any process). Whoever
// holds LMDB's write lock may replace it; everyone else notices before the next transaction, once
// the writer's lock or the snapshot is had, and opens the new file. lock.mdb stays, and so does the
// number of the last transaction.
#pragma once

#include <lmdb.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "engine/kv/lmdb_engine.h"
#include "engine/kv/lmdb_transaction.h"

namespace bobbin::kv {

class LmdbEnvironment {
 public:
  enum class Tables : std::uint8_t { kMustExist, kCreate };

  // With kCreate an absent data.mdb is created, too.
  static Result<std::unique_ptr<LmdbEnvironment>> Open(const std::filesystem::path& directory,
                                                       const LmdbOptions& options, Tables tables);

  // All transactions must have ended. Not to be run in a forked child.
  ~LmdbEnvironment();
  LmdbEnvironment(const LmdbEnvironment&) = delete;
  LmdbEnvironment& operator=(const LmdbEnvironment&) = delete;

  Result<void> View(const std::function<Result<void>(ReadTransaction&)>& read);

  // One write transaction at a time in a process; other processes are waited for.
  Result<LmdbWriteTransaction*> BeginWrite();
  Result<void> CommitWrite();
  void AbortWrite();

  Result<PageWalkReport> Walk(const PageWalkOptions& options);

  // Between transactions. Lets go of a file that was replaced, and of dead readers.
  void Upkeep();
  Result<std::uint64_t> DiskFreeBytes();
  Result<LmdbStatistics> Statistics();

  // See ReplaceLmdbFile (engine/kv/lmdb_engine.h). Not on the thread that has begun to write.
  Result<void> Replace(const MakeReplacement& make);

 private:
  LmdbEnvironment() = default;

  std::filesystem::path DirectoryItself() const;
  int OpenEnvironment(std::uint64_t map_bytes);
  // Null: whoever has it open already vouches for it.
  Result<void> OpenNewest(Tables tables, const LmdbOptions* to_walk);
  Result<void> OpenAll(Tables tables, const LmdbOptions* to_walk);
  Result<void> OpenInTurn(Tables tables, const LmdbOptions* to_walk);
  Result<void> CheckPages(const LmdbOptions& options);
  Result<PageWalkReport> WalkSnapshot(const PageWalkOptions& options);
  Result<void> CheckLockFile();
  bool FollowsTheLast(MDB_txn* transaction) const;
  tl::unexpected<Error> LockFileIsWrong() const;
  Result<void> OpenTables(Tables tables);
  std::string DamageOf(const PageWalkReport& report) const;
  Result<bool> IsReplaced() const;
  Result<void> AdoptReplacement();
  Result<std::uint64_t> DiskFreeBytesLocked() const;
  Result<std::uint64_t> FreePagesLocked();
  void ClearDeadReaders();
  int BeginRead(MDB_txn** transaction);
  void EndRead(MDB_txn* transaction);
  Result<void> GrowMap();
  Result<void> CheckMap() const;
  int FlushWhatWasFound();
  int WriteRootsAgain();

  std::filesystem::path directory_;  // For messages.
  // Whatever becomes of its name, this is the directory.
  int directory_file_ = -1;
  std::vector<std::string> table_names_;
  std::uint64_t map_bytes_ = 0;
  std::shared_ptr<LmdbShared> shared_;  // Null: nobody else writes.
  // `replacements` when the file that is open was known not to be replaced; odd: it never was.
  mutable std::atomic<std::uint64_t> unreplaced_at_ = 1;
  MDB_env* environment_ = nullptr;
  std::uint64_t file_inode_ = 0;  // Of the data.mdb that is open.
  std::vector<LmdbTable> tables_;
  // Its pages have been looked at, no damage was met since, and no commit of ours has failed.
  std::atomic<bool> is_sound_ = false;

  // Shared: a transaction is open. Exclusive: the map may move, the environment be opened anew.
  std::shared_mutex map_mutex_;
  std::optional<Error> lost_;  // Why there is no map any more.

  std::mutex readers_mutex_;
  std::vector<MDB_txn*> idle_readers_;

  bool has_flushed_ = false;  // The file that is open.
  MDB_txn* write_ = nullptr;
  std::unique_ptr<LmdbWriteTransaction> write_transaction_;
};

}  // namespace bobbin::kv

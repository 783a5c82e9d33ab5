// One open MDB_env with its tables and its pool of readers; no grouping, no sharing.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
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

  void ClearDeadReaders();
  Result<std::uint64_t> DiskFreeBytes() const;
  Result<LmdbStatistics> Statistics();

 private:
  LmdbEnvironment() = default;

  int OpenEnvironment(const std::filesystem::path& directory, std::uint64_t map_bytes);
  Result<void> CheckPages(const LmdbOptions& options);
  Result<PageWalkReport> WalkSnapshot(const PageWalkOptions& options);
  Result<void> CheckLockFile();
  Result<void> OpenTables(const std::vector<std::string>& names, Tables tables);
  int BeginRead(MDB_txn** transaction);
  void EndRead(MDB_txn* transaction);
  Result<void> GrowMap();
  Result<void> CheckMap() const;
  int FlushWhatWasFound();

  std::filesystem::path directory_;
  MDB_env* environment_ = nullptr;
  std::vector<LmdbTable> tables_;
  bool is_sound_ = false;  // Its pages have been looked at, and no commit of ours has failed.

  // Shared: a transaction is open. Exclusive: the map may move.
  std::shared_mutex map_mutex_;
  bool map_lost_ = false;  // LMDB gave up the old map and did not get another.

  std::mutex readers_mutex_;
  std::vector<MDB_txn*> idle_readers_;

  bool has_flushed_ = false;
  MDB_txn* write_ = nullptr;
  std::unique_ptr<LmdbWriteTransaction> write_transaction_;
};

}  // namespace bobbin::kv

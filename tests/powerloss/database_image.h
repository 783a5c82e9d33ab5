// One state of a database on a RAM disk, opened by the engine and looked at.
//
// The files of the state before are changed into those of the next page by page, which costs what
// differs. lock.mdb stays as the state before left it, as it would after a crash.
//
// Threads    One at a time.
// Processes  Each has images of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/lock_table.h"
#include "engine/result.h"
#include "tests/powerloss/disk_model.h"
#include "tests/powerloss/outcome_model.h"
#include "tests/powerloss/snapshot_hash.h"

namespace bobbin {
struct DatabaseState;
}

namespace bobbin::powerloss {

// What Database::Open and the public interface show of the database at `path`, and CheckStore.
Observation LookAsAProgram(const std::filesystem::path& path);

class DatabaseImage {
 public:
  explicit DatabaseImage(const std::filesystem::path& directory);
  ~DatabaseImage();
  DatabaseImage(const DatabaseImage&) = delete;
  DatabaseImage& operator=(const DatabaseImage&) = delete;

  const std::filesystem::path& Directory() const { return directory_; }

  void Set(const FileImage& data, const std::string& identity);

  // LMDB, identity, root record, CheckStore, every message: through the engine that a program uses,
  // except that the shared-memory segment is opened once for all states of one database. Every
  // state is opened. Its rows are not read when the transaction that LMDB chose consists of the
  // same pages, each by its hash, as one that was read and found sound; of those some are read all
  // the same, and compared.
  Observation Look();
  // How often the rows were read.
  std::uint64_t Reads() const { return reads_; }
  Observation LookThroughTheFrontDoor() { return LookAsAProgram(directory_); }
  // Opens it once more to store and submit one message, and checks again: what is damaged where
  // only a writer comes shows then. The image is changed.
  std::string UseAgain();

 private:
  Result<std::shared_ptr<DatabaseState>> Open();
  Result<void> Read(DatabaseState& database, Observation& seen);

  const std::filesystem::path directory_;
  int file_ = -1;
  char* memory_ = nullptr;
  std::vector<std::uint64_t> held_;  // Hash of each page; 0 = zeros.
  std::uint64_t bytes_ = 0;
  std::string identity_;
  DatabaseId shared_of_;
  VolatileState shared_;
  SnapshotHash snapshot_hash_;
  std::unordered_map<std::uint64_t, std::vector<std::pair<std::uint64_t, MessageState>>>
      remembered_;  // By the hash of the snapshot.
  std::uint64_t reads_ = 0;
  std::uint64_t reads_saved_ = 0;
};

}  // namespace bobbin::powerloss

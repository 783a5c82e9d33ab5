// A database directory that is there whole or not at all.
//
// Whatever makes one (Database::Create, load, restore, backup) fills a directory beside its path,
// which is then flushed and renamed into place. What a crash leaves aside, ".<name>.creating-...",
// is in nobody's way and may be deleted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "engine/kv/lmdb_engine.h"
#include "engine/result.h"

namespace bobbin {

// `fill` flushes what it writes. Durable when it returns success.
//   kCollision  `path` exists and is not an empty directory
using FillDirectory = std::function<Result<void>(const std::filesystem::path& aside)>;
Result<void> CreateDatabaseDirectory(const std::filesystem::path& path, const FillDirectory& fill);
// As above, in the place of the directory that is there. Nobody may have it open.
Result<void> ReplaceDatabaseDirectory(const std::filesystem::path& path, const FillDirectory& fill);

// One process at a time does something to a directory of that name.
class DirectoryTurn {
 public:
  explicit DirectoryTurn(const std::filesystem::path& directory);
  ~DirectoryTurn();
  DirectoryTurn(const DirectoryTurn&) = delete;
  DirectoryTurn& operator=(const DirectoryTurn&) = delete;

  // Until the end of this object or of the process.
  //   kBusy       another has it: "another `what` is under way"
  //   kDiskError
  Result<void> Take(std::string_view what) const;

 private:
  const std::filesystem::path path_;
  const int file_;
};

// Flushes the directories above one whose maker has not come to do so (the file `unflushed` in it
// says so): for whoever opens it.
Result<void> FlushNamesAbove(const std::filesystem::path& database);

// Up to 256 bytes that nobody can guess.
void FillRandom(std::uint8_t* bytes, std::size_t count);

// Of an environment that holds a database's tables.
kv::LmdbOptions DatabaseTables();

}  // namespace bobbin

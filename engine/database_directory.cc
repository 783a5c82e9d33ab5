#include "engine/database_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

#include "engine/check.h"
#include "engine/entry_id.h"
#include "engine/identity_file.h"
#include "engine/keyspace.h"

namespace bobbin {

namespace fs = std::filesystem;

void FillRandom(std::uint8_t* bytes, std::size_t count) {
  BOBBIN_CHECK(count <= 256);  // So much getrandom fills without being interrupted.
  BOBBIN_CHECK(getrandom(bytes, count, 0) == static_cast<ssize_t>(count));
}

kv::LmdbOptions DatabaseTables() {
  kv::LmdbOptions options;
  options.tables = {table::kNames.begin(), table::kNames.end()};
  return options;
}

namespace {

constexpr char kUnflushedName[] = "unflushed";

// Makes the name of the database durable, and those above it.
Result<void> FlushNames(const fs::path& database) {
  RETURN_IF_ERROR(SyncDirectoriesAbove(database));
  std::error_code ignored;  // Left there it costs the next one to open a few flushes.
  fs::remove(database / kUnflushedName, ignored);
  return {};
}

// Absolute, and without a slash at its end.
fs::path Target(const fs::path& path) {
  std::error_code error;
  fs::path target = fs::absolute(path, error).lexically_normal();
  return target.has_filename() ? target : target.parent_path();
}

// What `fill` made, flushed, in a directory beside `target`.
Result<fs::path> FillAside(const fs::path& target, const FillDirectory& fill) {
  // Random, not the process identifier: that comes round soon in a container, and what a crash
  // left aside must not be in the way of the next attempt.
  std::array<std::uint8_t, 8> suffix{};
  FillRandom(suffix.data(), suffix.size());
  fs::path aside =
      target.parent_path() /
      fmt::format(".{}.creating-{}", target.filename().string(),
                  ToHex({reinterpret_cast<const char*>(suffix.data()), suffix.size()}));
  RETURN_IF_ERROR(MakeDirectory(aside));
  Result<void> filled = fill(aside);
  // Last, as `fill` may open what it makes.
  if (filled) filled = MakeEmptyFile(aside / kUnflushedName);
  if (filled) filled = SyncPath(aside);
  if (filled) return aside;
  std::error_code error;
  fs::remove_all(aside, error);
  return tl::unexpected<Error>(std::move(filled).error());
}

}  // namespace

Result<void> CreateDatabaseDirectory(const fs::path& path, const FillDirectory& fill) {
  std::error_code error;
  const fs::path target = Target(path);
  if (fs::exists(target, error) &&
      !(fs::is_directory(target, error) && fs::is_empty(target, error))) {
    return Fail(ErrorCode::kCollision,
                target.string() + " exists and is not an empty directory: choose another path");
  }
  ASSIGN_OR_RETURN(const fs::path aside, FillAside(target, fill));
  if (Result<void> renamed = RenameDirectory(aside, target); !renamed) {
    fs::remove_all(aside, error);
    return renamed;
  }
  return FlushNames(target);
}

Result<void> ReplaceDatabaseDirectory(const fs::path& path, const FillDirectory& fill) {
  std::error_code error;
  const fs::path target = Target(path);
  ASSIGN_OR_RETURN(const fs::path aside, FillAside(target, fill));
  if (renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0) {
    const std::string reason = std::strerror(errno);
    fs::remove_all(aside, error);
    return Fail(ErrorCode::kDiskError, "cannot replace " + target.string() + ": " + reason);
  }
  RETURN_IF_ERROR(FlushNames(target));
  fs::remove_all(aside, error);
  return {};
}

DirectoryTurn::DirectoryTurn(const fs::path& directory)
    : path_(directory), file_(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

DirectoryTurn::~DirectoryTurn() {
  if (file_ >= 0) close(file_);
}

Result<void> DirectoryTurn::Take(std::string_view what) const {
  const auto is_mine = [this] {
    struct stat mine {};
    struct stat named {};
    return fstat(file_, &mine) == 0 && stat(path_.c_str(), &named) == 0 &&
           mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
  };
  const bool is_locked = file_ >= 0 && flock(file_, LOCK_EX | LOCK_NB) == 0;
  // One that has taken its place meanwhile is another's.
  if (is_locked && is_mine()) return {};
  if (is_locked || errno == EWOULDBLOCK) {
    return Fail(ErrorCode::kBusy, fmt::format("another {} is under way", what));
  }
  return Fail(ErrorCode::kDiskError, "locking " + path_.string() + ": " + std::strerror(errno));
}

Result<void> FlushNamesAbove(const fs::path& database) {
  std::error_code error;
  if (!fs::exists(database / kUnflushedName, error)) return {};
  return FlushNames(database);
}

}  // namespace bobbin

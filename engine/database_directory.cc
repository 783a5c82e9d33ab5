#include "engine/database_directory.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <string>
#include <system_error>

#include "engine/check.h"
#include "engine/entry_id.h"
#include "engine/identity_file.h"
#include "engine/keyspace.h"

namespace bobbin {

namespace fs = std::filesystem;

namespace {

constexpr char kUnflushedName[] = "unflushed";

// Makes the name of the database durable, and those above it.
Result<void> FlushNames(const fs::path& database) {
  RETURN_IF_ERROR(SyncDirectoriesAbove(database));
  std::error_code ignored;  // Left there it costs the next one to open a few flushes.
  fs::remove(database / kUnflushedName, ignored);
  return {};
}

}  // namespace

void FillRandom(std::uint8_t* bytes, std::size_t count) {
  BOBBIN_CHECK(count <= 256);  // So much getrandom fills without being interrupted.
  BOBBIN_CHECK(getrandom(bytes, count, 0) == static_cast<ssize_t>(count));
}

kv::LmdbOptions DatabaseTables() {
  kv::LmdbOptions options;
  options.tables = {table::kNames.begin(), table::kNames.end()};
  return options;
}

Result<void> CreateDatabaseDirectory(const fs::path& path, const FillDirectory& fill) {
  std::error_code error;
  const fs::path target = fs::absolute(path, error).lexically_normal();
  if (fs::exists(target, error) &&
      !(fs::is_directory(target, error) && fs::is_empty(target, error))) {
    return Fail(ErrorCode::kCollision,
                target.string() + " exists and is not an empty directory: choose another path");
  }
  const fs::path name = target.has_filename() ? target.filename() : target.parent_path().filename();
  const fs::path parent =
      target.has_filename() ? target.parent_path() : target.parent_path().parent_path();
  // Random, not the process identifier: that comes round soon in a container, and what a crash
  // left aside must not be in the way of the next attempt.
  std::array<std::uint8_t, 8> suffix{};
  FillRandom(suffix.data(), suffix.size());
  const fs::path aside =
      parent / fmt::format(".{}.creating-{}", name.string(),
                           ToHex({reinterpret_cast<const char*>(suffix.data()), suffix.size()}));
  RETURN_IF_ERROR(MakeDirectory(aside));
  Result<void> created = fill(aside);
  // Last, as `fill` may open what it makes.
  if (created) created = MakeEmptyFile(aside / kUnflushedName);
  if (created) created = SyncPath(aside);
  if (created) created = RenameDirectory(aside, parent / name);
  if (!created) {
    fs::remove_all(aside, error);
    return created;
  }
  return FlushNames(parent / name);
}

Result<void> FlushNamesAbove(const fs::path& database) {
  std::error_code error;
  if (!fs::exists(database / kUnflushedName, error)) return {};
  return FlushNames(database);
}

}  // namespace bobbin

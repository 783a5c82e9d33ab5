#include "engine/compaction.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <system_error>

#include "engine/database.h"
#include "engine/database_directory.h"
#include "engine/database_state.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_sequence.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// Where the new file is made: on the same file system, under the name ReplaceLmdbFile knows.
class Workplace {
 public:
  explicit Workplace(const fs::path& database) : path_(database / "compacting") {}
  ~Workplace() { Remove(); }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  Result<void> Make() const {
    Remove();
    return MakeDirectory(path_);
  }
  const fs::path& Path() const { return path_; }

 private:
  void Remove() const {
    std::error_code error;
    fs::remove_all(path_, error);
  }

  const fs::path path_;
};

Result<void> GiveTo(const fs::path& file, const struct stat& owner) {
  if (chmod(file.c_str(), owner.st_mode & 07777U) == 0 &&
      chown(file.c_str(), owner.st_uid, owner.st_gid) == 0) {
    return {};
  }
  return Fail(ErrorCode::kNoAccess, "the new data.mdb cannot be given to the owner of the old one");
}

Result<void> CheckWhole(const CopyReport& report) {
  if (report.damaged.empty()) return {};
  return tl::unexpected<Error>(report.damaged.front());
}

Result<struct stat> StatusOf(const fs::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) == 0) return status;
  return Fail(ErrorCode::kDiskError, file.string() + ": " + strerror(errno));
}

}  // namespace

Result<CompactionReport> Compact(const Database& database, const fs::path& path,
                                 const CompactionOptions& options) {
  // Whoever has it compacts, and may remove what an earlier one left behind.
  const DirectoryTurn turn(path);
  RETURN_IF_ERROR(turn.Take("compaction"));
  const Workplace workplace(path);
  RETURN_IF_ERROR(workplace.Make());
  ASSIGN_OR_RETURN(const struct stat before, StatusOf(path / "data.mdb"));
  RETURN_IF_ERROR(kv::CreateLmdbEnvironment(workplace.Path(), DatabaseTables(),
                                            [](kv::WriteTransaction&) { return Result<void>(); }));
  ASSIGN_OR_RETURN(const std::shared_ptr<kv::Engine> source,
                   kv::OpenLmdbEngine(path, DatabaseTables()));
  ASSIGN_OR_RETURN(std::shared_ptr<kv::Engine> target,
                   kv::OpenLmdbEngine(workplace.Path(), DatabaseTables()));
  TableCopy copy(database.State()->codec, Losses::kRefuse, options.progress);
  RETURN_IF_ERROR(copy.CopyInSlices(*source, *target));
  // What the slices took long for is not left to the time when writers wait.
  RETURN_IF_ERROR(copy.MakeEqual(*source, *target, std::chrono::minutes(10), kNoLimit));
  RETURN_IF_ERROR(CheckWhole(copy.Report()));
  const fs::path file = workplace.Path() / "data.mdb";
  RETURN_IF_ERROR(GiveTo(file, before));

  CompactionReport report;
  const auto begin = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(kv::ReplaceLmdbFile(
      *source, [&](kv::ReadTransaction& rows, std::uint64_t sequence) -> Result<void> {
        RETURN_IF_ERROR(target
                            ->Update([&](kv::WriteTransaction& copied) {
                              return copy.MakeEqual(rows, copied, options.stall_max, kNoLimit);
                            })
                            .ToResult());
        RETURN_IF_ERROR(CheckWhole(copy.Report()));
        target.reset();  // Closed, so that it can be given its number.
        return kv::SetLmdbSequence(workplace.Path(), sequence);
      }));
  report.stall = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  ASSIGN_OR_RETURN(const struct stat after, StatusOf(path / "data.mdb"));
  report.bytes_before = static_cast<std::uint64_t>(before.st_size);
  report.bytes_after = static_cast<std::uint64_t>(after.st_size);
  report.records = copy.Report().records;
  return report;
}

}  // namespace bobbin

#include "engine/kv/lmdb_engine.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

#include "engine/kv/commit_group.h"
#include "engine/kv/lmdb_environment.h"
#include "engine/kv/lmdb_error.h"
#include "engine/kv/lmdb_file_check.h"
#include "engine/kv/transaction_scope.h"

namespace bobbin::kv {
namespace {

// The directory itself, by whatever path it was reached: data.mdb may be replaced. The process is
// part of it because a forked child inherits the list, but may not use what is in it.
struct DirectoryIdentity {
  pid_t process;
  dev_t device;
  ino_t inode;
  friend bool operator<(const DirectoryIdentity& a, const DirectoryIdentity& b) {
    return std::tie(a.process, a.device, a.inode) < std::tie(b.process, b.device, b.inode);
  }
};

class LmdbBackend final : public CommitBackend {
 public:
  LmdbBackend(LmdbEnvironment& environment, std::uint64_t free_bytes_min)
      : environment_(environment), free_bytes_min_(free_bytes_min) {}

  Result<void> CheckSpace() override {
    ASSIGN_OR_RETURN(const std::uint64_t disk, environment_.DiskFreeBytes());
    if (disk >= free_bytes_min_) return {};
    ASSIGN_OR_RETURN(const LmdbStatistics statistics, environment_.Statistics());
    if (statistics.WritableBytes() >= free_bytes_min_) return {};
    return Fail(ErrorCode::kNotEnoughDisk,
                "only " + std::to_string(disk) + " bytes are free on the file system, " +
                    std::to_string(free_bytes_min_) +
                    " are kept in reserve; free some space, or delete mail");
  }

  Result<WriteTransaction*> Begin() override { return environment_.BeginWrite(); }
  Result<void> Commit() override { return environment_.CommitWrite(); }
  void Abort() override { environment_.AbortWrite(); }
  void Upkeep() override { environment_.Upkeep(); }

 private:
  LmdbEnvironment& environment_;
  const std::uint64_t free_bytes_min_;
};

class LmdbEngine final : public GroupedEngine {
 public:
  LmdbEngine(std::unique_ptr<LmdbEnvironment> environment, const LmdbOptions& options,
             DirectoryIdentity directory)
      : directory_(directory),
        tables_(options.tables),
        environment_(std::move(environment)),
        backend_(*environment_, options.free_bytes_min),
        group_(std::make_unique<CommitGroup>(backend_)) {}

  ~LmdbEngine() override;

  Result<void> View(const ReadFunction& read) override {
    RETURN_IF_ERROR(group_->CheckMayView());
    return environment_->View(
        [&](ReadTransaction& transaction) { return group_->RunView(read, transaction); });
  }

  CommitGroup& group() const override { return *group_; }

  Result<LmdbStatistics> Statistics() const {
    RETURN_IF_ERROR(group_->CheckMayView());
    ASSIGN_OR_RETURN(LmdbStatistics statistics, environment_->Statistics());
    const CommitCounts counts = group_->Counts();
    statistics.commits = counts.commits;
    statistics.closures = counts.closures;
    return statistics;
  }

  Result<void> Replace(const MakeReplacement& make) const {
    RETURN_IF_ERROR(group_->CheckMayView());
    return environment_->Replace(make);
  }

  Result<PageWalkReport> Walk(const PageWalkOptions& options) const {
    RETURN_IF_ERROR(group_->CheckMayView());
    return environment_->Walk(options);
  }

  const std::vector<std::string>& Tables() const { return tables_; }

 private:
  const DirectoryIdentity directory_;
  const std::vector<std::string> tables_;
  std::unique_ptr<LmdbEnvironment> environment_;
  LmdbBackend backend_;
  std::unique_ptr<CommitGroup> group_;
};

// The environments this process has open. An entry outlives its engine until LMDB
// has let go of the file: opening it a second time before would lose its locks.
struct OpenEngines {
  std::mutex mutex;
  std::map<DirectoryIdentity, std::weak_ptr<LmdbEngine>> engines;
};

OpenEngines& ListOfOpenEngines() {
  static auto* const list = [] {
    auto* const made = new OpenEngines();  // Never destroyed: engines may outlive main.
    static OpenEngines* const for_fork = made;
    // A child must not inherit the mutex locked by a thread it does not have.
    pthread_atfork([] { for_fork->mutex.lock(); }, [] { for_fork->mutex.unlock(); },
                   [] { for_fork->mutex.unlock(); });
    return made;
  }();
  return *list;
}

LmdbEngine::~LmdbEngine() {
  group_.reset();
  if (directory_.process != getpid()) {
    (void)environment_.release();
    return;
  }
  OpenEngines& list = ListOfOpenEngines();
  const std::lock_guard lock(list.mutex);
  environment_.reset();
  list.engines.erase(directory_);
}

Result<DirectoryIdentity> Identify(const std::filesystem::path& directory) {
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0) {
    return tl::unexpected<Error>(LmdbError(errno, "opening " + directory.string()));
  }
  return DirectoryIdentity{getpid(), status.st_dev, status.st_ino};
}

Result<void> SyncDirectory(const std::filesystem::path& directory) {
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return LmdbResult(errno, "opening " + directory.string());
  const int code = fsync(file) == 0 ? 0 : errno;
  close(file);
  return LmdbResult(code, "writing " + directory.string());
}

Result<void> CreateAndFill(const std::filesystem::path& directory, const LmdbOptions& options,
                           const UpdateFunction& fill) {
  ASSIGN_OR_RETURN(const auto environment,
                   LmdbEnvironment::Open(directory, options, LmdbEnvironment::Tables::kCreate));
  ASSIGN_OR_RETURN(LmdbWriteTransaction* const transaction, environment->BeginWrite());
  Result<void> filled;
  {
    const TransactionScope scope(environment.get(), ScopeKind::kClosure);
    filled = fill(*transaction);
    if (filled) filled = transaction->RunLastStep();
  }
  if (!filled) {
    environment->AbortWrite();
    return filled;
  }
  return environment->CommitWrite();
}

// Empty while the last user of the environment is closing it.
Result<std::shared_ptr<LmdbEngine>> ShareOrOpen(const std::filesystem::path& directory,
                                                const LmdbOptions& options,
                                                const DirectoryIdentity& identity) {
  OpenEngines& list = ListOfOpenEngines();
  const std::lock_guard lock(list.mutex);
  if (const auto found = list.engines.find(identity); found != list.engines.end()) {
    return found->second.lock();
  }
  // The entry before the engine: if it could not be allocated, the engine's end would lock the list
  // a second time.
  std::map<DirectoryIdentity, std::weak_ptr<LmdbEngine>> entry{{identity, {}}};
  ASSIGN_OR_RETURN(auto environment,
                   LmdbEnvironment::Open(directory, options, LmdbEnvironment::Tables::kMustExist));
  auto engine = std::make_shared<LmdbEngine>(std::move(environment), options, identity);
  entry.begin()->second = engine;
  list.engines.merge(entry);
  return engine;
}

}  // namespace

Result<void> CreateLmdbEnvironment(const std::filesystem::path& directory,
                                   const LmdbOptions& options, const UpdateFunction& fill) {
  const std::filesystem::path file = directory / "data.mdb";
  struct stat status {};
  if (lstat(file.c_str(), &status) == 0) {
    return Fail(ErrorCode::kCollision, file.string() + " exists already");
  }
  if (errno != ENOENT) return LmdbResult(errno, "creating " + file.string());
  if (Result<void> created = CreateAndFill(directory, options, fill); !created) {
    unlink(file.c_str());
    unlink((directory / "lock.mdb").c_str());
    unlink((directory / "clean").c_str());
    return created;
  }
  return SyncDirectory(directory);
}

Result<std::shared_ptr<Engine>> OpenLmdbEngine(const std::filesystem::path& directory,
                                               const LmdbOptions& options) {
  const std::filesystem::path file = directory / "data.mdb";
  for (;;) {
    RETURN_IF_ERROR(CheckLmdbFile(file));
    ASSIGN_OR_RETURN(const DirectoryIdentity identity, Identify(directory));
    ASSIGN_OR_RETURN(const std::shared_ptr<LmdbEngine> engine,
                     ShareOrOpen(directory, options, identity));
    if (!engine) {
      // Somebody is just closing it; that takes as long as the updates still queued there.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (engine->Tables() == options.tables) return engine;
    return Fail(ErrorCode::kInvalidParameter,
                directory.string() + " is open in this process with other tables");
  }
}

Result<void> ReplaceLmdbFile(Engine& engine, const MakeReplacement& make) {
  const auto* lmdb = dynamic_cast<const LmdbEngine*>(&engine);
  if (lmdb == nullptr) return Fail(ErrorCode::kNoSupport, "this engine is not LMDB");
  return lmdb->Replace(make);
}

Result<PageWalkReport> WalkLmdbEngine(const Engine& engine, const PageWalkOptions& options) {
  const auto* lmdb = dynamic_cast<const LmdbEngine*>(&engine);
  if (lmdb == nullptr) return Fail(ErrorCode::kNoSupport, "this engine is not LMDB");
  return lmdb->Walk(options);
}

Result<LmdbStatistics> GetLmdbStatistics(const Engine& engine) {
  const auto* lmdb = dynamic_cast<const LmdbEngine*>(&engine);
  if (lmdb == nullptr) return Fail(ErrorCode::kNoSupport, "this engine is not LMDB");
  return lmdb->Statistics();
}

}  // namespace bobbin::kv

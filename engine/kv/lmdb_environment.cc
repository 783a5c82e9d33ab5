#include "engine/kv/lmdb_environment.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "engine/check.h"
#include "engine/kv/clean_mark.h"
#include "engine/kv/lmdb_error.h"
#include "engine/kv/lmdb_file_check.h"
#include "engine/kv/lmdb_pages.h"

namespace bobbin::kv {
namespace {

constexpr std::uint64_t kMapBytesMin = std::uint64_t{64} << 30;
constexpr unsigned kReadersMax = 1024;
// An idle reader keeps one of the slots all processes share.
constexpr std::size_t kIdleReadersMax = 64;
constexpr unsigned kUnsafeFlags = MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP;
// The kernel's readahead brings up to 8 MiB for each page of a tree. Long values ask for their own
// (lmdb_transaction.cc).
constexpr unsigned kFlags = MDB_NOTLS | MDB_NORDAHEAD;
constexpr const char* kCompactingName = "compacting";
constexpr const char* kReplacementName = "compacting/data.mdb";
constexpr int kSnapshotAttemptsMax = 1'000;
constexpr mode_t kFileMode = 0660;  // The umask decides whether the group may write, too.

// Processes open a database one at a time. If the first opener fails or dies between
// initialising LMDB's lock file and entering the last transaction there, those who
// waited for it in LMDB go on with "no transaction yet": they see an empty database,
// and their first commit makes it one. With openings in turn nobody waits there, and
// the next one initialises the lock file anew.
class OpeningTurn {
 public:
  explicit OpeningTurn(const std::filesystem::path& directory)
      : file_(open((directory / "data.mdb").c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) {
      code_ = errno;
      return;
    }
    // Not fcntl: LMDB's locks are of that kind, and closing any descriptor drops them all.
    while (flock(file_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      code_ = errno;
      return;
    }
  }
  ~OpeningTurn() {
    if (file_ < 0) return;
    flock(file_, LOCK_UN);  // A child forked meanwhile still has the descriptor.
    close(file_);
  }
  OpeningTurn(const OpeningTurn&) = delete;
  OpeningTurn& operator=(const OpeningTurn&) = delete;

  int Code() const { return code_; }

 private:
  int file_;
  int code_ = 0;
};

// LMDB makes its lock file sparse and writes to it through a mapping: on a full disk the first
// touch of a page, a new file's or that of the 61st reader, would be a SIGBUS. Its pages are
// therefore asked for here. Nobody of this process may have the file open: closing it drops the
// locks of all.
int ReserveLockFile(const std::filesystem::path& directory) {
  constexpr off_t kNewFileBytes = (kReadersMax - 1) * 64 + 192;  // As LMDB sizes it.
  const int file = open((directory / "lock.mdb").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode);
  if (file < 0) return MDB_SUCCESS;  // LMDB will say why.
  struct stat status {};
  int code = fstat(file, &status) == 0 ? MDB_SUCCESS : errno;
  if (code == MDB_SUCCESS) {
    // One that is in use must not grow: others have mapped as much as there was.
    const off_t bytes = status.st_size == 0 ? kNewFileBytes : status.st_size;
    const bool full = fallocate(file, 0, 0, bytes) != 0 && (errno == ENOSPC || errno == EDQUOT);
    // With its first page it serves some readers: enough to look at the mail, and to delete some.
    if (full && status.st_blocks == 0) code = ENOSPC;
  }
  close(file);
  return code;
}

// Where LMDB's own checks meet damage behind a clean mark, it cannot go on; its line alone helps
// nobody.
void OnFailedAssertion(MDB_env* /*environment*/, const char* message) {
  std::fprintf(stderr,
               "data.mdb is damaged, LMDB says: %s. Nothing more was acknowledged. Look at the "
               "database with `bobbin check`; restore it, or salvage it into a new one\n",
               message);
  std::abort();
}

}  // namespace

Result<std::unique_ptr<LmdbEnvironment>> LmdbEnvironment::Open(
    const std::filesystem::path& directory, const LmdbOptions& options, Tables tables) {
  std::unique_ptr<LmdbEnvironment> opened(new LmdbEnvironment());
  opened->directory_ = directory;
  opened->table_names_ = options.tables;
  opened->map_bytes_ = options.map_bytes;
  opened->shared_ = options.shared;
  opened->directory_file_ = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened->directory_file_ < 0) {
    return tl::unexpected<Error>(LmdbError(errno, "opening " + directory.string()));
  }
  RETURN_IF_ERROR(opened->OpenNewest(tables, &options));
  opened->is_sound_ = true;
  return opened;
}

Result<void> LmdbEnvironment::OpenNewest(Tables tables, const LmdbOptions* to_walk) {
  Result<void> done = OpenAll(tables, to_walk);
  // What was looked at was no longer what was open.
  while (!done && file_inode_ != 0 && IsReplaced().value_or(false)) {
    done = OpenAll(tables, to_walk);
  }
  return done;
}

// Not the name: another database may have got it.
std::filesystem::path LmdbEnvironment::DirectoryItself() const {
  return "/proc/self/fd/" + std::to_string(directory_file_);
}

Result<void> LmdbEnvironment::OpenAll(Tables tables, const LmdbOptions* to_walk) {
  const std::filesystem::path directory = DirectoryItself();
  file_inode_ = 0;
  unreplaced_at_ = 1;
  std::optional<OpeningTurn> turn;
  if (tables == Tables::kMustExist) {
    turn.emplace(directory);
    RETURN_IF_ERROR(LmdbResult(turn->Code(), "locking " + (directory_ / "data.mdb").string()));
    // Somebody was killed who had perhaps replaced the file, and not seen to it that it stays so:
    // what is committed now must not be in a file that a power cut takes away again.
    struct stat status {};
    if (fstatat(directory_file_, kCompactingName, &status, 0) == 0 && fsync(directory_file_) != 0) {
      return LmdbResult(errno, "writing " + directory_.string());
    }
  }
  Result<void> opened = OpenInTurn(tables, to_walk);
  // Before the next one's turn: it would take what was refused for open, and sound.
  if (!opened && environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
  return opened;
}

Result<void> LmdbEnvironment::OpenInTurn(Tables tables, const LmdbOptions* to_walk) {
  const std::filesystem::path directory = DirectoryItself();
  const bool vouched_for = to_walk == nullptr || tables == Tables::kCreate ||
                           IsOpenElsewhere(directory) || IsMarkedClean(directory);
  std::uint64_t map_bytes = map_bytes_;
  int code = OpenEnvironment(map_bytes);
  while ((code == ENOMEM || code == EINVAL) && map_bytes / 2 >= kMapBytesMin) {
    map_bytes /= 2;
    code = OpenEnvironment(map_bytes);
  }
  RETURN_IF_ERROR(LmdbResult(code, "opening " + directory_.string()));
  unsigned flags = 0;
  BOBBIN_CHECK(mdb_env_get_flags(environment_, &flags) == MDB_SUCCESS);
  BOBBIN_CHECK((flags & kUnsafeFlags) == 0);
  mdb_filehandle_t file = -1;
  struct stat status {};
  BOBBIN_CHECK(mdb_env_get_fd(environment_, &file) == MDB_SUCCESS);
  if (fstat(file, &status) != 0) return LmdbResult(errno, "opening " + directory_.string());
  file_inode_ = status.st_ino;
  if (!vouched_for || (to_walk != nullptr && to_walk->walked)) {
    RETURN_IF_ERROR(CheckPages(*to_walk));
  }
  RETURN_IF_ERROR(CheckLockFile());
  ClearDeadReaders();
  return OpenTables(tables);
}

LmdbEnvironment::~LmdbEnvironment() {
  BOBBIN_CHECK(write_ == nullptr);
  for (MDB_txn* reader : idle_readers_) mdb_txn_abort(reader);
  if (environment_ != nullptr) {
    const bool marks = is_sound_ && !IsReplaced().value_or(true);
    mdb_env_close(environment_);
    if (marks) MarkClean(DirectoryItself());
  }
  if (directory_file_ >= 0) close(directory_file_);
}

int LmdbEnvironment::OpenEnvironment(std::uint64_t map_bytes) {
  // LMDB wants an environment that failed to open to be closed, not opened again.
  if (environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
  const std::filesystem::path directory = DirectoryItself();
  int code = mdb_env_create(&environment_);
  if (code != MDB_SUCCESS) return code;
  code = mdb_env_set_assert(environment_, OnFailedAssertion);
  if (code == MDB_SUCCESS) code = mdb_env_set_mapsize(environment_, map_bytes);
  if (code == MDB_SUCCESS) code = mdb_env_set_maxreaders(environment_, kReadersMax);
  if (code == MDB_SUCCESS) {
    code = mdb_env_set_maxdbs(environment_, static_cast<MDB_dbi>(table_names_.size()));
  }
  if (code == MDB_SUCCESS) code = ReserveLockFile(directory);
  if (code == MDB_SUCCESS) code = mdb_env_open(environment_, directory.c_str(), kFlags, kFileMode);
  return code;
}

// LMDB has read nothing but the meta pages so far.
Result<void> LmdbEnvironment::CheckPages(const LmdbOptions& options) {
  ASSIGN_OR_RETURN(const PageWalkReport report, WalkSnapshot(options.walk));
  if (options.walked) options.walked(report);
  if (report.IsClean()) return {};
  return Fail(ErrorCode::kCorruptStore, DamageOf(report));
}

std::string LmdbEnvironment::DamageOf(const PageWalkReport& report) const {
  const PageFinding& first = report.findings.front();
  return (directory_ / "data.mdb").string() + " is damaged in " +
         std::to_string(report.findings_total) + " places, first in page " +
         std::to_string(first.page) + (first.table.empty() ? "" : " of table ") + first.table +
         ": " + first.detail;
}

Result<PageWalkReport> LmdbEnvironment::WalkSnapshot(const PageWalkOptions& options) {
  ASSIGN_OR_RETURN(const LmdbPageFile file,
                   LmdbPageFile::Open(DirectoryItself() / "data.mdb", directory_ / "data.mdb"));
  for (int attempt = 0; attempt < kSnapshotAttemptsMax; ++attempt) {
    MDB_txn* reader = nullptr;
    RETURN_IF_ERROR(
        LmdbResult(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reader), "starting to walk"));
    const std::unique_ptr<MDB_txn, decltype(&mdb_txn_abort)> snapshot(reader, &mdb_txn_abort);
    ASSIGN_OR_RETURN(const LmdbMetaPages metas, CheckLmdbFile(file));
    for (const lmdb::Meta& meta : metas.metas) {
      if (meta.transaction == mdb_txn_id(reader)) return WalkLmdbPages(file, meta, options);
    }
    // Others have committed twice since the snapshot was taken, and its meta page is gone; or the
    // file just opened by its name is another.
    ASSIGN_OR_RETURN(const bool replaced, IsReplaced());
    if (replaced) return Fail(ErrorCode::kBusy, directory_.string() + " is being compacted");
  }
  return Fail(ErrorCode::kBusy, "others write to " + directory_.string() +
                                    " faster than its last transaction can be looked at");
}

bool LmdbEnvironment::FollowsTheLast(MDB_txn* transaction) const {
  MDB_envinfo info{};
  BOBBIN_CHECK(mdb_env_info(environment_, &info) == MDB_SUCCESS);
  return mdb_txn_id(transaction) == info.me_last_txnid + 1;
}

// The lock file says which transaction is the last; see OpeningTurn for how that may be
// wrong. Turns are taken by us alone, other programs that use LMDB do not know them.
Result<void> LmdbEnvironment::CheckLockFile() {
  // Without writing, another process may be between the two writes.
  MDB_txn* transaction = nullptr;
  RETURN_IF_ERROR(LmdbResult(mdb_txn_begin(environment_, nullptr, 0, &transaction),
                             "asking for the last transaction"));
  const bool agrees = FollowsTheLast(transaction);
  mdb_txn_abort(transaction);
  if (agrees) return {};
  return LockFileIsWrong();
}

tl::unexpected<Error> LmdbEnvironment::LockFileIsWrong() const {
  return Fail(ErrorCode::kBusy, (directory_ / "lock.mdb").string() +
                                    " does not know the last transaction; close every program "
                                    "that uses this database, then open it again");
}

Result<void> LmdbEnvironment::OpenTables(Tables tables) {
  const bool create = tables == Tables::kCreate;
  MDB_txn* transaction = nullptr;
  RETURN_IF_ERROR(LmdbResult(
      mdb_txn_begin(environment_, nullptr, create ? 0U : unsigned{MDB_RDONLY}, &transaction),
      "opening the tables"));
  tables_.clear();
  for (const std::string& name : table_names_) {
    MDB_dbi handle = 0;
    const int code = mdb_dbi_open(transaction, name == kMainTableName ? nullptr : name.c_str(),
                                  create ? unsigned{MDB_CREATE} : 0U, &handle);
    if (code == MDB_SUCCESS) {
      tables_.push_back({name, handle});
      continue;
    }
    mdb_txn_abort(transaction);
    if (code != MDB_NOTFOUND && code != MDB_INCOMPATIBLE) {
      return LmdbResult(code, "opening table " + name);
    }
    return Fail(ErrorCode::kNotADatabase,
                (directory_ / "data.mdb").string() + " is an LMDB file, but has no table " + name +
                    "; it belongs to something else, or to a version before "
                    "the first release");
  }
  return LmdbResult(mdb_txn_commit(transaction), "opening the tables");
}

Result<bool> LmdbEnvironment::IsReplaced() const {
  std::uint64_t replacements = 1;
  if (shared_ != nullptr) replacements = shared_->replacements.load(std::memory_order_acquire);
  if (replacements % 2 == 0 && replacements == unreplaced_at_.load(std::memory_order_acquire)) {
    return false;
  }
  struct stat status {};
  const int code = fstatat(directory_file_, "data.mdb", &status, 0) == 0 ? 0 : errno;
  // Deleted: what is open goes on. What cannot be known is no answer: a commit to a file that was
  // replaced is lost, and so is the one after it.
  if (code == ENOENT) return false;
  RETURN_IF_ERROR(LmdbResult(code, "looking at " + (directory_ / "data.mdb").string()));
  const bool replaced = status.st_ino != file_inode_;
  if (!replaced) unreplaced_at_.store(replacements, std::memory_order_release);
  return replaced;
}

// Taking the lock waits for the transactions that are open. Both files must never be open in one
// process: closing the one would drop its locks on lock.mdb for the other, too.
Result<void> LmdbEnvironment::AdoptReplacement() {
  const std::unique_lock map_lock(map_mutex_);
  RETURN_IF_ERROR(CheckMap());
  ASSIGN_OR_RETURN(const bool replaced, IsReplaced());
  if (!replaced) return {};  // Done by another.
  {
    const std::lock_guard lock(readers_mutex_);
    for (MDB_txn* reader : std::exchange(idle_readers_, {})) mdb_txn_abort(reader);
  }
  mdb_env_close(std::exchange(environment_, nullptr));
  has_flushed_ = false;
  Result<void> opened = LmdbResult(fsync(directory_file_) == 0 ? 0 : errno, "adopting a new file");
  // No walk: it was made while this process had the database open, as any commit of others is.
  if (opened) opened = OpenNewest(Tables::kMustExist, nullptr);
  if (!opened) {
    lost_ = Error{ErrorCode::kStoreFailed, opened.error().detail};
    is_sound_ = false;
  }
  return opened;
}

Result<void> LmdbEnvironment::Replace(const MakeReplacement& make) {
  std::shared_lock map_lock(map_mutex_);
  MDB_txn* transaction = nullptr;
  for (;;) {
    RETURN_IF_ERROR(CheckMap());
    RETURN_IF_ERROR(
        LmdbResult(mdb_txn_begin(environment_, nullptr, 0, &transaction), "keeping writers out"));
    const Result<bool> is_old = IsReplaced();
    if (is_old && !*is_old) break;
    mdb_txn_abort(transaction);
    if (!is_old) return tl::unexpected<Error>(is_old.error());
    map_lock.unlock();
    RETURN_IF_ERROR(AdoptReplacement());
    map_lock.lock();
  }
  LmdbReadTransaction rows(transaction, tables_);
  Result<void> replaced = make(rows, mdb_txn_id(transaction) - 1);
  if (shared_ != nullptr) shared_->replacements.fetch_or(1);
  if (replaced && renameat(directory_file_, kReplacementName, directory_file_, "data.mdb") != 0) {
    replaced = LmdbResult(errno, "replacing " + (directory_ / "data.mdb").string());
  }
  // Before anyone can commit to the new file.
  if (replaced && fsync(directory_file_) != 0) {
    replaced = Fail(ErrorCode::kStoreFailed,
                    "the new data.mdb may vanish: the directory cannot "
                    "be flushed");
  }
  if (shared_ != nullptr) shared_->replacements.fetch_add(1);
  mdb_txn_abort(transaction);
  map_lock.unlock();
  RETURN_IF_ERROR(replaced);
  return AdoptReplacement();
}

void LmdbEnvironment::Upkeep() {
  bool replaced = false;
  {
    const std::shared_lock map_lock(map_mutex_);
    if (!CheckMap()) return;
    ClearDeadReaders();
    replaced = IsReplaced().value_or(false);
  }
  if (replaced) (void)AdoptReplacement();  // Failing, the next transaction says so.
}

int LmdbEnvironment::BeginRead(MDB_txn** transaction) {
  {
    const std::lock_guard lock(readers_mutex_);
    *transaction = nullptr;
    if (!idle_readers_.empty()) {
      *transaction = idle_readers_.back();
      idle_readers_.pop_back();
    }
  }
  if (*transaction == nullptr) {
    return mdb_txn_begin(environment_, nullptr, MDB_RDONLY, transaction);
  }
  const int code = mdb_txn_renew(*transaction);
  if (code != MDB_SUCCESS) mdb_txn_abort(*transaction);
  return code;
}

void LmdbEnvironment::EndRead(MDB_txn* transaction) {
  mdb_txn_reset(transaction);
  const std::lock_guard lock(readers_mutex_);
  if (idle_readers_.size() < kIdleReadersMax) {
    idle_readers_.push_back(transaction);
  } else {
    mdb_txn_abort(transaction);
  }
}

Result<void> LmdbEnvironment::View(const std::function<Result<void>(ReadTransaction&)>& read) {
  for (;;) {
    Result<bool> replaced = false;
    {
      const std::shared_lock map_lock(map_mutex_);
      RETURN_IF_ERROR(CheckMap());
      MDB_txn* transaction = nullptr;
      const int code = BeginRead(&transaction);
      if (code != MDB_SUCCESS && code != MDB_MAP_RESIZED) {
        return LmdbResult(code, "starting to read");
      }
      if (code == MDB_SUCCESS) {
        // Asked with the snapshot in hand: of a file that was replaced before, it can bear the
        // number of a transaction that only the new one has.
        replaced = IsReplaced();
        Result<void> result;
        if (replaced && !*replaced) {
          LmdbReadTransaction view(transaction, tables_);
          result = read(view);
        }
        EndRead(transaction);
        if (replaced && !*replaced) {
          if (!result && result.error().code == ErrorCode::kCorruptStore) is_sound_ = false;
          return result;
        }
      }
    }
    ASSIGN_OR_RETURN(const bool adopts, std::move(replaced));
    RETURN_IF_ERROR(adopts ? AdoptReplacement() : GrowMap());
  }
}

Result<PageWalkReport> LmdbEnvironment::Walk(const PageWalkOptions& options) {
  bool replaced = false;
  {
    const std::shared_lock map_lock(map_mutex_);
    RETURN_IF_ERROR(CheckMap());
    ASSIGN_OR_RETURN(replaced, IsReplaced());
  }
  if (replaced) RETURN_IF_ERROR(AdoptReplacement());
  Result<PageWalkReport> report;
  {
    const std::shared_lock map_lock(map_mutex_);
    RETURN_IF_ERROR(CheckMap());
    report = WalkSnapshot(options);
  }
  if (!report || report->IsClean()) return report;
  // As at opening: nobody writes through damaged pages, nor says that they are sound.
  const std::unique_lock map_lock(map_mutex_);
  is_sound_ = false;
  if (!lost_) lost_ = Error{ErrorCode::kStoreFailed, DamageOf(*report)};
  return report;
}

Result<LmdbWriteTransaction*> LmdbEnvironment::BeginWrite() {
  BOBBIN_CHECK(write_ == nullptr);
  std::shared_lock map_lock(map_mutex_);
  for (;;) {
    RETURN_IF_ERROR(CheckMap());
    const int code = mdb_txn_begin(environment_, nullptr, 0, &write_);
    // Asked with the lock in hand: until it is given back, nobody can replace the file.
    Result<bool> replaced = code == MDB_SUCCESS ? IsReplaced() : false;
    const bool follows = code != MDB_SUCCESS || FollowsTheLast(write_);
    if (code == MDB_SUCCESS && follows && replaced && !*replaced) break;
    if (code == MDB_SUCCESS) mdb_txn_abort(write_);
    write_ = nullptr;
    if (!replaced) return tl::unexpected<Error>(std::move(replaced).error());
    if (!follows && !*replaced) return LockFileIsWrong();
    if (code != MDB_SUCCESS && code != MDB_MAP_RESIZED) {
      return tl::unexpected<Error>(LmdbError(code, "starting to write"));
    }
    map_lock.unlock();
    RETURN_IF_ERROR(*replaced ? AdoptReplacement() : GrowMap());
    map_lock.lock();
  }
  map_lock.release();  // Until CommitWrite or AbortWrite.
  write_transaction_ = std::make_unique<LmdbWriteTransaction>(write_, tables_);
  return write_transaction_.get();
}

// Before the first pages are written, what they rest on must be what the disk has. After a commit
// whose root page could not be flushed, the disk may have that commit, while LMDB has put the
// former root page back, for all to see but unflushed: the next transaction would write over pages
// of the one on disk.
int LmdbEnvironment::FlushWhatWasFound() {
  // LMDB's write lock orders this with the store before a commit.
  const bool has_failed =
      shared_ != nullptr &&
      shared_->commit_begun.load(std::memory_order_relaxed) == mdb_txn_id(write_);
  if (has_flushed_ && !has_failed) return MDB_SUCCESS;
  int code = WriteRootsAgain();
  if (code == MDB_SUCCESS) code = mdb_env_sync(environment_, 1);
  has_flushed_ = code == MDB_SUCCESS;
  return code;
}

// The flush of a page may have failed before: then no later one covers it until it is written.
int LmdbEnvironment::WriteRootsAgain() {
  mdb_filehandle_t file = -1;
  MDB_stat stat{};
  BOBBIN_CHECK(mdb_env_get_fd(environment_, &file) == MDB_SUCCESS);
  BOBBIN_CHECK(mdb_env_stat(environment_, &stat) == MDB_SUCCESS);
  std::string roots(lmdb::kMetaPages * stat.ms_psize, '\0');
  for (const bool writes : {false, true}) {
    ssize_t count = -1;
    do {
      count = writes ? pwrite(file, roots.data(), roots.size(), 0)
                     : pread(file, roots.data(), roots.size(), 0);
    } while (count < 0 && errno == EINTR);
    if (count != static_cast<ssize_t>(roots.size())) return count < 0 ? errno : EIO;
  }
  return MDB_SUCCESS;
}

Result<void> LmdbEnvironment::CommitWrite() {
  write_transaction_.reset();
  int code = FlushWhatWasFound();
  if (code == MDB_SUCCESS) {
    if (shared_ != nullptr) {
      shared_->commit_begun.store(mdb_txn_id(write_), std::memory_order_relaxed);
    }
    code = mdb_txn_commit(std::exchange(write_, nullptr));
  } else {
    mdb_txn_abort(std::exchange(write_, nullptr));
  }
  if (code != MDB_SUCCESS) is_sound_ = false;
  map_mutex_.unlock_shared();
  // A write that the disk had room for only in part is EIO to LMDB; operators need the reason. Some
  // file systems keep the last blocks for themselves.
  if (code == EIO && DiskFreeBytes().value_or(kTransactionBytesMax) < kTransactionBytesMax) {
    code = ENOSPC;
  }
  return LmdbResult(code, "committing");
}

void LmdbEnvironment::AbortWrite() {
  write_transaction_.reset();
  mdb_txn_abort(std::exchange(write_, nullptr));
  map_mutex_.unlock_shared();
}

// Another process, with a larger map, made the file outgrow ours. LMDB moves the map,
// which no transaction survives; taking the lock waits for those that are open.
Result<void> LmdbEnvironment::GrowMap() {
  const std::unique_lock map_lock(map_mutex_);
  RETURN_IF_ERROR(CheckMap());
  MDB_envinfo info{};
  RETURN_IF_ERROR(LmdbResult(mdb_env_info(environment_, &info), "adopting a larger map"));
  MDB_stat stat{};
  RETURN_IF_ERROR(LmdbResult(mdb_env_stat(environment_, &stat), "adopting a larger map"));
  if ((info.me_last_pgno + 1) * stat.ms_psize <= info.me_mapsize) return {};  // Done by another.
  std::uint64_t map_bytes = info.me_mapsize;
  while (map_bytes < (info.me_last_pgno + 1) * stat.ms_psize * 2) map_bytes *= 2;
  const int code = mdb_env_set_mapsize(environment_, map_bytes);
  if (code != MDB_SUCCESS) {
    lost_ =
        Error{ErrorCode::kStoreFailed,
              "the database outgrew the address space of this process; open it again with more"};
  }
  return LmdbResult(code, "adopting a larger map");
}

Result<void> LmdbEnvironment::CheckMap() const {
  if (lost_) return tl::unexpected<Error>(*lost_);
  return {};
}

void LmdbEnvironment::ClearDeadReaders() {
  int cleared = 0;
  // Failing costs space until the next try, never correctness.
  (void)mdb_reader_check(environment_, &cleared);
}

}  // namespace bobbin::kv

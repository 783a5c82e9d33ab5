// How much there is and how much is free: LmdbEnvironment's answers to operators.
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>

#include "engine/kv/lmdb_environment.h"
#include "engine/kv/lmdb_error.h"

namespace bobbin::kv {

Result<std::uint64_t> LmdbEnvironment::DiskFreeBytes() {
  const std::shared_lock map_lock(map_mutex_);
  RETURN_IF_ERROR(CheckMap());
  return DiskFreeBytesLocked();
}

Result<std::uint64_t> LmdbEnvironment::DiskFreeBytesLocked() const {
  mdb_filehandle_t file = -1;
  RETURN_IF_ERROR(LmdbResult(mdb_env_get_fd(environment_, &file), "asking for free disk space"));
  struct statvfs space {};
  if (fstatvfs(file, &space) != 0) {
    return tl::unexpected<Error>(LmdbError(errno, "asking for free disk space"));
  }
  return std::uint64_t{space.f_bavail} * space.f_frsize;
}

Result<std::uint64_t> LmdbEnvironment::FreePagesLocked() {
  constexpr MDB_dbi kFreePages = 0;  // LMDB's table of them: a transaction, how many, which.
  MDB_txn* transaction = nullptr;
  // Of its own, for a moment: one of the idle ones would be a reader to whoever counts these.
  RETURN_IF_ERROR(LmdbResult(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction),
                             "counting free pages"));
  std::uint64_t pages = 0;
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(transaction, kFreePages, &cursor);
  if (code == MDB_SUCCESS) {
    MDB_val key;
    MDB_val list;
    while ((code = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) == MDB_SUCCESS) {
      pages +=
          lmdb::LoadAt<std::uint64_t>({static_cast<const char*>(list.mv_data), list.mv_size}, 0);
    }
    mdb_cursor_close(cursor);
  }
  mdb_txn_abort(transaction);
  if (code != MDB_NOTFOUND) return tl::unexpected<Error>(LmdbError(code, "counting free pages"));
  return pages;
}

Result<LmdbStatistics> LmdbEnvironment::Statistics() {
  const std::shared_lock map_lock(map_mutex_);
  RETURN_IF_ERROR(CheckMap());
  LmdbStatistics statistics;
  mdb_filehandle_t file = -1;
  RETURN_IF_ERROR(LmdbResult(mdb_env_get_fd(environment_, &file), "asking for figures"));
  struct stat status {};
  if (fstat(file, &status) != 0) {
    return tl::unexpected<Error>(LmdbError(errno, "asking for the file's size"));
  }
  MDB_envinfo info{};
  RETURN_IF_ERROR(LmdbResult(mdb_env_info(environment_, &info), "asking for figures"));
  MDB_stat stat{};
  RETURN_IF_ERROR(LmdbResult(mdb_env_stat(environment_, &stat), "asking for figures"));
  statistics.file_bytes = static_cast<std::uint64_t>(status.st_size);
  statistics.used_bytes = (info.me_last_pgno + 1) * stat.ms_psize;
  ASSIGN_OR_RETURN(const std::uint64_t free_pages, FreePagesLocked());
  statistics.free_bytes = free_pages * stat.ms_psize;
  ASSIGN_OR_RETURN(statistics.disk_free_bytes, DiskFreeBytesLocked());
  // One line is the heading, or says that there are none; me_numreaders never falls.
  std::uint32_t lines = 0;
  const auto count = [](const char*, void* counter) {
    ++*static_cast<std::uint32_t*>(counter);
    return 0;
  };
  if (mdb_reader_list(environment_, count, &lines) < 0) {
    return Fail(ErrorCode::kDiskError, "the reader table cannot be listed");
  }
  statistics.readers = lines > 0 ? lines - 1 : 0;
  return statistics;
}

}  // namespace bobbin::kv

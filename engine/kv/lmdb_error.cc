#include "engine/kv/lmdb_error.h"

#include <lmdb.h>

#include <cerrno>
#include <string>

namespace bobbin::kv {
namespace {

ErrorCode CodeOf(int code) {
  switch (code) {
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::kNotEnoughDisk;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
      return ErrorCode::kCorruptData;
    case MDB_INVALID:
      return ErrorCode::kNotADatabase;
    case MDB_VERSION_MISMATCH:
      return ErrorCode::kVersion;
    case MDB_READERS_FULL:
      return ErrorCode::kNotEnoughResources;
    case MDB_PANIC:
      return ErrorCode::kStoreFailed;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kNoAccess;
    case ENOMEM:
      return ErrorCode::kNotEnoughMemory;
    default:
      return ErrorCode::kDiskError;
  }
}

std::string_view Advice(int code) {
  switch (code) {
    case MDB_MAP_FULL:
      return "; raise the map size of the database";
    case ENOSPC:
    case EDQUOT:
      return "; free some space on its file system";
    case EFBIG:
      return "; raise the file size limit of this process";
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
      return "; check the database, and salvage it into a new one if it is damaged";
    case MDB_READERS_FULL:
      return "; too many transactions read at once in all processes together";
    case MDB_PANIC:
      return "; close the database and open it again";
    default:
      return "";
  }
}

}  // namespace

Error LmdbError(int code, std::string_view what) {
  std::string detail(what);
  detail.append(": ").append(mdb_strerror(code)).append(Advice(code));
  return {CodeOf(code), std::move(detail)};
}

Result<void> LmdbResult(int code, std::string_view what) {
  if (code == MDB_SUCCESS) return {};
  return tl::unexpected<Error>(LmdbError(code, what));
}

}  // namespace bobbin::kv

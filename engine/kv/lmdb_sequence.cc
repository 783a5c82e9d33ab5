#include "engine/kv/lmdb_sequence.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "engine/kv/lmdb_error.h"
#include "engine/kv/lmdb_file_check.h"

namespace bobbin::kv {
namespace {

using lmdb::Meta;

class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path)
      : path_(path.string()), file_(open(path.c_str(), O_WRONLY | O_CLOEXEC)) {}
  ~OutputFile() {
    if (file_ >= 0) close(file_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  Result<void> Write(std::uint64_t offset, const Meta& meta) const {
    const ssize_t count = pwrite(file_, &meta, sizeof(meta), static_cast<off_t>(offset));
    if (count == static_cast<ssize_t>(sizeof(meta))) return {};
    return LmdbResult(count < 0 ? errno : EIO, "writing " + path_);
  }
  Result<void> Flush() const {
    return LmdbResult(fsync(file_) == 0 ? 0 : errno, "writing " + path_);
  }

 private:
  const std::string path_;
  const int file_;
};

Result<LmdbMetaPages> MetaPagesOf(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const LmdbPageFile file, LmdbPageFile::Open(path));
  return CheckLmdbFile(file);
}

// The page of the transaction before is given the same trees: were it left as it is, LMDB could
// find a page of a later transaction there, or one of the wrong parity.
Result<void> Write(const OutputFile& file, const LmdbMetaPages& pages, std::uint64_t sequence) {
  Meta meta = pages.Newest();
  for (const std::uint64_t number : {sequence - 1, sequence}) {
    meta.transaction = number;
    RETURN_IF_ERROR(file.Write(number % 2 * pages.page_bytes + sizeof(lmdb::PageHeader), meta));
  }
  return file.Flush();
}

}  // namespace

Result<void> SetLmdbSequence(const std::filesystem::path& directory, std::uint64_t sequence) {
  const std::filesystem::path file = directory / "data.mdb";
  ASSIGN_OR_RETURN(const LmdbMetaPages pages, MetaPagesOf(file));
  const std::uint64_t last = pages.Newest().transaction;
  if (sequence < last) {
    return Fail(ErrorCode::kInvalidParameter, file.string() + " is at transaction " +
                                                  std::to_string(last) + " already, beyond " +
                                                  std::to_string(sequence));
  }
  if (sequence != last) RETURN_IF_ERROR(Write(OutputFile(file), pages, sequence));
  // It repeats the old number; the next to open the environment makes another.
  std::error_code error;
  std::filesystem::remove(directory / "lock.mdb", error);
  return {};
}

Result<std::uint64_t> GetLmdbSequence(const std::filesystem::path& directory) {
  ASSIGN_OR_RETURN(const LmdbMetaPages pages, MetaPagesOf(directory / "data.mdb"));
  return pages.Newest().transaction;
}

}  // namespace bobbin::kv

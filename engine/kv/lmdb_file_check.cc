#include "engine/kv/lmdb_file_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "engine/kv/lmdb_error.h"

namespace bobbin::kv {
namespace {

constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::uint64_t kPageBytesMin = 4096;

// LMDB's own layout (MDB_page, MDB_db and MDB_meta of mdb.c, format version 1).
struct PageHeader {
  std::uint64_t number;
  std::uint16_t padding;
  std::uint16_t flags;
  std::uint16_t lower;
  std::uint16_t upper;
};
struct Tree {
  std::uint32_t page_bytes;  // In the first tree of a meta page only.
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  std::uint64_t root;
};
struct Meta {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_bytes;
  Tree free_pages;
  Tree main;
  std::uint64_t last_page;
  std::uint64_t transaction;
};
static_assert(sizeof(PageHeader) == 16 && sizeof(Tree) == 48 && sizeof(Meta) == 136);

class LmdbFile {
 public:
  explicit LmdbFile(const std::filesystem::path& path)
      : path_(path), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (file_ < 0) open_code_ = errno;
  }
  ~LmdbFile() {
    if (file_ >= 0) close(file_);
  }
  LmdbFile(const LmdbFile&) = delete;
  LmdbFile& operator=(const LmdbFile&) = delete;

  Result<void> Check();

 private:
  Result<void> CheckSystem();
  Result<Meta> ReadMeta(std::uint64_t offset) const;
  // The reason is a sentence without its subject, which is the file.
  tl::unexpected<Error> NotADatabase(const std::string& reason) const {
    return Fail(ErrorCode::kNotADatabase, path_.string() + " " + reason);
  }

  const std::filesystem::path path_;
  const int file_;
  int open_code_ = 0;
  std::uint64_t file_bytes_ = 0;
};

Result<void> LmdbFile::CheckSystem() {
  if (open_code_ == ENOENT || open_code_ == ENOTDIR) return NotADatabase("does not exist");
  if (open_code_ != 0) return LmdbResult(open_code_, "opening " + path_.string());
  struct stat status {};
  if (fstat(file_, &status) != 0) return LmdbResult(errno, "opening " + path_.string());
  if (!S_ISREG(status.st_mode)) return NotADatabase("is not a regular file");
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);
  if (file_bytes_ < 2 * kPageBytesMin) {
    return NotADatabase("is too short for a database (" + std::to_string(file_bytes_) + " bytes)");
  }
  return {};
}

Result<Meta> LmdbFile::ReadMeta(std::uint64_t offset) const {
  std::array<char, sizeof(PageHeader) + sizeof(Meta)> bytes{};
  const ssize_t count = pread(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (count < 0) return tl::unexpected<Error>(LmdbError(errno, "reading " + path_.string()));
  Meta meta{};
  std::memcpy(&meta, bytes.data() + sizeof(PageHeader), sizeof(Meta));
  if (static_cast<std::size_t>(count) != bytes.size() || meta.magic != kMagic) {
    return NotADatabase(offset == 0 ? "is not an LMDB file"
                                    : "has lost its second root page; salvage it");
  }
  if (meta.version != kFormatVersion) {
    return Fail(ErrorCode::kVersion, path_.string() + " has version " +
                                         std::to_string(meta.version) + " of LMDB's format, not " +
                                         std::to_string(kFormatVersion));
  }
  return meta;
}

Result<void> LmdbFile::Check() {
  RETURN_IF_ERROR(CheckSystem());
  ASSIGN_OR_RETURN(const Meta first, ReadMeta(0));
  const std::uint64_t page_bytes = first.free_pages.page_bytes;
  if (page_bytes < kPageBytesMin || page_bytes > 65'536 || !std::has_single_bit(page_bytes)) {
    return NotADatabase("has a damaged first root page; salvage it");
  }
  ASSIGN_OR_RETURN(const Meta second, ReadMeta(page_bytes));
  (void)second;
  return {};
}

}  // namespace

Result<void> CheckLmdbFile(const std::filesystem::path& file) { return LmdbFile(file).Check(); }

}  // namespace bobbin::kv

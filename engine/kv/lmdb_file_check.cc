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
struct NodeHeader {
  std::uint16_t low;
  std::uint16_t high;
  std::uint16_t flags;
  std::uint16_t key_bytes;
};
static_assert(sizeof(PageHeader) == 16 && sizeof(Tree) == 48 && sizeof(Meta) == 136);

constexpr std::uint16_t kBranchPage = 0x01;
constexpr std::uint16_t kOverflowNode = 0x01;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr int kDepthMax = 32;
// A transaction of ours leaves far less unwritten (8 MiB of content, then its pages).
constexpr std::uint64_t kMissingPagesMax = 1'000'000;
constexpr int kAttemptsMax = 10;

// What lies at `offset`; all zero if `page` ends before it does.
template <class T>
T ReadAt(const std::string& page, std::size_t offset) {
  T value{};
  if (offset + sizeof(T) <= page.size()) std::memcpy(&value, page.data() + offset, sizeof(T));
  return value;
}

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
  Result<Meta> ReadNewestMeta();
  Result<void> CheckLength(const Meta& meta);
  Result<void> ReadFreePages(std::uint64_t page, int depth);
  Result<std::string> ReadPages(std::uint64_t page, std::uint64_t bytes) const;
  // The reason is a sentence without its subject, which is the file.
  tl::unexpected<Error> NotADatabase(const std::string& reason) const {
    return Fail(ErrorCode::kNotADatabase, path_.string() + " " + reason);
  }

  const std::filesystem::path path_;
  const int file_;
  int open_code_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t page_bytes_ = 0;
  std::vector<bool> free_tail_;  // For the pages from the end of the file to the last page.
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

Result<Meta> LmdbFile::ReadNewestMeta() {
  ASSIGN_OR_RETURN(const Meta first, ReadMeta(0));
  page_bytes_ = first.free_pages.page_bytes;
  if (page_bytes_ < kPageBytesMin || page_bytes_ > 65'536 || !std::has_single_bit(page_bytes_)) {
    return NotADatabase("has a damaged first root page; salvage it");
  }
  ASSIGN_OR_RETURN(const Meta second, ReadMeta(page_bytes_));
  return first.transaction > second.transaction ? first : second;
}

Result<std::string> LmdbFile::ReadPages(std::uint64_t page, std::uint64_t bytes) const {
  const std::uint64_t pages_left = file_bytes_ / page_bytes_;
  if (page >= pages_left || bytes > (pages_left - page) * page_bytes_) {
    return NotADatabase("is truncated: its list of free pages is cut off; salvage it");
  }
  std::string content(bytes, '\0');
  const ssize_t count =
      pread(file_, content.data(), content.size(), static_cast<off_t>(page * page_bytes_));
  if (count < 0) return tl::unexpected<Error>(LmdbError(errno, "reading " + path_.string()));
  return content;
}

// Marks in `free_tail_` what the tree of free pages below `page` lists.
Result<void> LmdbFile::ReadFreePages(std::uint64_t page, int depth) {
  if (depth > kDepthMax) return NotADatabase("has a damaged list of free pages; salvage it");
  ASSIGN_OR_RETURN(const std::string content, ReadPages(page, page_bytes_));
  const auto header = ReadAt<PageHeader>(content, 0);
  for (std::size_t slot = sizeof(PageHeader); slot + 2 <= header.lower; slot += 2) {
    const std::size_t offset = ReadAt<std::uint16_t>(content, slot);
    const auto node = ReadAt<NodeHeader>(content, offset);
    const std::uint64_t low = node.low | std::uint64_t{node.high} << 16;
    if ((header.flags & kBranchPage) != 0) {
      RETURN_IF_ERROR(ReadFreePages(low | std::uint64_t{node.flags} << 32, depth + 1));
      continue;
    }
    // Page numbers, with their count before them; apart if they do not fit the leaf.
    const std::size_t data = offset + sizeof(NodeHeader) + node.key_bytes;
    std::string apart;
    if ((node.flags & kOverflowNode) != 0) {
      ASSIGN_OR_RETURN(apart,
                       ReadPages(ReadAt<std::uint64_t>(content, data), sizeof(PageHeader) + low));
    }
    const std::string& list = apart.empty() ? content : apart;
    const std::size_t begin = apart.empty() ? data : sizeof(PageHeader);
    const std::uint64_t first_missing = file_bytes_ / page_bytes_;
    for (std::size_t at = begin + 8; at + 8 <= begin + low; at += 8) {
      const std::uint64_t free_page = ReadAt<std::uint64_t>(list, at);
      if (free_page >= first_missing && free_page - first_missing < free_tail_.size()) {
        free_tail_[free_page - first_missing] = true;
      }
    }
  }
  return {};
}

// LMDB does not write pages that were taken and given back in one transaction, so a
// sound file may end before its last page. Then every page it lacks is a free one.
Result<void> LmdbFile::CheckLength(const Meta& meta) {
  const std::uint64_t pages = file_bytes_ / page_bytes_;
  if (meta.last_page < pages) return {};
  if (meta.last_page - pages < kMissingPagesMax) {
    free_tail_.assign(meta.last_page + 1 - pages, false);
    if (meta.free_pages.root != kNoPage) {
      RETURN_IF_ERROR(ReadFreePages(meta.free_pages.root, 0));
    }
    if (std::find(free_tail_.begin(), free_tail_.end(), false) == free_tail_.end()) return {};
  }
  return NotADatabase("is truncated: it has " + std::to_string(file_bytes_) + " bytes, and " +
                      std::to_string((meta.last_page + 1) * page_bytes_) +
                      " belong to it; restore the missing part or salvage it");
}

Result<void> LmdbFile::Check() {
  // Another process may commit while we look; what we read then belongs to two states.
  for (int attempt = 1;; ++attempt) {
    RETURN_IF_ERROR(CheckSystem());
    ASSIGN_OR_RETURN(const Meta meta, ReadNewestMeta());
    RETURN_IF_ERROR(CheckSystem());  // The length, not before what must fit in it.
    Result<void> checked = CheckLength(meta);
    if (checked || attempt == kAttemptsMax) return checked;
    ASSIGN_OR_RETURN(const Meta again, ReadNewestMeta());
    if (again.transaction == meta.transaction) return checked;
  }
}

}  // namespace

Result<void> CheckLmdbFile(const std::filesystem::path& file) { return LmdbFile(file).Check(); }

}  // namespace bobbin::kv

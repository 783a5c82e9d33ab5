#include "engine/kv/lmdb_page_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/kv/lmdb_error.h"

namespace bobbin::kv {
namespace {

using lmdb::Meta;
using lmdb::Tree;

constexpr int kAttemptsMax = 10;
constexpr std::size_t kPageBytesUsual = 4096;
constexpr std::size_t kPieceBytes = lmdb::kPageBytesMin;  // Of what the disk cannot read.

bool IsPageSize(std::uint32_t bytes) {
  return bytes >= lmdb::kPageBytesMin && bytes <= lmdb::kPageBytesMax && std::has_single_bit(bytes);
}

// Empty when the figures of a tree can be true in a file of `last_page` and `file_pages`.
std::string WhatIsWrongWith(const Tree& tree, std::uint64_t last_page, std::uint64_t file_pages) {
  const std::uint64_t counts[] = {tree.branch_pages, tree.leaf_pages, tree.overflow_pages};
  std::uint64_t pages = 0;
  for (const std::uint64_t count : counts) {
    if (count > last_page) return "counts more pages than there are";
    pages += count;
  }
  if (tree.root == lmdb::kNoPage) {
    if (tree.depth == 0 && pages == 0 && tree.entries == 0) return {};
    return "has pages but no root";
  }
  if (tree.root < lmdb::kMetaPages || tree.root > last_page || tree.root >= file_pages) {
    return "has its root outside of the file";
  }
  if (tree.depth == 0 || tree.depth > lmdb::kDepthMax) return "has an impossible depth";
  if (tree.leaf_pages == 0 || tree.entries == 0) return "has a root but no entries";
  if ((tree.branch_pages == 0) != (tree.depth == 1)) return "has an impossible depth";
  if (pages > last_page + 1 - lmdb::kMetaPages) return "counts more pages than there are";
  return {};
}

std::string WhatIsWrongWith(std::string_view page, int index) {
  const auto header = lmdb::LoadAt<lmdb::PageHeader>(page, 0);
  const auto meta = lmdb::LoadAt<Meta>(page, sizeof(header));
  if (meta.magic != lmdb::kMagic) return "has not LMDB's magic number";
  if (meta.version != lmdb::kFormatVersion) {
    return "has version " + std::to_string(meta.version) + " of LMDB's format, not " +
           std::to_string(lmdb::kFormatVersion);
  }
  if (header.number != static_cast<std::uint64_t>(index) || header.flags != lmdb::kMetaPage) {
    return "has the header of another page";
  }
  const std::uint32_t page_bytes = meta.free_pages.page_bytes;
  if (!IsPageSize(page_bytes)) return "has an impossible page size";
  if (meta.address != 0 || meta.free_pages.flags != lmdb::kIntegerKeys || meta.main.flags != 0 ||
      meta.main.page_bytes != 0) {
    return "has flags that Bobbin does not use";
  }
  if (meta.transaction != 0 && meta.transaction % 2 != static_cast<std::uint64_t>(index)) {
    return "has a transaction of the other meta page";
  }
  if (meta.last_page < lmdb::kMetaPages - 1 || meta.last_page >= meta.map_bytes / page_bytes) {
    return "has a last page that cannot be";
  }
  return {};
}

std::string WhatIsWrongWithTreesOf(const Meta& meta, std::uint64_t file_bytes) {
  const std::uint64_t file_pages = file_bytes / meta.free_pages.page_bytes;
  if (std::string wrong = WhatIsWrongWith(meta.main, meta.last_page, file_pages); !wrong.empty()) {
    return "has a list of tables that " + wrong;
  }
  if (std::string wrong = WhatIsWrongWith(meta.free_pages, meta.last_page, file_pages);
      !wrong.empty()) {
    return "has a list of free pages that " + wrong;
  }
  return {};
}

std::string Disagreement(const Meta& even, const Meta& odd) {
  if (even.free_pages.page_bytes != odd.free_pages.page_bytes) return "have two page sizes";
  const bool fresh = even.transaction == 0 && odd.transaction == 0;
  const bool odd_is_newer = odd.transaction > even.transaction;
  const Meta& newer = odd_is_newer ? odd : even;
  const Meta& older = odd_is_newer ? even : odd;
  if (!fresh && newer.transaction - older.transaction != 1) {
    return "are of transactions " + std::to_string(older.transaction) + " and " +
           std::to_string(newer.transaction) + ", which do not follow each other";
  }
  if (newer.last_page < older.last_page) return "tell of a file that shrank";
  return {};
}

// Both meta pages, whatever their size. Every open reads them, so not 128 KiB where the first page
// says that less will do.
Result<std::string> ReadStart(const LmdbPageFile& file, std::vector<std::uint64_t>& unreadable) {
  std::string start(2 * std::size_t{kPageBytesUsual}, '\0');
  ASSIGN_OR_RETURN(std::size_t count, file.Read(0, start, unreadable));
  const bool enough =
      WhatIsWrongWith(start, 0).empty() &&
      lmdb::LoadAt<Meta>(start, sizeof(lmdb::PageHeader)).free_pages.page_bytes <= kPageBytesUsual;
  if (!enough) {
    start.resize(2 * std::size_t{lmdb::kPageBytesMax});
    ASSIGN_OR_RETURN(count, file.Read(0, start, unreadable));
  }
  start.resize(count);
  return start;
}

Result<LmdbMetaPages> ReadOnce(const LmdbPageFile& file) {
  std::vector<std::uint64_t> unreadable;
  ASSIGN_OR_RETURN(const std::string start, ReadStart(file, unreadable));
  ASSIGN_OR_RETURN(const std::uint64_t file_bytes, file.FileBytes());
  const std::string_view bytes = start;
  const auto page_at = [&](std::size_t offset) {
    return bytes.substr(std::min(offset, bytes.size()));
  };
  LmdbMetaPages pages;
  const auto what_is_wrong_at = [&](std::size_t offset, int index) -> std::string {
    if (std::find(unreadable.begin(), unreadable.end(), offset) == unreadable.end()) {
      return WhatIsWrongWith(page_at(offset), index);
    }
    pages.disk_fails = true;
    return "cannot be read from the disk";
  };
  pages.wrong[0] = what_is_wrong_at(0, 0);
  pages.metas[0] = lmdb::LoadAt<Meta>(bytes, sizeof(lmdb::PageHeader));
  if (pages.wrong[0].empty()) {
    pages.page_bytes = pages.metas[0].free_pages.page_bytes;
  } else {
    // The second page tells by its place how long the first is.
    for (std::uint32_t size = lmdb::kPageBytesMin; size <= lmdb::kPageBytesMax; size *= 2) {
      const auto meta = lmdb::LoadAt<Meta>(bytes, size + sizeof(lmdb::PageHeader));
      if (meta.magic == lmdb::kMagic && meta.free_pages.page_bytes == size) pages.page_bytes = size;
    }
  }
  pages.wrong[1] = what_is_wrong_at(pages.page_bytes, 1);
  pages.metas[1] = lmdb::LoadAt<Meta>(bytes, pages.page_bytes + sizeof(lmdb::PageHeader));
  pages.none_is_lmdb = pages.metas[0].magic != lmdb::kMagic && pages.metas[1].magic != lmdb::kMagic;
  // When writing a meta page fails, LMDB puts back the former transaction and last page, and leaves
  // the new roots (mdb_env_write_meta). Nobody reads them: the other page is newer, and the next
  // commit writes this one again.
  std::array<std::string, 2> trees;
  for (const std::size_t i : {0U, 1U}) {
    if (pages.wrong[i].empty()) trees[i] = WhatIsWrongWithTreesOf(pages.metas[i], file_bytes);
  }
  for (const std::size_t i : {0U, 1U}) {
    const std::size_t other = 1 - i;
    const bool replaced = pages.wrong[other].empty() && trees[other].empty() &&
                          pages.metas[other].transaction == pages.metas[i].transaction + 1;
    if (!trees[i].empty() && !replaced) pages.wrong[i] = trees[i];
  }
  if (pages.wrong[0].empty() && pages.wrong[1].empty()) {
    pages.disagreement = Disagreement(pages.metas[0], pages.metas[1]);
  }
  return pages;
}

}  // namespace

Result<LmdbPageFile> LmdbPageFile::Open(const std::filesystem::path& path,
                                        const std::filesystem::path& shown) {
  const auto not_a_database = [&](const std::string& reason) {
    return Fail(ErrorCode::kNotADatabase, shown.string() + " " + reason);
  };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return not_a_database("does not exist");
    return tl::unexpected<Error>(LmdbError(errno, "opening " + shown.string()));
  }
  LmdbPageFile opened(shown, file);
  struct stat status {};
  if (fstat(file, &status) != 0) {
    return tl::unexpected<Error>(LmdbError(errno, "opening " + shown.string()));
  }
  if (!S_ISREG(status.st_mode)) return not_a_database("is not a regular file");
  if (static_cast<std::uint64_t>(status.st_size) < 2 * std::uint64_t{lmdb::kPageBytesMin}) {
    return not_a_database("is too short for a database (" + std::to_string(status.st_size) +
                          " bytes)");
  }
  return opened;
}

LmdbPageFile::LmdbPageFile(LmdbPageFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

LmdbPageFile::~LmdbPageFile() {
  if (file_ >= 0) close(file_);
}

Result<std::uint64_t> LmdbPageFile::FileBytes() const {
  struct stat status {};
  if (fstat(file_, &status) != 0) {
    return tl::unexpected<Error>(LmdbError(errno, "asking for the length of " + path_.string()));
  }
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::size_t> LmdbPageFile::Read(std::uint64_t offset, std::span<char> into,
                                       std::vector<std::uint64_t>& unreadable) const {
  unreadable.clear();
  // From the first EIO on: it may be due to one piece of all that was asked for, and a failing disk
  // takes seconds to say so again.
  bool in_pieces = false;
  std::size_t done = 0;
  while (done < into.size()) {
    const std::size_t rest = into.size() - done;
    const std::uint64_t at = offset + done;
    const std::size_t piece = std::min<std::size_t>(rest, kPieceBytes - at % kPieceBytes);
    const std::size_t asked = in_pieces ? piece : rest;
    const ssize_t count = pread(file_, into.data() + done, asked, static_cast<off_t>(at));
    if (count == 0) break;
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (errno == EIO) {
      in_pieces = true;
      if (asked > piece) continue;
      std::fill_n(into.data() + done, piece, '\0');
      unreadable.push_back(at - at % kPieceBytes);
      done += piece;
    } else if (errno != EINTR) {
      return tl::unexpected<Error>(LmdbError(errno, "reading " + path_.string()));
    }
  }
  return done;
}

Result<LmdbMetaPages> ReadLmdbMetaPages(const LmdbPageFile& file) {
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(LmdbMetaPages pages, ReadOnce(file));
    if (pages.BothSound() || pages.disk_fails || attempt == kAttemptsMax) return pages;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

}  // namespace bobbin::kv

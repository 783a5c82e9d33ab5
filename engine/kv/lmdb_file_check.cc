#include "engine/kv/lmdb_file_check.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace bobbin::kv {
namespace {

using lmdb::Meta;

constexpr int kAttemptsMax = 10;

// The reason is a sentence without its subject, which is the file.
tl::unexpected<Error> NotADatabase(const LmdbPageFile& file, const std::string& reason) {
  return Fail(ErrorCode::kNotADatabase, file.Path().string() + " " + reason);
}

// The pages from the end of the file to the last page, and which of them are free.
class FreeTail {
 public:
  FreeTail(const LmdbPageFile& file, std::uint64_t file_pages, std::uint64_t page_bytes,
           std::uint64_t last_page)
      : file_(file),
        file_pages_(file_pages),
        page_bytes_(page_bytes),
        free_(last_page + 1 - file_pages, false),
        reads_left_(file_pages) {}

  bool IsAllFree() const { return std::find(free_.begin(), free_.end(), false) == free_.end(); }

  // Marks what the tree of free pages below `page` lists.
  Result<void> Read(std::uint64_t page, int depth) {
    if (depth == 0) return NotADatabase(file_, "has a damaged list of free pages; salvage it");
    ASSIGN_OR_RETURN(const std::string content, ReadPages(page, page_bytes_));
    const auto header = lmdb::LoadAt<lmdb::PageHeader>(content, 0);
    const bool is_branch = (header.flags & lmdb::kBranchPage) != 0;
    for (std::size_t slot = sizeof(header); slot + 2 <= header.lower; slot += 2) {
      const auto node =
          lmdb::NodeAt(content, lmdb::LoadAt<std::uint16_t>(content, slot), is_branch);
      if (!node) return NotADatabase(file_, "has a damaged list of free pages; salvage it");
      if (is_branch) {
        RETURN_IF_ERROR(Read(node->child, depth - 1));
      } else if ((node->flags & lmdb::kDataOnOverflowPages) == 0) {
        Mark(node->data);
      } else {
        ASSIGN_OR_RETURN(const std::string list,
                         ReadPages(node->data_page, sizeof(header) + node->data_bytes));
        Mark(std::string_view(list).substr(sizeof(header)));
      }
    }
    return {};
  }

 private:
  // Page numbers, with their count before them.
  void Mark(std::string_view list) {
    const std::uint64_t count =
        std::min<std::uint64_t>(lmdb::LoadAt<std::uint64_t>(list, 0), list.size() / 8);
    for (std::uint64_t i = 1; i <= count; ++i) {
      const auto page = lmdb::LoadAt<std::uint64_t>(list, i * 8);
      if (page >= file_pages_ && page - file_pages_ < free_.size()) {
        free_[page - file_pages_] = true;
      }
    }
  }

  // No page is read twice in a sound tree, so `reads_left_` ends what goes round in circles.
  Result<std::string> ReadPages(std::uint64_t page, std::uint64_t bytes) {
    if (page >= file_pages_ || bytes > (file_pages_ - page) * page_bytes_) {
      return NotADatabase(file_, "is truncated: its list of free pages is cut off; salvage it");
    }
    const std::uint64_t pages = (bytes + page_bytes_ - 1) / page_bytes_;
    if (pages > reads_left_) {
      return NotADatabase(file_, "has a damaged list of free pages; salvage it");
    }
    reads_left_ -= pages;
    std::string content(bytes, '\0');
    std::vector<std::uint64_t> unreadable;
    ASSIGN_OR_RETURN(const std::size_t count, file_.Read(page * page_bytes_, content, unreadable));
    if (!unreadable.empty()) {
      return NotADatabase(file_, "has a list of free pages that the disk cannot read; salvage it");
    }
    content.resize(count);
    if (count < bytes) return NotADatabase(file_, "was cut off while it was read");
    return content;
  }

  const LmdbPageFile& file_;
  const std::uint64_t file_pages_;
  const std::uint64_t page_bytes_;
  std::vector<bool> free_;
  std::uint64_t reads_left_;
};

// A sound file may end before its last page; then every page it lacks is a free one.
Result<void> CheckLength(const LmdbPageFile& file, const Meta& meta) {
  const std::uint64_t page_bytes = meta.free_pages.page_bytes;
  ASSIGN_OR_RETURN(const std::uint64_t file_bytes, file.FileBytes());
  const std::uint64_t pages = file_bytes / page_bytes;
  if (meta.last_page < pages) return {};
  if (meta.last_page - pages < lmdb::kMissingPagesMax) {
    FreeTail tail(file, pages, page_bytes, meta.last_page);
    if (meta.free_pages.root != lmdb::kNoPage) {
      RETURN_IF_ERROR(tail.Read(meta.free_pages.root, meta.free_pages.depth));
    }
    if (tail.IsAllFree()) return {};
  }
  return NotADatabase(file, "is truncated: it has " + std::to_string(file_bytes) + " bytes, and " +
                                std::to_string((meta.last_page + 1) * page_bytes) +
                                " belong to it; restore the missing part or salvage it");
}

Result<void> CheckMetaPages(const LmdbPageFile& file, const LmdbMetaPages& pages) {
  if (pages.BothSound()) return {};
  if (pages.none_is_lmdb && !pages.disk_fails)
    return NotADatabase(file, "is not an LMDB file, or has lost both meta pages; then salvage it");
  if (!pages.disagreement.empty()) {
    return NotADatabase(file, "has two meta pages that " + pages.disagreement + "; salvage it");
  }
  if (pages.NoneSound()) {
    if (!pages.disk_fails && pages.metas[0].version == pages.metas[1].version &&
        pages.metas[0].version != lmdb::kFormatVersion) {
      return Fail(ErrorCode::kVersion, file.Path().string() + " " + pages.wrong[0]);
    }
    return NotADatabase(file, "has two damaged meta pages: the first " + pages.wrong[0] +
                                  ", the second " + pages.wrong[1] + "; salvage it");
  }
  const std::size_t bad = pages.wrong[0].empty() ? 1 : 0;
  return NotADatabase(file, "has a damaged meta page: its " +
                                std::string(bad == 0 ? "first" : "second") + " " +
                                pages.wrong[bad] + "; `bobbin repair-meta` makes a whole copy");
}

}  // namespace

Result<LmdbMetaPages> CheckLmdbFile(const LmdbPageFile& file) {
  // Another process may commit while we look; what we read then belongs to two states.
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(LmdbMetaPages pages, ReadLmdbMetaPages(file));
    RETURN_IF_ERROR(CheckMetaPages(file, pages));
    const Result<void> checked = CheckLength(file, pages.Newest());
    if (checked) return pages;
    if (attempt == kAttemptsMax) return tl::unexpected<Error>(checked.error());
    ASSIGN_OR_RETURN(const LmdbMetaPages again, ReadLmdbMetaPages(file));
    if (again.Newest().transaction == pages.Newest().transaction) {
      return tl::unexpected<Error>(checked.error());
    }
  }
}

Result<void> CheckLmdbFile(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const LmdbPageFile file, LmdbPageFile::Open(path));
  RETURN_IF_ERROR(CheckLmdbFile(file));
  return {};
}

}  // namespace bobbin::kv

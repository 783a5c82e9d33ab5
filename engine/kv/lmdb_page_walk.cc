#include "engine/kv/lmdb_page_walk.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "engine/kv/kv_engine.h"
#include "engine/kv/lmdb_page_nodes.h"

namespace bobbin::kv {
namespace {

using lmdb::LoadAt;
using lmdb::Meta;
using lmdb::Node;
using lmdb::PageHeader;
using lmdb::Tree;

constexpr std::uint64_t kPagesPerProgress = 4'096;

enum class PageUse : std::uint8_t { kUnknown, kUsed, kFree };

// What the tree that is being walked has been found to have.
struct TreeCounts {
  std::uint64_t branch_pages = 0;
  std::uint64_t leaf_pages = 0;
  std::uint64_t overflow_pages = 0;
  std::uint64_t entries = 0;
};

// Keys that the branches above allow: low <= key < high. No `high`: no bound.
struct KeyBounds {
  std::string_view low;
  std::optional<std::string_view> high;
};

class Walk {
 public:
  Walk(const LmdbPageFile& file, const Meta& meta, const PageWalkOptions& options)
      : file_(file), meta_(meta), options_(options), page_bytes_(meta.free_pages.page_bytes) {}

  Result<PageWalkReport> Run() {
    ASSIGN_OR_RETURN(const std::uint64_t file_bytes, file_.FileBytes());
    file_pages_ = file_bytes / page_bytes_;
    report_.transaction = meta_.transaction;
    report_.page_bytes = page_bytes_;
    report_.pages = meta_.last_page + 1;
    if (meta_.last_page >= file_pages_ + lmdb::kMissingPagesMax) {
      Find(0, "the file ends long before its last page");
      return std::move(report_);
    }
    uses_.assign(report_.pages, PageUse::kUnknown);
    std::fill_n(uses_.begin(), lmdb::kMetaPages, PageUse::kUsed);
    RETURN_IF_ERROR(WalkTree(meta_.main, TreeKind::kTables));
    for (const auto& [name, tree] : std::exchange(tables_, {})) {
      table_ = name;
      RETURN_IF_ERROR(WalkTree(tree, TreeKind::kRows));
    }
    table_.clear();
    const std::uint64_t findings = report_.findings_total;
    RETURN_IF_ERROR(WalkTree(meta_.free_pages, TreeKind::kFreePages));
    if (options_.list_free_pages && report_.findings_total == findings) {
      report_.is_free.emplace(uses_.size());
      std::transform(uses_.begin(), uses_.end(), report_.is_free->begin(),
                     [](PageUse use) { return use == PageUse::kFree; });
    }
    FindUnaccounted();
    return std::move(report_);
  }

 private:
  enum class TreeKind : std::uint8_t { kTables, kRows, kFreePages };

  void Find(std::uint64_t page, std::string detail) {
    if (++report_.findings_total > PageWalkReport::kFindingsMax) return;
    report_.findings.push_back({page, table_, std::move(detail)});
  }

  // Makes `count` pages from `page` on used; false, with a finding, when they cannot be.
  bool Use(std::uint64_t page, std::uint64_t count, std::uint64_t named_by) {
    if (page < lmdb::kMetaPages || page > meta_.last_page || count > meta_.last_page + 1 - page ||
        page + count > file_pages_) {
      Find(named_by, "it leads to page " + std::to_string(page) + ", outside of the file");
      return false;
    }
    for (std::uint64_t at = page; at < page + count; ++at) {
      if (uses_[at] == PageUse::kUnknown) continue;
      Find(named_by, "it leads to page " + std::to_string(at) + ", which is used elsewhere, too");
      return false;
    }
    std::fill_n(uses_.begin() + static_cast<std::ptrdiff_t>(page), count, PageUse::kUsed);
    report_.used_pages += count;
    if (options_.progress && report_.used_pages / kPagesPerProgress != progressed_) {
      progressed_ = report_.used_pages / kPagesPerProgress;
      options_.progress(report_.used_pages, report_.pages);
    }
    return true;
  }

  Result<void> WalkTree(const Tree& tree, TreeKind kind) {
    kind_ = kind;
    counts_ = {};
    const std::uint64_t findings = report_.findings_total;
    if (tree.root != lmdb::kNoPage) {
      if (tree.depth == 0 || tree.depth > lmdb::kDepthMax) {
        Find(tree.root, "the root of a tree of impossible depth");
        return {};
      }
      if (Use(tree.root, 1, tree.root)) RETURN_IF_ERROR(WalkPage(tree.root, tree.depth, {}));
    }
    // What is missing below a damaged page explains wrong counts.
    if (report_.findings_total != findings) return {};
    const bool counted =
        counts_.branch_pages == tree.branch_pages && counts_.leaf_pages == tree.leaf_pages &&
        counts_.overflow_pages == tree.overflow_pages && counts_.entries == tree.entries;
    if (!counted || (tree.root == lmdb::kNoPage && tree.depth != 0)) {
      Find(tree.root == lmdb::kNoPage ? 0 : tree.root,
           "the tree has " + std::to_string(counts_.entries) + " entries on " +
               std::to_string(counts_.branch_pages + counts_.leaf_pages) + " pages, not " +
               std::to_string(tree.entries) + " on " +
               std::to_string(tree.branch_pages + tree.leaf_pages) + " as it says");
    }
    return {};
  }

  // How many bytes are there; nothing, with findings, where the disk cannot read them.
  Result<std::optional<std::size_t>> ReadOrFind(std::uint64_t offset, std::span<char> into) {
    ASSIGN_OR_RETURN(const std::size_t count, file_.Read(offset, into, unreadable_));
    if (unreadable_.empty()) return count;
    std::uint64_t last = 0;
    for (const std::uint64_t at : unreadable_) {
      const std::uint64_t page = at / page_bytes_;
      if (page != last) Find(page, "the disk cannot read it");
      last = page;
    }
    return std::nullopt;
  }

  // `levels`: of this page and those below it.
  Result<void> WalkPage(std::uint64_t number, int levels, const KeyBounds& bounds) {
    std::string& page = pages_[static_cast<std::size_t>(levels)];
    page.resize(page_bytes_);
    ASSIGN_OR_RETURN(const auto count, ReadOrFind(number * page_bytes_, page));
    if (!count) return {};
    if (*count != page_bytes_) {
      Find(number, "the file ends in it");
      return {};
    }
    const bool is_branch = levels > 1;
    if (!HasSoundHeader(number, page, is_branch) || !HasSoundNodes(number, page, is_branch)) {
      return {};
    }
    if (!HasSoundKeys(number, page, is_branch, bounds)) return {};
    return is_branch ? WalkBranch(number, levels, bounds) : WalkLeaf(number, page);
  }

  bool HasSoundHeader(std::uint64_t number, std::string_view page, bool is_branch) {
    const auto header = LoadAt<PageHeader>(page, 0);
    if (header.number != number) {
      Find(number, "it says that it is page " + std::to_string(header.number));
      return false;
    }
    if (header.flags != (is_branch ? lmdb::kBranchPage : lmdb::kLeafPage)) {
      Find(number, "it is no " + std::string(is_branch ? "branch" : "leaf") + " page");
      return false;
    }
    // LMDB stops the process at a branch with one child, but for that of the free pages.
    const std::size_t nodes_min = is_branch && kind_ != TreeKind::kFreePages ? 2 : 1;
    if (header.lower < sizeof(header) + 2 * nodes_min) {
      Find(number, "its free space cannot be where it says");
      return false;
    }
    return true;
  }

  bool HasSoundNodes(std::uint64_t number, std::string_view page, bool is_branch) {
    const std::string_view wrong = nodes_.WhatIsWrongWith(page, is_branch);
    if (!wrong.empty()) Find(number, std::string(wrong));
    return wrong.empty();
  }

  bool HasSoundKeys(std::uint64_t number, std::string_view page, bool is_branch,
                    const KeyBounds& bounds) {
    const auto header = LoadAt<PageHeader>(page, 0);
    std::string_view last = bounds.low;
    for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
      const auto node = lmdb::NodeAt(page, LoadAt<std::uint16_t>(page, slot), is_branch);
      const bool is_first = slot == sizeof(header);
      // The first key of a branch is not looked at by anybody.
      if (is_branch && is_first) continue;
      const std::string_view key = node->key;
      if (key.empty() || key.size() > kKeyBytesMax ||
          (kind_ == TreeKind::kFreePages && key.size() != sizeof(std::uint64_t))) {
        Find(number, "a key has " + std::to_string(key.size()) + " bytes");
        return false;
      }
      const int order = Compare(last, key);
      if (order > 0 || (order == 0 && !is_first) ||
          (bounds.high && Compare(key, *bounds.high) >= 0)) {
        Find(number, "its keys are not in order");
        return false;
      }
      last = key;
    }
    return true;
  }

  // An empty key is below all others.
  int Compare(std::string_view a, std::string_view b) const {
    if (kind_ != TreeKind::kFreePages || a.empty() || b.empty()) return a.compare(b);
    const auto first = LoadAt<std::uint64_t>(a, 0);
    const auto second = LoadAt<std::uint64_t>(b, 0);
    return first < second ? -1 : static_cast<int>(first > second);
  }

  Result<void> WalkBranch(std::uint64_t number, int levels, const KeyBounds& bounds) {
    ++counts_.branch_pages;
    const std::string_view page = pages_[static_cast<std::size_t>(levels)];
    const auto header = LoadAt<PageHeader>(page, 0);
    const auto child_at = [&](std::size_t slot) {
      return *lmdb::NodeAt(page, LoadAt<std::uint16_t>(page, slot), true);
    };
    for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
      const Node node = child_at(slot);
      if (!Use(node.child, 1, number)) continue;
      KeyBounds below = bounds;
      if (slot != sizeof(header)) below.low = node.key;
      if (slot + 2 < header.lower) below.high = child_at(slot + 2).key;
      RETURN_IF_ERROR(WalkPage(node.child, levels - 1, below));
    }
    return {};
  }

  Result<void> WalkLeaf(std::uint64_t number, std::string_view page) {
    ++counts_.leaf_pages;
    const auto header = LoadAt<PageHeader>(page, 0);
    for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
      const Node node = *lmdb::NodeAt(page, LoadAt<std::uint16_t>(page, slot), false);
      ++counts_.entries;
      if (kind_ == TreeKind::kRows) ++report_.rows;
      const bool is_main_row = kind_ == TreeKind::kTables && node.flags == 0;
      const bool is_table = kind_ == TreeKind::kTables && !is_main_row;
      if (is_table ? node.flags != lmdb::kDataIsTree
                   : (node.flags & ~lmdb::kDataOnOverflowPages) != 0) {
        Find(number, "a node has the flags " + std::to_string(node.flags));
        continue;
      }
      if (!is_table && (node.flags & lmdb::kDataOnOverflowPages) != 0) {
        RETURN_IF_ERROR(WalkOverflow(number, node));
      } else if (is_table) {
        AddTable(number, node);
      } else if (kind_ == TreeKind::kFreePages) {
        Free(number, node.key, node.data);
      } else {
        if (is_main_row) ++report_.rows;
        if (!IsRight({is_main_row ? kMainTableName : table_, node.key, node.data}))
          FindWrongRow(number);
      }
    }
    return {};
  }

  bool IsRight(const PageWalkOptions::Row& row) const {
    return !options_.row_is_right || options_.row_is_right(row);
  }
  void FindWrongRow(std::uint64_t number) { Find(number, "a row is not that of its key"); }

  Result<void> WalkOverflow(std::uint64_t number, const Node& node) {
    const std::uint64_t needed = lmdb::OverflowPagesFor(node.data_bytes, page_bytes_);
    std::array<char, sizeof(PageHeader) + PageWalkOptions::kValueStartBytes> start{};
    std::size_t count = 0;
    if (node.data_page <= meta_.last_page) {
      ASSIGN_OR_RETURN(const auto there, ReadOrFind(node.data_page * page_bytes_, start));
      if (!there) return {};
      count = *there;
    }
    const std::string_view begin(start.data(), count);
    const auto header = LoadAt<PageHeader>(begin, 0);
    if (count != start.size() || header.number != node.data_page ||
        header.flags != lmdb::kOverflowPage || header.OverflowPages() < needed) {
      Find(number, "its data on page " + std::to_string(node.data_page) + " is not there");
      return {};
    }
    if (!Use(node.data_page, header.OverflowPages(), number)) return {};
    counts_.overflow_pages += header.OverflowPages();
    const std::string_view value_start = begin.substr(sizeof(header), node.data_bytes);
    const bool whole = value_start.size() == node.data_bytes;
    const bool is_row = kind_ == TreeKind::kRows;
    const bool is_right = is_row && IsRight({table_, node.key, value_start, whole});
    if (is_right && !options_.every_page) return {};
    value_.resize(node.data_bytes);
    ASSIGN_OR_RETURN(const auto there,
                     ReadOrFind(node.data_page * page_bytes_ + sizeof(header), value_));
    if (!there) return {};
    value_.resize(*there);
    if (!is_row) {
      Free(number, node.key, value_);
    } else if (!is_right && !IsRight({table_, node.key, value_})) {
      FindWrongRow(number);
    }
    return {};
  }

  void AddTable(std::uint64_t number, const Node& node) {
    const auto tree = LoadAt<Tree>(node.data, 0);
    if (node.data.size() != sizeof(Tree) || tree.page_bytes != 0 || tree.flags != 0) {
      Find(number, "the table " + std::string(node.key) + " is not described as Bobbin's are");
      return;
    }
    tables_.emplace_back(std::string(node.key), tree);
  }

  // A list of page numbers, the highest first, with their count before them.
  void Free(std::uint64_t number, std::string_view key, std::string_view list) {
    const auto count = LoadAt<std::uint64_t>(list, 0);
    const auto transaction = LoadAt<std::uint64_t>(key, 0);
    if (list.size() < sizeof(count) || count > list.size() / sizeof(count) - 1 ||
        transaction > meta_.transaction) {
      return Find(number, "a list of free pages cannot be as it is");
    }
    std::uint64_t last = meta_.last_page + 1;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const auto page = LoadAt<std::uint64_t>(list, i * sizeof(last));
      if (page >= last || page < lmdb::kMetaPages) {
        return Find(number, "a list of free pages is not in order");
      }
      last = page;
      if (uses_[page] == PageUse::kUnknown) {
        uses_[page] = PageUse::kFree;
        ++report_.free_pages;
      } else if (uses_[page] == PageUse::kFree) {
        Find(number, "page " + std::to_string(page) + " is listed as free twice");
      } else {
        Find(number, "page " + std::to_string(page) + " is listed as free and is in use");
      }
    }
  }

  void FindUnaccounted() {
    report_.used_pages += lmdb::kMetaPages;
    // Below a damaged page are pages that nobody has met.
    if (!report_.IsClean()) return;
    const auto first = std::find(uses_.begin(), uses_.end(), PageUse::kUnknown);
    if (first == uses_.end()) return;
    Find(static_cast<std::uint64_t>(first - uses_.begin()),
         std::to_string(std::count(first, uses_.end(), PageUse::kUnknown)) +
             " pages from here on are neither in use nor free");
  }

  const LmdbPageFile& file_;
  const Meta& meta_;
  const PageWalkOptions& options_;
  const std::uint64_t page_bytes_;
  std::uint64_t file_pages_ = 0;
  std::vector<PageUse> uses_;
  std::array<std::string, lmdb::kDepthMax + 1> pages_;  // One per level: keys of it are bounds.
  std::string value_;
  std::vector<std::uint64_t> unreadable_;
  lmdb::PageNodes nodes_;
  std::vector<std::pair<std::string, Tree>> tables_;
  TreeKind kind_ = TreeKind::kTables;
  TreeCounts counts_;
  std::string table_;
  std::uint64_t progressed_ = 0;
  PageWalkReport report_;
};

}  // namespace

Result<PageWalkReport> WalkLmdbPages(const LmdbPageFile& file, const Meta& meta,
                                     const PageWalkOptions& options) {
  return Walk(file, meta, options).Run();
}

}  // namespace bobbin::kv

// The structural walk: whether the pages of a data.mdb make sound trees, found without LMDB.
//
//   every page   used once or free, never both, never neither; inside the file
//   every node   inside its page, none over another, no gap; keys ascending and between those of
//                the branch above
//   every tree   all leaves at the depth it says; pages and entries as many as it says
//   free pages   listed in order, each once, by a transaction that has been
//
// LMDB believes its pages: a damaged list of free pages destroys live data without a word, and a
// damaged tree ends the process. What lies in the records is not looked at; that is what their
// checksums are for (engine/record.h).
//
// Whatever the bytes are, the walk ends: no page is visited twice. It reads each branch and leaf
// page, and the first header of each run of overflow pages. A page that the disk cannot read (EIO)
// is a damaged one.
//
// Snapshot  The file may be written to meanwhile only if a read transaction of `meta`'s transaction
//           is open: it keeps the pages of that state from being used again.
// Threads   Any number.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kv/lmdb_page_file.h"
#include "engine/result.h"

namespace bobbin::kv {

struct PageFinding {
  std::uint64_t page = 0;
  std::string table;   // Empty: the list of tables, or that of free pages.
  std::string detail;  // What is wrong.
};

struct PageWalkReport {
  static constexpr std::size_t kFindingsMax = 1'000;

  std::uint64_t transaction = 0;
  std::uint64_t page_bytes = 0;
  std::uint64_t pages = 0;  // As the meta page says, with the meta pages.
  std::uint64_t used_pages = 0;
  std::uint64_t free_pages = 0;
  std::uint64_t rows = 0;  // Of all tables.
  std::uint64_t findings_total = 0;
  std::vector<PageFinding> findings;  // The first kFindingsMax.
  // Which pages are free, if PageWalkOptions ask and nothing is wrong with the list of them.
  std::optional<std::vector<bool>> is_free;

  bool IsClean() const { return findings_total == 0; }
};

struct PageWalkOptions {
  bool list_free_pages = false;
  // Overflow pages to their ends, too: whether the disk can read them.
  bool every_page = false;
  // Whether a row belongs under its key. `value` may be the first kValueStartBytes of one on
  // overflow pages; if the answer is no, it is asked again about the whole. Null: every row does.
  static constexpr std::size_t kValueStartBytes = 560;
  struct Row {
    std::string_view table;
    std::string_view key;
    std::string_view value;
    bool whole = true;
  };
  std::function<bool(const Row&)> row_is_right;
  // Called now and then with the pages met so far.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

// Errors are those of reading the file; damage is a finding.
Result<PageWalkReport> WalkLmdbPages(const LmdbPageFile& file, const lmdb::Meta& meta,
                                     const PageWalkOptions& options = {});

}  // namespace bobbin::kv

#include "engine/salvage_scan.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>

#include "engine/keyspace.h"
#include "engine/kv/lmdb_page_nodes.h"
#include "engine/kv/lmdb_page_walk.h"

namespace bobbin {
namespace {

namespace lmdb = kv::lmdb;

constexpr std::size_t kWindowBytes = std::size_t{8} << 20;  // Whole pages.

bool IsOfDeleted(std::string_view index_key) {
  return index_key.size() == 9 && index_key[0] == 't';
}

// Rows that others tell of: indexes are made anew, and so are names, which are found in what they
// name. Those of stores are kept beside the rest: a store holds all of its mail.
bool CanBeMadeAnew(const StrayRecord& record) {
  if (record.table == table::kIndex) return !IsOfDeleted(record.key);
  if (record.table == table::kDue || record.table == table::kMain) return true;
  if (record.table != table::kMeta || record.key.empty()) return false;
  return std::string_view("RNMQ").find(record.key[0]) != std::string_view::npos;
}

class Scan {
 public:
  Scan(const kv::LmdbPageFile& file, const RecordCodec& codec, const ScanProgress& progress)
      : file_(file), codec_(codec), progress_(progress) {}

  Result<SalvageScan> Run() {
    RETURN_IF_ERROR(AskMetaPages());
    RETURN_IF_ERROR(Find());
    Choose();
    return std::move(scan_);
  }

 private:
  Result<void> AskMetaPages() {
    ASSIGN_OR_RETURN(const kv::LmdbMetaPages pages, kv::ReadLmdbMetaPages(file_));
    page_bytes_ = pages.page_bytes;
    if (pages.NoneSound() || !pages.disagreement.empty()) return {};
    newest_ = pages.Newest().transaction;
    newest_is_last_ = pages.BothSound();
    kv::PageWalkOptions options;
    options.list_free_pages = true;
    ASSIGN_OR_RETURN(kv::PageWalkReport report, kv::WalkLmdbPages(file_, pages.Newest(), options));
    is_free_ = std::move(report.is_free);
    return {};
  }

  Result<void> Find() {
    ASSIGN_OR_RETURN(const std::uint64_t file_bytes, file_.FileBytes());
    std::string window(std::min<std::uint64_t>(kWindowBytes, file_bytes), '\0');
    std::vector<std::uint64_t> unreadable;
    for (std::uint64_t at = 0; at < file_bytes; at += kWindowBytes) {
      if (progress_) progress_(at, file_bytes);
      ASSIGN_OR_RETURN(const std::size_t count, file_.Read(at, window, unreadable));
      scan_.unreadable.insert(unreadable.begin(), unreadable.end());
      const std::string_view bytes = std::string_view(window).substr(0, count);
      for (std::size_t in_window = 0; in_window < count; in_window += page_bytes_) {
        RETURN_IF_ERROR(FindInPage((at + in_window) / page_bytes_, bytes.substr(in_window)));
      }
    }
    return {};
  }

  // `bytes`: of the page, and of what follows it in the window. Free space of a sound page holds
  // records, too, of rows that were there once; so they are looked for where the page says.
  Result<void> FindInPage(std::uint64_t number, std::string_view bytes) {
    if (number < run_end_) return {};
    const std::string_view page = bytes.substr(0, page_bytes_);
    const auto header = lmdb::LoadAt<lmdb::PageHeader>(page, 0);
    // Content, but for a page that tells itself apart: the run may be a thing of the past.
    if (number < broken_run_end_ && header.number != number) return {};
    if (header.number == number && header.flags == lmdb::kOverflowPage) {
      return FindInRun(number, header, bytes);
    }
    const bool is_branch = header.flags == lmdb::kBranchPage;
    const bool is_sound = header.number == number &&
                          (is_branch || header.flags == lmdb::kLeafPage) &&
                          nodes_.WhatIsWrongWith(page, is_branch).empty();
    if (!is_sound) {
      FindAnywhere(number, page);
    } else if (!is_branch) {
      FindInLeaf(number, header, page);
    }
    return {};
  }

  // The pages of one long value. The text in it is nobody's record.
  Result<void> FindInRun(std::uint64_t number, const lmdb::PageHeader& header,
                         std::string_view bytes) {
    std::string_view value = bytes.substr(std::min(bytes.size(), sizeof(header)));
    const std::optional<std::size_t> length = RecordCodec::LengthOf(value);
    if (length && *length > value.size()) {
      run_.resize(*length);
      std::vector<std::uint64_t> unreadable;  // A window has it, too.
      ASSIGN_OR_RETURN(const std::size_t count,
                       file_.Read(number * page_bytes_ + sizeof(header), run_, unreadable));
      value = std::string_view(run_).substr(0, count);
    }
    if (TryAdd(value, number * page_bytes_ + sizeof(header)) != 0) {
      run_end_ = number + lmdb::OverflowPagesFor(*length, page_bytes_);
    } else if (!newest_is_last_ || !IsFree(number)) {
      // A damaged number must not hide what follows.
      broken_run_end_ =
          number + std::min<std::uint64_t>(header.OverflowPages(),
                                           lmdb::OverflowPagesFor(kv::kValueBytesMax, page_bytes_));
    }
    return {};
  }

  void FindInLeaf(std::uint64_t number, const lmdb::PageHeader& header, std::string_view page) {
    for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
      const auto offset = lmdb::LoadAt<std::uint16_t>(page, slot);
      const lmdb::Node node = *lmdb::NodeAt(page, offset, false);
      // With the byte that may fill it up: a damaged length that differs by it fits in, too.
      const std::size_t data_at = sizeof(lmdb::NodeHeader) + node.key.size();
      TryAdd(page.substr(offset + data_at, node.bytes - data_at),
             number * page_bytes_ + offset + data_at);
    }
  }

  void FindAnywhere(std::uint64_t number, std::string_view page) {
    const auto known = static_cast<std::ptrdiff_t>(scan_.records.size());
    for (std::size_t at = page.find(kRecordMagicBytes); at != std::string_view::npos;
         at = page.find(kRecordMagicBytes, at)) {
      // What lies inside of a record is its content.
      at += std::max<std::size_t>(1, TryAdd(page.substr(at), number * page_bytes_ + at));
    }
    std::for_each(scan_.records.begin() + known, scan_.records.end(),
                  [](FoundRecord& record) { record.is_doubtful = !record.is_on_free_page; });
  }

  // How long the record is that `bytes` begin with; 0: there is none.
  std::size_t TryAdd(std::string_view bytes, std::uint64_t offset) {
    const std::optional<std::size_t> length = RecordCodec::LengthOf(bytes);
    if (!length || *length > bytes.size()) return 0;
    const std::optional<StrayRecord> record = codec_.OpenStray(bytes.substr(0, *length));
    if (!record) return 0;
    Add(*record, offset, bytes.substr(0, *length));
    return *length;
  }

  bool IsFree(std::uint64_t page) const {
    return is_free_ && (page >= is_free_->size() || (*is_free_)[page]);
  }

  // Of the index nothing else is kept.
  static bool IsInterval(const FoundRecord& record) { return record.table == table::kIndex.index; }

  void Add(const StrayRecord& record, std::uint64_t offset, std::string_view value) {
    const bool is_on_free_page = IsFree(offset / page_bytes_);
    if (record.table == table::kMeta && record.key.starts_with('N')) {
      scan_.store_names.push_back(
          {std::string(record.key), std::string(value), record.sequence, is_on_free_page});
    }
    ++scan_.found;
    last_sequence_ = std::max(last_sequence_, record.sequence);
    if (CanBeMadeAnew(record) || record.key.size() > FoundRecord::kKeyBytesMax ||
        record.table.index >= table::kNames.size()) {
      return;
    }
    FoundRecord found;
    found.offset = offset;
    found.sequence = record.sequence;
    found.bytes = static_cast<std::uint32_t>(value.size());
    found.is_on_free_page = is_on_free_page;
    found.table = record.table.index;
    found.key_bytes = static_cast<std::uint8_t>(record.key.size());
    std::memcpy(found.key.data(), record.key.data(), record.key.size());
    scan_.records.push_back(found);
  }

  void Choose() {
    // With one meta page gone, the other is of the last transaction if nothing is newer. What the
    // disk cannot read may be.
    const bool all_is_read =
        scan_.unreadable.empty() || *scan_.unreadable.rbegin() < lmdb::kMetaPages * page_bytes_;
    const bool last_is_known = newest_is_last_ || (last_sequence_ <= newest_ && all_is_read);
    scan_.knows_free_pages = is_free_ && last_is_known;
    std::vector<FoundRecord>& records = scan_.records;
    ChooseNames();
    if (scan_.knows_free_pages || newest_is_last_) {
      scan_.uncommitted = std::erase_if(
          records, [&](const FoundRecord& record) { return record.sequence > newest_; });
    }
    // A copy of an interval must have been committed. Beyond what a meta page tells, the highest
    // number may be of a transaction that never was.
    std::erase_if(records, [&](const FoundRecord& record) {
      return IsInterval(record) && record.sequence > newest_ && record.sequence >= last_sequence_;
    });
    const std::size_t all = records.size();
    if (scan_.knows_free_pages) {
      std::erase_if(records, [](const FoundRecord& record) {
        return record.is_on_free_page && !IsInterval(record);
      });
    }
    KeepOneOfEachRow();
    scan_.stale = all - records.size();
    const bool has_doubtful = std::any_of(
        records.begin(), records.end(),
        [](const FoundRecord& record) { return record.is_doubtful && !IsInterval(record); });
    scan_.is_proven = scan_.knows_free_pages && !has_doubtful;
    if (scan_.is_proven) std::erase_if(records, IsInterval);
  }

  // The newest; where free pages are known, what a page in use says that it has is the row, and
  // what may lie in the free space of another is not.
  void KeepOneOfEachRow() {
    const auto row = [](const FoundRecord& record) {
      return std::tuple(record.table, record.Key());
    };
    const auto is_remnant = [&](const FoundRecord& record) {
      return scan_.knows_free_pages && record.is_doubtful && !IsInterval(record);
    };
    std::vector<FoundRecord>& records = scan_.records;
    std::sort(records.begin(), records.end(), [&](const FoundRecord& a, const FoundRecord& b) {
      return std::tuple(row(a), is_remnant(a), b.sequence) <
             std::tuple(row(b), is_remnant(b), a.sequence);
    });
    records.erase(
        std::unique(records.begin(), records.end(),
                    [&](const FoundRecord& a, const FoundRecord& b) { return row(a) == row(b); }),
        records.end());
  }

  void ChooseNames() {
    std::erase_if(scan_.store_names, [&](const FoundName& name) {
      const bool is_uncommitted = name.sequence > newest_;
      return (scan_.knows_free_pages && (is_uncommitted || name.is_on_free_page)) ||
             (newest_is_last_ && is_uncommitted);
    });
    std::sort(scan_.store_names.begin(), scan_.store_names.end(),
              [](const FoundName& a, const FoundName& b) { return a.sequence < b.sequence; });
  }

  const kv::LmdbPageFile& file_;
  const RecordCodec& codec_;
  const ScanProgress& progress_;
  std::uint64_t page_bytes_ = kv::lmdb::kPageBytesMin;
  std::uint64_t newest_ = 0;
  bool newest_is_last_ = false;
  std::optional<std::vector<bool>> is_free_;
  std::uint64_t last_sequence_ = 0;
  kv::lmdb::PageNodes nodes_;
  // The page after the overflow pages that are being passed: of a whole record, and of another.
  std::uint64_t run_end_ = 0;
  std::uint64_t broken_run_end_ = 0;
  std::string run_;
  SalvageScan scan_;
};

}  // namespace

Result<SalvageScan> ScanForRecords(const kv::LmdbPageFile& file, const RecordCodec& codec,
                                   const ScanProgress& progress) {
  return Scan(file, codec, progress).Run();
}

Result<bool> ReadFound(const kv::LmdbPageFile& file, const FoundRecord& found,
                       std::set<std::uint64_t>& unreadable, std::string& value) {
  value.resize(found.bytes);
  std::vector<std::uint64_t> pieces;
  ASSIGN_OR_RETURN(const std::size_t count, file.Read(found.offset, value, pieces));
  value.resize(count);
  unreadable.insert(pieces.begin(), pieces.end());
  return pieces.empty();
}

}  // namespace bobbin

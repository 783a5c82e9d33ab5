#include "engine/salvage_scan.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>

#include "engine/keyspace.h"
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
    const bool is_tree_page = header.number == number && header.lower >= sizeof(header) &&
                              header.lower <= header.upper && header.upper <= page.size();
    if (is_tree_page && header.flags == lmdb::kBranchPage) return {};
    if (is_tree_page && header.flags == lmdb::kLeafPage) {
      FindInLeaf(number, header, page);
    } else {
      FindAnywhere(number, page);
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
    if (length && TryAdd(value.substr(0, *length), number * page_bytes_ + sizeof(header))) {
      run_end_ = number + lmdb::OverflowPagesFor(*length, page_bytes_);
    } else {
      // A damaged number must not hide what follows.
      broken_run_end_ =
          number + std::min<std::uint64_t>(header.OverflowPages(),
                                           lmdb::OverflowPagesFor(kv::kValueBytesMax, page_bytes_));
    }
    return {};
  }

  void FindInLeaf(std::uint64_t number, const lmdb::PageHeader& header, std::string_view page) {
    for (std::size_t slot = sizeof(header); slot + 2 <= header.lower; slot += 2) {
      const auto node = lmdb::NodeAt(page, lmdb::LoadAt<std::uint16_t>(page, slot), false);
      if (!node || node->data.empty()) continue;
      const auto in_page = static_cast<std::uint64_t>(node->data.data() - page.data());
      TryAdd(node->data, number * page_bytes_ + in_page);
    }
  }

  void FindAnywhere(std::uint64_t number, std::string_view page) {
    for (std::size_t at = page.find(kRecordMagicBytes); at != std::string_view::npos;
         at = page.find(kRecordMagicBytes, at)) {
      const std::string_view rest = page.substr(at);
      const std::optional<std::size_t> length = RecordCodec::LengthOf(rest);
      const bool is_record = length && *length <= rest.size() &&
                             TryAdd(rest.substr(0, *length), number * page_bytes_ + at);
      at += is_record ? *length : 1;  // What lies inside of a record is its content.
    }
  }

  bool TryAdd(std::string_view value, std::uint64_t offset) {
    const std::optional<StrayRecord> record = codec_.OpenStray(value);
    if (record) Add(*record, offset, value);
    return record.has_value();
  }

  void Add(const StrayRecord& record, std::uint64_t offset, std::string_view value) {
    ++scan_.found;
    last_sequence_ = std::max(last_sequence_, record.sequence);
    const std::uint64_t page = offset / page_bytes_;
    const bool is_on_free_page = is_free_ && (page >= is_free_->size() || (*is_free_)[page]);
    if (record.table == table::kMeta && record.key.starts_with('N')) {
      scan_.store_names.push_back(
          {std::string(record.key), std::string(value), record.sequence, is_on_free_page});
    }
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
    scan_.is_proven = is_free_ && last_is_known;
    std::vector<FoundRecord>& records = scan_.records;
    ChooseNames();
    if (scan_.is_proven || newest_is_last_) {
      scan_.uncommitted = std::erase_if(
          records, [&](const FoundRecord& record) { return record.sequence > newest_; });
    }
    // A copy of an interval must have been committed. Beyond what a meta page tells, the highest
    // number may be of a transaction that never was.
    std::erase_if(records, [&](const FoundRecord& record) {
      return record.table == table::kIndex.index &&
             (scan_.is_proven || (record.sequence > newest_ && record.sequence >= last_sequence_));
    });
    const std::size_t all = records.size();
    if (scan_.is_proven) {
      std::erase_if(records, [](const FoundRecord& record) { return record.is_on_free_page; });
    }
    const auto row = [](const FoundRecord& record) {
      return std::tuple(record.table, record.Key());
    };
    std::sort(records.begin(), records.end(), [&](const FoundRecord& a, const FoundRecord& b) {
      return std::tuple(row(a), b.sequence) < std::tuple(row(b), a.sequence);
    });
    records.erase(
        std::unique(records.begin(), records.end(),
                    [&](const FoundRecord& a, const FoundRecord& b) { return row(a) == row(b); }),
        records.end());
    scan_.stale = all - records.size();
  }

  void ChooseNames() {
    std::erase_if(scan_.store_names, [&](const FoundName& name) {
      const bool is_uncommitted = name.sequence > newest_;
      return (scan_.is_proven && (is_uncommitted || name.is_on_free_page)) ||
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

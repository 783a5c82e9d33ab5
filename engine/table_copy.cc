#include "engine/table_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "engine/keyspace.h"
#include "engine/rows.h"
#include "engine/totals_check.h"

namespace bobbin {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kSliceBytes = kv::kTransactionBytesMax;

// What tells a record from any other: its header, with key and payload length and sequence, and
// its checksum. Of a large record this touches the first and the last page only.
std::string MarkOf(kv::Bytes value) {
  if (value.size() < kRecordOverheadBytes) return std::string(value);
  std::string mark(value.substr(0, kRecordHeaderBytes));
  return mark.append(value.substr(value.size() - 8));
}

struct KeyAndMark {
  std::string key;
  std::string mark;
};

// The rows of a table one after the other, read ahead in pieces: a transaction has no cursors, and
// what is under the target's would move with every write.
class RowsInPieces {
 public:
  RowsInPieces(kv::ReadTransaction& transaction, kv::TableId table)
      : transaction_(transaction), table_(table) {}

  // Null after the last row. Valid until Next or the next Current.
  Result<const KeyAndMark*> Current() {
    if (at_ == piece_.size() && !finished_) RETURN_IF_ERROR(ReadPiece());
    return at_ == piece_.size() ? nullptr : &piece_[at_];
  }
  void Next() { ++at_; }

 private:
  static constexpr std::size_t kPieceRows = 1'024;

  Result<void> ReadPiece() {
    std::string begin = piece_.empty() ? std::string() : piece_.back().key + '\0';
    piece_.clear();
    at_ = 0;
    RETURN_IF_ERROR(transaction_.Scan(table_, {begin, {}}, [&](kv::Bytes key, kv::Bytes value) {
      piece_.push_back({std::string(key), MarkOf(value)});
      return piece_.size() < kPieceRows;
    }));
    finished_ = piece_.size() < kPieceRows;
    return {};
  }

  kv::ReadTransaction& transaction_;
  const kv::TableId table_;
  std::vector<KeyAndMark> piece_;
  std::size_t at_ = 0;
  bool finished_ = false;
};

// Scan whose visitor may fail.
Result<void> ScanAll(kv::ReadTransaction& transaction, kv::TableId table, kv::Bytes begin,
                     const std::function<Result<bool>(kv::Bytes, kv::Bytes)>& visit) {
  Result<void> outcome;
  RETURN_IF_ERROR(transaction.Scan(table, {begin, {}}, [&](kv::Bytes key, kv::Bytes value) {
    const Result<bool> more = visit(key, value);
    if (!more) outcome = tl::unexpected<Error>(more.error());
    return more.value_or(false);
  }));
  return outcome;
}

}  // namespace

Result<void> TableCopy::Put(kv::WriteTransaction& target, kv::TableId table, kv::Bytes key,
                            kv::Bytes value) {
  const Result<OpenedRecord> record = codec_.Open(table, table::kNames[table.index], key, value);
  if (record) {
    report_.sequence_max = std::max(report_.sequence_max, record->sequence);
  } else if (record.error().code != ErrorCode::kCorruptData) {
    return tl::unexpected<Error>(record.error());
  } else {
    report_.damaged.push_back(record.error());
    ASSIGN_OR_RETURN(const auto copy, target.Get(table, key));
    if (copy) {
      kept_[table.index].checksums += ChecksumOf(*copy) - ChecksumOf(value);
      return {};
    }
  }
  ++report_.written;
  report_.bytes_written += key.size() + value.size();
  return target.Put(table, key, value);
}

Result<void> TableCopy::CopySlice(kv::Engine& source, kv::WriteTransaction& target, Slice& slice) {
  const std::uint64_t bytes_max = report_.bytes_written + kSliceBytes;
  return source.View([&](kv::ReadTransaction& rows) -> Result<void> {
    for (; slice.table < table::kNames.size(); ++slice.table, slice.begin.clear()) {
      const kv::TableId table{slice.table};
      bool full = false;
      RETURN_IF_ERROR(
          ScanAll(rows, table, slice.begin, [&](kv::Bytes key, kv::Bytes value) -> Result<bool> {
            if (report_.bytes_written >= bytes_max) {
              slice.begin = key;
              full = true;
              return false;
            }
            RETURN_IF_ERROR(Put(target, table, key, value));
            if (progress_) progress_(++report_.records);
            return true;
          }));
      if (full) return {};
    }
    return {};
  });
}

Result<void> TableCopy::CopyInSlices(kv::Engine& source, kv::Engine& target) {
  for (Slice done; done.table < table::kNames.size();) {
    const CopyReport before = report_;
    Slice slice;
    RETURN_IF_ERROR(target
                        .Update([&](kv::WriteTransaction& rows) {
                          report_ = before;
                          slice = done;
                          return CopySlice(source, rows, slice);
                        })
                        .ToResult());
    done = slice;
  }
  return {};
}

// One table of MakeEqual. Both sides come in the order of their keys.
class TableCopy::Comparison {
 public:
  Comparison(TableCopy& copy, kv::WriteTransaction& target, kv::TableId table)
      : copy_(copy), target_(target), table_(table), copied_(target, table) {}

  Result<void> Take(kv::Bytes key, kv::Bytes value) {
    RETURN_IF_ERROR(EraseBefore(key));
    ASSIGN_OR_RETURN(const KeyAndMark* const row, copied_.Current());
    if (row != nullptr && row->key == key) {
      const bool same = row->mark == MarkOf(value);
      copied_.Next();
      if (same) return {};
    }
    return copy_.Put(target_, table_, key, value);
  }

  // Empty: to the end.
  Result<void> EraseBefore(kv::Bytes key) {
    for (;;) {
      ASSIGN_OR_RETURN(const KeyAndMark* const row, copied_.Current());
      if (row == nullptr || (!key.empty() && row->key >= key)) return {};
      RETURN_IF_ERROR(target_.Erase(table_, row->key));
      ++copy_.report_.erased;
      copied_.Next();
    }
  }

 private:
  TableCopy& copy_;
  kv::WriteTransaction& target_;
  const kv::TableId table_;
  RowsInPieces copied_;
};

Result<void> TableCopy::MakeEqual(kv::ReadTransaction& source, kv::WriteTransaction& target,
                                  std::chrono::seconds age_max, std::uint64_t bytes_max) {
  const SteadyClock::time_point begin = SteadyClock::now();
  report_.records = 0;
  report_.sequence = source.Sequence();
  const std::uint64_t bytes_before = report_.bytes_written;
  TotalsCheck totals;
  kept_ = {};
  for (std::size_t index = 0; index < table::kNames.size(); ++index) {
    const kv::TableId table{static_cast<std::uint8_t>(index)};
    Comparison comparison(*this, target, table);
    RETURN_IF_ERROR(ScanAll(source, table, {}, [&](kv::Bytes key, kv::Bytes value) -> Result<bool> {
      if (SteadyClock::now() > begin + age_max) {
        return Fail(ErrorCode::kTimeout,
                    fmt::format("the snapshot got older than {} s", age_max.count()));
      }
      totals.Add(table, value);
      const std::size_t damaged = report_.damaged.size();
      RETURN_IF_ERROR(comparison.Take(key, value));
      if (report_.damaged.size() != damaged) totals.AddDamaged(table);
      if (report_.bytes_written - bytes_before > bytes_max) {
        return Fail(ErrorCode::kTooBig, fmt::format("more than {} bytes have changed", bytes_max));
      }
      ++report_.records;
      if (progress_) progress_(report_.records);
      return true;
    }));
    RETURN_IF_ERROR(comparison.EraseBefore({}));
  }
  RETURN_IF_ERROR(CompareTotals(source, totals));
  // The totals that were copied are of what the original has.
  if (kept_ != TableTotals{}) RETURN_IF_ERROR(RowWriter(codec_, target).AddToTotals(kept_));
  report_.snapshot_age =
      std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - begin);
  return {};
}

Result<void> TableCopy::CompareTotals(kv::ReadTransaction& source, const TotalsCheck& totals) {
  RowReader rows(codec_, source);
  CheckReport sums;
  RETURN_IF_ERROR(totals.Compare(rows, 0, sums));
  for (const Finding& finding : sums.findings) {
    Error error{ErrorCode::kCorruptStore, "table " + finding.table + ": " + finding.Text()};
    if (losses_ == Losses::kRefuse) return tl::unexpected<Error>(std::move(error));
    report_.damaged.push_back(std::move(error));
  }
  return {};
}

Result<void> TableCopy::MakeEqual(kv::Engine& source, kv::Engine& target,
                                  std::chrono::seconds age_max, std::uint64_t bytes_max) {
  const CopyReport before = report_;
  return target
      .Update([&](kv::WriteTransaction& copied) {
        report_ = before;
        // The snapshot ends before the copy is flushed.
        return source.View(
            [&](kv::ReadTransaction& rows) { return MakeEqual(rows, copied, age_max, bytes_max); });
      })
      .ToResult();
}

}  // namespace bobbin

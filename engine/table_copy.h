// All tables of one engine made equal to those of another, records as they lie.
//
// A record that bears the sequence and the checksum of its copy is the same one, and not written
// again. One that does not open never replaces a copy that does: it is copied only where there is
// none, and reported.
//
// That rows vanished as a whole, or an older state of a page came back, only the totals tell
// (engine/totals_check.h). A copy that is made equal to such an original may lose what it alone has
// left: with Losses::kRefuse it is not.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/kv/kv_engine.h"
#include "engine/record.h"
#include "engine/row_records.h"

namespace bobbin {

class TotalsCheck;

struct CopyReport {
  std::uint64_t records = 0;  // Of the original.
  std::uint64_t written = 0;  // Put into the copy, by both steps.
  std::uint64_t erased = 0;   // Gone from the copy.
  std::uint64_t bytes_written = 0;
  std::uint64_t sequence = 0;      // Of the snapshot that the copy is equal to.
  std::uint64_t sequence_max = 0;  // The highest that a written record bears.
  std::chrono::milliseconds snapshot_age{};
  std::vector<Error> damaged;
};

enum class Losses : std::uint8_t { kReport, kRefuse };

using CopyProgress = std::function<void(std::uint64_t records)>;  // May be empty.

class TableCopy {
 public:
  TableCopy(const RecordCodec& codec, Losses losses, CopyProgress progress)
      : codec_(codec), losses_(losses), progress_(std::move(progress)) {}

  // Into an empty target, a few MiB at a time, each in a snapshot and a transaction of its own:
  // no snapshot lives for longer than the memory takes. What changes meanwhile is not equal yet.
  Result<void> CopyInSlices(kv::Engine& source, kv::Engine& target);

  // In one snapshot and one transaction: reads all keys, writes what differs.
  //   kTimeout  the snapshot got older than `age_max`
  //   kTooBig   more than `bytes_max` differ
  //   kCorruptStore  the original's totals say that rows of it are lost (Losses::kRefuse)
  Result<void> MakeEqual(kv::Engine& source, kv::Engine& target, std::chrono::seconds age_max,
                         std::uint64_t bytes_max);
  // As above, in transactions of the caller's.
  Result<void> MakeEqual(kv::ReadTransaction& source, kv::WriteTransaction& target,
                         std::chrono::seconds age_max, std::uint64_t bytes_max);

  const CopyReport& Report() const { return report_; }

 private:
  class Comparison;

  struct Slice {
    std::uint8_t table = 0;
    std::string begin;  // The first key that is not copied yet.
  };
  Result<void> CopySlice(kv::Engine& source, kv::WriteTransaction& target, Slice& slice);
  Result<void> Put(kv::WriteTransaction& target, kv::TableId table, kv::Bytes key, kv::Bytes value);
  Result<void> CompareTotals(kv::ReadTransaction& source, const TotalsCheck& totals);

  const RecordCodec& codec_;
  const Losses losses_;
  const CopyProgress progress_;
  CopyReport report_;
  TableTotals kept_{};  // Of good copies, less the damaged originals that did not replace them.
};

}  // namespace bobbin

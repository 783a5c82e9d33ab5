#include "engine/scrub.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "engine/database_state.h"
#include "engine/kv/lmdb_engine.h"

namespace bobbin {
namespace {

std::chrono::nanoseconds TimeFor(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  if (bytes_per_second == 0) return std::chrono::nanoseconds(0);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(
      static_cast<double>(bytes) / static_cast<double>(bytes_per_second)));
}

Result<kv::PageWalkReport> WalkPages(DatabaseState& database, const ScrubOptions& options) {
  kv::PageWalkOptions walk;
  walk.row_is_right = RowIsRight(database.codec);
  walk.progress = options.page_progress;
  Result<kv::PageWalkReport> report = kv::WalkLmdbEngine(database.Engine(), walk);
  // Compacted just now, by a process that has looked at it; or no file at all, in tests.
  const bool is_elsewhere = !report && (report.error().code == ErrorCode::kBusy ||
                                        report.error().code == ErrorCode::kNoSupport);
  if (is_elsewhere) return kv::PageWalkReport{};
  if (report && options.page_finding) {
    for (const kv::PageFinding& finding : report->findings) options.page_finding(finding);
  }
  return report;
}

}  // namespace

ScrubClock SystemScrubClock() {
  return {[] { return std::chrono::steady_clock::now(); },
          [](std::chrono::nanoseconds time) {
            std::this_thread::sleep_for(time);
            return true;
          }};
}

Result<ScrubReport> Scrub(DatabaseState& database, const ScrubOptions& options) {
  ScrubReport report;
  if (options.walked) {
    report.pages = *options.walked;
  } else {
    ASSIGN_OR_RETURN(report.pages, WalkPages(database, options));
  }
  CheckOptions check_options;
  check_options.progress = [&](std::uint64_t records) {
    if (options.progress) options.progress(records, report.pages.rows);
  };
  StoreCheck check(database, check_options);
  std::size_t told = 0;
  for (bool more = report.pages.IsClean(); more;) {
    const auto begin = options.clock.now();
    ASSIGN_OR_RETURN(const StoreCheck::Piece piece, check.Next(ScrubOptions::kPieceBytes, [&] {
      return options.clock.now() - begin >= ScrubOptions::kSnapshotAgeMax;
    }));
    report.bytes += piece.bytes;
    if (options.piece) options.piece(piece);
    const std::vector<Finding>& findings = check.Report().findings;
    for (; told < findings.size(); ++told) {
      if (options.finding) options.finding(findings[told]);
    }
    more = !piece.is_last;
    // A slow disk is not made up for: the rate is the most, at any time.
    const auto rest =
        TimeFor(piece.bytes, options.bytes_per_second) - (options.clock.now() - begin);
    const bool goes_on = options.clock.wait(std::max(rest, std::chrono::nanoseconds(0)));
    if (goes_on || !more) continue;
    report.records = check.Report();
    return report;
  }
  report.records = check.Report();
  report.has_ended = true;
  // Nothing is written through damaged pages.
  if (!report.pages.IsClean()) return report;
  RETURN_IF_ERROR(database.Update([&](RowWriter& rows) {
    return rows.PutLastScrub({database.clock->Now(), report.bytes, report.Findings()});
  }));
  return report;
}

}  // namespace bobbin

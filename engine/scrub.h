// Scrub: verifies the structure of the pages and the checksum of every record of a database in use,
// slowly enough to be in nobody's way.
//
//   pages    the structural walk (engine/kv/lmdb_page_walk.h), in one snapshot and unlimited: it
//            needs one state of all trees, and reads branch and leaf pages only, 3 to 4 GB of them
//            in a second. Limited, it would hold its snapshot for hours, and until it ends the
//            database would reuse no space.
//   records  StoreCheck (engine/store_check.h), in pieces of 1 MiB, each from a snapshot that lives
//            for at most a second and is gone before the scrub waits for its turn. When pages are
//            damaged the records are not looked at: nothing can be read safely through them.
//
// When it ends, the database remembers when, and how much was found (DatabaseStatistics). A scrub
// repairs nothing; findings name the message that they keep from being sent, for
// SpoolerSession::SetAsideDamaged.
//
// Threads, processes  Any number.
// Errors              Those of reading. Damage is a finding.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "engine/clock.h"
#include "engine/kv/lmdb_page_walk.h"
#include "engine/result.h"
#include "engine/store_check.h"

namespace bobbin {

struct DatabaseState;

struct ScrubClock {
  std::function<std::chrono::steady_clock::time_point()> now;
  // Waits; false: the scrub is to end at once.
  std::function<bool(std::chrono::nanoseconds)> wait;
};
ScrubClock SystemScrubClock();

struct ScrubOptions {
  static constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;
  static constexpr std::chrono::milliseconds kSnapshotAgeMax{1'000};

  std::uint64_t bytes_per_second = 0;  // 0: as fast as it goes.
  // By whoever has just opened the database: the pages are not walked again.
  std::optional<kv::PageWalkReport> walked;
  ScrubClock clock = SystemScrubClock();
  // Each as soon as it is met.
  std::function<void(const kv::PageFinding&)> page_finding;
  std::function<void(const Finding&)> finding;
  std::function<void(std::uint64_t done, std::uint64_t total)> page_progress;
  // Records that were looked at, of about so many.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  std::function<void(const StoreCheck::Piece&)> piece;
};

struct ScrubReport {
  kv::PageWalkReport pages;
  CheckReport records;
  std::uint64_t bytes = 0;  // Of records.
  bool has_ended = false;   // False: it was told to end before.

  std::uint64_t Findings() const { return pages.findings_total + records.findings.size(); }
};

// How the last one of a database ended.
struct ScrubEnd {
  Time time{};  // Epoch: there was none, or its record is damaged.
  std::uint64_t findings = 0;
};

Result<ScrubReport> Scrub(DatabaseState& database, const ScrubOptions& options);

}  // namespace bobbin

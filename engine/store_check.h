// CheckStore: every record opens, and every invariant of the submission tables holds.
//
//   messages    the record verifies; its folder and store exist; SUBMIT set <=> a queue row, or a
//               quarantine row (engine/quarantine.h) and no queue row
//   queue, due  one row each per queued message, naming each other
//   recipients  exactly recipient_count rows, none of a message that is gone; a final state has
//               responsibility TRUE
//   bodies      head and chunks complete; references = messages that name it, or abandoned
//   folders     counters equal the rows; every contents row has its message and the reverse
//   counters    above every identifier and sequence in use
//   deleted     intervals in order, each two with a living message between them and none inside
//   tables      as many rows as were committed, and with the same checksums: no row vanished as a
//               whole, no older state of a page came back
//
// Of content, the checksums are looked at only if CheckOptions say so; everything else always is.
//
// CheckStore reads one snapshot. StoreCheck does the same in pieces, each from a snapshot of its
// own, while the database changes between them: every row is opened, and what a row says of another
// is looked up in the same snapshot; what only a sum over all rows can tell (the counters of
// folders, references of bodies, the totals, that nothing is missing) is not.
//
// Durability  Changes nothing.   Threads, processes  Any number; a StoreCheck: one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/entry_id.h"
#include "engine/result.h"

namespace bobbin {

struct DatabaseState;

inline constexpr std::string_view kSalvageAdvice =
    "`bobbin salvage` makes a new database of what is whole";

struct Finding {
  std::string table;
  std::string key;                     // Hexadecimal, or a queue id where there is one.
  std::string detail;                  // What is wrong.
  MessageId message{};                 // That it may keep from being sent; 0: none is known.
  std::uint64_t page = 0;              // Of data.mdb, of the row that tells; 0: it is no one row.
  std::string advice{kSalvageAdvice};  // What to do.

  std::string Text() const { return advice.empty() ? detail : detail + "; " + advice; }
};

struct CheckOptions {
  bool contents = true;
  // Called now and then with the records looked at so far.
  std::function<void(std::uint64_t records)> progress;
};

struct CheckReport {
  std::uint64_t records = 0;
  std::uint64_t messages = 0;
  std::uint64_t queued = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t bodies = 0;
  std::uint64_t abandoned_bodies = 0;  // Not a finding: collected in time.
  std::vector<Finding> findings;       // Empty: clean.
};

Result<CheckReport> CheckStore(DatabaseState& database, const CheckOptions& options = {});

// Of the totals alone, and of these the number of rows as the engine knows it without a walk.
Result<CheckReport> CompareRowCounts(DatabaseState& database);

class StoreCheck {
 public:
  StoreCheck(DatabaseState& database, CheckOptions options);
  StoreCheck(const StoreCheck&) = delete;
  StoreCheck& operator=(const StoreCheck&) = delete;
  ~StoreCheck();

  struct Piece {
    std::uint64_t bytes = 0;     // Of the rows that were looked at.
    std::uint64_t sequence = 0;  // Of the snapshot.
    bool is_last = false;
  };
  // Goes on until `bytes_max` bytes of rows were looked at, or `must_end`, which is asked before
  // each row, says so; at least one row.
  Result<Piece> Next(std::uint64_t bytes_max, const std::function<bool()>& must_end);
  const CheckReport& Report() const { return report_; }

  static Result<CheckReport> InOneSnapshot(DatabaseState& database, const CheckOptions& options);

 private:
  class Walk;
  DatabaseState& database_;
  const CheckOptions options_;
  CheckReport report_;
  std::unique_ptr<Walk> walk_;
};

}  // namespace bobbin

// CheckStore: every record opens, and every invariant of the submission tables holds.
//
//   messages    the record verifies; its folder and store exist; SUBMIT set <=> a queue row
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
// Durability  Reads one snapshot, changes nothing.   Threads, processes  Any number.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/result.h"

namespace bobbin {

struct DatabaseState;

struct Finding {
  std::string table;
  std::string key;     // Hexadecimal, or a queue id where there is one.
  std::string detail;  // What is wrong and what to do.
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
  std::uint64_t bodies = 0;
  std::uint64_t abandoned_bodies = 0;  // Not a finding: collected in time.
  std::vector<Finding> findings;       // Empty: clean.
};

Result<CheckReport> CheckStore(DatabaseState& database, const CheckOptions& options = {});

// The last of it alone, and of that the number of rows as the engine knows it without a walk.
Result<CheckReport> CompareRowCounts(DatabaseState& database);

}  // namespace bobbin

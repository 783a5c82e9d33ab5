// Makes an engine fail where a disk would, for tests of every layer.
//
// The faults sit between the commit group and the real store, so that what is
// above and below them runs as in production. They work on any engine made by
// OpenLmdbEngine or NewMemoryEngine, from any thread, and each fires once.
//
// A crash sweep over one closure, which must leave all or nothing:
//   for (std::uint64_t n = 1;; ++n) {
//     ... a fresh database ...
//     FailWriteForTesting(engine, n);
//     ... the step under test; it is answered Refused if the fault fired ...
//     if (!FaultPendingForTesting(engine)) continue;  // Fired: look at the database.
//     break;                                          // The step has fewer than n writes.
//   }
#pragma once

#include <cstdint>

#include "engine/kv/kv_engine.h"

namespace bobbin::kv {

enum class CommitFault : std::uint8_t {
  kNothingCommitted,  // The transaction is rolled back, then the error reported.
  kCommitted,         // The transaction is durable, but its answer is lost.
};

// The `commits`-th commit from now (1 is the next) answers OutcomeUnknown to its
// closures, and the engine is poisoned as after any failed commit. Transactions
// in which nothing was written do not commit and are not counted.
void FailCommitForTesting(Engine& engine, std::uint64_t commits, CommitFault fault);

// The `writes`-th Put or Erase from now (1 is the next) fails with `code` and
// changes nothing; its closure is refused even if it ignores that. A closure that
// shares its transaction with others is run again, without the fault, so only
// single callers can rely on seeing Refused.
void FailWriteForTesting(Engine& engine, std::uint64_t writes,
                         ErrorCode code = ErrorCode::kDiskError);

// Whether a fault that was asked for has not happened yet.
bool FaultPendingForTesting(const Engine& engine);

// Takes back the faults that have not happened yet.
void ClearFaultsForTesting(Engine& engine);

}  // namespace bobbin::kv

// One step of the store with every one of its writes failing in turn, and every one of its
// commits failing in both ways: before the disk has it, and after, with the answer lost.
//
// Each round has a database of its own. The faults sit below everything of the engine's
// (engine/kv/commit_fault.h); a commit that fails is the crash of a process at that moment,
// because the database is opened again before it is looked at. The sweep ends with the first
// round in which the step is through before the fault, so it misses no write.
#pragma once

#include <functional>
#include <string>

#include "tests/support/temporary_database.h"

namespace bobbin {

struct FaultSweep {
  // Brings a fresh database to the state before the step.
  std::function<void(TemporaryDatabase&)> prepare;
  std::function<Result<void>(TemporaryDatabase&)> step;
  // What can be seen that the step may change.
  std::function<std::string(TemporaryDatabase&)> observe;
};

struct FaultSweepCounts {
  int writes = 0;
  int commits = 0;
  int before = 0;  // Rounds after which the state was that before the step.
  int after = 0;
};

// Reports through googletest whatever is neither the state before nor the state after.
FaultSweepCounts Sweep(const FaultSweep& sweep);

}  // namespace bobbin

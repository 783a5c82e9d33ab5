// Killed at any durable step, before it or after it, a process has lost nothing that it has
// acknowledged, has halved nothing, and those who go on offer no recipient again that is TRUE.
//
// Method: the work of tests/faults/workloads.h is killed with SIGKILL instead of its n-th write or
// flush of the database, or right behind it, and before and after everything that it tells: what it
// begins, what it acknowledges, what it hands over. n = 1, 2, ... until it lives to its end.
// Between MarkInDoubt, the hand-over and CommitAttempt lies a point of each kind.

#include <gtest/gtest.h>

#include <csignal>
#include <iostream>

#include "tests/faults/workloads.h"

namespace bobbin::faults {
namespace {

constexpr std::uint64_t kCyclesMin = 300;

// How often it was killed.
std::uint64_t KillEverywhere(std::unique_ptr<Workload> workload) {
  WorkloadRuns runs(std::move(workload));
  std::uint64_t kills = 0;
  for (const Action action : {Action::kKillBefore, Action::kKillAfter}) {
    Fault fault{kDurable | kPoint, 0, false, action, 0};
    for (fault.number = 1; !testing::Test::HasFailure(); ++fault.number) {
      const FaultedRun run = runs.Run(fault);
      if (run.fired == 0) {
        EXPECT_EQ(run.status, 0) << Describe(run);
        break;
      }
      EXPECT_EQ(run.status, 128 + SIGKILL) << Describe(run);
      ++kills;
    }
  }
  return kills;
}

TEST(KillPoints, OfSubmissionAndOfTheSpoolersCycleLoseAndRepeatNothing) {
  const std::uint64_t submission = KillEverywhere(NewSubmissionSteps());
  const std::uint64_t cycle = KillEverywhere(NewSpoolerCycle());
  std::cout << submission << " kills in the steps of a submission, " << cycle
            << " in the spooler's cycle\n";
  EXPECT_GE(submission + cycle, kCyclesMin);
}

}  // namespace
}  // namespace bobbin::faults

#include "tests/support/fault_sweep.h"

#include <gmock/gmock.h>

#include "engine/kv/commit_fault.h"
#include "tests/support/matchers.h"

namespace bobbin {
namespace {

struct Observed {
  std::string before;
  std::string after;
};

Observed ObserveStep(const FaultSweep& sweep) {
  TemporaryDatabase database;
  sweep.prepare(database);
  Observed observed;
  observed.before = sweep.observe(database);
  EXPECT_THAT(sweep.step(database), IsOk());
  observed.after = sweep.observe(database);
  EXPECT_NE(observed.before, observed.after) << "the step does nothing that can be observed";
  return observed;
}

// False: the step was through before its `write`-th write.
bool FailWrite(const FaultSweep& sweep, std::uint64_t write, FaultSweepCounts& counts) {
  SCOPED_TRACE("write " + std::to_string(write));
  TemporaryDatabase database;
  sweep.prepare(database);
  const std::string before = sweep.observe(database);
  {
    const auto engine = database.Engine();
    kv::FailWriteForTesting(*engine, write);
    const Result<void> outcome = sweep.step(database);
    if (kv::FaultPendingForTesting(*engine)) return false;
    EXPECT_THAT(outcome, IsError(ErrorCode::kDiskError));
  }
  EXPECT_EQ(sweep.observe(database), before) << "a refused step changed something";
  database.Reopen();
  EXPECT_EQ(sweep.observe(database), before) << "a refused step changed something on disk";
  EXPECT_EQ(Findings(database.Database()), "");
  ++counts.writes;
  ++counts.before;
  // A refused step has left nothing behind that would keep it from being taken again.
  EXPECT_THAT(sweep.step(database), IsOk());
  return true;
}

bool FailCommit(const FaultSweep& sweep, const Observed& observed, std::uint64_t commit,
                kv::CommitFault fault, FaultSweepCounts& counts) {
  SCOPED_TRACE("commit " + std::to_string(commit) +
               (fault == kv::CommitFault::kCommitted ? " committed" : " not committed"));
  TemporaryDatabase database;
  sweep.prepare(database);
  {
    const auto engine = database.Engine();
    kv::FailCommitForTesting(*engine, commit, fault);
    const Result<void> outcome = sweep.step(database);
    if (kv::FaultPendingForTesting(*engine)) return false;
    EXPECT_THAT(outcome, IsError(ErrorCode::kStoreFailed));
    EXPECT_THAT(database.Database().CheckStore(), IsError(ErrorCode::kStoreFailed));
  }
  database.Reopen();
  const std::string seen = sweep.observe(database);
  EXPECT_TRUE(seen == observed.before || seen == observed.after)
      << "neither before nor after the step:\n"
      << seen << "\nbefore:\n"
      << observed.before << "\nafter:\n"
      << observed.after;
  EXPECT_EQ(Findings(database.Database()), "");
  ++counts.commits;
  ++(seen == observed.before ? counts.before : counts.after);
  return true;
}

}  // namespace

FaultSweepCounts Sweep(const FaultSweep& sweep) {
  FaultSweepCounts counts;
  const Observed observed = ObserveStep(sweep);
  for (std::uint64_t write = 1; FailWrite(sweep, write, counts); ++write) {
  }
  for (const auto fault : {kv::CommitFault::kNothingCommitted, kv::CommitFault::kCommitted}) {
    for (std::uint64_t commit = 1; FailCommit(sweep, observed, commit, fault, counts); ++commit) {
    }
  }
  return counts;
}

}  // namespace bobbin

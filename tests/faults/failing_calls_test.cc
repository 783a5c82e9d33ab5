// Whatever system call fails, whenever, however: what was acknowledged is there, what was refused
// is not, and after a failed commit or flush nothing is acknowledged any more.
//
// Method: a process does the work of tests/faults/workloads.h with its n-th write, O_DSYNC write,
// flush, ftruncate, mmap or allocation failing, once or from then on, n = 1, 2, ... until it comes
// through untouched; then the database it leaves is looked at from a process where nothing fails.
// Of some allocations only every 7th or 13th fails; BOBBIN_ALLOCATION_STRIDE=1 makes it every one.

#include <gmock/gmock.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "engine/result.h"
#include "tests/faults/workloads.h"

namespace bobbin::faults {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;

constexpr int kAborted = 128 + SIGABRT;

struct SweepCounts {
  std::uint64_t runs = 0;
  std::uint64_t failed = 0;  // Runs in which the process was told of an error, or ended by it.
  std::uint64_t aborted = 0;
};

bool Said(const FaultedRun& run, std::string_view what) {
  for (const JournalLine& line : run.journal) {
    if (line.what == what) return true;
  }
  return false;
}

std::vector<std::string> Refusals(const FaultedRun& run) {
  std::vector<std::string> refusals;
  for (const JournalLine& line : run.journal) {
    if (line.what == "refused") refusals.push_back(line.which);
  }
  return refusals;
}

// A write or flush that failed belongs to a commit: its process has given its last answer.
void ExpectNothingAcknowledgedAfterTheFault(const FaultedRun& run) {
  for (const JournalLine& line : run.journal) {
    const bool answer = line.what == "acknowledged" || line.what == "handed";
    EXPECT_FALSE(answer && line.fired > 0) << line.what << " " << line.which << " after the fault";
  }
}

std::uint64_t AllocationStride(std::uint64_t usual) {
  const char* text = std::getenv("BOBBIN_ALLOCATION_STRIDE");
  return text == nullptr ? usual : std::strtoull(text, nullptr, 10);
}

class FailingCalls : public testing::Test {
 protected:
  // `check` sees every run that the fault has met.
  template <class Check>
  SweepCounts Sweep(Fault fault, std::uint64_t stride, Check check) {
    SweepCounts counts;
    for (fault.number = 1; !HasFailure(); fault.number += stride) {
      const FaultedRun run = runs_->Run(fault);
      ++counts.runs;
      if (run.fired == 0) {
        EXPECT_EQ(run.status, 0);
        EXPECT_FALSE(Said(run, "refused") || Said(run, "store-failed"));
        break;
      }
      SCOPED_TRACE(ToString(fault) + "\n" + Describe(run));
      counts.aborted += run.status == kAborted ? 1 : 0;
      counts.failed += run.status != 0 || Said(run, "refused") || Said(run, "store-failed") ? 1 : 0;
      check(run);
    }
    total_ += counts.runs;
    return counts;
  }

  // Of writes and flushes: the process lives, and says kStoreFailed.
  void SweepCommits(std::uint32_t calls, Action action, int error) {
    for (const bool sticky : {false, true}) {
      const SweepCounts counts =
          Sweep({calls, 0, sticky, action, error}, 1, [](const FaultedRun& run) {
            EXPECT_EQ(run.status, 0);
            EXPECT_TRUE(Said(run, "refused") || Said(run, "store-failed"));
            EXPECT_THAT(Refusals(run), Each(std::string(ErrorName(ErrorCode::kStoreFailed))));
            ExpectNothingAcknowledgedAfterTheFault(run);
          });
      if (HasFailure()) return;
      EXPECT_GT(counts.runs, 4U) << "the sweep met no calls: is the library in front?";
      EXPECT_EQ(counts.failed + 1, counts.runs);
    }
  }

  void SweepAllCommits() {
    for (const int error : {EIO, ENOSPC, ENOMEM}) {
      SweepCommits(kWrite, Action::kError, error);
      SweepCommits(kSyncWrite, Action::kError, error);
      SweepCommits(kFlush, Action::kError, error);
    }
    SweepCommits(kFlush, Action::kError, EINTR);
    SweepCommits(kWrite, Action::kShort, 0);
    SweepCommits(kSyncWrite, Action::kShort, 0);
  }

  void Use(std::unique_ptr<Workload> workload) { runs_.emplace(std::move(workload)); }
  void TearDown() override { std::cout << total_ << " runs\n"; }

  std::optional<WorkloadRuns> runs_;
  std::uint64_t total_ = 0;
};

TEST_F(FailingCalls, WritesAndFlushesOfTheStepsOfASubmission) {
  Use(NewSubmissionSteps());
  SweepAllCommits();
}

TEST_F(FailingCalls, WritesAndFlushesOfTheSpoolersCycle) {
  Use(NewSpoolerCycle());
  SweepAllCommits();
}

// A write that a signal has interrupted is written again. (That every one is interrupted for ever
// is no state of a system.)
TEST_F(FailingCalls, InterruptedWritesAreRepeated) {
  for (auto* const workload : {NewSubmissionSteps, NewSpoolerCycle}) {
    Use(workload());
    for (const std::uint32_t calls : {kWrite, kSyncWrite}) {
      const SweepCounts counts =
          Sweep({calls, 0, false, Action::kError, EINTR}, 1, [](const FaultedRun& run) {
            EXPECT_EQ(run.status, 0);
            EXPECT_FALSE(Said(run, "refused") || Said(run, "store-failed"));
          });
      EXPECT_GT(counts.runs, 4U);
    }
  }
}

// Only opening asks for memory to be mapped or files to be sized.
TEST_F(FailingCalls, OpeningSaysWhatItCouldNotHave) {
  Use(NewSubmissionSteps());
  const std::string disk_error(ErrorName(ErrorCode::kDiskError));
  const std::string no_memory(ErrorName(ErrorCode::kNotEnoughMemory));
  const std::string no_disk(ErrorName(ErrorCode::kNotEnoughDisk));
  struct Case {
    std::uint32_t calls;
    int error;
    std::string said;
  };
  for (const Case& each : {Case{kTruncate, EIO, disk_error}, Case{kTruncate, EINTR, disk_error},
                           Case{kTruncate, ENOSPC, no_disk}, Case{kTruncate, ENOMEM, no_memory},
                           Case{kMap, EIO, disk_error}, Case{kMap, EINTR, disk_error},
                           Case{kMap, ENOSPC, no_disk}, Case{kMap, ENOMEM, no_memory}}) {
    for (const bool sticky : {false, true}) {
      const SweepCounts counts =
          Sweep({each.calls, 0, sticky, Action::kError, each.error}, 1, [&](const FaultedRun& run) {
            EXPECT_EQ(run.status, 0);
            // A map that is refused once is had with less; that of the locks is a file in /dev/shm.
            const bool had_less = each.error == ENOMEM && !sticky && Refusals(run).empty();
            EXPECT_TRUE(had_less || Refusals(run) == std::vector{each.said} ||
                        Refusals(run) == std::vector{disk_error});
          });
      EXPECT_GT(counts.runs, 1U);
      EXPECT_GT(counts.failed, 0U);
    }
  }
}

// What cannot be allocated is said (MAPI_E_NOT_ENOUGH_MEMORY, or that the outcome of a commit is
// not known), or ends the process as a crash would: std::bad_alloc, which nobody catches, and
// GLib's own end.
void ExpectEndedOrSaid(const FaultedRun& run) {
  constexpr int kTrapped = 128 + SIGTRAP;
  if (run.status != 0) {
    EXPECT_TRUE(run.status == kAborted || run.status == kTrapped);
    return;
  }
  // What needed the memory may have done without it.
  for (const std::string& refusal : Refusals(run)) {
    EXPECT_TRUE(refusal == ErrorName(ErrorCode::kNotEnoughMemory) ||
                refusal == ErrorName(ErrorCode::kStoreFailed))
        << refusal;
  }
}

TEST_F(FailingCalls, AllocationsOfTheStepsOfASubmission) {
  Use(NewSubmissionSteps());
  const SweepCounts once =
      Sweep({kAllocate, 0, false, Action::kError, ENOMEM}, 1, ExpectEndedOrSaid);
  EXPECT_GT(once.aborted, 100U);
  // Little of what follows the first is reached.
  const SweepCounts sticky =
      Sweep({kAllocate, 0, true, Action::kError, ENOMEM}, AllocationStride(7), ExpectEndedOrSaid);
  EXPECT_GT(sticky.aborted, 10U);
}

TEST_F(FailingCalls, AllocationsOfTheSpoolersCycle) {
  Use(NewSpoolerCycle());
  for (const bool sticky : {false, true}) {
    // GLib needs memory to say that there is none, and asks itself for it until the stack is full.
    constexpr int kOutOfStack = 128 + SIGSEGV;
    const SweepCounts counts = Sweep({kAllocate, 0, sticky, Action::kError, ENOMEM},
                                     AllocationStride(13), [sticky](const FaultedRun& run) {
                                       if (sticky && run.status == kOutOfStack) return;
                                       ExpectEndedOrSaid(run);
                                     });
    EXPECT_GT(counts.aborted, 10U);
  }
}

}  // namespace
}  // namespace bobbin::faults

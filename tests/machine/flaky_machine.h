// A machine of its own, User Mode Linux, whose disks break while the power-loss workload runs on
// them, and which then loses its power. Started anew with sound disks, the file systems recover,
// and the engine opens what is there.
#pragma once

#include <string>
#include <vector>

#include "tests/powerloss/recorded_run.h"

namespace bobbin::powerloss {

struct FlakyDiskPlan {
  std::string file_system;  // As mount(2) names it: ext4 or xfs.
  std::string fault;        // What dm-flakey does to it: error_writes or drop_writes.
  unsigned mark = 0;        // After so many marks of the workload.
  Round round{};            // Of the mutants, no-sync.
};

struct FlakyDiskOutcome {
  bool broke = false;  // The workload was not over before the moment came.
  int status = -1;     // Of the workload; -1: it did not get that far.
  std::string errors;  // That it printed.
  std::string wrong;   // Of what was found then; empty: nothing.
};

inline constexpr std::size_t kFlakyDisksMax = 16;

// Disks of both file systems, at most kFlakyDisksMax, that fail at some moment.
std::vector<FlakyDiskPlan> RandomPlans(std::uint64_t seed, std::size_t count);

// Why there can be no such machine here; empty: it can be.
std::string WhyNoMachine();

// One machine with all these disks, one after the other, started twice.
std::vector<FlakyDiskOutcome> RunFlakyDisks(const std::vector<FlakyDiskPlan>& disks,
                                            const RoundDirectory& directory);

}  // namespace bobbin::powerloss

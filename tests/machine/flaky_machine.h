// A machine of its own, User Mode Linux, whose disks break while the power-loss workload runs on
// them, and which then loses its power. Started anew with sound disks, the file systems recover,
// and the engine opens what is there.
#pragma once

#include <string>
#include <vector>

#include "tests/powerloss/recorded_run.h"

namespace bobbin::powerloss {

struct FlakyDiskPlan {
  std::string file_system;      // As mount(2) names it: ext4, xfs, or ext2, which never shuts down.
  std::string fault;            // What dm-flakey does to it: error_writes or drop_writes.
  unsigned number = 0;          // After so many marks of the workload,
  Round round{};                // Of the mutants, no-sync.
  std::string moment = "MARK";  // or "FLUSH": of its fdatasyncs; a root page is written then.
  // Before the power goes the disk is sound again, memory is compared with it, and it is judged.
  bool looks = false;
};

struct FlakyDiskOutcome {
  bool broke = false;   // The workload was not over before the moment came.
  int status = -1;      // Of the workload; -1: it did not get that far.
  std::string errors;   // That it printed.
  std::string shown;    // What the look showed,
  std::string verdict;  // and what there was after the power cut; both in the same words.
  std::string stale;    // How much the look found in memory only.
  bool IsSound() const { return verdict.starts_with("sound\n"); }
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

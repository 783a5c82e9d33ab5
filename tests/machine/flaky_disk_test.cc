// When a disk begins to fail, nothing more is acknowledged, and what was is there after the next
// start.
//
// Method: in a machine of its own (flaky_machine.h) the power-loss workload runs on ext4 and XFS;
// at some mark the disk answers every write and flush with EIO. Then the machine loses its power,
// and is started with the disk sound again. Whatever is acknowledged after the failure, or before
// it without a flush, is not there then. BOBBIN_TEST_SEED repeats a run; ./dev soak --real-disks
// does the same for as long as wanted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "tests/machine/flaky_machine.h"
#include "tests/support/not_checked.h"

namespace bobbin::powerloss {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::uint64_t Seed() {
  const char* const text = std::getenv("BOBBIN_TEST_SEED");
  const std::uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device()() & 0xFFFFFF;
  std::cout << "BOBBIN_TEST_SEED=" << seed << "\n";
  return seed;
}

class FlakyDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string why = WhyNoMachine();
    can_ = why.empty();
    if (!can_) SayNotChecked("disks that fail below ext4 and XFS", why);
  }
  bool can_ = false;
};

TEST_F(FlakyDisk, LosesNothingAcknowledgedAndAcknowledgesNothingMore) {
  if (!can_) return;
  const RoundDirectory directory;
  int broken = 0;
  for (const FlakyDiskOutcome& outcome : RunFlakyDisks(RandomPlans(Seed(), 6), directory)) {
    EXPECT_TRUE(outcome.IsSound()) << outcome.verdict;
    // A file system that has shut down cannot be opened again.
    if (outcome.status != 0) {
      EXPECT_THAT(outcome.errors, HasSubstr("MAPI_E_DISK_ERROR"));
    }
    broken += outcome.broke ? 1 : 0;
  }
  EXPECT_GE(broken, 3) << "the workload is over too soon";
}

// A disk that takes writes and does not keep them; an application that does not flush.
TEST_F(FlakyDisk, FindsWhatIsNotThere) {
  if (!can_) return;
  std::mt19937_64 random(Seed());
  std::vector<FlakyDiskPlan> disks;
  for (const std::string file_system : {"ext4", "xfs"}) {
    const std::uint64_t seed = random() & 0xFFFFFF;
    disks.push_back({file_system, "drop_writes", 60, {seed, 24}});
    disks.push_back({file_system, "error_writes", 100, {seed, 24, "no-sync"}});
  }
  const RoundDirectory directory;
  for (const FlakyDiskOutcome& outcome : RunFlakyDisks(disks, directory)) {
    EXPECT_TRUE(outcome.broke);
    EXPECT_THAT(outcome.verdict, HasSubstr("but must be"));
  }
}

// The write of a root page fails on a file system that goes on, so memory shows what the disk does
// not have. That is found by comparing them, as bobbind does, and what is shown then survives a
// power cut as it is.
TEST_F(FlakyDisk, WhatMemoryShowsAfterwardsIsWhatTheDiskHas) {
  if (!can_) return;
  std::mt19937_64 random(Seed());
  std::vector<FlakyDiskPlan> disks;
  for (int i = 0; i < 4; ++i) {
    const auto flush = static_cast<unsigned>(8 + random() % 20);
    disks.push_back({"ext2", "error_writes", flush, {random() & 0xFFFFFF, 24}, "FLUSH", true});
  }
  const RoundDirectory directory;
  for (const FlakyDiskOutcome& outcome : RunFlakyDisks(disks, directory)) {
    EXPECT_TRUE(outcome.broke);
    EXPECT_TRUE(outcome.IsSound()) << outcome.verdict;
    EXPECT_EQ(outcome.shown, outcome.verdict);
    EXPECT_THAT(outcome.stale, MatchesRegex("[1-9][0-9]* bytes were in memory only\n"));
  }
}

}  // namespace
}  // namespace bobbin::powerloss

// The same promise as power_loss_test.cc's, on real file systems: a disk that loses, at a power
// cut, any of what it was not told to flush, below ext4 and XFS with their journals.
//
// Method: everything that reaches the block device is recorded with what the application asked for
// and was told. What a power cut could leave is an image, which is mounted, so that the file system
// recovers, opened by the engine, checked, and judged by the model of tests/powerloss.
// BOBBIN_TEST_SEED repeats a run; ./dev soak --real-disks does the same for as long as wanted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <numeric>
#include <random>

#include "tests/machine/block_device_run.h"
#include "tests/support/not_checked.h"

namespace bobbin::powerloss {
namespace {

using ::testing::HasSubstr;

std::uint64_t Seed() {
  const char* const text = std::getenv("BOBBIN_TEST_SEED");
  const std::uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device()() & 0xFFFFFF;
  std::cout << "BOBBIN_TEST_SEED=" << seed << "\n";
  return seed;
}

std::string TextOf(const ReplayResult& result) {
  return std::accumulate(result.reports.begin(), result.reports.end(), std::string());
}

class BlockDevice : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string why = WhyNoBlockDevice(GetParam());
    can_ = why.empty();
    if (!can_) SayNotChecked(std::string("power cuts below ") + GetParam(), why);
  }

  ReplayResult RecordAndReplay(const Round& round, ReplayOptions options) const {
    const RoundDirectory directory;
    if (!RecordBlockDevice(round, GetParam(), directory)) {
      ADD_FAILURE() << "the workload ended with an error";
      return {};
    }
    options.seed = round.seed;
    options.file_system = GetParam();
    return ReplayRecorded(directory.Path(), directory, options);
  }

  // In one of some moments, without which an answer costs minutes.
  static ReplayOptions Some(double share_of_cuts) {
    ReplayOptions options;
    options.states_per_cut = 4;
    options.combinations_max = 4;
    options.share_of_cuts = share_of_cuts;
    return options;
  }

  void MustFind(const Round& round, const char* report) const {
    ReplayOptions options = Some(0.1);  // Beyond the making of the database.
    options.failures_max = 60;
    const ReplayResult result = RecordAndReplay(round, options);
    EXPECT_GT(result.failures, 0U) << "nobody found it in " << result.states << " states";
    EXPECT_THAT(TextOf(result), HasSubstr(report));
  }

  bool can_ = false;
};

TEST_P(BlockDevice, LosesNothingAcknowledgedAndInventsNothing) {
  if (!can_) return;
  const ReplayResult result = RecordAndReplay({Seed(), 16}, Some(0.5));
  EXPECT_EQ(result.failures, 0U) << TextOf(result);
  EXPECT_GT(result.states, 200U) << "the record has hardly anything open";
  std::cout << result.states << " states mounted\n";
}

TEST_P(BlockDevice, FindsFlushesThatAreLeftOut) {
  if (can_) MustFind({Seed(), 12, "no-sync"}, "cut ");
}

TEST_P(BlockDevice, FindsWhatIsAcknowledgedBeforeTheCommit) {
  if (can_) MustFind({Seed(), 12, "", true}, "but must be");
}

INSTANTIATE_TEST_SUITE_P(PowerLoss, BlockDevice, ::testing::Values("ext4", "xfs"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace bobbin::powerloss

// Whenever the power goes, what was acknowledged is there, and nothing that nobody asked for.
//
// Method: a real workload is recorded, and what a power cut could have left at any moment is built
// from the record, opened by the engine, checked by CheckStore and compared with what the
// application had been told (replayer.h). Then the same with flushes that fail, and with recorders
// and applications that lie: those lies must be found, or the method finds nothing.
// BOBBIN_TEST_SEED repeats a run; ./dev soak does the same for as long as wanted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <random>

#include "tests/powerloss/recorded_run.h"

namespace bobbin::powerloss {
namespace {

using ::testing::HasSubstr;

std::uint64_t Seed() {
  static const std::uint64_t seed = [] {
    const char* const text = std::getenv("BOBBIN_TEST_SEED");
    const std::uint64_t chosen =
        text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device()() & 0xFFFFFF;
    std::cout << "BOBBIN_TEST_SEED=" << chosen << "\n";
    return chosen;
  }();
  return seed;
}

std::string TextOf(const ReplayResult& result) {
  return std::accumulate(result.reports.begin(), result.reports.end(), std::string());
}

ReplayResult RecordAndReplay(const Round& round, ReplayOptions options = {}) {
  const RoundDirectory directory;
  if (!Record(round, directory)) {
    ADD_FAILURE() << "the workload ended with an error";
    return {};
  }
  options.seed = round.seed;
  return ReplayRecorded(directory.Path(), directory, options);
}

TEST(PowerLoss, LosesNothingAcknowledgedAndInventsNothing) {
  std::uint64_t states = 0;
  for (std::uint64_t i = 0; i < 3; ++i) {
    Round round;
    round.seed = Seed() + i;
    const ReplayResult result = RecordAndReplay(round);
    EXPECT_EQ(result.failures, 0U) << "seed " << round.seed << "\n" << TextOf(result);
    states += result.states;
  }
  std::cout << states << " states opened\n";
  EXPECT_GT(states, 10'000U) << "the record has hardly anything open";
}

// EIO: the commit is answered with kStoreFailed, the database is opened again, work goes on.
TEST(PowerLoss, AFailedFlushCostsNothingAcknowledged) {
  for (const std::string flush : {"fail-flush=", "fail-write=", "fail-flush=", "fail-write="}) {
    Round round;
    round.seed = Seed();
    round.operations = 20;
    round.mutant = "after-creation," + flush + std::to_string(2 + Seed() % 13);
    const ReplayResult result = RecordAndReplay(round);
    EXPECT_EQ(result.failures, 0U) << round.mutant << ", seed " << round.seed << "\n"
                                   << TextOf(result);
    EXPECT_GT(result.states, 300U) << round.mutant;
  }
}

// The root page of one process's commit may be on disk, although it was answered with an error and
// the page was put back. The other process has the database open, has committed before, and goes
// on; or tries to, and its flush of what it found fails as well.
TEST(PowerLoss, AFailedRootPageOfOneProcessCostsTheOtherNothing) {
  for (const std::string write : {"12", "17", "22", "27", "15,fail-again=1", "20,fail-again=1",
                                  "25,fail-again=1", "30,fail-again=1"}) {
    Round round;
    round.seed = Seed();
    round.operations = 20;
    round.mutant = "after-creation,fail-write=" + write;
    const ReplayResult result = RecordAndReplay(round);
    EXPECT_EQ(result.failures, 0U) << round.mutant << ", seed " << round.seed << "\n"
                                   << TextOf(result);
    EXPECT_GT(result.states, 300U) << round.mutant;
  }
}

TEST(PowerLoss, AFailedFlushOfADirectoryCostsNothingAcknowledged) {
  for (int number = 1; number <= 9; ++number) {
    Round round;
    round.seed = Seed();
    round.operations = 12;
    round.mutant = "fail-directory-flush=" + std::to_string(number);
    ReplayOptions options;
    options.states_per_cut = 6;
    const ReplayResult result = RecordAndReplay(round, options);
    EXPECT_EQ(result.failures, 0U) << round.mutant << ", seed " << round.seed << "\n"
                                   << TextOf(result);
  }
}

// What goes past the recorder must not go unseen.
TEST(PowerLoss, WhatWasNotRecordedIsNoticed) {
  const RoundDirectory directory;
  Round round;
  round.seed = Seed();
  round.operations = 4;
  ASSERT_TRUE(Record(round, directory));
  ReplayOptions options;
  options.states_per_cut = 0;
  EXPECT_EQ(ReplayRecorded(directory.Path(), directory, options).failures, 0U);
  std::ofstream(directory.Path() / "live/home/db/data.mdb", std::ios::app) << "x";
  std::ofstream(directory.Path() / "live/unknown") << "x";
  const ReplayResult result = ReplayRecorded(directory.Path(), directory, options);
  EXPECT_EQ(result.failures, 2U);
  EXPECT_THAT(TextOf(result), HasSubstr("recorded with another content"));
  EXPECT_THAT(TextOf(result), HasSubstr("there, but not recorded"));
}

struct Lie {
  const char* name;
  const char* mutant;
  bool acknowledge_early;
  const char* report;  // What it must be found by, among other things.
};

void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }

class PowerLossFinds : public ::testing::TestWithParam<Lie> {};

TEST_P(PowerLossFinds, TheLie) {
  const Lie& lie = GetParam();
  Round round;
  round.seed = Seed();
  round.mutant = lie.mutant;
  round.acknowledge_early = lie.acknowledge_early;
  ReplayOptions options;
  options.states_per_cut = 12;
  options.failures_max = 60;
  const ReplayResult result = RecordAndReplay(round, options);
  EXPECT_GT(result.failures, 0U) << "nobody found it in " << result.states << " states";
  EXPECT_THAT(TextOf(result), HasSubstr(lie.report));
}

INSTANTIATE_TEST_SUITE_P(
    PowerLoss, PowerLossFinds,
    ::testing::Values(
        Lie{"NoSyncWhileCreating", "no-sync", false, "it does not open"},
        Lie{"NoSync", "after-creation,no-sync", false, "it does not open"},
        Lie{"LmdbNoSync", "after-creation,lmdb-no-sync", false, "it does not open"},
        Lie{"EverySeventhFdatasyncDropped", "after-creation,drop-fdatasync=7", false, "cut "},
        Lie{"NoDirectorySyncWhileCreating", "no-directory-sync", false, "the database is gone"},
        Lie{"NoDirectorySyncInTheDropDirectory", "after-creation,no-directory-sync", false,
            "is not in new/"},
        Lie{"AcknowledgedBeforeTheCommit", "", true, "but must be"}),
    [](const auto& lie) { return std::string(lie.param.name); });

}  // namespace
}  // namespace bobbin::powerloss

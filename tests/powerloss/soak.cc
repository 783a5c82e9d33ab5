// bobbin_soak: opens what power cuts could leave, for as long as it is told to.
//
//   bobbin_soak --minutes N [--seed S] [--workers W] [--keep DIRECTORY] [--mutant M]
//   bobbin_soak --real-disks ...
//   bobbin_soak --replay DIRECTORY
//
// In rounds: the workload is recorded (workload.cc) with a seed of its own, in every third round
// with one flush that fails, then its states are opened. A round that fails is kept, with the
// states that failed; --replay opens the states of a kept round again. Threads take turns as they
// like, so a seed repeats a workload, and a kept round repeats everything. Exit status 1: there
// were failures.
//
// With --real-disks the workload runs on ext4 and XFS in turn (tests/machine): what power cuts
// could leave of the block device is mounted, and disks begin to fail in a machine of its own.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <random>
#include <thread>

#include "tests/machine/block_device_run.h"
#include "tests/machine/flaky_machine.h"
#include "tests/powerloss/recorded_run.h"
#include "tests/support/child_process.h"
#include "tests/support/loop_device.h"

namespace bobbin::powerloss {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;
using SteadyClock = std::chrono::steady_clock;

struct Settings {
  double minutes = 1;
  std::uint64_t seed = 0;
  unsigned workers = std::max(1U, std::thread::hardware_concurrency());
  std::string keep = "build/soak-failures";
  std::string mutant;
  std::string replay;
  bool real_disks = false;
};

struct Totals {
  std::uint64_t rounds = 0;
  std::uint64_t states = 0;
  std::uint64_t read_rows = 0;
  std::uint64_t failures = 0;
};

class Soak {
 public:
  explicit Soak(Settings settings) : settings_(std::move(settings)) {}

  int RunRounds() {
    while (SteadyClock::now() < end_) {
      const std::uint64_t seed = settings_.seed + totals_.rounds;
      if (!(settings_.real_disks ? RunRealDisks(seed) : RunRound(seed))) return 70;
    }
    Summarize();
    return totals_.failures == 0 ? 0 : 1;
  }

  // The seed is kept with the round.
  int RunKept() {
    std::uint64_t seed = 0;
    if (!(std::ifstream(fs::path(settings_.replay) / "seed") >> seed)) {
      std::fprintf(stderr, "bobbin_soak: %s is no round that was kept\n", settings_.replay.c_str());
      return 66;
    }
    settings_.seed = seed;
    end_ = SteadyClock::time_point::max();
    const RoundDirectory directory;
    ReplayOptions options = Options(seed);
    std::ifstream(fs::path(settings_.replay) / "file-system") >> options.file_system;
    if (!options.file_system.empty()) EnterPrivateMounts();
    Take(ReplayRecorded(settings_.replay, directory, options));
    Summarize();
    return totals_.failures == 0 ? 0 : 1;
  }

 private:
  bool RunRound(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Round round;
    round.seed = seed;
    round.operations = static_cast<unsigned>(20 + random() % 60);
    round.mutant = settings_.mutant;
    if (round.mutant.empty() && seed % 3 == 0) {
      round.mutant = fmt::format("{}={}", random() % 4 == 0 ? "fail-directory-flush" : "fail-flush",
                                 1 + random() % 150);
    }
    const RoundDirectory directory;
    if (!Record(round, directory)) return false;
    ReplayOptions options = Options(seed);
    options.keep = directory.Path() / "failed";
    const ReplayResult result = ReplayRecorded(directory.Path(), directory, options);
    Take(result);
    if (result.failures > 0) Keep(round, directory);
    return true;
  }

  bool RunRealDisks(std::uint64_t seed) {
    if (totals_.rounds % 3 == 2) return RunMachine(seed);
    const std::string file_system = totals_.rounds % 3 == 0 ? "ext4" : "xfs";
    const std::string why = WhyNoBlockDevice(file_system);
    if (!why.empty()) return Refuse(file_system + " on a block device", why);
    Round round{seed, static_cast<unsigned>(8 + seed % 32), settings_.mutant};
    const RoundDirectory directory;
    if (!RecordBlockDevice(round, file_system, directory)) return false;
    std::ofstream(directory.Path() / "file-system") << file_system << "\n";
    ReplayOptions options = Options(seed);
    options.file_system = file_system;
    options.states_per_cut = 6;
    options.combinations_max = 4;
    options.share_of_cuts = 0.25;
    options.keep = directory.Path() / "failed";
    const ReplayResult result = ReplayRecorded(directory.Path(), directory, options);
    Take(result);
    if (result.failures > 0) Keep(round, directory);
    return true;
  }

  bool RunMachine(std::uint64_t seed) {
    const std::string why = WhyNoMachine();
    if (!why.empty()) return Refuse("disks that fail", why);
    std::vector<FlakyDiskPlan> plans = RandomPlans(seed, kFlakyDisksMax);
    for (FlakyDiskPlan& plan : plans) plan.round.mutant = settings_.mutant;
    const RoundDirectory directory;
    ReplayResult result;
    for (const FlakyDiskOutcome& outcome : RunFlakyDisks(plans, directory)) {
      ++result.states;
      if (outcome.IsSound()) continue;
      ++result.failures;
      result.reports.push_back(
          fmt::format("disk {} of seed {}:\n{}", result.states, seed, outcome.verdict));
    }
    Take(result);
    if (result.failures > 0) Keep({seed}, directory);
    return true;
  }

  static bool Refuse(const std::string& what, const std::string& why) {
    std::fprintf(stderr, "bobbin_soak: no %s here: %s\n", what.c_str(), why.c_str());
    return false;
  }

  ReplayOptions Options(std::uint64_t seed) {
    ReplayOptions options;
    options.seed = seed;
    options.workers = settings_.workers;
    options.states_per_cut = 64;
    options.end = end_;
    options.progress = [this](std::uint64_t states, std::uint64_t failures) {
      ShowProgress(states, failures);
    };
    return options;
  }

  void Take(const ReplayResult& result) {
    ++totals_.rounds;
    totals_.states += result.states;
    totals_.read_rows += result.read_rows;
    totals_.failures += result.failures;
    if (!result.reports.empty()) ClearLine();
    for (const std::string& report : result.reports) std::printf("%s\n", report.c_str());
  }

  void Keep(const Round& round, const RoundDirectory& directory) {
    const fs::path to = fs::absolute(settings_.keep) / fmt::format("round-{}", round.seed);
    std::error_code error;
    fs::create_directories(to, error);
    // Disks are mostly holes.
    ChildProcess({"cp", "-a", "--sparse=always", directory.Path().string() + "/.", to.string()})
        .Wait();
    std::ofstream(to / "seed") << round.seed << "\n";
    std::printf(
        "round %s%s%s: kept, with the states that failed\n"
        "to see it again: bobbin_soak --replay %s\n\n",
        std::to_string(round.seed).c_str(), round.mutant.empty() ? "" : ", ", round.mutant.c_str(),
        to.c_str());
  }

  double Elapsed() const { return Seconds(SteadyClock::now() - start_).count(); }

  void ShowProgress(std::uint64_t states, std::uint64_t failures) {
    const auto now = SteadyClock::now();
    if (!shows_progress_ || now < next_progress_) return;
    next_progress_ = now + std::chrono::milliseconds(500);
    states += totals_.states;
    std::fprintf(stderr, "\r%5.1f min  %lu states opened  %.0f/s  %lu failures  \x1b[K",
                 Elapsed() / 60, states, static_cast<double>(states) / Elapsed(),
                 totals_.failures + failures);
  }
  void ClearLine() const {
    if (shows_progress_) std::fprintf(stderr, "\r\x1b[K");
  }

  void Summarize() const {
    ClearLine();
    std::printf(
        "%lu states opened in %.1f minutes (%lu rounds), %.0f states per second, the rows of "
        "%lu read (the others have the same pages as one of these), %lu failures, seed %lu\n",
        totals_.states, Elapsed() / 60, totals_.rounds,
        static_cast<double>(totals_.states) / Elapsed(), totals_.read_rows, totals_.failures,
        settings_.seed);
  }

  Settings settings_;
  const SteadyClock::time_point start_ = SteadyClock::now();
  SteadyClock::time_point end_ =
      start_ + std::chrono::duration_cast<SteadyClock::duration>(Seconds(settings_.minutes * 60));
  const bool shows_progress_ = isatty(STDERR_FILENO) != 0;
  SteadyClock::time_point next_progress_ = start_;
  Totals totals_;
};

int Main(int argument_count, char** arguments) {
  Settings settings;
  settings.seed = std::random_device()();
  CLI::App app("Opens what power cuts could leave of a recorded run, and checks it.");
  app.add_option("--minutes", settings.minutes, "How long")->capture_default_str();
  app.add_option("--seed", settings.seed, "Of the first round; the next has the next one");
  app.add_option("--workers", settings.workers, "Processes")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--keep", settings.keep, "Where rounds that fail are kept")->capture_default_str();
  app.add_option("--mutant", settings.mutant, "A lie of the recorder (record_log.h), to be found");
  app.add_flag("--real-disks", settings.real_disks, "On ext4 and XFS, as root");
  app.add_option("--replay", settings.replay, "Opens the states of a kept round again");
  CLI11_PARSE(app, argument_count, arguments);
  Soak soak(settings);
  return settings.replay.empty() ? soak.RunRounds() : soak.RunKept();
}

}  // namespace
}  // namespace bobbin::powerloss

int main(int argument_count, char** arguments) {
  try {
    return bobbin::powerloss::Main(argument_count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bobbin_soak: %s\n", error.what());
    return 70;
  }
}

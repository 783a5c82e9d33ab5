#include "tests/machine/flaky_machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

#include "tests/machine/block_device_run.h"
#include "tests/support/child_process.h"

namespace bobbin::powerloss {
namespace {

namespace fs = std::filesystem;

constexpr char kLinux[] = "/usr/bin/linux.uml";

char LetterOf(std::size_t disk) { return static_cast<char>('a' + disk); }

std::string ContentOf(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Ends with the machine. What it prints is in `console`.
void Start(const std::string& step, std::size_t disks, const fs::path& directory) {
  std::ofstream(directory / "step") << step << "\n";
  fs::remove(directory / "done");
  std::string command = fmt::format(
      "{} mem=256M root=/dev/root rootfstype=hostfs ro init={} WORK={} uml_dir={} con=null "
      "con0=null,fd:1 quiet panic=-1",
      kLinux, BOBBIN_GUEST_SCRIPT, directory.string(), directory.string());
  for (std::size_t i = 0; i < disks; ++i) {
    command += fmt::format(" ubd{}={}", LetterOf(i), (directory / "disk-").string() + LetterOf(i));
  }
  command += fmt::format(" < /dev/null >> {} 2>&1; true", (directory / "console").string());
  // It is several processes, which are to go with this one. The shell is the first of them: what
  // Linux sends itself is not for a first one.
  ChildProcess({"/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh",
                "-c", command})
      .Wait();
  if (!fs::exists(directory / "done")) {
    throw std::runtime_error("the machine did not get to its end:\n" +
                             ContentOf(directory / "console"));
  }
}

FlakyDiskOutcome OutcomeOf(std::size_t disk, const fs::path& directory) {
  FlakyDiskOutcome outcome;
  std::string target;
  std::ifstream(directory / fmt::format("status-{}", LetterOf(disk))) >> outcome.status >> target;
  outcome.broke = target == "flakey";
  const auto said = [&](const char* what) {
    return ContentOf(directory / fmt::format("{}-{}", what, LetterOf(disk)));
  };
  outcome.errors = said("errors");
  outcome.shown = said("shown");
  outcome.stale = said("stale");
  outcome.verdict = said("verdict");
  return outcome;
}

}  // namespace

std::vector<FlakyDiskPlan> RandomPlans(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random(seed);
  std::vector<FlakyDiskPlan> plans;
  for (std::size_t i = 0; i < count; ++i) {
    const auto mark = static_cast<unsigned>(2 + random() % 200);
    plans.push_back({i % 2 == 0 ? "ext4" : "xfs", "error_writes", mark, {random() & 0xFFFFFF, 24}});
  }
  return plans;
}

std::string WhyNoMachine() {
  if (!fs::exists(kLinux)) return std::string("no ") + kLinux;
  for (const char* const program : {"dmsetup", "insmod"}) {
    if (!fs::exists(fs::path("/sbin") / program)) return std::string("no /sbin/") + program;
  }
  if (geteuid() != 0) return "this process is not root";
  ChildProcess probe({"/usr/bin/unshare", "--pid", "--fork", "--mount-proc", kLinux, "--version"});
  return probe.Wait() == 0 ? "" : "no namespace of processes, or no Linux in it";
}

std::vector<FlakyDiskOutcome> RunFlakyDisks(const std::vector<FlakyDiskPlan>& disks,
                                            const RoundDirectory& directory) {
  std::ofstream plan(directory.Path() / "plan");
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const FlakyDiskPlan& disk = disks[i];
    plan << fmt::format("{} {} {} {} {} {} {} {} {} {}\n", LetterOf(i), disk.file_system,
                        disk.fault, disk.moment, disk.number, disk.looks ? "verify" : "none",
                        disk.round.seed, disk.round.operations,
                        disk.round.mutant.empty() ? "none" : disk.round.mutant,
                        disk.round.acknowledge_early ? "--acknowledge-early" : "");
    if (!MakeDisk(directory.Path() / fmt::format("disk-{}", LetterOf(i)), disk.file_system)) {
      throw std::runtime_error("no mkfs." + disk.file_system);
    }
  }
  plan.close();
  fs::create_symlink(BOBBIN_POWER_LOSS_MARKER, directory.Path() / "marker");
  fs::create_symlink(BOBBIN_POWER_LOSS_WORKLOAD, directory.Path() / "workload");
  fs::create_symlink(BOBBIN_JUDGE, directory.Path() / "judge");
  Start("run", disks.size(), directory.Path());
  Start("judge", disks.size(), directory.Path());
  std::vector<FlakyDiskOutcome> outcomes;
  for (std::size_t i = 0; i < disks.size(); ++i) {
    outcomes.push_back(OutcomeOf(i, directory.Path()));
  }
  return outcomes;
}

}  // namespace bobbin::powerloss

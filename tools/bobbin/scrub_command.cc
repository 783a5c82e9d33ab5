// bobbin scrub: as `bobbin check --deep`, slowly, beside a daemon that works.
#include <fmt/core.h>

#include <memory>

#include "engine/scrub.h"
#include "tools/bobbin/check_report.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/progress.h"

namespace bobbin::cli {
namespace {

constexpr std::uint64_t kMebibytesPerSecond = 32;
constexpr std::uint64_t kMebibytesPerSecondMax = 1'000'000;

ExitCode RunScrub(const CommandLine& line, std::uint64_t rate) {
  Progress progress;
  ScrubOptions options;
  options.bytes_per_second = rate << 20;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.Show("scrubbing records", done, total);
  };
  Checked checked;
  DatabaseOptions open;
  // Damage that opening finds is what was asked for, no failure to find it.
  open.walked = [&](const kv::PageWalkReport& report) { checked.pages = report; };
  open.walk_progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.Show("scrubbing pages", done, total);
  };
  const Result<Database> database = OpenDatabase(line, open);
  if (checked.pages.IsClean()) {
    COMPLAIN_IF_ERROR("open the database", database);
    options.walked = checked.pages;
    ASSIGN_OR_COMPLAIN(const ScrubReport report, "scrub", database->Scrub(options));
    checked = {report.pages, report.records};
  }
  return PrintChecked(line, checked);
}

}  // namespace

void AddScrubCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, line, "scrub",
                                 "Verify every page and every byte slowly, beside everybody else");
  AddJsonOption(*command, line);
  auto rate = std::make_shared<std::uint64_t>(kMebibytesPerSecond);
  command->add_option("--rate", *rate, "MiB of records a second, at most")
      ->check(CLI::Range(std::uint64_t{1}, kMebibytesPerSecondMax))
      ->capture_default_str();
  command->callback([&line, rate] { line.run = [&line, rate] { return RunScrub(line, *rate); }; });
}

}  // namespace bobbin::cli

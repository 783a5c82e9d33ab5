// bobbin compact: a smaller file under a database in use.
#include <fmt/core.h>

#include <memory>

#include "engine/compaction.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/progress.h"

namespace bobbin::cli {
namespace {

constexpr std::uint64_t kStallSecondsDefault = 10;

Result<CompactionReport> RunWithProgress(const CommandLine& line, const Database& database,
                                         std::uint64_t stall_seconds) {
  Progress progress;
  CompactionOptions options;
  options.stall_max = std::chrono::seconds(stall_seconds);
  options.progress = [&](std::uint64_t records) { progress.Show("compacting", records); };
  return Compact(database, DatabasePath(line), options);
}

ExitCode RunCompact(const CommandLine& line, std::uint64_t stall_seconds) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  const Result<CompactionReport> report = RunWithProgress(line, database, stall_seconds);
  if (!report && report.error().code == ErrorCode::kTimeout) {
    return Complain(ExitCode::kTemporary, "compact the database",
                    "writers would have to wait for too long",
                    "nothing changed; allow more with --max-stall, at a quiet time");
  }
  COMPLAIN_IF_ERROR("compact the database", report);
  Output output(line.Format());
  if (line.json) {
    output.PrintJson({{"database", DatabasePath(line).string()},
                      {"records", report->records},
                      {"file_bytes_before", report->bytes_before},
                      {"file_bytes", report->bytes_after},
                      {"stall_milliseconds", report->stall.count()}});
  } else {
    output.Line(fmt::format("{} bytes, were {}: {} records; writers waited for {} ms",
                            report->bytes_after, report->bytes_before, report->records,
                            report->stall.count()));
  }
  return output.Finish();
}

}  // namespace

void AddCompactCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, line, "compact", "Give unused space back, also while in use");
  auto stall_seconds = std::make_shared<std::uint64_t>(kStallSecondsDefault);
  command->add_option("--max-stall", *stall_seconds,
                      "Give up when writers would wait for so many seconds [10]");
  AddJsonOption(*command, line);
  command->callback([&line, stall_seconds] {
    line.run = [&line, stall_seconds] { return RunCompact(line, *stall_seconds); };
  });
}

}  // namespace bobbin::cli

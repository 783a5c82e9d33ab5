// bobbin check: every record opens, and every index agrees with the rows. Changes nothing.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

#include "engine/store_check.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

// A line on the terminal for as long as the check runs; nothing anywhere else.
class Progress {
 public:
  explicit Progress(std::string_view text) : shown_(isatty(STDERR_FILENO) != 0) {
    if (shown_) std::fprintf(stderr, "%.*s", static_cast<int>(text.size()), text.data());
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }

 private:
  bool shown_;
};

Result<CheckReport> Check(const Database& database) {
  const Progress progress("checking every record ...");
  return database.CheckStore();
}

void PrintJsonReport(Output& output, const CheckReport& report) {
  for (const Finding& finding : report.findings) {
    output.PrintJson({{"type", "finding"},
                      {"table", finding.table},
                      {"key", finding.key},
                      {"detail", finding.detail}});
  }
  output.PrintJson({{"type", "summary"},
                    {"findings", report.findings.size()},
                    {"records", report.records},
                    {"messages", report.messages},
                    {"queued", report.queued},
                    {"bodies", report.bodies},
                    {"abandoned_bodies", report.abandoned_bodies}});
}

void PrintReport(Output& output, const CheckReport& report) {
  Table table(output, {{"TABLE"}, {"KEY"}, {"WHAT IS WRONG, AND WHAT TO DO"}});
  for (const Finding& finding : report.findings) {
    table.AddRow({{finding.table}, {finding.key}, {finding.detail, Style::kBad}});
  }
  table.Flush();
  const std::string verdict =
      report.findings.empty()
          ? output.Styled(Style::kGood, "clean")
          : output.Styled(Style::kBad, fmt::format("{} findings", report.findings.size()));
  output.Line(fmt::format(
      "{}: {} records, {} messages ({} queued), {} bodies{}", verdict, report.records,
      report.messages, report.queued, report.bodies,
      report.abandoned_bodies == 0
          ? ""
          : fmt::format(", {} abandoned bodies to be collected", report.abandoned_bodies)));
}

ExitCode RunCheck(const CommandLine& line) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const CheckReport report, "check the database", Check(database));
  Output output(line.Format());
  line.json ? PrintJsonReport(output, report) : PrintReport(output, report);
  const ExitCode written = output.Finish();
  if (written != ExitCode::kOk) return written;
  return report.findings.empty() ? ExitCode::kOk : ExitCode::kFindings;
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, line, "check", "Verify every record and index; changes nothing");
  AddJsonOption(*command, line);
  command->callback([&line] { line.run = [&line] { return RunCheck(line); }; });
}

}  // namespace bobbin::cli

// bobbin check: the pages make sound trees, every record opens, every index agrees with the rows.
// Changes nothing.
#include <fmt/core.h>

#include <memory>

#include "engine/store_check.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/progress.h"

namespace bobbin::cli {
namespace {

constexpr std::string_view kPageAdvice = "; `bobbin salvage` makes a new database of what is whole";

enum class Depth { kQuick, kNormal, kDeep };

struct Checked {
  kv::PageWalkReport pages;
  CheckReport records;  // Empty when the pages are damaged or nobody asked.

  std::uint64_t Findings() const { return pages.findings_total + records.findings.size(); }
};

Result<Checked> Check(const CommandLine& line, Depth depth) {
  Progress progress;
  Checked checked;
  DatabaseOptions options;
  options.walked = [&](const kv::PageWalkReport& report) { checked.pages = report; };
  options.walk_progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.Show("checking pages", done, total);
  };
  progress.Show("checking pages", 0, 1);
  const Result<Database> database = OpenDatabase(line, options);
  // Damage that the walk found is what was asked for, no failure to find it.
  if (!checked.pages.IsClean()) return checked;
  if (!database) return tl::unexpected<Error>(database.error());
  if (depth == Depth::kQuick) {
    ASSIGN_OR_RETURN(checked.records, CompareRowCounts(*database->State()));
    return checked;
  }
  CheckOptions check;
  check.contents = depth == Depth::kDeep;
  check.progress = [&](std::uint64_t records) {
    progress.Show("checking records", records, checked.pages.rows);
  };
  check.progress(0);
  ASSIGN_OR_RETURN(checked.records, database->CheckStore(check));
  return checked;
}

std::string Detail(const kv::PageFinding& finding) {
  return fmt::format("page {}: {}{}", finding.page, finding.detail, kPageAdvice);
}

// Pages of no table are those of the list of tables, or of free pages.
std::string TableOf(const kv::PageFinding& finding) {
  return finding.table.empty() ? "-" : finding.table;
}

void PrintJsonReport(Output& output, const Checked& checked) {
  for (const kv::PageFinding& finding : checked.pages.findings) {
    output.PrintJson({{"type", "finding"},
                      {"table", TableOf(finding)},
                      {"key", ""},
                      {"page", finding.page},
                      {"detail", Detail(finding)}});
  }
  const CheckReport& report = checked.records;
  for (const Finding& finding : report.findings) {
    output.PrintJson({{"type", "finding"},
                      {"table", finding.table},
                      {"key", finding.key},
                      {"page", 0},
                      {"detail", finding.detail}});
  }
  output.PrintJson({{"type", "summary"},
                    {"findings", checked.Findings()},
                    {"pages", checked.pages.pages},
                    {"used_pages", checked.pages.used_pages},
                    {"free_pages", checked.pages.free_pages},
                    {"records", report.records},
                    {"messages", report.messages},
                    {"queued", report.queued},
                    {"bodies", report.bodies},
                    {"abandoned_bodies", report.abandoned_bodies}});
}

void PrintReport(Output& output, const Checked& checked) {
  const CheckReport& report = checked.records;
  Table table(output, {{"TABLE"}, {"KEY"}, {"WHAT IS WRONG, AND WHAT TO DO"}});
  for (const kv::PageFinding& finding : checked.pages.findings) {
    table.AddRow({{TableOf(finding)}, {}, {Detail(finding), Style::kBad}});
  }
  for (const Finding& finding : report.findings) {
    table.AddRow({{finding.table}, {finding.key}, {finding.detail, Style::kBad}});
  }
  table.Flush();
  const std::string verdict =
      checked.Findings() == 0
          ? output.Styled(Style::kGood, "clean")
          : output.Styled(Style::kBad, fmt::format("{} findings", checked.Findings()));
  output.Line(fmt::format(
      "{}: {} pages ({} free), {} records, {} messages ({} queued), {} bodies{}", verdict,
      checked.pages.pages, checked.pages.free_pages, report.records, report.messages, report.queued,
      report.bodies,
      report.abandoned_bodies == 0
          ? ""
          : fmt::format(", {} abandoned bodies to be collected", report.abandoned_bodies)));
}

ExitCode RunCheck(const CommandLine& line, Depth depth) {
  ASSIGN_OR_COMPLAIN(const Checked checked, "open the database", Check(line, depth));
  Output output(line.Format());
  line.json ? PrintJsonReport(output, checked) : PrintReport(output, checked);
  const ExitCode written = output.Finish();
  if (written != ExitCode::kOk) return written;
  return checked.Findings() == 0 ? ExitCode::kOk : ExitCode::kFindings;
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, line, "check", "Verify every page, record and index; changes nothing");
  AddJsonOption(*command, line);
  auto depth = std::make_shared<Depth>(Depth::kNormal);
  CLI::Option* quick = command->add_flag_callback(
      "--quick", [depth] { *depth = Depth::kQuick; },
      "Only the structure of the pages, and how many rows there are");
  command
      ->add_flag_callback(
          "--deep", [depth] { *depth = Depth::kDeep; }, "Every byte of long content, too")
      ->excludes(quick);
  command->callback(
      [&line, depth] { line.run = [&line, depth] { return RunCheck(line, *depth); }; });
}

}  // namespace bobbin::cli

#include "tools/bobbin/check_report.h"

#include <fmt/core.h>

#include <string>

#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

std::string Text(const kv::PageFinding& finding) {
  return fmt::format("{}; {}", finding.detail, kSalvageAdvice);
}

// Pages of no table are those of the list of tables, or of free pages.
std::string TableOf(const kv::PageFinding& finding) {
  return finding.table.empty() ? std::string(kNoTable) : finding.table;
}

void PrintJsonReport(Output& output, const Checked& checked) {
  for (const kv::PageFinding& finding : checked.pages.findings) {
    output.PrintJson({{"type", "finding"},
                      {"table", TableOf(finding)},
                      {"key", ""},
                      {"page", finding.page},
                      {"detail", Text(finding)}});
  }
  const CheckReport& report = checked.records;
  for (const Finding& finding : report.findings) {
    output.PrintJson({{"type", "finding"},
                      {"table", finding.table},
                      {"key", finding.key},
                      {"page", finding.page},
                      {"detail", finding.Text()}});
  }
  output.PrintJson({{"type", "summary"},
                    {"findings", checked.Findings()},
                    {"pages", checked.pages.pages},
                    {"used_pages", checked.pages.used_pages},
                    {"free_pages", checked.pages.free_pages},
                    {"records", report.records},
                    {"messages", report.messages},
                    {"queued", report.queued},
                    {"quarantined", report.quarantined},
                    {"bodies", report.bodies},
                    {"abandoned_bodies", report.abandoned_bodies}});
}

void PrintReport(Output& output, const Checked& checked) {
  const CheckReport& report = checked.records;
  Table table(output, {{"TABLE"}, {"KEY"}, {"PAGE"}, {"WHAT IS WRONG, AND WHAT TO DO"}});
  for (const kv::PageFinding& finding : checked.pages.findings) {
    table.AddRow(
        {{TableOf(finding)}, {}, {std::to_string(finding.page)}, {Text(finding), Style::kBad}});
  }
  for (const Finding& finding : report.findings) {
    const bool is_of_a_page = finding.page != 0 || finding.table == kNoTable;
    table.AddRow({{finding.table},
                  {finding.key},
                  {is_of_a_page ? std::to_string(finding.page) : ""},
                  {finding.Text(), Style::kBad}});
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

}  // namespace

ExitCode PrintChecked(const CommandLine& line, const Checked& checked) {
  Output output(line.Format());
  line.json ? PrintJsonReport(output, checked) : PrintReport(output, checked);
  const ExitCode written = output.Finish();
  if (written != ExitCode::kOk) return written;
  return checked.Findings() == 0 ? ExitCode::kOk : ExitCode::kFindings;
}

}  // namespace bobbin::cli

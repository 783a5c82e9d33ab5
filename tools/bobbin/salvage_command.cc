// bobbin salvage: a new database from what a damaged one still has.
#include <fmt/core.h>

#include <memory>

#include "engine/salvage.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/progress.h"

namespace bobbin::cli {
namespace {

struct SalvageArguments {
  std::string source;
  std::string target;
};

std::string_view ToString(SalvageFate fate) {
  switch (fate) {
    case SalvageFate::kWhole:
      return "whole";
    case SalvageFate::kMoved:
      return "moved";
    case SalvageFate::kDamaged:
      return "damaged";
    case SalvageFate::kLost:
      return "lost";
  }
  return "";
}

void PrintJsonMessage(Output& output, const SalvagedMessage& message) {
  output.PrintJson({{"type", "message"},
                    {"id", ToQueueId(message.id)},
                    {"store", message.store},
                    {"fate", ToString(message.fate)},
                    {"queued", message.queued},
                    {"held", message.held},
                    {"detail", message.detail}});
}

void AddCounts(Json& object, const SalvagedMessages& messages) {
  object.update({{"whole", messages.whole},
                 {"moved", messages.moved},
                 {"damaged", messages.damaged},
                 {"lost", messages.lost},
                 {"queued", messages.queued},
                 {"held", messages.held}});
}

void PrintJsonSummary(Output& output, const SalvageReport& report) {
  for (const auto& [name, messages] : report.stores) {
    Json store{{"type", "store"}, {"store", name}};
    AddCounts(store, messages);
    output.PrintJson(store);
  }
  Json summary{{"type", "summary"}};
  AddCounts(summary, report);
  summary.update({{"deleted", report.deleted},
                  {"contents", report.bodies},
                  {"records", report.records},
                  {"stale", report.stale},
                  {"uncommitted", report.uncommitted},
                  {"unreadable_pages", report.unreadable_pages},
                  {"proven", report.is_proven}});
  output.PrintJson(summary);
}

void PrintSummary(Output& output, const SalvageReport& report, const SalvageArguments& arguments) {
  const auto print = [&output](const std::string& of, const SalvagedMessages& messages) {
    output.Line(
        fmt::format("{}: {} messages whole, {} moved, {} damaged, {} lost; {} queued, of "
                    "them {} held",
                    of, messages.whole, messages.moved, messages.damaged, messages.lost,
                    messages.queued, messages.held));
  };
  for (const auto& [name, messages] : report.stores) {
    print("  " + (name.empty() ? "of no known store" : EscapeForTerminal(name)), messages);
  }
  print(arguments.target, report);
  if (report.damaged + report.lost + report.bodies != 0) {
    output.Line(
        fmt::format("What is left of the others is in {}/salvaged; {} contents there are "
                    "of no known message.",
                    arguments.target, report.bodies));
  }
  if (report.unreadable_pages != 0) {
    output.Line(fmt::format("The disk could not read {} pages of {}; what was on them is missing.",
                            report.unreadable_pages, arguments.source));
  }
  if (!report.is_proven) {
    output.Line(
        fmt::format("{} deleted messages were known and left out; others could not be told from "
                    "the rest: look at what is held, then `bobbin release` it or `bobbin abort` "
                    "it.",
                    report.deleted));
  }
  output.Line(fmt::format("{} is as it was. Use one of the two, never both.", arguments.source));
}

ExitCode RunSalvage(const CommandLine& line, const SalvageArguments& arguments) {
  Output output(line.Format());
  Table table(output, {{"ID"}, {"STORE"}, {"FATE"}, {"WHAT IS MISSING, AND WHERE THE REST IS"}});
  Progress progress;
  SalvageOptions options;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.Show("salvaging", done, total);
  };
  options.message = [&](const SalvagedMessage& message) {
    if (line.json) return PrintJsonMessage(output, message);
    if (message.fate == SalvageFate::kWhole && message.detail.empty()) return;
    table.AddRow({{ToQueueId(message.id)},
                  {message.store},
                  {std::string(ToString(message.fate)),
                   message.fate < SalvageFate::kDamaged ? Style::kWaiting : Style::kBad},
                  {message.detail}});
  };
  ASSIGN_OR_COMPLAIN(const SalvageReport report, "salvage the database",
                     Salvage(arguments.source, arguments.target, options));
  table.Flush();
  line.json ? PrintJsonSummary(output, report) : PrintSummary(output, report, arguments);
  const ExitCode written = output.Finish();
  if (written != ExitCode::kOk) return written;
  return report.damaged + report.lost == 0 ? ExitCode::kOk : ExitCode::kFindings;
}

}  // namespace

void AddSalvageCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "salvage", "Make a new database of what a damaged one still has; changes nothing in it");
  auto arguments = std::make_shared<SalvageArguments>();
  command->add_option("source", arguments->source, "Directory of the damaged database")->required();
  command->add_option("target", arguments->target, "Directory to make")->required();
  AddJsonOption(*command, line);
  command->callback([&line, arguments] {
    line.run = [&line, arguments] { return RunSalvage(line, *arguments); };
  });
}

}  // namespace bobbin::cli

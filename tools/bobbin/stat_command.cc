// bobbin stat: figures of the whole database.
#include <fmt/core.h>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/queue_view.h"

namespace bobbin::cli {
namespace {

void PrintFigures(Output& output, const std::string& path, const std::string& id,
                  const DatabaseStatistics& figures) {
  const auto print = [&output](std::string_view name, const std::string& value) {
    output.Line(fmt::format("{:<14}{}", name, value));
  };
  print("Database", EscapeForTerminal(path));
  print("Identifier", id);
  print("Stores", fmt::format("{}", figures.stores));
  print("Queued", fmt::format("{}", figures.queued));
  print("  held", fmt::format("{}", figures.held));
  print("  locked", fmt::format("{}", figures.locks));
  print("Quarantined", fmt::format("{}", figures.quarantined));
  print("Scrubbed", figures.last_scrub == Time{}
                        ? "never"
                        : fmt::format("{}, {} findings", FormatTime(figures.last_scrub),
                                      figures.last_scrub_findings));
  print("File", FormatBytes(figures.file_bytes));
  print("  in use", FormatBytes(figures.used_bytes - figures.free_bytes));
  print("Disk free", FormatBytes(figures.disk_free_bytes));
  print("Readers", fmt::format("{}", figures.readers));
}

ExitCode RunStat(const CommandLine& line) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const DatabaseStatistics figures, "read the figures", database.Statistics());
  const std::string path = DatabasePath(line).string();
  const auto& bytes = database.Id().bytes;
  const std::string id = ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  Output output(line.Format());
  if (line.json) {
    output.PrintJson({{"database", path},
                      {"database_id", id},
                      {"format", Database::kFormat},
                      {"stores", figures.stores},
                      {"queued", figures.queued},
                      {"held", figures.held},
                      {"locks", figures.locks},
                      {"quarantined", figures.quarantined},
                      {"last_scrub", TimeJson(figures.last_scrub)},
                      {"last_scrub_findings", figures.last_scrub_findings},
                      {"file_bytes", figures.file_bytes},
                      {"used_bytes", figures.used_bytes},
                      {"free_bytes", figures.free_bytes},
                      {"disk_free_bytes", figures.disk_free_bytes},
                      {"readers", figures.readers}});
  } else {
    PrintFigures(output, path, id, figures);
  }
  return output.Finish();
}

}  // namespace

void AddStatCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, line, "stat", "Figures of the database and its queue");
  AddJsonOption(*command, line);
  command->callback([&line] { line.run = [&line] { return RunStat(line); }; });
}

}  // namespace bobbin::cli

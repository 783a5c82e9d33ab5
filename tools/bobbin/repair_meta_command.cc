// bobbin repair-meta: a copy of a database with its one damaged meta page made anew.
#include <fmt/core.h>

#include <memory>

#include "engine/meta_repair.h"
#include "tools/bobbin/command_line.h"

namespace bobbin::cli {
namespace {

struct RepairArguments {
  std::string source;
  std::string target;
};

ExitCode RunRepair(const CommandLine& line, const RepairArguments& arguments) {
  ASSIGN_OR_COMPLAIN(const MetaRepair repair, "repair the meta page",
                     RepairMetaPages(arguments.source, arguments.target));
  Output output(line.Format());
  if (line.json) {
    output.PrintJson({{"type", "repair"},
                      {"target", arguments.target},
                      {"page", repair.page},
                      {"wrong", repair.wrong},
                      {"transaction", repair.transaction},
                      {"lacks_last_transaction", repair.lacks_last_transaction}});
    return output.Finish();
  }
  output.Line(
      fmt::format("{}: a copy in the state of transaction {}; meta page {}, which {}, is "
                  "made anew",
                  arguments.target, repair.transaction, repair.page, repair.wrong));
  output.Line(repair.lacks_last_transaction
                  ? "The last transaction is not in it: what it settled may be done again."
                  : "If the damaged page was that of the last transaction, the copy lacks it, and "
                    "what it settled may be done again.");
  output.Line(fmt::format("{} is as it was. Use one of the two, never both.", arguments.source));
  return output.Finish();
}

}  // namespace

void AddRepairMetaCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "repair-meta", "Copy a database whose one meta page is damaged, with that page made anew");
  auto arguments = std::make_shared<RepairArguments>();
  command->add_option("source", arguments->source, "Directory of the damaged database")->required();
  command->add_option("target", arguments->target, "Directory to make")->required();
  AddJsonOption(*command, line);
  command->callback([&line, arguments] {
    line.run = [&line, arguments] { return RunRepair(line, *arguments); };
  });
}

}  // namespace bobbin::cli

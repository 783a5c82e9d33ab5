// bobbin init: creates a database.
#include <fmt/core.h>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

ExitCode RunInit(const CommandLine& line) {
  const std::filesystem::path path = DatabasePath(line);
  const std::string what = "create a database in " + path.string();
  if (Result<void> created = Database::Create(path); !created) {
    const Error& error = created.error();
    if (error.code != ErrorCode::kCollision) return Complain(what, error);
    // It is most likely a database already, and then there is nothing to be done.
    const bool exists = Database::Open(path).has_value();
    return Complain(ExitCode::kCantCreate, what, exists ? "there is one already" : error.detail,
                    exists ? "use it as it is, or name another directory with --database"
                           : "name a directory that is new or empty with --database");
  }
  Output output(line.Format());
  if (line.json) {
    output.PrintJson({{"database", path.string()}});
  } else {
    const std::string shown = EscapeForTerminal(path.string());
    output.Line(fmt::format("Created an empty database in {}.", shown));
    output.Line(
        fmt::format("Next:  bobbind --database {0}\n"
                    "or:    bobbin submit --database {0} you@example.org < message.eml",
                    shown));
  }
  return output.Finish();
}

}  // namespace

void AddInitCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, line, "init", "Create a database");
  AddJsonOption(*command, line);
  command->callback([&line] { line.run = [&line] { return RunInit(line); }; });
}

}  // namespace bobbin::cli

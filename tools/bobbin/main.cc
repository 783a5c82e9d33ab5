// bobbin: the operator's and the submitter's command. Also answers as sendmail and mailq.
#include <cstdio>
#include <exception>
#include <filesystem>

#include "engine/lost_pages.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/sendmail_command.h"

namespace bobbin::cli {
namespace {

int Parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(Complain(ExitCode::kUsage, "command line", error.what(),
                                     "`bobbin --help` lists the commands, `bobbin COMMAND --help` "
                                     "its options"));
  }
  return -1;
}

int Run(int argc, char** argv) {
  const std::string program = std::filesystem::path(argc > 0 ? argv[0] : "").filename().string();
  if (IsSendmailName(program)) return static_cast<int>(RunAsSendmail(program, argc, argv));

  CLI::App app("Bobbin: a crash-safe message store and submission spooler.", "bobbin");
  app.footer("Exit codes are those of sysexits.h; docs/cli.md describes every command.");
  app.set_version_flag("--version", "bobbin " BOBBIN_VERSION);
  CommandLine line;
  app.add_option("--database", line.database,
                 "Directory of the database [BOBBIN_DATABASE, else ./data]");
  app.require_subcommand(1);
  AddInitCommand(app, line);
  AddSubmitCommand(app, line);
  AddQueueCommands(app, line);
  AddQueueStepCommands(app, line);
  AddQuarantineCommands(app, line);
  AddMessageCommands(app, line);
  AddListCommands(app, line);
  AddStoreCommands(app, line);
  AddImportCommand(app, line);
  AddStatCommand(app, line);
  AddCheckCommand(app, line);
  AddScrubCommand(app, line);
  AddRepairMetaCommand(app, line);
  AddSalvageCommand(app, line);
  AddCompactCommand(app, line);
  AddDumpCommands(app, line);
  AddBackupCommands(app, line);
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  return static_cast<int>(line.run());
}

}  // namespace
}  // namespace bobbin::cli

int main(int argc, char** argv) {
  bobbin::EndOnLostPages("bobbin");
  // Only libraries throw here, and only when memory is out.
  try {
    return bobbin::cli::Run(argc, argv);
  } catch (const std::exception& error) {
    return static_cast<int>(
        bobbin::cli::Complain(bobbin::cli::ExitCode::kOsError, "run", error.what(), {}));
  }
}

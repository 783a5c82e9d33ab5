// What the sub-commands share: their options, and the database they work on.
//
//   main: CLI11 parses -> the chosen sub-command sets CommandLine::run -> main calls it
//
// Each Add*Command adds its sub-command to `app`; `line` lives as long as the process.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/database.h"
#include "tools/bobbin/exit_code.h"
#include "tools/bobbin/output.h"

namespace bobbin::cli {

struct CommandLine {
  std::string database;  // --database; empty when not given.
  bool json = false;
  bool ids = false;
  std::function<ExitCode()> run;

  OutputFormat Format() const {
    if (json) return OutputFormat::kJson;
    return ids ? OutputFormat::kIds : OutputFormat::kTable;
  }
};

// --database, else BOBBIN_DATABASE, else ./data.
std::filesystem::path DatabasePath(const CommandLine& line);

// Opens it.
//   kNotADatabase  also when neither option nor variable names one and there is no ./data
//   and whatever Database::Open says, with the path in the detail
Result<Database> OpenDatabase(const CommandLine& line, const DatabaseOptions& options = {});

// The message that `queue_id` names; kInvalidParameter says what a queue id looks like.
Result<MessageId> ParseMessageId(const std::string& queue_id);

// Options for those sub-commands that have them.
CLI::App* AddCommand(CLI::App& app, CommandLine& line, const std::string& name,
                     const std::string& description);
void AddJsonOption(CLI::App& command, CommandLine& line);
void AddIdsOption(CLI::App& command, CommandLine& line);

void AddInitCommand(CLI::App& app, CommandLine& line);
void AddSubmitCommand(CLI::App& app, CommandLine& line);
void AddQueueCommands(CLI::App& app, CommandLine& line);       // queue list, queue show
void AddQueueStepCommands(CLI::App& app, CommandLine& line);   // abort, hold, ..., delete
void AddQuarantineCommands(CLI::App& app, CommandLine& line);  // quarantine list, show, ...
void AddMessageCommands(CLI::App& app, CommandLine& line);     // message show, props, export
void AddListCommands(CLI::App& app, CommandLine& line);        // list create, add, show, ...
void AddStoreCommands(CLI::App& app, CommandLine& line);       // store create, couple, show, ...
void AddImportCommand(CLI::App& app, CommandLine& line);
void AddStatCommand(CLI::App& app, CommandLine& line);
void AddCheckCommand(CLI::App& app, CommandLine& line);
void AddScrubCommand(CLI::App& app, CommandLine& line);
void AddRepairMetaCommand(CLI::App& app, CommandLine& line);
void AddSalvageCommand(CLI::App& app, CommandLine& line);
void AddCompactCommand(CLI::App& app, CommandLine& line);
void AddDumpCommands(CLI::App& app, CommandLine& line);    // dump, load
void AddBackupCommands(CLI::App& app, CommandLine& line);  // backup, restore

// The table of `bobbin queue list`, also for `mailq`.
ExitCode ListWholeQueue(const CommandLine& line);

}  // namespace bobbin::cli

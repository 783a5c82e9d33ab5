// bobbin backup, restore: a copy of a database in use, and a new database of it.
#include <fmt/core.h>

#include <memory>

#include "engine/backup.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/progress.h"

namespace bobbin::cli {
namespace {

constexpr std::uint64_t kSecondsMaxDefault = 600;

ExitCode ComplainAboutDamage(const std::string& what, const std::vector<Error>& damaged) {
  for (const Error& damage : damaged) {
    Complain(ExitCode::kFindings, what, ToString(damage), WhatToDo(damage.code));
  }
  return damaged.empty() ? ExitCode::kOk : ExitCode::kFindings;
}

struct BackupRequest {
  std::string target;
  bool incremental = false;
  std::uint64_t seconds_max = kSecondsMaxDefault;
};

Result<BackupReport> RunWithProgress(const CommandLine& line, const Database& database,
                                     const BackupRequest& request) {
  Progress progress;
  BackupOptions options;
  options.incremental = request.incremental;
  options.age_max = std::chrono::seconds(request.seconds_max);
  options.progress = [&](std::uint64_t records) { progress.Show("backing up", records); };
  return BackUp(database, DatabasePath(line), request.target, options);
}

ExitCode RunBackup(const CommandLine& line, const BackupRequest& request) {
  const std::string what = "back up to " + request.target;
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  const Result<BackupReport> report = RunWithProgress(line, database, request);
  if (!report && report.error().code == ErrorCode::kTimeout) {
    return Complain(ExitCode::kTemporary, what, report.error().detail,
                    "what was there before is unchanged; allow more with --max-age");
  }
  if (!report && report.error().code == ErrorCode::kCollision) {
    return Complain(ExitCode::kCantCreate, what, report.error().detail,
                    "or bring a backup up to date with --incremental");
  }
  COMPLAIN_IF_ERROR(what, report);
  const CopyReport& copy = report->copy;
  Output output(line.Format());
  if (line.json) {
    output.PrintJson({{"backup", request.target},
                      {"incremental", report->incremental},
                      {"records", copy.records},
                      {"records_written", copy.written},
                      {"records_erased", copy.erased},
                      {"bytes_written", copy.bytes_written},
                      {"sequence", copy.sequence},
                      {"snapshot_milliseconds", copy.snapshot_age.count()},
                      {"damaged", copy.damaged.size()}});
  } else {
    output.Line(fmt::format(
        "{} records as of transaction {}: {} written, {} erased, {} bytes; snapshot held for {} ms",
        copy.records, copy.sequence, copy.written, copy.erased, copy.bytes_written,
        copy.snapshot_age.count()));
  }
  const ExitCode damage = ComplainAboutDamage(what, copy.damaged);
  const ExitCode written = output.Finish();
  return damage != ExitCode::kOk ? damage : written;
}

struct RestoreRequest {
  std::string backup;
  std::string target;
  bool nothing_sent_since = false;
};

Result<RestoreReport> RunWithProgress(const RestoreRequest& request) {
  Progress progress;
  RestoreOptions options;
  options.nothing_sent_since = request.nothing_sent_since;
  options.progress = [&](std::uint64_t records) { progress.Show("restoring", records); };
  return Restore(request.backup, request.target, options);
}

ExitCode RunRestore(const CommandLine& line, const RestoreRequest& request) {
  const std::string what = "restore " + request.backup;
  ASSIGN_OR_COMPLAIN(const RestoreReport report, what, RunWithProgress(request));
  Output output(line.Format());
  if (line.json) {
    output.PrintJson({{"database", request.target},
                      {"records", report.records},
                      {"queued", report.queued},
                      {"held", report.held},
                      {"recipients_in_doubt", report.recipients_in_doubt},
                      {"damaged", report.damaged.size()}});
  } else {
    const std::string shown = EscapeForTerminal(request.target);
    output.Line(fmt::format("Restored {} records into {}.", report.records, shown));
    if (report.held > 0) {
      output.Line(fmt::format(
          "{} queued messages are held: {} recipients may have got them since the backup.\n"
          "Next:  bobbin queue list --database {}\n"
          "then:  bobbin release ID to send one again, bobbin abort ID not to",
          report.held, report.recipients_in_doubt, shown));
    }
  }
  const ExitCode damage = ComplainAboutDamage(what, report.damaged);
  const ExitCode written = output.Finish();
  return damage != ExitCode::kOk ? damage : written;
}

}  // namespace

void AddBackupCommands(CLI::App& app, CommandLine& line) {
  CLI::App* backup = AddCommand(app, line, "backup", "Copy the database while it is in use");
  auto request = std::make_shared<BackupRequest>();
  backup->add_option("DIRECTORY", request->target, "The backup; new, unless --incremental")
      ->required();
  backup->add_flag("--incremental", request->incremental,
                   "Bring this backup up to date: write only what has changed");
  backup->add_option("--max-age", request->seconds_max,
                     "Give up when one snapshot lives for so many seconds [600]");
  AddJsonOption(*backup, line);
  backup->callback(
      [&line, request] { line.run = [&line, request] { return RunBackup(line, *request); }; });

  CLI::App* restore = app.add_subcommand("restore", "Make a new database of a backup");
  auto restored = std::make_shared<RestoreRequest>();
  restore->add_option("BACKUP", restored->backup, "What backup made")->required();
  restore->add_option("DIRECTORY", restored->target, "The new database")->required();
  restore->add_flag("--nothing-sent-since", restored->nothing_sent_since,
                    "Hold nothing: no message has left since the backup was made");
  AddJsonOption(*restore, line);
  restore->callback(
      [&line, restored] { line.run = [&line, restored] { return RunRestore(line, *restored); }; });
}

}  // namespace bobbin::cli

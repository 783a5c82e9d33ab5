// bobbin quarantine list, show, export, release, delete: queued messages that do not verify.
#include <fmt/core.h>

#include <memory>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/queue_step.h"
#include "tools/bobbin/queue_view.h"

namespace bobbin::cli {
namespace {

Json QuarantineJson(const QuarantinedMessage& one, const StoreNames& names) {
  return {{"queue_id", ToQueueId(one.message)},
          {"store", StoreNameOf(names, one.store)},
          {"sequence", one.sequence},
          {"quarantined", TimeJson(one.time)},
          {"submitted", TimeJson(one.client_submit_time)},
          {"held", one.lane == DueLane::kHeld},
          {"due", one.lane == DueLane::kHeld ? Json() : TimeJson(one.due)},
          {"table", one.table},
          {"key", one.key},
          {"detail", one.detail}};
}

ExitCode RunList(const CommandLine& line) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const StoreNames names, "list the stores", ReadStoreNames(database));
  std::vector<Error> damaged;
  ASSIGN_OR_COMPLAIN(const std::vector<QuarantinedMessage> messages, "read the quarantine",
                     database.GetQuarantine().Messages(&damaged));
  ExitCode code = ExitCode::kOk;
  for (const Error& error : damaged) code = Complain("read a row of the quarantine", error);
  Output output(line.Format());
  const Time now = SystemClock().Now();
  Table table(output, {{"QUEUE ID"}, {"SUBMITTED"}, {"QUARANTINED"}, {"WHAT IS DAMAGED"}});
  for (const QuarantinedMessage& one : messages) {
    if (line.ids) {
      output.Line(ToQueueId(one.message));
    } else if (line.json) {
      output.PrintJson(QuarantineJson(one, names));
    } else {
      table.AddRow(
          {{ToQueueId(one.message)},
           {one.client_submit_time == Time{} ? "-" : FormatRelative(one.client_submit_time, now)},
           {FormatRelative(one.time, now)},
           {one.detail, Style::kBad}});
    }
  }
  table.Flush();
  const ExitCode written = output.Finish();
  return code != ExitCode::kOk ? code : written;
}

ExitCode RunShow(const CommandLine& line, const std::string& queue_id) {
  const std::string what = "show " + queue_id;
  ASSIGN_OR_COMPLAIN(const MessageId id, what, ParseMessageId(queue_id));
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const StoreNames names, "list the stores", ReadStoreNames(database));
  ASSIGN_OR_COMPLAIN(const QuarantinedMessage one, what, database.GetQuarantine().Message(id));
  Output output(line.Format());
  if (line.json) {
    output.PrintJson(QuarantineJson(one, names));
    return output.Finish();
  }
  const Time now = SystemClock().Now();
  const auto print = [&output](std::string_view label, const std::string& value) {
    output.Line(fmt::format("{:<12} {}", label, value));
  };
  const auto time = [now](Time value) {
    return fmt::format("{} ({})", FormatTime(value), FormatRelative(value, now));
  };
  print("Queue id", ToQueueId(one.message));
  print("Quarantined", time(one.time));
  print("Damage", output.Styled(Style::kBad, EscapeForTerminal(one.detail)));
  print("Submitted", time(one.client_submit_time));
  print("Was", one.lane == DueLane::kHeld ? "held" : "due " + time(one.due));
  print("Store", EscapeForTerminal(StoreNameOf(names, one.store)));
  return output.Finish();
}

ExitCode RunExport(const CommandLine& line, const std::string& queue_id) {
  const std::string what = "export " + queue_id;
  ASSIGN_OR_COMPLAIN(const MessageId id, what, ParseMessageId(queue_id));
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const std::string text, what, database.GetQuarantine().Export(id));
  Output output(OutputFormat::kTable);
  output.Bytes(text);
  return output.Finish();
}

StepAnswer Release(Database& database, MessageId id) {
  return {database.GetQuarantine().Release(id), "in the queue"};
}
StepAnswer Delete(Database& database, MessageId id) {
  return {database.GetQuarantine().Delete(id), "deleted"};
}

}  // namespace

void AddQuarantineCommands(CLI::App& app, CommandLine& line) {
  CLI::App* group = AddCommand(app, line, "quarantine", "Queued messages that are damaged");
  group->require_subcommand(1);
  CLI::App* list = AddCommand(*group, line, "list", "What is in quarantine, and why");
  AddJsonOption(*list, line);
  AddIdsOption(*list, line);
  list->callback([&line] { line.run = [&line] { return RunList(line); }; });
  auto queue_id = std::make_shared<std::string>();
  CLI::App* show = AddCommand(*group, line, "show", "What is damaged, and where it was queued");
  show->add_option("ID", *queue_id, "Queue id")->required();
  AddJsonOption(*show, line);
  show->callback(
      [&line, queue_id] { line.run = [&line, queue_id] { return RunShow(line, *queue_id); }; });
  CLI::App* write_out =
      AddCommand(*group, line, "export", "Write what is left of it to standard output");
  write_out->add_option("ID", *queue_id, "Queue id")->required();
  write_out->callback(
      [&line, queue_id] { line.run = [&line, queue_id] { return RunExport(line, *queue_id); }; });
  AddQueueStep(
      *group, line,
      {"release", "Verify messages again, and put them back into the queue as they were", Release});
  AddQueueStep(*group, line, {"delete", "Erase messages for good", Delete});
}

}  // namespace bobbin::cli

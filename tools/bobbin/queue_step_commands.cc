// bobbin abort, hold, release, retry: operators' steps on queued messages, one id after the other.
//
// Every id is answered, whatever became of those before it; the exit code is that of the first
// failure.
#include <fmt/core.h>

#include <memory>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

struct QueueStep {
  std::string name;
  std::string description;
  std::string done;  // What the message is afterwards.
  Result<void> (*apply)(Database& database, MessageId id);
};

Result<void> Abort(Database& database, MessageId id) { return database.AbortSubmit(id); }
Result<void> Hold(Database& database, MessageId id) { return database.GetOutgoingQueue().Hold(id); }
Result<void> Release(Database& database, MessageId id) {
  return database.GetOutgoingQueue().Release(id);
}
Result<void> Retry(Database& database, MessageId id) {
  return database.GetOutgoingQueue().Retry(id);
}

// `queue_id` as it was typed becomes what the queue calls it.
Result<void> Apply(const QueueStep& step, Database& database, std::string& queue_id) {
  ASSIGN_OR_RETURN(const MessageId id, ParseMessageId(queue_id));
  queue_id = ToQueueId(id);
  return step.apply(database, id);
}

void PrintAnswer(Output& output, const QueueStep& step, const std::string& queue_id,
                 const Result<void>& result) {
  if (output.Format() == OutputFormat::kJson) {
    Json answer{{"queue_id", queue_id}, {"command", step.name}, {"ok", result.has_value()}};
    answer["error"] = result ? Json() : Json(ErrorName(result.error().code));
    answer["detail"] = result ? Json() : Json(result.error().detail);
    output.PrintJson(answer);
  } else if (result && output.Format() == OutputFormat::kIds) {
    output.Line(queue_id);
  } else if (result) {
    output.Line(fmt::format("{}  {}", queue_id, step.done));
  }
}

ExitCode RunQueueStep(const CommandLine& line, const QueueStep& step,
                      const std::vector<std::string>& queue_ids) {
  ASSIGN_OR_COMPLAIN(Database database, "open the database", OpenDatabase(line));
  Output output(line.Format());
  ExitCode first_failure = ExitCode::kOk;
  for (std::string queue_id : queue_ids) {
    const Result<void> result = Apply(step, database, queue_id);
    PrintAnswer(output, step, queue_id, result);
    if (result) continue;
    const ExitCode code = Complain(step.name + " " + queue_id, result.error());
    if (first_failure == ExitCode::kOk) first_failure = code;
  }
  const ExitCode written = output.Finish();
  return first_failure != ExitCode::kOk ? first_failure : written;
}

}  // namespace

void AddQueueStepCommands(CLI::App& app, CommandLine& line) {
  const std::vector<QueueStep> steps{
      {"abort", "Take messages out of the queue; they become drafts again",
       "out of the queue, a draft again", Abort},
      {"hold",
       "Keep messages in the queue until they are released; does not stop an attempt "
       "that is under way",
       "held", Hold},
      {"release", "End a hold", "released", Release},
      {"retry", "Make messages due now, whatever their schedule; ends a hold", "due now", Retry},
  };
  for (const QueueStep& step : steps) {
    CLI::App* command = AddCommand(app, line, step.name, step.description);
    AddJsonOption(*command, line);
    AddIdsOption(*command, line);
    auto queue_ids = std::make_shared<std::vector<std::string>>();
    command->add_option("ID", *queue_ids, "Queue ids")->required();
    command->callback([&line, step, queue_ids] {
      line.run = [&line, step, queue_ids] { return RunQueueStep(line, step, *queue_ids); };
    });
  }
}

}  // namespace bobbin::cli

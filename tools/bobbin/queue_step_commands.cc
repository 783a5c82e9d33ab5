// bobbin abort, hold, release, retry: operators' steps on queued messages, one id after the other.
// bobbin delete: on those that are not, or no longer.
// abort also says whether it came in time (tools/bobbin/undo.h).
//
// Every id is answered, whatever became of those before it; the exit code is that of the first
// failure.
#include <fmt/core.h>

#include <memory>
#include <optional>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/undo.h"

namespace bobbin::cli {
namespace {

// What became of one message. An outcome is what `abort` alone has; where the step succeeded, it
// still may not be what was wanted.
struct Answer {
  Result<void> result;
  std::string done;  // What the message is afterwards.
  std::optional<UndoOutcome> outcome{};
};

struct QueueStep {
  std::string name;
  std::string description;
  Answer (*apply)(Database& database, MessageId id);
};

Answer Abort(Database& database, MessageId id) {
  Undo undo = UndoSubmission(database, id);
  std::string done = undo.detail;
  if (undo.outcome) done = std::string(ToString(*undo.outcome)) + ": " + done;
  return {std::move(undo.aborted), std::move(done), undo.outcome};
}
Answer Hold(Database& database, MessageId id) {
  return {database.GetOutgoingQueue().Hold(id), "held"};
}
Answer Release(Database& database, MessageId id) {
  return {database.GetOutgoingQueue().Release(id), "released"};
}
Answer Retry(Database& database, MessageId id) {
  return {database.GetOutgoingQueue().Retry(id), "due now"};
}

Answer Delete(Database& database, MessageId id) { return {database.DeleteMessage(id), "deleted"}; }

// `queue_id` as it was typed becomes what the queue calls it.
Answer Apply(const QueueStep& step, Database& database, std::string& queue_id) {
  const Result<MessageId> id = ParseMessageId(queue_id);
  if (!id) return {tl::unexpected<Error>(id.error()), {}};
  queue_id = ToQueueId(*id);
  return step.apply(database, *id);
}

bool IsAsWanted(const Answer& answer) {
  return answer.result && (!answer.outcome || *answer.outcome == UndoOutcome::kCancelled);
}

void PrintAnswer(Output& output, const QueueStep& step, const std::string& queue_id,
                 const Answer& answer) {
  const Result<void>& result = answer.result;
  if (output.Format() == OutputFormat::kJson) {
    Json object{{"queue_id", queue_id}, {"command", step.name}, {"ok", result.has_value()}};
    object["error"] = result ? Json() : Json(ErrorName(result.error().code));
    object["detail"] = !result          ? Json(result.error().detail)
                       : answer.outcome ? Json(answer.done)
                                        : Json();
    object["outcome"] = answer.outcome ? Json(ToString(*answer.outcome)) : Json();
    output.PrintJson(object);
  } else if (output.Format() == OutputFormat::kIds) {
    if (IsAsWanted(answer)) output.Line(queue_id);
  } else if (result || answer.outcome) {
    output.Line(fmt::format("{}  {}", queue_id, answer.done));
  }
}

// The complaint about what is not as it was wanted, and its exit code.
ExitCode Judge(const QueueStep& step, const std::string& queue_id, const Answer& answer) {
  const std::string what = step.name + " " + queue_id;
  if (!answer.result) return Complain(what, answer.result.error());
  if (IsAsWanted(answer)) return ExitCode::kOk;
  return Complain(ExitCode::kFindings, what, answer.done, "it is out of the queue");
}

ExitCode RunQueueStep(const CommandLine& line, const QueueStep& step,
                      const std::vector<std::string>& queue_ids) {
  ASSIGN_OR_COMPLAIN(Database database, "open the database", OpenDatabase(line));
  Output output(line.Format());
  ExitCode first_failure = ExitCode::kOk;
  for (std::string queue_id : queue_ids) {
    const Answer answer = Apply(step, database, queue_id);
    PrintAnswer(output, step, queue_id, answer);
    const ExitCode code = Judge(step, queue_id, answer);
    if (first_failure == ExitCode::kOk) first_failure = code;
  }
  const ExitCode written = output.Finish();
  return first_failure != ExitCode::kOk ? first_failure : written;
}

}  // namespace

void AddQueueStepCommands(CLI::App& app, CommandLine& line) {
  const std::vector<QueueStep> steps{
      {"abort", "Take messages out of the queue, and say whether that was in time", Abort},
      {"hold",
       "Keep messages in the queue until they are released; does not stop an attempt "
       "that is under way",
       Hold},
      {"release", "End a hold", Release},
      {"retry", "Make messages due now, whatever their schedule; ends a hold", Retry},
      {"delete", "Delete messages that are not in the queue", Delete},
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

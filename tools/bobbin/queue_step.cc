#include "tools/bobbin/queue_step.h"

#include <fmt/core.h>

#include <memory>
#include <vector>

#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

// `queue_id` as it was typed becomes what the queue calls it.
StepAnswer Apply(const QueueStep& step, Database& database, std::string& queue_id) {
  const Result<MessageId> id = ParseMessageId(queue_id);
  if (!id) return {tl::unexpected<Error>(id.error()), {}};
  queue_id = ToQueueId(*id);
  return step.apply(database, *id);
}

bool IsAsWanted(const StepAnswer& answer) {
  return answer.result && (!answer.outcome || *answer.outcome == UndoOutcome::kCancelled);
}

void PrintAnswer(Output& output, const QueueStep& step, const std::string& queue_id,
                 const StepAnswer& answer) {
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
ExitCode Judge(const QueueStep& step, const std::string& queue_id, const StepAnswer& answer) {
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
    const StepAnswer answer = Apply(step, database, queue_id);
    PrintAnswer(output, step, queue_id, answer);
    const ExitCode code = Judge(step, queue_id, answer);
    if (first_failure == ExitCode::kOk) first_failure = code;
  }
  const ExitCode written = output.Finish();
  return first_failure != ExitCode::kOk ? first_failure : written;
}

}  // namespace

void AddQueueStep(CLI::App& app, CommandLine& line, const QueueStep& step) {
  CLI::App* command = AddCommand(app, line, step.name, step.description);
  AddJsonOption(*command, line);
  AddIdsOption(*command, line);
  auto queue_ids = std::make_shared<std::vector<std::string>>();
  command->add_option("ID", *queue_ids, "Queue ids")->required();
  command->callback([&line, step, queue_ids] {
    line.run = [&line, step, queue_ids] { return RunQueueStep(line, step, *queue_ids); };
  });
}

}  // namespace bobbin::cli

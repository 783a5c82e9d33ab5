// bobbin abort, hold, release, retry: operators' steps on queued messages, one id after the other.
// bobbin delete: on those that are not, or no longer.
// abort also says whether it came in time (tools/bobbin/undo.h).
#include <utility>

#include "tools/bobbin/queue_step.h"

namespace bobbin::cli {
namespace {

StepAnswer Abort(Database& database, MessageId id) {
  Undo undo = UndoSubmission(database, id);
  std::string done = undo.detail;
  if (undo.outcome) done = std::string(ToString(*undo.outcome)) + ": " + done;
  return {std::move(undo.aborted), std::move(done), undo.outcome};
}
StepAnswer Hold(Database& database, MessageId id) {
  return {database.GetOutgoingQueue().Hold(id), "held"};
}
StepAnswer Release(Database& database, MessageId id) {
  return {database.GetOutgoingQueue().Release(id), "released"};
}
StepAnswer Retry(Database& database, MessageId id) {
  return {database.GetOutgoingQueue().Retry(id), "due now"};
}

StepAnswer Delete(Database& database, MessageId id) {
  return {database.DeleteMessage(id), "deleted"};
}

}  // namespace

void AddQueueStepCommands(CLI::App& app, CommandLine& line) {
  const QueueStep steps[]{
      {"abort", "Take messages out of the queue, and say whether that was in time", Abort},
      {"hold",
       "Keep messages in the queue until they are released; does not stop an attempt "
       "that is under way",
       Hold},
      {"release", "End a hold", Release},
      {"retry", "Make messages due now, whatever their schedule; ends a hold", Retry},
      {"delete", "Delete messages that are not in the queue", Delete},
  };
  for (const QueueStep& step : steps) AddQueueStep(app, line, step);
}

}  // namespace bobbin::cli

// One step on queued messages that are named one by one: how it is asked for, answered and judged.
//
// Every id is answered, whatever became of those before it; the exit code is that of the first
// failure.
#pragma once

#include <optional>
#include <string>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/undo.h"

namespace bobbin::cli {

// What became of one message. An outcome is what `abort` alone has; where the step succeeded, it
// still may not be what was wanted.
struct StepAnswer {
  Result<void> result;
  std::string done;  // What the message is afterwards.
  std::optional<UndoOutcome> outcome{};
};

struct QueueStep {
  std::string name;
  std::string description;
  StepAnswer (*apply)(Database& database, MessageId id);
};

// Adds the command, with --json and --ids.
void AddQueueStep(CLI::App& app, CommandLine& line, const QueueStep& step);

}  // namespace bobbin::cli

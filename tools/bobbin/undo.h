// Taking a submitted message back, and the truth about whether that came in time.
//
//   cancelled  it is a draft again, and none of its recipients has it
//   too late   a recipient has it, or all that was to be done with it is done
//   in doubt   a recipient may have it: it is being delivered at this moment, or an earlier
//   delivery
//              ended without an answer; or the outcome of the abort itself is unknown
//
// "Too late" may be said of a message that is out of the queue now: it has reached some of its
// recipients before, and will reach no more.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/database.h"

namespace bobbin::cli {

enum class UndoOutcome { kCancelled, kTooLate, kInDoubt };

std::string_view ToString(UndoOutcome outcome);

struct Undo {
  Result<void> aborted;                // As Database::AbortSubmit.
  std::optional<UndoOutcome> outcome;  // None: it was never submitted, or cannot be read.
  std::string detail;                  // For people.
};

Undo UndoSubmission(Database& database, MessageId message);

}  // namespace bobbin::cli

// Runs the preprocessors that a message matches, before its transmission, and undoes them
// (specification 7). Internal to the spooler.
//
//   locked PREQ, or READYQ that a preprocessor of this spooler should see but never has
//     -> BeginPreprocessing (durable)  -> [begun before: RemovePreprocessInfo first]
//     -> PreprocessMessage of each     -> undeliverable rows fail, with their report
//     -> second submit                 -> by-products submitted
//
// A crash anywhere repeats all of it from what is saved; by-products come last, because those alone
// would then be doubled.
#pragma once

#include <cstdint>
#include <vector>

#include "spooler/outbound_content.h"
#include "spooler/worker_context.h"

namespace bobbin {

// Whether preprocessors must run before `message` may be offered to a transport.
bool IsPreprocessingDue(const WorkerContext& context, const PropertyList& message,
                        const RecipientTable& recipients);

struct PreprocessedRecipient {
  RecipientRowId row;
  Reply reply;
};

struct PreprocessResult {
  std::uint32_t attempts = 0;
  std::vector<PreprocessedRecipient> undeliverable;
  std::vector<Message> messages;  // To be submitted.
};

// Runs them on a message that the session has locked, and ends with the second submit: message
// objects opened before are stale. An error of a preprocessor: nothing is submitted,
// `result.attempts` is set.
Result<void> Preprocess(const WorkerContext& context, const DueMessage& due,
                        const OutboundIdentity& identity, PreprocessResult& result);

// RemovePreprocessInfo of those that match, in reverse; what fails is told of. Does not save.
void RemovePreprocessing(const WorkerContext& context, Message& message);

}  // namespace bobbin

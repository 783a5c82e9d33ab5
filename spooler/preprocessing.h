// Runs the preprocessors that a message matches, before its transmission, and undoes them
// (specification 7). Internal to the spooler.
//
//   locked PREQ, or READYQ that a preprocessor of this spooler should see but never has
//     -> BeginPreprocessing (durable)  -> [begun before: RemovePreprocessInfo first]
//     -> PreprocessMessage of each     -> undeliverable rows fail, with their report (durable)
//     -> by-products submitted         -> second submit
//
// A crash anywhere repeats all of it from what is saved. By-products may then be submitted twice:
// after the second submit nothing would be left to make a lost one again.
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

// Runs them on a message that the session has locked, and saves what they make of it: message
// objects opened before are stale. An error of a preprocessor, or a message that has been begun
// more than preprocess_attempts_max times: nothing is submitted, `result.attempts` is set.
Result<void> Preprocess(const WorkerContext& context, const DueMessage& due,
                        const OutboundIdentity& identity, PreprocessResult& result);

// Then, when undeliverable rows are settled: by-products, and the second submit.
Result<void> SubmitPreprocessed(const WorkerContext& context, const DueMessage& due,
                                PreprocessResult& result);

// RemovePreprocessInfo of those that match, in reverse; what fails is told of. Does not save.
void RemovePreprocessing(const WorkerContext& context, Message& message);

}  // namespace bobbin

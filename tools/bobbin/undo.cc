#include "tools/bobbin/undo.h"

#include <fmt/core.h>

#include <algorithm>

namespace bobbin::cli {
namespace {

struct Reached {
  std::size_t recipients = 0;
  std::size_t has_it = 0;
  std::size_t in_doubt = 0;
  std::size_t served = 0;  // Delivered, failed or expired.
};

Reached CountReached(const RecipientTable& recipients) {
  Reached reached;
  reached.recipients = recipients.size();
  for (const RecipientRow& row : recipients) {
    reached.has_it += row.delivery.state == RecipientState::kDelivered;
    reached.served += row.delivery.responsibility;
    reached.in_doubt += row.delivery.state == RecipientState::kInDoubt;
  }
  return reached;
}

// Of a message that is not in the queue, or no longer.
Undo FromWhatIsStored(const Message& message, Result<void> aborted) {
  Undo undo{std::move(aborted), std::nullopt, {}};
  const Result<PropertyList> properties = message.GetProps();
  const Result<RecipientTable> recipients = message.GetRecipientTable();
  if (!properties || !recipients) return undo;
  // An abort leaves the time; a draft without one was never submitted.
  if (properties->Find(pr::kClientSubmitTime) == nullptr) {
    undo.detail = "it was never submitted";
    return undo;
  }
  const bool is_draft = (properties->NumberOr(pr::kMessageFlags, 0) & kMsgFlagUnsent) != 0;
  const Reached reached = CountReached(*recipients);
  if (reached.in_doubt > 0) {
    undo.outcome = UndoOutcome::kInDoubt;
    undo.detail = fmt::format("{} of {} recipients may have it: a delivery ended without an answer",
                              reached.in_doubt, reached.recipients);
  } else if (!is_draft && reached.served == 0) {
    // It came with its time of submission: mail that was imported, or received.
    undo.detail = "it was never submitted here";
  } else if (!is_draft && reached.has_it == 0) {
    undo.outcome = UndoOutcome::kTooLate;
    undo.detail = fmt::format("delivery to {} of {} recipients failed; nobody has it",
                              reached.served, reached.recipients);
  } else if (reached.has_it > 0) {
    undo.outcome = UndoOutcome::kTooLate;
    undo.detail = fmt::format("{} of {} recipients have it", reached.has_it, reached.recipients);
    if (is_draft) undo.detail += ", the others will not get it";
  } else {
    undo.outcome = UndoOutcome::kCancelled;
    undo.detail = "a draft again; nobody has it";
  }
  return undo;
}

Undo WhenItIsGone(const Database& database, MessageId id, Result<void> aborted) {
  Undo undo{std::move(aborted), std::nullopt, "there is no such message"};
  const Result<bool> existed = database.MayHaveExisted(id);
  if (existed && *existed) {
    undo.outcome = UndoOutcome::kTooLate;
    undo.detail = "it is gone: sent and then deleted, unless it was deleted as a draft";
  }
  return undo;
}

}  // namespace

std::string_view ToString(UndoOutcome outcome) {
  switch (outcome) {
    case UndoOutcome::kCancelled:
      return "cancelled";
    case UndoOutcome::kTooLate:
      return "too late";
    case UndoOutcome::kInDoubt:
      break;
  }
  return "in doubt";
}

Undo UndoSubmission(Database& database, MessageId message) {
  Result<void> aborted = database.AbortSubmit(message);
  const ErrorCode code = aborted ? ErrorCode::kNotInQueue : aborted.error().code;
  if (code == ErrorCode::kUnableToAbort) {
    return {std::move(aborted), UndoOutcome::kInDoubt, "it is being delivered at this moment"};
  }
  if (code == ErrorCode::kStoreFailed) {
    return {std::move(aborted), UndoOutcome::kInDoubt, "whether it was aborted is unknown"};
  }
  if (code == ErrorCode::kNotFound) return WhenItIsGone(database, message, std::move(aborted));
  if (code != ErrorCode::kNotInQueue) return {std::move(aborted), std::nullopt, {}};
  const Result<Message> stored = database.OpenMessageForOperator(message);
  if (stored) return FromWhatIsStored(*stored, std::move(aborted));
  if (aborted && stored.error().code == ErrorCode::kNotFound) {
    return {std::move(aborted), UndoOutcome::kCancelled, "the draft has been deleted since"};
  }
  return {std::move(aborted), std::nullopt, stored.error().detail};
}

}  // namespace bobbin::cli

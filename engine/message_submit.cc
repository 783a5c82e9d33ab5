// Message::SubmitMessage: the one transaction that turns a draft into a queued message.
#include <algorithm>
#include <utility>

#include "engine/message.h"
#include "engine/message_object.h"
#include "engine/submission.h"
#include "engine/transport_profile.h"

namespace bobbin {
namespace {

// What the spooler submits while it is in the queue has been submitted once.
bool IsSecondSubmit(const MessageObject& object) {
  return object.logon == Logon::kSpooler && object.record.IsSubmitted();
}

// Responsibilities and attempts of an earlier submission do not count for this one (C22).
void ResetDelivery(RecipientTable& recipients, Logon logon) {
  for (RecipientRow& row : recipients) {
    const bool keep = logon == Logon::kSpooler && row.delivery.responsibility;
    row.delivery = RecipientDelivery{};
    row.delivery.responsibility = keep;
  }
}

// Specification 4.5: what the spooler does when preprocessing is over. Place, time, recipients'
// responsibilities and the lock stay as they are (C102).
Result<void> SecondSubmitInTransaction(const MessageObject& object, RowWriter& rows) {
  MessageRecord saved;
  std::optional<MessageRecord> before;
  SavedParts parts;
  RETURN_IF_ERROR(object.MergeInto(rows, 0, saved, before, parts));
  if (!before || !IsLegal(SubmissionState::kPreprocessQueue, SubmissionStep::kSecondSubmit)) {
    return Fail(ErrorCode::kNotInQueue, "the message is not in the outgoing queue");
  }
  if (object.recipients_changed) {
    RETURN_IF_ERROR(object.WriteRecipients(rows, saved, object.recipients));
  }
  saved.submit_flags &= ~kSubmitFlagPreprocess;
  saved.preprocess_attempts = 0;
  return object.WriteRecord(rows, saved, before);
}

// Specification 4.4, steps 1 to 7. Everything is checked before the first write, so that a
// refused submission costs its neighbours in the batch nothing.
Result<void> SubmitInTransaction(const MessageObject& object, const TransportProfile* profile,
                                 RowWriter& rows) {
  if (IsSecondSubmit(object)) return SecondSubmitInTransaction(object, rows);
  if (object.recipients.empty()) {
    return Fail(ErrorCode::kNoRecipients, "the recipient table is empty");
  }
  if (object.stored) {
    ASSIGN_OR_RETURN(const auto stored, rows.Message(object.id));
    if (stored && stored->IsSubmitted()) {
      return Fail(ErrorCode::kSubmitted, "the message is in the outgoing queue already");
    }
  }
  MessageRecord saved;
  std::optional<MessageRecord> before;
  SavedParts parts;  // Nobody takes them over: the object ends here.
  RETURN_IF_ERROR(object.MergeInto(rows, 0, saved, before, parts));

  RecipientTable recipients = object.recipients;
  ResetDelivery(recipients, object.logon);
  ExpandRecipients(recipients);
  RETURN_IF_ERROR(object.WriteRecipients(rows, saved, recipients));
  const bool preprocess = profile != nullptr && NeedsPreprocessing(*profile, recipients);
  RETURN_IF_ERROR(Enqueue(rows, object.id, saved, object.database->clock->Now(),
                          object.database->id, preprocess ? kSubmitFlagPreprocess : 0U));
  return object.WriteRecord(rows, saved, before);
}

void Submitted(MessageObject& object, const Result<void>& outcome) {
  if (!outcome) {
    object.phase = MessageObject::Phase::kOpen;
    return;
  }
  object.phase = MessageObject::Phase::kInvalid;
  object.database->shared.signal->Raise();
  object.database->queue_events.Publish(
      {{IsSecondSubmit(object) ? QueueEventKind::kRowModified : QueueEventKind::kRowAdded,
        object.record.store, object.id}});
}

Result<void> BeginSubmit(MessageObject& object, std::uint32_t flags) {
  RETURN_IF_ERROR(object.CheckWritable());
  if ((flags & ~kForceSubmit) != 0) return Fail(ErrorCode::kUnknownFlags, "undefined submit flags");
  if (object.depth > 0) {
    return Fail(ErrorCode::kNoSupport, "an embedded message is sent with the one that holds it");
  }
  if (!IsSecondSubmit(object)) return {};
  const auto holder = object.database->shared.locks->Holder(object.id);
  if (holder && holder->kind == LockKind::kLock && holder->session == object.session) return {};
  return Fail(ErrorCode::kNoAccess, "the message is not locked by this spooler session");
}

}  // namespace

Result<void> Message::SubmitMessage(std::uint32_t flags) {
  RETURN_IF_ERROR(BeginSubmit(*object_, flags));
  const auto profile = object_->database->shared.transports->Current();
  Result<void> outcome = object_->database->Update(
      [&](RowWriter& rows) { return SubmitInTransaction(*object_, profile.get(), rows); });
  Submitted(*object_, outcome);
  return outcome;
}

void Message::SubmitMessageAsync(std::uint32_t flags, std::function<void(Result<void>)> done) {
  if (Result<void> begun = BeginSubmit(*object_, flags); !begun) {
    done(std::move(begun));
    return;
  }
  object_->phase = MessageObject::Phase::kSubmitting;
  object_->database->UpdateAsync(
      [object = object_.get(), profile = object_->database->shared.transports->Current()](
          RowWriter& rows) { return SubmitInTransaction(*object, profile.get(), rows); },
      [object = object_, done = std::move(done)](Result<void> outcome) mutable {
        Submitted(*object, outcome);
        object.reset();  // Whoever is answered may close the database.
        done(std::move(outcome));
      });
}

}  // namespace bobbin

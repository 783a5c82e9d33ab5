// Message::SubmitMessage: the one transaction that turns a draft into a queued message.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/expand_recipients.h"
#include "engine/local_delivery.h"
#include "engine/message.h"
#include "engine/message_object.h"
#include "engine/sent_mail.h"
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

// What one submission finds out inside its transaction, for what comes after the commit.
struct Submission {
  std::shared_ptr<const TransportProfile> profile;
  bool may_serve_inline = false;  // The caller waits, so it can go on after the commit.

  bool queued = true;         // Else it was completed on the spot.
  bool serve_inline = false;  // Locked as INLINE; local recipients are still to be served.
  Change inline_row;          // Its row of the queue, which is told of when it can be seen.
  std::uint64_t inline_sequence = 0;
};

bool WantsHooks(const Submission& submission) {
  return submission.profile != nullptr && submission.profile->has_outbound_hooks;
}

bool AllServed(const RecipientTable& recipients) {
  return std::all_of(recipients.begin(), recipients.end(),
                     [](const RecipientRow& row) { return row.delivery.responsibility; });
}

Result<std::size_t> CountLocal(RowReader& rows, const RecipientTable& recipients) {
  std::size_t count = 0;
  for (const RecipientRow& row : recipients) {
    if (row.delivery.responsibility) continue;
    ASSIGN_OR_RETURN(const auto store, LocalStoreOf(rows, row));
    if (store) ++count;
  }
  return count;
}

// Specification 4.5: what the spooler does when preprocessing is over. Place, time, recipients'
// responsibilities and the lock stay as they are (C102); then the coupled part of section 6, after
// which the message stays in the queue even when everybody is served: that is CompleteMessage
// (C106).
Result<void> SecondSubmitInTransaction(const MessageObject& object, RowWriter& rows) {
  MessageRecord saved;
  std::optional<MessageRecord> before;
  SavedParts parts;
  RETURN_IF_ERROR(object.MergeInto(rows, 0, saved, before, parts));
  if (!before) return Fail(ErrorCode::kNotInQueue, "the message is not in the outgoing queue");
  saved.submit_flags &= ~kSubmitFlagPreprocess;
  saved.preprocess_attempts = 0;
  RecipientTable recipients = object.recipients;
  std::vector<RecipientRowId> served;
  ASSIGN_OR_RETURN(const auto store, rows.Store(saved.store));
  if (store && store->tightly_coupled && (before->submit_flags & kSubmitFlagPreprocess) != 0) {
    MessageObject::SummarizeRecipients(saved, recipients);
    const LocalDelivery delivery{object.id, &saved, nullptr, object.database->clock->Now()};
    RETURN_IF_ERROR(ServeLocal(rows, delivery, recipients, kServedAtOnceMax, served));
  }
  if (object.recipients_changed || !served.empty()) {
    RETURN_IF_ERROR(object.WriteRecipients(rows, saved, recipients));
  }
  rows.Note(Change::QueueRow(ChangeKind::kQueueRowModified, saved.store, object.id,
                             saved.queue_sequence));
  return object.WriteRecord(rows, saved, before, SubmissionStep::kSecondSubmit);
}

// MAPI: IMAPISupport::CompleteMsg (specification 4.11): the coupled store has served everybody and
// leaves the completion to the spooler, whose hooks want to see the message. It is remembered as a
// queue row whose every responsibility is TRUE, so there is nothing to call after a crash.
void CompleteMessage(Submission& submission) { submission.queued = true; }

// What comes after the coupled store has served all it can.
void EndCoupled(const RecipientTable& recipients, Submission& submission) {
  submission.queued = !AllServed(recipients);
  if (!submission.queued && WantsHooks(submission)) CompleteMessage(submission);
}

// Section 6: serves what the coupled transport can, and completes the message if that is all.
Result<void> ServeCoupled(const MessageObject& object, Submission& submission, RowWriter& rows,
                          const MessageRecord& saved, RecipientTable& recipients) {
  ASSIGN_OR_RETURN(const std::size_t local, CountLocal(rows, recipients));
  if (local == 0) return {};
  if (local > kServedAtOnceMax && submission.may_serve_inline) {
    ASSIGN_OR_RETURN(const LockSession session, object.database->OperationSession());
    RETURN_IF_ERROR(object.database->shared.locks->TryLock(object.id, session, LockKind::kInline));
    submission.serve_inline = true;
    submission.inline_row =
        Change::QueueRow(ChangeKind::kQueueRowAdded, saved.store, object.id, saved.queue_sequence);
    submission.inline_sequence = rows.Sequence();
    rows.ForgetQueueRow(object.id);
    return {};
  }
  std::vector<RecipientRowId> served;
  const LocalDelivery delivery{object.id, &saved, nullptr, object.database->clock->Now()};
  RETURN_IF_ERROR(ServeLocal(rows, delivery, recipients, kServedAtOnceMax, served));
  EndCoupled(recipients, submission);
  return {};
}

// Specification 4.4, steps 1 to 7. Everything is checked before the first write, so that a
// refused submission costs its neighbours in the batch nothing.
Result<void> SubmitInTransaction(const MessageObject& object, Submission& submission,
                                 RowWriter& rows) {
  submission.queued = true;
  submission.serve_inline = false;
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
  RecipientTable recipients = object.recipients;
  ResetDelivery(recipients, object.logon);
  PrepareSubmit(object.record, recipients);
  RETURN_IF_ERROR(ExpandRecipients(rows, recipients));
  if (recipients.empty()) {
    return Fail(ErrorCode::kNoRecipients, "the lists among the recipients have no members");
  }
  MessageRecord saved;
  std::optional<MessageRecord> before;
  SavedParts parts;  // Nobody takes them over: the object ends here.
  RETURN_IF_ERROR(object.MergeInto(rows, 0, saved, before, parts));
  const bool preprocess =
      submission.profile != nullptr && NeedsPreprocessing(*submission.profile, recipients);
  const Time now = object.database->clock->Now();
  MessageObject::SummarizeRecipients(saved, recipients);
  RETURN_IF_ERROR(Enqueue(rows, object.id, saved, now, object.database->id,
                          preprocess ? kSubmitFlagPreprocess : 0U));
  ASSIGN_OR_RETURN(const auto store, rows.Store(saved.store));
  const bool deferred = saved.properties.NumberOr(pr::kDeferredSendTime, 0) > ToFileTime(now);
  if (store && store->tightly_coupled && !preprocess && !deferred) {
    RETURN_IF_ERROR(ServeCoupled(object, submission, rows, saved, recipients));
  }
  RETURN_IF_ERROR(object.WriteRecipients(rows, saved, recipients));
  RETURN_IF_ERROR(object.WriteRecord(rows, saved, before, SubmissionStep::kSubmit));
  if (submission.queued) return {};
  RETURN_IF_ERROR(FinishInTransaction(rows, object.id, saved, SubmissionStep::kServeInline, {},
                                      object.database->id));
  return {};
}

// One more part of an INLINE message's local recipients. Returns whether there are more.
Result<bool> ServeInlineStep(const MessageObject& object, Submission& submission) {
  std::size_t left = 0;
  RETURN_IF_ERROR(object.database->Update([&](RowWriter& rows) -> Result<void> {
    submission.queued = true;
    ASSIGN_OR_RETURN(std::optional<MessageRecord> record, rows.Message(object.id));
    if (!record) return Fail(ErrorCode::kObjectDeleted, "the message was deleted");
    ASSIGN_OR_RETURN(RecipientTable recipients, rows.Recipients(object.id));
    std::vector<RecipientRowId> served;
    const LocalDelivery delivery{object.id, &*record, nullptr, object.database->clock->Now()};
    ASSIGN_OR_RETURN(left, ServeLocal(rows, delivery, recipients, kServedAtOnceMax, served));
    for (const RecipientRow& row : recipients) {
      if (std::find(served.begin(), served.end(), row.id) == served.end()) continue;
      RETURN_IF_ERROR(rows.PutRecipient(object.id, row));
    }
    EndCoupled(recipients, submission);
    if (submission.queued) return {};
    RETURN_IF_ERROR(FinishInTransaction(rows, object.id, *record, SubmissionStep::kServeInline, {},
                                        object.database->id));
    rows.ForgetQueueRow(object.id);
    return {};
  }));
  return left > 0;
}

// The message is submitted, durably: what cannot be served here, the spooler serves. So an error
// ends the serving and is not the caller's.
void ServeInline(const MessageObject& object, Submission& submission) {
  for (;;) {
    const Result<bool> more = ServeInlineStep(object, submission);
    if (!more) submission.queued = true;
    if (!more || !*more) return;
  }
}

void Submitted(MessageObject& object, Submission& submission, const Result<void>& outcome) {
  LockTable& locks = *object.database->shared.locks;
  if (!outcome) {
    object.phase = MessageObject::Phase::kOpen;
  } else {
    object.phase = MessageObject::Phase::kInvalid;
    if (submission.serve_inline) ServeInline(object, submission);
  }
  if (submission.serve_inline) {
    if (const auto session = object.database->OperationSession()) locks.Unlock(object.id, *session);
  }
  // A row that was added is announced by its commit, and wakes the spooler there.
  if (!outcome || !submission.queued) return;
  if (submission.serve_inline) {
    object.database->AnnounceVolatile(submission.inline_sequence, submission.inline_row);
  }
  if (submission.serve_inline || IsSecondSubmit(object)) object.database->shared.signal->Raise();
}

Result<void> BeginSubmit(MessageObject& object, std::uint32_t flags) {
  RETURN_IF_ERROR(object.CheckWritable());
  if ((flags & ~kForceSubmit) != 0) return Fail(ErrorCode::kUnknownFlags, "undefined submit flags");
  if (object.depth > 0) {
    return Fail(ErrorCode::kNoSupport, "an embedded message is sent with the one that holds it");
  }
  if (!IsSecondSubmit(object)) return {};
  const auto holder = object.database->shared.locks->Holder(object.id);
  if (holder && holder->IsLock() && holder->session == object.session) return {};
  return Fail(ErrorCode::kNoAccess, "the message is not locked by this spooler session");
}

}  // namespace

Result<void> Message::SubmitMessage(std::uint32_t flags) {
  RETURN_IF_ERROR(BeginSubmit(*object_, flags));
  Submission submission;
  submission.profile = object_->database->shared.transports->Current();
  submission.may_serve_inline = true;
  Result<void> outcome = object_->database->Update(
      [&](RowWriter& rows) { return SubmitInTransaction(*object_, submission, rows); });
  Submitted(*object_, submission, outcome);
  return outcome;
}

void Message::SubmitMessageAsync(std::uint32_t flags, std::function<void(Result<void>)> done) {
  if (Result<void> begun = BeginSubmit(*object_, flags); !begun) {
    done(std::move(begun));
    return;
  }
  object_->phase = MessageObject::Phase::kSubmitting;
  auto submission = std::make_shared<Submission>();
  submission->profile = object_->database->shared.transports->Current();
  object_->database->UpdateAsync(
      [object = object_.get(), submission](RowWriter& rows) {
        return SubmitInTransaction(*object, *submission, rows);
      },
      [object = object_, submission, done = std::move(done)](Result<void> outcome) mutable {
        Submitted(*object, *submission, outcome);
        object.reset();  // Whoever is answered may close the database.
        done(std::move(outcome));
      });
}

}  // namespace bobbin

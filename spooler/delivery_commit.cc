// DeliveryAttempt: what is written down of it, and what is reported.
#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "spooler/delivery_attempt.h"
#include "spooler/post_processing.h"
#include "spooler/sender_identity.h"

namespace bobbin {

bool MayPass(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotEnoughDisk:
    case ErrorCode::kNotEnoughMemory:
    case ErrorCode::kNotEnoughResources:
    case ErrorCode::kDiskError:
    case ErrorCode::kStoreFailed:
    case ErrorCode::kNoAccess:
    case ErrorCode::kBusy:
    case ErrorCode::kTimeout:
      return true;
    default:
      return false;
  }
}

OutboundIdentity DeliveryAttempt::Identity() const {
  return {reverse_path_, context_.options.reporting_host};
}

// The message as it was at submit time, for reports: without what preprocessors have done to it.
// One that cannot be undone is reported as it is: false, as when there is nothing to undo.
bool DeliveryAttempt::UndoForReports() {
  if (unprocessed_ || !properties_.FlagOr(pr::kPreprocess, false)) return false;
  Result<Message> undone = context_.session.OpenMessage(due_.entry_id);
  if (!undone) return false;
  RemovePreprocessing(context_, *undone);
  Result<PropertyList> properties = undone->GetProps();
  if (!properties) return false;
  unprocessed_.emplace(Unprocessed{*std::move(undone), *std::move(properties)});
  return true;
}

ReportedOriginal DeliveryAttempt::Original() const {
  const Message& message = unprocessed_ ? unprocessed_->message : message_;
  return {due_.entry_id,
          unprocessed_ ? unprocessed_->properties : properties_,
          reverse_path_,
          submit_time_,
          [this, &message] { return OpenOutboundContent(message, Identity()); },
          unprocessed_.has_value()};
}

Attempt DeliveryAttempt::MakeAttempt(bool settled_only) {
  Attempt attempt;
  attempt.next_due = Time::max();
  std::vector<AttemptedRecipient> attempted;
  for (Recipient& recipient : recipients_) {
    RecipientDelivery& delivery = recipient.row.delivery;
    if (!settled_only && IsDelayToBeReported(Original(), recipient.row, context_.options, now_)) {
      delivery.delay_reported = now_;
      recipient.changed = true;
    }
    if (recipient.changed && (delivery.responsibility || !settled_only)) {
      attempt.updates.push_back({recipient.row.id, delivery});
      attempted.push_back({&recipient.row, recipient.delivered_to});
    }
    if (delivery.responsibility) continue;
    // A recipient that waits for a transport, not for its own schedule, keeps its place.
    const Time next = delivery.next_attempt > now_ ? delivery.next_attempt : due_.due;
    attempt.next_due = std::min(attempt.next_due, next);
  }
  if (attempt.next_due == Time::max()) attempt.next_due = due_.due;
  if (soon_) attempt.next_due = std::max(attempt.next_due, *soon_);
  attempt.missing_sender = MissingSender(properties_, reverse_path_);
  attempt.reports = MakeReports(Original(), attempted, context_.options, now_);
  if (attempt.reports.empty() || !UndoForReports()) return attempt;
  attempt.reports = MakeReports(Original(), attempted, context_.options, now_);
  return attempt;
}

Result<void> DeliveryAttempt::StoreSettled() {
  Attempt attempt = MakeAttempt(true);
  attempt.next_due = due_.due;
  attempt.finish = false;
  attempt.keep_locked = true;
  RETURN_IF_ERROR(context_.session.CommitAttempt(due_.entry_id, attempt));
  for (Recipient& recipient : recipients_) {
    if (recipient.row.delivery.responsibility) recipient.changed = false;
  }
  return {};
}

bool DeliveryAttempt::NeedsPostProcessing() const {
  return (properties_.FlagOr(pr::kPreprocess, false) || !context_.options.outbound_hooks.empty()) &&
         std::all_of(recipients_.begin(), recipients_.end(), [](const Recipient& recipient) {
           return recipient.row.delivery.responsibility;
         });
}

// That everybody has been served must be durable before anything runs that can fail or last: a
// problem behind the transmission must not cause a second one.
Result<FinishResult> DeliveryAttempt::CommitAndPostProcess() {
  if (!settled_is_stored_) {
    attempt_->finish = false;
    attempt_->keep_locked = true;
    RETURN_IF_ERROR(context_.session.CommitAttempt(due_.entry_id, *attempt_));
    settled_is_stored_ = true;
    SetStored();
  }
  ASSIGN_OR_RETURN(const SentMailOrder order,
                   PostProcess(context_, due_, attempt_->missing_sender));
  return context_.session.FinishMessage(due_.entry_id, 0, order);
}

Result<void> DeliveryAttempt::StoreChanged() {
  const bool is_changed = std::any_of(recipients_.begin(), recipients_.end(),
                                      [](const Recipient& one) { return one.changed; });
  if (!is_changed) return {};
  if (!attempt_) attempt_ = MakeAttempt(false);
  Attempt unfinished = *attempt_;  // It may be committed as it is, still.
  unfinished.next_due = due_.due;
  unfinished.finish = false;
  unfinished.keep_locked = true;
  RETURN_IF_ERROR(context_.session.CommitAttempt(due_.entry_id, unfinished));
  SetStored();
  TellReports();
  return {};
}

Result<void> DeliveryAttempt::CommitOutcomes() {
  const Result<void> with_reports = StoreChanged();
  if (with_reports || MayPass(with_reports.error().code)) return with_reports;
  RecipientTable rows;
  for (const Recipient& recipient : recipients_) {
    if (!recipient.changed) continue;
    rows.push_back(recipient.row);
    RecipientDelivery& delivery = rows.back().delivery;
    if (!delivery.responsibility || delivery.state == RecipientState::kDelivered) continue;
    delivery.responsibility = false;
    delivery.state = recipient.state_unsettled;
    delivery.completed = {};
  }
  RETURN_IF_ERROR(context_.session.CommitOutcomes(due_.entry_id, rows));
  SetStored();
  return {};
}

void DeliveryAttempt::SetStored() {
  for (Recipient& recipient : recipients_) recipient.changed = false;
}

void DeliveryAttempt::TellReports() const {
  for (const ReportMessage& report : attempt_->reports) {
    Tell(SpoolerEventKind::kReportCreated, nullptr, {}, "to " + report.recipient);
  }
}

Result<FinishResult> DeliveryAttempt::Commit() {
  if (damaged_) {
    // What this attempt has come to know is written down first.
    RETURN_IF_ERROR(StoreChanged());
    return tl::unexpected<Error>(*damaged_);
  }
  if (!attempt_) attempt_ = MakeAttempt(false);
  Result<FinishResult> result = NeedsPostProcessing()
                                    ? CommitAndPostProcess()
                                    : context_.session.CommitAttempt(due_.entry_id, *attempt_);
  if (!result) return result;
  TellReports();
  const bool finished = *result != FinishResult::kStillQueued;
  if (finished) context_.shared.deferred.Forget(due_.message);
  Tell(
      finished ? SpoolerEventKind::kMessageFinished : SpoolerEventKind::kMessageDeferred, nullptr,
      {},
      *result == FinishResult::kFinishedPartially ? "the sent mail folder is gone or damaged" : "");
  return result;
}

}  // namespace bobbin

#include "spooler/delivery_attempt.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "spooler/composed_message.h"
#include "spooler/internet_message.h"
#include "spooler/sender_identity.h"

namespace bobbin {
namespace {

constexpr std::chrono::seconds kBusyPause{5};
constexpr std::chrono::seconds kUnreadablePause{60};
constexpr int kResendNowMax = 3;  // Guards against a transport that never lets go.

Reply NoTransport(const RecipientRow& row) {
  if (row.EmailAddress().empty() || row.AddressType().empty()) {
    return {0, "5.1.3", "the recipient has no address"};
  }
  return {0, "5.4.4", "no transport serves address type " + std::string(row.AddressType())};
}

bool Serves(const TransportProvider& transport, std::string_view address_type) {
  const std::vector<std::string> types = transport.AddressTypes();
  return types.empty() || std::find(types.begin(), types.end(), address_type) != types.end();
}

}  // namespace

// What a transport sees of the message during one SubmitMessage call.
class DeliveryAttempt::Offered final : public OutboundMessage {
 public:
  Offered(DeliveryAttempt& attempt, std::vector<Recipient*> recipients, MessageBodyReader reader)
      : attempt_(attempt), offered_(std::move(recipients)), content_bytes_(reader.Bytes()) {
    content_ = NewTransmittedContent(std::move(reader), {});
    outcomes_.resize(offered_.size());
    for (const Recipient* recipient : offered_) {
      OutboundRecipient out;
      out.row = recipient->row.id;
      out.address_type = std::string(recipient->row.AddressType());
      out.address = std::string(recipient->row.EmailAddress());
      out.maybe_delivered = recipient->row.delivery.attempts > 0;
      recipients_.push_back(std::move(out));
    }
  }

  const EntryId& Id() const override { return attempt_.due_.entry_id; }
  std::string QueueId() const override { return ToQueueId(attempt_.due_.message); }
  Time SubmitTime() const override { return attempt_.submit_time_; }
  const std::string& ReversePath() const override { return attempt_.reverse_path_; }
  const std::vector<OutboundRecipient>& Recipients() const override { return recipients_; }
  std::uint64_t ContentBytes() const override { return content_bytes_; }
  ContentSource& Content() override { return *content_; }

  Result<void> MarkInDoubt(std::span<const RecipientRowId> rows) override {
    RETURN_IF_ERROR(
        attempt_.context_.session.MarkInDoubt(attempt_.due_.entry_id, rows, attempt_.now_));
    for (const RecipientRowId id : rows) {
      if (Recipient* recipient = Find(id)) {
        attempt_.CountAttempt(*recipient);
        recipient->row.delivery.state = RecipientState::kInDoubt;
        recipient->changed = true;
      }
    }
    return {};
  }

  void SetOutcome(RecipientRowId row, RecipientOutcome outcome) override {
    for (std::size_t i = 0; i < offered_.size(); ++i) {
      if (offered_[i]->row.id == row) outcomes_[i] = outcome;
    }
  }

  const std::vector<Recipient*>& OfferedRecipients() const { return offered_; }
  RecipientOutcome& Outcome(std::size_t index) { return outcomes_[index]; }

 private:
  Recipient* Find(RecipientRowId row) {
    const auto at = std::find_if(offered_.begin(), offered_.end(),
                                 [&](const Recipient* r) { return r->row.id == row; });
    return at == offered_.end() ? nullptr : *at;
  }

  DeliveryAttempt& attempt_;
  std::vector<Recipient*> offered_;
  std::vector<RecipientOutcome> outcomes_;
  std::vector<OutboundRecipient> recipients_;
  std::uint64_t content_bytes_;
  std::unique_ptr<ContentSource> content_;
};

DeliveryAttempt::DeliveryAttempt(const Context& context, DueMessage due, Message message, Time now)
    : context_(context), due_(due), message_(std::move(message)), now_(now) {}

Result<DeliveryAttempt> DeliveryAttempt::Prepare(const Context& context, const DueMessage& due,
                                                 Message message, const std::string& default_sender,
                                                 Time now) {
  DeliveryAttempt attempt(context, due, std::move(message), now);
  ASSIGN_OR_RETURN(attempt.properties_, attempt.message_.GetProps());
  ASSIGN_OR_RETURN(RecipientTable rows, attempt.message_.GetRecipientTable());
  attempt.reverse_path_ = SmtpSender(attempt.properties_).value_or(default_sender);
  attempt.submit_time_ =
      FromFileTime(attempt.properties_.NumberOr(pr::kClientSubmitTime, ToFileTime(now)));
  for (RecipientRow& row : rows) {
    Recipient recipient;
    recipient.row = std::move(row);
    recipient.state_before = recipient.row.delivery.state;
    attempt.recipients_.push_back(std::move(recipient));
  }
  attempt.next_transport_.resize(attempt.recipients_.size());
  return attempt;
}

bool DeliveryAttempt::IsDue(const Recipient& recipient) const {
  return !recipient.row.delivery.responsibility && recipient.row.delivery.next_attempt <= now_;
}

std::optional<std::size_t> DeliveryAttempt::TransportFor(const Recipient& recipient,
                                                         std::size_t first) const {
  if (recipient.row.EmailAddress().empty() || recipient.row.AddressType().empty()) return {};
  for (std::size_t i = first; i < context_.transports.size(); ++i) {
    if (Serves(*context_.transports[i], recipient.row.AddressType())) return i;
  }
  return {};
}

bool DeliveryAttempt::IsWorthwhile() const {
  const bool too_old = context_.options.retry.IsExpired(now_, submit_time_);
  bool unsettled = false;
  for (const Recipient& recipient : recipients_) {
    if (recipient.row.delivery.responsibility) continue;
    unsettled = true;
    if (!IsDue(recipient)) continue;
    const auto transport = TransportFor(recipient, 0);
    if (!transport || context_.shared.UnavailableUntil(*transport) <= now_) return true;
    if (too_old && recipient.row.delivery.attempts > 0) return true;
    if (IsDelayToBeReported(Original(), recipient.row, context_.options, now_)) return true;
  }
  return !unsettled;
}

Time DeliveryAttempt::BlockedUntil() const {
  Time until = Time::max();
  for (const Recipient& recipient : recipients_) {
    if (recipient.row.delivery.responsibility) continue;
    Time ready = recipient.row.delivery.next_attempt;
    if (const auto transport = TransportFor(recipient, 0)) {
      ready = std::max(ready, context_.shared.UnavailableUntil(*transport));
    }
    until = std::min(until, ready);
  }
  return until;
}

bool DeliveryAttempt::NeedsOperator() const {
  return context_.options.in_doubt == InDoubtPolicy::kHold &&
         std::any_of(recipients_.begin(), recipients_.end(), [&](const Recipient& recipient) {
           return IsDue(recipient) && recipient.row.delivery.state == RecipientState::kInDoubt;
         });
}

void DeliveryAttempt::Offer() {
  // Each pass offers to the first transport that is still some recipient's turn; a recipient it
  // does not serve goes on to the next match, so the passes end.
  for (std::size_t transport = 0; transport < context_.transports.size() && !cancelled_;
       ++transport) {
    OfferTo(transport);
  }
  if (cancelled_) return;
  const bool too_old = context_.options.retry.IsExpired(now_, submit_time_);
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    Recipient& recipient = recipients_[i];
    if (!IsDue(recipient)) continue;
    if (!TransportFor(recipient, next_transport_[i])) {
      recipient.row.delivery.last_reply = NoTransport(recipient.row);
      CountAttempt(recipient);
      Settle(recipient, RecipientState::kFailed);
      Tell(SpoolerEventKind::kRecipientFailed, &recipient, {});
    } else if (too_old && recipient.row.delivery.attempts > 0) {
      Settle(recipient, RecipientState::kExpired);
      Tell(SpoolerEventKind::kRecipientExpired, &recipient, {});
    }
  }
}

void DeliveryAttempt::OfferTo(std::size_t transport) {
  if (context_.shared.UnavailableUntil(transport) > now_) return;
  TransportProvider& provider = *context_.transports[transport];
  for (int round = 0; round <= kResendNowMax; ++round) {
    std::vector<Recipient*> mine;
    for (std::size_t i = 0; i < recipients_.size(); ++i) {
      if (IsDue(recipients_[i]) && TransportFor(recipients_[i], next_transport_[i]) == transport) {
        mine.push_back(&recipients_[i]);
      }
    }
    if (mine.empty()) return;
    Result<MessageBodyReader> reader = OpenContent();
    if (!reader) {
      Tell(SpoolerEventKind::kError, nullptr, provider.Name(), ToString(reader.error()));
      soon_ = now_ + kUnreadablePause;
      cancelled_ = true;
      return;
    }
    Offered offered(*this, mine, *std::move(reader));
    context_.running(&provider);
    const SubmitResult result = provider.SubmitMessage(offered);
    const EndResult end =
        result.status == SubmitStatus::kDone ? provider.EndMessage() : EndResult::kSent;
    context_.running(nullptr);
    switch (result.status) {
      case SubmitStatus::kDone:
        context_.shared.SetAvailable(transport);
        ApplyOutcomes(transport, offered);
        break;
      case SubmitStatus::kBusy:
        soon_ = now_ + kBusyPause;
        return;
      case SubmitStatus::kNotMe:
        for (Recipient* recipient : mine) {
          next_transport_[static_cast<std::size_t>(recipient - recipients_.data())] = transport + 1;
        }
        return;
      case SubmitStatus::kUnavailable:
        ApplyUnavailable(transport, result, mine);
        return;
      case SubmitStatus::kCancelled:
        cancelled_ = true;
        return;
    }
    if (end != EndResult::kResendNow) return;
  }
}

void DeliveryAttempt::ApplyUnavailable(std::size_t transport, const SubmitResult& result,
                                       const std::vector<Recipient*>& offered) {
  const std::uint32_t failures = context_.shared.Failures(transport) + 1;
  const Time until = result.retry_after.count() > 0
                         ? now_ + result.retry_after
                         : context_.options.retry.NextAttempt(now_, failures, context_.random());
  context_.shared.SetUnavailable(transport, until, failures);
  for (Recipient* recipient : offered) {
    CountAttempt(*recipient);
    recipient->row.delivery.last_reply = result.reply;
    recipient->row.delivery.remote_host = result.remote_host;
    // Nothing was handed over, so a mark made in this attempt says too much.
    recipient->row.delivery.state = recipient->state_before;
  }
  SpoolerEvent event{SpoolerEventKind::kTransportUnavailable,
                     due_.message,
                     std::string(context_.transports[transport]->Name()),
                     {},
                     {},
                     until,
                     result.reply.text};
  event.delivery.remote_host = result.remote_host;
  context_.events(event);
}

void DeliveryAttempt::ApplyOutcomes(std::size_t transport, Offered& offered) {
  const std::vector<Recipient*>& recipients = offered.OfferedRecipients();
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const auto index = static_cast<std::size_t>(recipients[i] - recipients_.data());
    next_transport_[index] = transport + 1;
    recipients[i]->relayed = context_.transports[transport]->Relays();
    if (offered.Outcome(i).kind != OutcomeKind::kNotServed) {
      Apply(*recipients[i], std::move(offered.Outcome(i)), context_.transports[transport]->Name());
    }
  }
}

void DeliveryAttempt::Apply(Recipient& recipient, RecipientOutcome outcome,
                            std::string_view transport) {
  RecipientDelivery& delivery = recipient.row.delivery;
  CountAttempt(recipient);
  delivery.last_reply = std::move(outcome.reply);
  delivery.remote_host = std::move(outcome.remote_host);
  const bool too_old = context_.options.retry.IsExpired(now_, submit_time_);
  switch (outcome.kind) {
    case OutcomeKind::kDelivered:
      Settle(recipient, RecipientState::kDelivered);
      return Tell(SpoolerEventKind::kRecipientDelivered, &recipient, transport);
    case OutcomeKind::kFailed:
      Settle(recipient, RecipientState::kFailed);
      return Tell(SpoolerEventKind::kRecipientFailed, &recipient, transport);
    case OutcomeKind::kRetryLater:
    case OutcomeKind::kInDoubt:
      break;
    case OutcomeKind::kNotServed:
      return;
  }
  if (too_old) {
    Settle(recipient, RecipientState::kExpired);
    return Tell(SpoolerEventKind::kRecipientExpired, &recipient, transport);
  }
  const bool in_doubt = outcome.kind == OutcomeKind::kInDoubt;
  delivery.state = in_doubt ? RecipientState::kInDoubt : RecipientState::kPending;
  delivery.next_attempt =
      context_.options.retry.NextAttempt(now_, delivery.attempts, context_.random());
  Tell(in_doubt ? SpoolerEventKind::kRecipientInDoubt : SpoolerEventKind::kRecipientRetry,
       &recipient, transport);
}

void DeliveryAttempt::Settle(Recipient& recipient, RecipientState state) {
  recipient.row.delivery.state = state;
  recipient.row.delivery.responsibility = true;
  recipient.row.delivery.completed = now_;
  recipient.changed = true;
}

void DeliveryAttempt::CountAttempt(Recipient& recipient) {
  recipient.changed = true;
  if (recipient.counted) return;
  recipient.counted = true;
  ++recipient.row.delivery.attempts;
  recipient.row.delivery.last_attempt = now_;
}

void DeliveryAttempt::Tell(SpoolerEventKind kind, const Recipient* recipient,
                           std::string_view transport, std::string detail) const {
  SpoolerEvent event{kind, due_.message, std::string(transport), {}, {}, {}, std::move(detail)};
  if (recipient != nullptr) {
    event.recipient = std::string(recipient->row.EmailAddress());
    event.delivery = recipient->row.delivery;
    event.next_attempt = recipient->row.delivery.next_attempt;
  }
  context_.events(event);
}

Result<MessageBodyReader> DeliveryAttempt::OpenContent() const {
  Result<MessageBodyReader> original = message_.OpenContent();
  if (original || original.error().code != ErrorCode::kNotFound) return original;
  RecipientTable rows;
  for (const Recipient& recipient : recipients_) rows.push_back(recipient.row);
  const std::string& host = context_.options.reporting_host;
  ASSIGN_OR_RETURN(
      std::string rendered,
      RenderInternetMessage(message_, OutboundProperties(properties_, reverse_path_, host), rows,
                            reverse_path_.empty() ? "MAILER-DAEMON@" + host : reverse_path_));
  const std::uint64_t bytes = rendered.size();
  return MessageBodyReader(nullptr, bytes, 0, std::move(rendered));
}

ReportedOriginal DeliveryAttempt::Original() const {
  return {due_.entry_id, properties_, reverse_path_, submit_time_,
          [this] { return OpenContent(); }};
}

Result<FinishResult> DeliveryAttempt::Commit() {
  if (!attempt_) {
    Attempt attempt;
    attempt.next_due = Time::max();
    std::vector<AttemptedRecipient> attempted;
    for (Recipient& recipient : recipients_) {
      RecipientDelivery& delivery = recipient.row.delivery;
      if (IsDelayToBeReported(Original(), recipient.row, context_.options, now_)) {
        delivery.delay_reported = now_;
        recipient.changed = true;
      }
      if (recipient.changed) {
        attempt.updates.push_back({recipient.row.id, delivery});
        attempted.push_back({&recipient.row, recipient.relayed});
      }
      if (delivery.responsibility) continue;
      // A recipient that waits for a transport, not for its own schedule, keeps its place.
      const Time next = delivery.next_attempt > now_ ? delivery.next_attempt : due_.due;
      attempt.next_due = std::min(attempt.next_due, next);
    }
    if (soon_) attempt.next_due = std::max(attempt.next_due, *soon_);
    attempt.missing_sender = MissingSender(properties_, reverse_path_);
    attempt.reports = MakeReports(Original(), attempted, context_.options, now_);
    attempt_ = std::move(attempt);
  }
  ASSIGN_OR_RETURN(const FinishResult result,
                   context_.session.CommitAttempt(due_.entry_id, *attempt_));
  for (const ReportMessage& report : attempt_->reports) {
    Tell(SpoolerEventKind::kReportCreated, nullptr, {}, "to " + report.recipient);
  }
  const bool finished = result != FinishResult::kStillQueued;
  Tell(finished ? SpoolerEventKind::kMessageFinished : SpoolerEventKind::kMessageDeferred, nullptr,
       {}, result == FinishResult::kFinishedPartially ? "the sent mail folder is gone" : "");
  return result;
}

}  // namespace bobbin

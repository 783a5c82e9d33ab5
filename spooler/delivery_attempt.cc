#include "spooler/delivery_attempt.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "spooler/composed_message.h"
#include "spooler/internet_message.h"

namespace bobbin {
namespace {

constexpr std::chrono::seconds kBusyPause{5};
constexpr std::chrono::seconds kUnreadablePause{60};
constexpr std::chrono::seconds kWaitMin{1};
constexpr int kResendNowMax = 3;  // Guards against a transport that never lets go.

Reply NoTransport(const RecipientRow& row) {
  if (row.EmailAddress().empty() || row.AddressType().empty()) {
    return {0, "5.1.3", "the recipient has no address"};
  }
  return {0, "5.4.4", "no transport serves address type " + std::string(row.AddressType())};
}

}  // namespace

namespace {

// Remembers that what a transport could not read to its end is damaged.
class WatchedContent final : public ContentSource {
 public:
  explicit WatchedContent(std::unique_ptr<ContentSource> content) : content_(std::move(content)) {}

  Result<std::string_view> Next() override {
    Result<std::string_view> piece = content_->Next();
    if (!piece && piece.error().code == ErrorCode::kCorruptData) damage_ = piece.error();
    return piece;
  }
  void Rewind() override { content_->Rewind(); }
  const std::optional<Error>& Damage() const { return damage_; }

 private:
  std::unique_ptr<ContentSource> content_;
  std::optional<Error> damage_;
};

}  // namespace

// What a transport sees of the message during one SubmitMessage call.
class DeliveryAttempt::Offered final : public OutboundMessage {
 public:
  Offered(DeliveryAttempt& attempt, LoggedOnTransport& transport,
          std::vector<Recipient*> recipients, std::unique_ptr<ContentSource> content,
          std::uint64_t content_bytes, bool begins_deferred)
      : attempt_(attempt),
        transport_(transport),
        offered_(std::move(recipients)),
        content_(std::move(content)),
        content_bytes_(content_bytes),
        begins_deferred_(begins_deferred) {
    outcomes_.resize(offered_.size());
    for (const Recipient* recipient : offered_) {
      const RecipientRow& row = recipient->row;
      recipients_.push_back({row.id, std::string(row.AddressType()),
                             std::string(row.EmailAddress()), row.delivery.attempts > 0,
                             NotificationOf(row.properties, attempt.properties_)});
    }
  }

  const EntryId& Id() const override { return attempt_.due_.entry_id; }
  std::string QueueId() const override { return ToQueueId(attempt_.due_.message); }
  Time SubmitTime() const override { return attempt_.submit_time_; }
  const std::string& ReversePath() const override { return attempt_.reverse_path_; }
  MessageNotification Notification() const override { return NotificationOf(attempt_.properties_); }
  const std::vector<OutboundRecipient>& Recipients() const override { return recipients_; }
  RecipientTable GetRecipientTable() const override {
    RecipientTable rows;
    for (const Recipient& recipient : attempt_.recipients_) {
      if (recipient.row.BaseType() == kRecipientP1) continue;
      rows.push_back(recipient.row);
      rows.back().delivery.responsibility = !IsOffered(recipient.row.id);
    }
    return rows;
  }
  std::uint64_t ContentBytes() const override { return content_bytes_; }
  ContentSource& Content() override { return content_; }
  bool BeginsDeferred() const override { return begins_deferred_; }
  void SetReference(std::uint32_t reference) override { transport_.SetReference(reference); }

  Result<void> MarkInDoubt(std::span<const RecipientRowId> rows) override {
    RETURN_IF_ERROR(
        attempt_.context_.session.MarkInDoubt(attempt_.due_.entry_id, rows, attempt_.now_));
    for (const RecipientRowId id : rows) {
      if (Recipient* recipient = Find(id)) {
        attempt_.CountAttempt(*recipient);
        recipient->row.delivery.state = RecipientState::kInDoubt;
        recipient->row.delivery.next_attempt = attempt_.now_;
        recipient->changed = true;
      }
    }
    return {};
  }

  Result<void> SaveChanges() override { return attempt_.SaveSettled(transport_.Name(), *this); }

  void StatusRecipient(RecipientRowId row, RecipientOutcome outcome) override {
    for (std::size_t i = 0; i < offered_.size(); ++i) {
      if (offered_[i]->row.id == row && !offered_[i]->row.delivery.responsibility) {
        outcomes_[i] = outcome;
      }
    }
  }

  // Why the content could not be read to its end, when that is damage and nobody was served.
  std::optional<Error> Damage() const {
    for (std::size_t i = 0; i < offered_.size(); ++i) {
      const OutcomeKind kind = outcomes_[i].kind;
      const bool is_open = kind == OutcomeKind::kNotServed || kind == OutcomeKind::kRetryLater;
      if (!is_open || offered_[i]->row.delivery.responsibility) return std::nullopt;
    }
    return content_.Damage();
  }

  const std::vector<Recipient*>& OfferedRecipients() const { return offered_; }
  RecipientOutcome& Outcome(std::size_t index) { return outcomes_[index]; }

 private:
  bool IsOffered(RecipientRowId row) const {
    return std::any_of(offered_.begin(), offered_.end(), [&](const Recipient* recipient) {
      return recipient->row.id == row && !recipient->row.delivery.responsibility;
    });
  }
  Recipient* Find(RecipientRowId row) {
    const auto at = std::find_if(offered_.begin(), offered_.end(),
                                 [&](const Recipient* r) { return r->row.id == row; });
    return at == offered_.end() ? nullptr : *at;
  }

  DeliveryAttempt& attempt_;
  LoggedOnTransport& transport_;
  std::vector<Recipient*> offered_;
  std::vector<RecipientOutcome> outcomes_;
  std::vector<OutboundRecipient> recipients_;
  WatchedContent content_;
  std::uint64_t content_bytes_;
  bool begins_deferred_;
};

DeliveryAttempt::DeliveryAttempt(const WorkerContext& context, DueMessage due, Message message,
                                 Time now)
    : context_(context), due_(due), message_(std::move(message)), now_(now) {}

Result<DeliveryAttempt> DeliveryAttempt::Prepare(const WorkerContext& context,
                                                 const DueMessage& due, Message message, Time now) {
  DeliveryAttempt attempt(context, due, std::move(message), now);
  ASSIGN_OR_RETURN(attempt.properties_, attempt.message_.GetProps());
  ASSIGN_OR_RETURN(RecipientTable rows, attempt.message_.GetRecipientTable());
  if (std::optional<std::string> sender = SmtpSender(attempt.properties_)) {
    attempt.reverse_path_ = *std::move(sender);
  } else {
    ASSIGN_OR_RETURN(attempt.reverse_path_, AddressOf(context.database, due.store));
  }
  attempt.submit_time_ =
      FromFileTime(attempt.properties_.NumberOr(pr::kClientSubmitTime, ToFileTime(now)));
  for (RecipientRow& row : rows) {
    Recipient recipient;
    recipient.row = std::move(row);
    recipient.state_before = recipient.row.delivery.state;
    recipient.next_attempt_before = recipient.row.delivery.next_attempt;
    if (!recipient.row.EmailAddress().empty() && !recipient.row.AddressType().empty()) {
      recipient.transports = MatchingTransports(context.profile, recipient.row);
    }
    attempt.recipients_.push_back(std::move(recipient));
  }
  attempt.rests_.resize(context.transports.size());
  return attempt;
}

RecipientTable DeliveryAttempt::Rows() const {
  RecipientTable rows;
  for (const Recipient& recipient : recipients_) rows.push_back(recipient.row);
  return rows;
}

bool DeliveryAttempt::AwaitsPreprocessing() const {
  const bool may_match =
      properties_.Find(pr::kSubmitFlags) != nullptr ||
      std::any_of(context_.transports.begin(), context_.transports.end(),
                  [](const auto& transport) { return !transport->Preprocessors().empty(); });
  return may_match && IsPreprocessingDue(context_, properties_, Rows());
}

bool DeliveryAttempt::IsDue(const Recipient& recipient) const {
  return !recipient.row.delivery.responsibility && !recipient.waits &&
         recipient.row.delivery.next_attempt <= now_;
}

std::optional<std::size_t> DeliveryAttempt::TransportFor(const Recipient& recipient) const {
  if (recipient.next_transport >= recipient.transports.size()) return {};
  return recipient.transports[recipient.next_transport];
}

bool DeliveryAttempt::CanBeOffered(std::size_t transport) const {
  const LoggedOnTransport& provider = *context_.transports[transport];
  return !rests_[transport] && provider.UnavailableUntil() <= now_ &&
         context_.shared.deferred.TurnOf(due_.message, transport, &provider) !=
             DeferredMessages::Turn::kWait;
}

bool DeliveryAttempt::IsWorthwhile() const {
  const bool too_old = context_.options.retry.IsExpired(now_, submit_time_);
  bool unsettled = false;
  for (const Recipient& recipient : recipients_) {
    if (recipient.row.delivery.responsibility) continue;
    unsettled = true;
    if (!IsDue(recipient)) continue;
    const auto transport = TransportFor(recipient);
    if (!transport || CanBeOffered(*transport)) return true;
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
    if (const auto transport = TransportFor(recipient)) {
      const LoggedOnTransport& provider = *context_.transports[*transport];
      ready = std::max(ready, provider.UnavailableUntil());
      if (context_.shared.deferred.TurnOf(due_.message, *transport, &provider) ==
          DeferredMessages::Turn::kWait) {
        ready = Time::max();
      }
    }
    until = std::min(until, ready);
  }
  return until;
}

bool DeliveryAttempt::NeedsOperator() const {
  return context_.options.in_doubt == InDoubtPolicy::kHold &&
         std::any_of(recipients_.begin(), recipients_.end(), [&](const Recipient& recipient) {
           return IsDue(recipient) && recipient.row.delivery.AwaitsDecision();
         });
}

Result<void> DeliveryAttempt::SaveUndeliverable(
    const std::vector<PreprocessedRecipient>& undeliverable) {
  for (const PreprocessedRecipient& failed : undeliverable) {
    for (Recipient& recipient : recipients_) {
      if (recipient.row.id != failed.row || recipient.row.delivery.responsibility) continue;
      Apply(recipient, {OutcomeKind::kFailed, failed.reply, {}}, {});
    }
  }
  return StoreSettled();
}

void DeliveryAttempt::FailAll(const Reply& reply) {
  for (Recipient& recipient : recipients_) {
    if (recipient.row.delivery.responsibility) continue;
    Apply(recipient, {OutcomeKind::kFailed, reply, {}}, {});
  }
}

// Where the first recipient that can be served now is to go.
std::optional<std::size_t> DeliveryAttempt::NextTransport() const {
  for (const Recipient& recipient : recipients_) {
    if (!IsDue(recipient)) continue;
    const auto transport = TransportFor(recipient);
    if (transport && CanBeOffered(*transport)) return transport;
  }
  return {};
}

void DeliveryAttempt::Offer() {
  // After each offer its recipients have an outcome, wait, or are the next transport's, so the
  // loop ends.
  while (!cancelled_) {
    const std::optional<std::size_t> transport = NextTransport();
    if (!transport) break;
    OfferTo(*transport);
  }
  if (cancelled_) return;
  const bool too_old = context_.options.retry.IsExpired(now_, submit_time_);
  for (Recipient& recipient : recipients_) {
    if (!IsDue(recipient)) continue;
    if (!TransportFor(recipient)) {
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
  LoggedOnTransport& provider = *context_.transports[transport];
  DeferredMessages& deferred = context_.shared.deferred;
  for (int round = 0;; ++round) {
    std::vector<Recipient*> mine;
    for (Recipient& recipient : recipients_) {
      if (IsDue(recipient) && TransportFor(recipient) == transport) mine.push_back(&recipient);
    }
    if (mine.empty()) return;
    Result<MessageBodyReader> reader = OpenOutboundContent(message_, Identity());
    if (!reader) return ApplyUnreadable(reader.error(), provider.Name(), mine);
    const std::uint64_t bytes = reader->Bytes();
    auto content = NewTransmittedContent(*std::move(reader), properties_);
    const bool begins_deferred = deferred.TurnOf(due_.message, transport, &provider) ==
                                 DeferredMessages::Turn::kBeginDeferred;
    deferred.Offered(due_.message, transport, &provider);
    Offered offered(*this, provider, mine, std::move(content), bytes, begins_deferred);
    const auto [result, end] = provider.Offer(offered);
    if (const std::optional<Error> damage = offered.Damage()) {
      TakeBackMarks(mine);
      return ApplyUnreadable(*damage, provider.Name(), mine);
    }
    if (result.status != SubmitStatus::kDone) TakeBackMarks(mine);
    switch (result.status) {
      case SubmitStatus::kDone:
        context_.shared.SetAvailable(transport);
        if (ApplyEnd(transport, offered, end, round < kResendNowMax)) continue;
        return;
      case SubmitStatus::kNotMe:
        for (Recipient* recipient : mine) ++recipient->next_transport;
        return;
      case SubmitStatus::kBusy:
        return Rest(transport, now_ + kBusyPause, context_.shared.Failures(transport));
      case SubmitStatus::kWait:
        return Rest(transport, now_ + std::max(kWaitMin, result.retry_after),
                    context_.shared.Failures(transport));
      case SubmitStatus::kUnavailable:
        return ApplyUnavailable(transport, result, mine);
      case SubmitStatus::kNotDeferred:
        return deferred.Drop(due_.message, transport, &provider);
      case SubmitStatus::kError:
        return ApplyError(transport, result, mine);
      case SubmitStatus::kCancelled:
        cancelled_ = true;
        return;
    }
  }
}

bool DeliveryAttempt::ApplyEnd(std::size_t transport, Offered& offered, EndResult end,
                               bool may_resend) {
  const LoggedOnTransport& provider = *context_.transports[transport];
  const std::vector<Recipient*>& recipients = offered.OfferedRecipients();
  if (end == EndResult::kResendNow && !may_resend) end = EndResult::kResendLater;
  bool is_left = false;
  std::vector<Recipient*> left;  // Until later.
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    Recipient& recipient = *recipients[i];
    if (recipient.row.delivery.responsibility) continue;  // Saved by the provider already.
    if (offered.Outcome(i).kind != OutcomeKind::kNotServed) {
      Apply(recipient, std::move(offered.Outcome(i)), provider.Name());
    } else if (end == EndResult::kSent) {
      ++recipient.next_transport;
    } else {
      is_left = true;
      if (end == EndResult::kResendLater) left.push_back(&recipient);
    }
  }
  MakeWait(transport, left, {});
  if (end == EndResult::kDoNotResend && is_left) {
    context_.shared.deferred.Defer(due_.message, transport, &provider);
    Tell(SpoolerEventKind::kMessageDeferred, nullptr, provider.Name(), "taken aside");
  }
  return end == EndResult::kResendNow && is_left;
}

// Nothing was handed over, so a mark made in this attempt says too much.
void DeliveryAttempt::TakeBackMarks(const std::vector<Recipient*>& offered) {
  for (Recipient* recipient : offered) {
    if (recipient->row.delivery.responsibility) continue;
    recipient->row.delivery.state = recipient->state_before;
    recipient->row.delivery.next_attempt = recipient->next_attempt_before;
  }
}

// Content that is too big or damaged will be so the next time, too. What else kept it from being
// read may pass, until the message expires.
void DeliveryAttempt::ApplyUnreadable(const Error& error, std::string_view transport,
                                      const std::vector<Recipient*>& offered) {
  if (error.code == ErrorCode::kTooBig) {
    for (Recipient* recipient : offered) {
      Apply(*recipient, {OutcomeKind::kFailed, {0, "5.3.4", error.detail}, {}}, transport);
    }
    return;
  }
  if (context_.options.retry.IsExpired(now_, submit_time_) &&
      error.code != ErrorCode::kCorruptData) {
    for (Recipient* recipient : offered) {
      Apply(*recipient, {OutcomeKind::kRetryLater, {0, "4.3.0", error.detail}, {}}, transport);
    }
    return;
  }
  cancelled_ = true;
  if (error.code == ErrorCode::kCorruptData) damaged_ = error;
  if (damaged_) return;
  Tell(SpoolerEventKind::kError, nullptr, transport, ToString(error));
  soon_ = now_ + kUnreadablePause;
}

void DeliveryAttempt::Rest(std::size_t transport, Time until, std::uint32_t failures) {
  rests_[transport] = true;
  context_.shared.SetUnavailable(transport, until, failures);
}

void DeliveryAttempt::ApplyUnavailable(std::size_t transport, const SubmitResult& result,
                                       const std::vector<Recipient*>& offered) {
  const std::uint32_t failures = context_.shared.Failures(transport) + 1;
  const Time until = result.retry_after.count() > 0
                         ? now_ + result.retry_after
                         : context_.options.retry.NextAttempt(now_, failures, context_.random());
  Rest(transport, until, failures);
  for (Recipient* recipient : offered) {
    if (recipient->row.delivery.responsibility) continue;
    CountAttempt(*recipient);
    recipient->row.delivery.last_reply = result.reply;
    recipient->row.delivery.remote_host = result.remote_host;
  }
  TellRest(transport, until, result);
}

void DeliveryAttempt::TellRest(std::size_t transport, Time until, const SubmitResult& why) const {
  SpoolerEvent event{SpoolerEventKind::kTransportUnavailable,
                     due_.message,
                     std::string(context_.transports[transport]->Name()),
                     {},
                     {},
                     until,
                     why.reply.text};
  event.delivery.remote_host = why.remote_host;
  context_.events(event);
}

void DeliveryAttempt::ApplyError(std::size_t transport, const SubmitResult& result,
                                 const std::vector<Recipient*>& offered) {
  std::vector<Recipient*> left;
  for (Recipient* recipient : offered) {
    if (recipient->row.delivery.responsibility) continue;
    CountAttempt(*recipient);
    recipient->row.delivery.last_reply = result.reply;
    recipient->row.delivery.remote_host = result.remote_host;
    left.push_back(recipient);
  }
  MakeWait(transport, left, result);
}

// After what may be the message's fault as well as the transport's. The first time the transport
// rests until the retry and the message keeps its place, so that nothing overtakes it (C48). After
// that it waits alone: one that is never taken must not stop those behind it again and again.
void DeliveryAttempt::MakeWait(std::size_t transport, const std::vector<Recipient*>& recipients,
                               const SubmitResult& why) {
  bool keeps_place = false;
  for (Recipient* recipient : recipients) {
    RecipientDelivery& delivery = recipient->row.delivery;
    recipient->changed = true;
    if (context_.options.retry.IsExpired(now_, submit_time_)) {
      Settle(*recipient, RecipientState::kExpired);
      Tell(SpoolerEventKind::kRecipientExpired, recipient, {});
    } else if (recipient->next_attempt_before == Time{}) {
      delivery.next_attempt = now_;  // Due still, and marked: it has made the transport rest.
      keeps_place = true;
    } else {
      WaitForSchedule(*recipient);
    }
  }
  if (!keeps_place) return;
  const Time until = context_.options.retry.NextAttempt(now_, 1, context_.random());
  Rest(transport, until, context_.shared.Failures(transport));
  TellRest(transport, until, why);
}

void DeliveryAttempt::WaitForSchedule(Recipient& recipient) {
  recipient.waits = true;
  RecipientDelivery& delivery = recipient.row.delivery;
  delivery.next_attempt =
      context_.options.retry.NextAttempt(now_, std::max(delivery.attempts, 1U), context_.random());
  Tell(SpoolerEventKind::kRecipientRetry, &recipient, {});
}

void DeliveryAttempt::Apply(Recipient& recipient, RecipientOutcome outcome,
                            std::string_view transport) {
  RecipientDelivery& delivery = recipient.row.delivery;
  CountAttempt(recipient);
  delivery.last_reply = std::move(outcome.reply);
  delivery.remote_host = std::move(outcome.remote_host);
  // What an earlier attempt left in doubt a later refusal for now does not clear up.
  const bool in_doubt =
      outcome.kind == OutcomeKind::kInDoubt || recipient.state_before == RecipientState::kInDoubt;
  switch (outcome.kind) {
    case OutcomeKind::kDelivered:
      recipient.delivered_to = outcome.delivered_to;
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
  delivery.state = in_doubt ? RecipientState::kInDoubt : RecipientState::kPending;
  if (context_.options.retry.IsExpired(now_, submit_time_)) {
    Settle(recipient, RecipientState::kExpired);
    return Tell(SpoolerEventKind::kRecipientExpired, &recipient, transport);
  }
  recipient.waits = true;
  delivery.next_attempt =
      context_.options.retry.NextAttempt(now_, delivery.attempts, context_.random());
  Tell(in_doubt ? SpoolerEventKind::kRecipientInDoubt : SpoolerEventKind::kRecipientRetry,
       &recipient, transport);
}

void DeliveryAttempt::Settle(Recipient& recipient, RecipientState state) {
  // A refusal for good says that it was not taken, whatever was in doubt before.
  recipient.state_unsettled =
      state == RecipientState::kFailed ? RecipientState::kPending : recipient.row.delivery.state;
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

Result<void> DeliveryAttempt::SaveSettled(std::string_view transport, Offered& offered) {
  const std::vector<Recipient*>& recipients = offered.OfferedRecipients();
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const OutcomeKind kind = offered.Outcome(i).kind;
    if (recipients[i]->row.delivery.responsibility ||
        (kind != OutcomeKind::kDelivered && kind != OutcomeKind::kFailed)) {
      continue;
    }
    Apply(*recipients[i], offered.Outcome(i), transport);
  }
  return StoreSettled();
}

}  // namespace bobbin

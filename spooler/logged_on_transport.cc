#include "spooler/logged_on_transport.h"

#include <algorithm>

#include "engine/check.h"

namespace bobbin {
namespace {

namespace notification = spooler_notification;

constexpr std::uint32_t kKnownFlags = notification::kNewMail | notification::kReadyToSend |
                                      notification::kSentDeferred | notification::kCriticalSection |
                                      notification::kNonCritical | notification::kConfigChange |
                                      notification::kCriticalError | notification::kNewMailReceived;

Result<void> CheckNotification(std::uint32_t flags, bool has_message) {
  const auto has = [&](std::uint32_t flag) { return (flags & flag) != 0; };
  if ((flags & ~kKnownFlags) != 0) {
    return Fail(ErrorCode::kUnknownFlags, "SpoolerNotify: unknown flags");
  }
  if (has(notification::kNewMailReceived)) {
    return Fail(ErrorCode::kInvalidParameter,
                "SpoolerNotify: NOTIFY_NEWMAIL_RECEIVED is for message stores");
  }
  if (has(notification::kCriticalSection) && has(notification::kNonCritical)) {
    return Fail(ErrorCode::kInvalidParameter,
                "SpoolerNotify: a critical section cannot begin and end at once");
  }
  if (has(notification::kSentDeferred) && has(notification::kCriticalError)) {
    return Fail(ErrorCode::kInvalidParameter,
                "SpoolerNotify: NOTIFY_CRITICAL_ERROR excludes NOTIFY_SENTDEFERRED");
  }
  if (has(notification::kSentDeferred) != has_message) {
    return Fail(ErrorCode::kInvalidParameter,
                "SpoolerNotify: a message goes with NOTIFY_SENTDEFERRED, and only with it");
  }
  return {};
}

}  // namespace

LoggedOnTransport::LoggedOnTransport(std::unique_ptr<TransportProvider> provider, std::size_t index,
                                     SpoolerShared& shared, std::function<void()> wake)
    : provider_(std::move(provider)), index_(index), shared_(shared), wake_(std::move(wake)) {}

Result<void> LoggedOnTransport::LogOn(bool inbound) {
  const Result<std::uint32_t> wishes = provider_->TransportLogon(*this);
  if (!wishes) {
    dead_ = true;
    return tl::unexpected<Error>(wishes.error());
  }
  wishes_ = *wishes;
  logged_on_ = true;
  if (dead_) return {};
  ReadAddressTypes();
  outbound_ = true;
  Notify(TransportNotification::kBeginOutbound);
  inbound_ = inbound;
  if (inbound) Notify(TransportNotification::kBeginInbound);
  return {};
}

void LoggedOnTransport::LogOff(const std::function<EntryId(MessageId)>& entry_id) {
  for (const MessageId message : shared_.deferred.HeldBy(this)) {
    Notify(TransportNotification::kAbortDeferred, {0, entry_id(message)});
  }
  shared_.deferred.ForgetOwner(this);
  outbound_ = false;
  if (!logged_on_) return;
  Notify(TransportNotification::kEndOutbound);
  if (inbound_) Notify(TransportNotification::kEndInbound);
  if (!dead_) provider_->TransportLogoff();
}

Time LoggedOnTransport::UnavailableUntil() const {
  return dead_ ? Time::max() : shared_.UnavailableUntil(index_);
}

void LoggedOnTransport::ReadAddressTypes() {
  entry_.address_types = provider_->AddressTypes();
  entry_.any_address_type = entry_.address_types.empty();
  std::erase(entry_.address_types, std::string());
  entry_.uids = provider_->Uids();
}

std::pair<SubmitResult, EndResult> LoggedOnTransport::Offer(OutboundMessage& message) {
  if (dead_) return {{SubmitStatus::kUnavailable, {}, {}, {}}, EndResult::kSent};
  {
    const std::lock_guard lock(running_mutex_);
    // In one with `running_`: a Cancel is either seen here or finds the call running.
    if (cancelled_) return {{SubmitStatus::kCancelled, {}, {}, {}}, EndResult::kSent};
    running_ = true;
    reference_ = 0;
  }
  std::pair<SubmitResult, EndResult> result;
  result.first = provider_->SubmitMessage(message);
  if (result.first.status == SubmitStatus::kDone && !dead_) {
    result.second = provider_->EndMessage(reference_);
  }
  const std::lock_guard lock(running_mutex_);
  running_ = false;
  return result;
}

void LoggedOnTransport::Cancel() {
  cancelled_ = true;
  // Under the lock, so that the call that is to return is the one that was running.
  const std::lock_guard lock(running_mutex_);
  if (running_) Notify(TransportNotification::kCancelMessage, {reference_, {}});
}

void LoggedOnTransport::Notify(TransportNotification what, const NotificationData& data) {
  if (!dead_) provider_->TransportNotify(what, data);
}

Result<void> LoggedOnTransport::SpoolerNotify(std::uint32_t flags,
                                              const std::optional<EntryId>& deferred) {
  RETURN_IF_ERROR(CheckNotification(flags, deferred.has_value()));
  const auto has = [&](std::uint32_t flag) { return (flags & flag) != 0; };
  if (deferred && !shared_.deferred.SentDeferred(MessageId{deferred->Object()}, index_, this)) {
    return Fail(ErrorCode::kNotFound, "the transport does not hold that message back");
  }
  if (has(notification::kCriticalError)) dead_ = true;
  if (has(notification::kCriticalSection)) critical_ = true;
  if (has(notification::kNonCritical)) critical_ = false;
  if (has(notification::kConfigChange)) config_changed_ = true;
  if (has(notification::kNewMail) && inbound_) new_mail_ = true;
  if (has(notification::kReadyToSend) && outbound_) shared_.SetAvailable(index_);
  wake_();
  return {};
}

YieldResult LoggedOnTransport::SpoolerYield() {
  return cancelled_ ? YieldResult::kCancelMessage : YieldResult::kContinue;
}

void LoggedOnTransport::RegisterPreprocessor(PreprocessorMatch match,
                                             std::unique_ptr<Preprocessor> preprocessor) {
  entry_.preprocessors.push_back(match);
  preprocessors_.push_back({std::move(match), std::move(preprocessor)});
}

TransportProfile ProfileOf(const std::vector<std::unique_ptr<LoggedOnTransport>>& transports,
                           bool has_outbound_hooks) {
  TransportProfile profile;
  for (const auto& transport : transports) profile.transports.push_back(transport->Entry());
  profile.has_outbound_hooks = has_outbound_hooks;
  return profile;
}

}  // namespace bobbin

// LoggedOnTransport: the spooler's side of one transport provider during one session: the provider,
// what it serves, its preprocessors, and what it has told the spooler. Internal to the spooler.
//
// Threads  One worker's; SpoolerNotify, SpoolerYield and Cancel from any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "spooler/spooler_shared.h"
#include "spooler/transport_provider.h"

namespace bobbin {

class LoggedOnTransport final : public TransportSupport {
 public:
  struct RegisteredPreprocessor {
    PreprocessorMatch match;
    std::unique_ptr<Preprocessor> preprocessor;
  };

  // `index`: in transport order. `wake`: makes the worker look again; from any thread.
  LoggedOnTransport(std::unique_ptr<TransportProvider> provider, std::size_t index,
                    SpoolerShared& shared, std::function<void()> wake);
  LoggedOnTransport(const LoggedOnTransport&) = delete;
  LoggedOnTransport& operator=(const LoggedOnTransport&) = delete;

  // An error: the provider refused; it counts as dead.
  Result<void> LogOn(bool inbound);
  // `entry_id`: of a message.
  void LogOff(const std::function<EntryId(MessageId)>& entry_id);

  std::size_t Index() const { return index_; }
  std::string_view Name() const { return provider_->Name(); }
  const TransportEntry& Entry() const { return entry_; }
  const std::vector<RegisteredPreprocessor>& Preprocessors() const { return preprocessors_; }

  bool IsDead() const { return dead_; }
  // Until when nothing is offered to it; Time::max() when it is dead.
  Time UnavailableUntil() const;
  bool IsCritical() const { return critical_; }
  bool AsksFor(std::uint32_t wish) const { return !dead_ && (wishes_ & wish) != 0; }
  bool HasFlushBit(std::uint32_t bit) const { return !dead_ && (status_ & bit) != 0; }

  // Once each: what it has told since the last call.
  bool TakeConfigChange() { return config_changed_.exchange(false); }
  bool TakeNewMail() { return new_mail_.exchange(false); }
  void ReadAddressTypes();

  // SubmitMessage and, after kDone, EndMessage. A dead transport is not called.
  std::pair<SubmitResult, EndResult> Offer(OutboundMessage& message);
  void SetReference(std::uint32_t reference) { reference_ = reference; }
  // Makes a running call return soon: the next SpoolerYield and TransportNotify say so.
  void Cancel();

  TransportProvider& Provider() { return *provider_; }
  void Notify(TransportNotification notification, const NotificationData& data = {});

  // --- TransportSupport ---
  Result<void> SpoolerNotify(std::uint32_t flags, const std::optional<EntryId>& deferred) override;
  YieldResult SpoolerYield() override;
  void RegisterPreprocessor(PreprocessorMatch match,
                            std::unique_ptr<Preprocessor> preprocessor) override;
  void ModifyStatusRow(std::uint32_t status) override { status_ = status; }

 private:
  std::unique_ptr<TransportProvider> provider_;
  const std::size_t index_;
  SpoolerShared& shared_;
  std::function<void()> wake_;
  TransportEntry entry_;
  std::vector<RegisteredPreprocessor> preprocessors_;
  std::uint32_t wishes_ = 0;
  bool inbound_ = false;
  bool logged_on_ = false;
  std::atomic<bool> dead_{false};
  std::atomic<bool> critical_{false};
  std::atomic<bool> config_changed_{false};
  std::atomic<bool> new_mail_{false};
  std::atomic<bool> outbound_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<std::uint32_t> status_{0};
  std::atomic<std::uint32_t> reference_{0};
  std::mutex running_mutex_;
  bool running_ = false;
};

// Of all transports of a worker, in transport order: what is published
// (engine/transport_profile.h).
TransportProfile ProfileOf(const std::vector<std::unique_ptr<LoggedOnTransport>>& transports,
                           bool has_outbound_hooks);

}  // namespace bobbin

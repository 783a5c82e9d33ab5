#include "spooler/spooler.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "spooler/delivery_attempt.h"

namespace bobbin {
namespace {

// After an error that may pass by itself (a full disk, a table of locks that is full).
constexpr std::chrono::seconds kErrorPause{1};
// How many due messages RunOnce steps over when their transports cannot be reached.
constexpr int kOvertakeMax = 256;
constexpr std::chrono::milliseconds kWaitMax{60'000};

}  // namespace

Time SpoolerShared::UnavailableUntil(std::size_t transport) const {
  const std::lock_guard lock(mutex_);
  return transport < transports_.size() ? transports_[transport].unavailable_until : Time{};
}

std::uint32_t SpoolerShared::Failures(std::size_t transport) const {
  const std::lock_guard lock(mutex_);
  return transport < transports_.size() ? transports_[transport].failures : 0;
}

void SpoolerShared::SetUnavailable(std::size_t transport, Time until, std::uint32_t failures) {
  const std::lock_guard lock(mutex_);
  if (transport >= transports_.size()) transports_.resize(transport + 1);
  transports_[transport] = {until, failures};
}

void SpoolerShared::SetAvailable(std::size_t transport) {
  const std::lock_guard lock(mutex_);
  if (transport < transports_.size()) transports_[transport] = {};
}

class Spooler::Work {
 public:
  Work(Database database, SpoolerSession& session, SpoolerShared& shared,
       std::vector<std::unique_ptr<TransportProvider>> transports, SpoolerOptions options,
       Random random, SpoolerEventSink events)
      : database_(std::move(database)),
        session_(session),
        shared_(shared),
        transports_(std::move(transports)),
        options_(std::move(options)),
        random_(std::move(random)),
        events_(std::move(events)) {
    for (const auto& transport : transports_) {
      transport->TransportNotify(TransportNotification::kBeginOutbound);
    }
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() {
    for (const auto& transport : transports_) {
      transport->TransportNotify(TransportNotification::kEndOutbound);
    }
  }

  StepResult RunOnce(Time now) {
    if (uncommitted_) return Finish(now);
    StepResult step;
    std::optional<DueMessage> after;
    for (int passed = 0; passed < kOvertakeMax; ++passed) {
      Result<DueResult> due = session_.NextDue(now, after ? &*after : nullptr);
      if (!due) return Failed(due.error(), now);
      for (const Error& damaged : due->damaged) {
        Tell(SpoolerEventKind::kMessageDamaged, {}, ToString(damaged));
      }
      if (!due->message) {
        Earlier(step.next_due, due->next_due);
        return step;
      }
      std::optional<StepResult> taken = Take(*due->message, now, step.next_due);
      if (taken) return *std::move(taken);
      after = due->message;
    }
    return step;
  }

  Result<void> Run(const Clock& clock) {
    while (!stop_) {
      const std::uint32_t seen = session_.SignalCount();
      StepResult step = RunOnce(clock.Now());
      if (step.store_failed) return tl::unexpected<Error>(*std::move(step.store_failed));
      if (step.worked || stop_) continue;
      auto wait = kWaitMax;
      if (step.next_due) {
        const auto until =
            std::chrono::ceil<std::chrono::milliseconds>(*step.next_due - clock.Now());
        wait = std::clamp(until, std::chrono::milliseconds(0), kWaitMax);
      }
      session_.WaitForSignal(seen, wait);
    }
    return {};
  }

  void Stop() {
    stop_ = true;
    session_.Wake();
  }

  void Cancel() {
    Stop();
    const std::lock_guard lock(running_mutex_);
    if (running_ != nullptr) running_->TransportNotify(TransportNotification::kCancelMessage);
  }

 private:
  static void Earlier(std::optional<Time>& time, std::optional<Time> other) {
    if (other && (!time || *other < *time)) time = other;
  }

  // One due message: locked, offered, committed. Empty when its transports cannot be reached:
  // then a younger one may need another (C48).
  std::optional<StepResult> Take(const DueMessage& due, Time now, std::optional<Time>& next_due) {
    StepResult worked;
    worked.worked = true;
    Result<std::optional<Message>> message = session_.LockDue(due);
    if (!message && message.error().code == ErrorCode::kCorruptData) {
      return HoldDamaged(due, message.error(), now);
    }
    if (!message) return Failed(message.error(), now);
    if (!*message) return worked;
    Result<DeliveryAttempt> attempt = DeliveryAttempt::Prepare(
        MakeContext(), due, **std::move(message), SenderOf(due.store), now);
    if (!attempt) {
      session_.Unlock(due.entry_id);
      return Failed(attempt.error(), now);
    }
    if (attempt->NeedsOperator()) return HoldInDoubt(due, now);
    if (!attempt->IsWorthwhile()) {
      Earlier(next_due, attempt->BlockedUntil());
      session_.Unlock(due.entry_id);
      return std::nullopt;
    }
    attempt->Offer();
    current_ = due;
    uncommitted_.emplace(*std::move(attempt));
    return Finish(now);
  }

  // The commit of an attempt. On a full disk it stays to be repeated, with the message locked:
  // what was delivered must not be offered again because it could not be written down.
  StepResult Finish(Time now) {
    Result<FinishResult> result = uncommitted_->Commit();
    if (!result && result.error().code == ErrorCode::kNotEnoughDisk) {
      return Failed(result.error(), now);
    }
    uncommitted_.reset();
    if (!result && result.error().code == ErrorCode::kCorruptData) {
      return HoldDamaged(current_, result.error(), now);
    }
    if (!result) {
      session_.Unlock(current_.entry_id);
      return Failed(result.error(), now);
    }
    StepResult step;
    step.worked = true;
    return step;
  }

  StepResult HoldDamaged(const DueMessage& due, const Error& error, Time now) {
    Tell(SpoolerEventKind::kMessageDamaged, due.message, ToString(error));
    const Result<void> held = session_.HoldDamaged(due);
    session_.Unlock(due.entry_id);
    if (!held) return Failed(held.error(), now);
    StepResult step;
    step.worked = true;
    return step;
  }

  StepResult HoldInDoubt(const DueMessage& due, Time now) {
    const Result<void> held = session_.GetOutgoingQueue().Hold(due.message);
    session_.Unlock(due.entry_id);
    if (!held) return Failed(held.error(), now);
    Tell(SpoolerEventKind::kMessageDeferred, due.message,
         "held: an earlier attempt is in doubt; release it to send again, or abort it");
    StepResult step;
    step.worked = true;
    return step;
  }

  StepResult Failed(const Error& error, Time now) {
    Tell(SpoolerEventKind::kError, {}, ToString(error));
    StepResult step;
    if (error.code == ErrorCode::kStoreFailed) {
      step.store_failed = error;
    } else {
      step.next_due = now + kErrorPause;
    }
    return step;
  }

  void Tell(SpoolerEventKind kind, MessageId message, std::string detail) const {
    SpoolerEvent event{kind, message, {}, {}, {}, {}, std::move(detail)};
    events_(event);
  }

  // A message composed without a sender is its store's: the reverse-path is the store's name,
  // when that is an address.
  std::string SenderOf(StoreId store) {
    const auto known = store_names_.find(store.value);
    if (known != store_names_.end()) return known->second;
    std::string name;
    if (const auto stores = database_.ListMessageStores()) {
      for (const MessageStoreInfo& info : *stores) {
        const bool is_address = info.name.find('@') != std::string::npos;
        store_names_[info.id.value] = is_address ? info.name : std::string();
        if (info.id == store) name = store_names_[info.id.value];
      }
    }
    return name;
  }

  DeliveryAttempt::Context MakeContext() {
    return {session_,
            shared_,
            transports_,
            options_,
            random_,
            events_,
            [this](TransportProvider* transport) {
              const std::lock_guard lock(running_mutex_);
              running_ = transport;
            }};
  }

  Database database_;
  SpoolerSession& session_;
  SpoolerShared& shared_;
  std::vector<std::unique_ptr<TransportProvider>> transports_;
  SpoolerOptions options_;
  Random random_;
  SpoolerEventSink events_;
  std::atomic<bool> stop_{false};
  std::mutex running_mutex_;
  TransportProvider* running_ = nullptr;
  std::unordered_map<std::uint64_t, std::string> store_names_;
  std::optional<DeliveryAttempt> uncommitted_;
  DueMessage current_;
};

Spooler::Spooler(Database database, SpoolerSession& session, SpoolerShared& shared,
                 std::vector<std::unique_ptr<TransportProvider>> transports, SpoolerOptions options,
                 Random random, SpoolerEventSink events)
    : work_(std::make_unique<Work>(std::move(database), session, shared, std::move(transports),
                                   std::move(options), std::move(random), std::move(events))) {}
Spooler::~Spooler() = default;

StepResult Spooler::RunOnce(Time now) { return work_->RunOnce(now); }
Result<void> Spooler::Run(const Clock& clock) { return work_->Run(clock); }
void Spooler::Stop() { work_->Stop(); }
void Spooler::Cancel() { work_->Cancel(); }

}  // namespace bobbin

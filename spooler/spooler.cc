#include "spooler/spooler.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "spooler/delivery_attempt.h"
#include "spooler/preprocessing.h"

namespace bobbin {
namespace {

// After an error that may pass by itself (a full disk, a table of locks that is full).
constexpr std::chrono::seconds kErrorPause{1};
// How many due messages RunOnce steps over when their transports cannot be reached.
constexpr int kOvertakeMax = 256;
constexpr std::chrono::milliseconds kWaitMax{60'000};
constexpr std::uint32_t kInboundReference = 1;  // Preset, as opposed to 0 outbound (A21).
constexpr std::uint32_t kFlushPage = 1'000;
constexpr std::uint32_t kFlushFlags =
    kFlushUpload | kFlushDownload | kFlushForce | kFlushNoUi | kFlushAsyncOk;

}  // namespace

class Spooler::Work {
 public:
  Work(Database database, SpoolerSession& session, SpoolerShared& shared,
       std::vector<std::unique_ptr<TransportProvider>> transports, SpoolerOptions options,
       Random random, SpoolerEventSink events)
      : database_(std::move(database)),
        session_(session),
        shared_(shared),
        options_(std::move(options)),
        random_(std::move(random)),
        events_(std::move(events)) {
    for (auto& provider : transports) {
      transports_.push_back(std::make_unique<LoggedOnTransport>(
          std::move(provider), transports_.size(), shared_, [this] { session_.Wake(); }));
      LoggedOnTransport& transport = *transports_.back();
      if (const Result<void> on = transport.LogOn(options_.inbound_store.has_value()); !on) {
        TellTransport(transport, "logon refused: " + ToString(on.error()));
      }
      for (const auto& preprocessor : options_.preprocessors) {
        transport.RegisterPreprocessor({}, preprocessor());
      }
    }
    PublishProfile();
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() {
    for (const auto& transport : transports_) {
      transport->LogOff([this](MessageId message) { return EntryIdOf(message); });
    }
  }

  StepResult RunOnce(Time now) {
    if (uncommitted_) return Finish(now);
    ReadConfigChanges();
    StepResult step;
    std::optional<DueMessage> after;
    for (int passed = 0; passed < kOvertakeMax;) {
      Result<DueResult> due = session_.NextDue(now, after ? &*after : nullptr);
      if (!due) return Failed(due.error(), now);
      for (const DueResult::Damaged& damaged : due->damaged) {
        const Result<SetAside> done = session_.SetAsideDamaged(damaged);
        if (!done) return Failed(done.error(), now);
        TellSetAside(*done);
        step.worked |= done->outcome != SetAsideOutcome::kNotQueued;
      }
      if (!due->message) {
        Earlier(step.next_due, due->next_due);
        break;
      }
      after = due->message;
      if (shared_.deferred.AreAllHeld(due->message->message)) continue;
      std::optional<StepResult> taken = Take(*due->message, now, step.next_due);
      if (taken) return *std::move(taken);
      ++passed;
    }
    TellAborts();
    step.worked |= Fetch(now, step.next_due);
    return step;
  }

  Result<StepResult> FlushQueues(std::uint32_t flags, Time now) {
    if ((flags & ~kFlushFlags) != 0) {
      return bobbin::Fail(ErrorCode::kUnknownFlags, "FlushQueues: unknown flags");
    }
    const auto bits = ((flags & kFlushUpload) != 0 ? kStatusOutboundFlush : 0) |
                      ((flags & kFlushDownload) != 0 ? kStatusInboundFlush : 0);
    for (const auto& transport : transports_) {
      if (transport->IsDead()) continue;
      if ((flags & kFlushUpload) != 0) {
        transport->Notify(TransportNotification::kBeginOutboundFlush);
        shared_.SetAvailable(transport->Index());
      }
      if ((flags & kFlushDownload) != 0) {
        transport->Notify(TransportNotification::kBeginInboundFlush);
      }
      transport->Provider().FlushQueues(flags);
    }
    if ((flags & kFlushUpload) != 0) {
      if (const Result<void> ended = EndWaiting(now); !ended) return Failed(ended.error(), now);
    }
    StepResult step;
    do {
      step = RunOnce(now);
      if ((flags & kFlushDownload) != 0 && !step.store_failed) {
        for (const auto& transport : transports_) {
          if (transport->HasFlushBit(kStatusInboundFlush)) step.worked |= Start(*transport);
        }
      }
    } while (!stop_ && step.worked && !step.store_failed && AnyHasFlushBit(bits));
    for (const auto& transport : transports_) {
      if ((flags & kFlushUpload) != 0) {
        transport->Notify(TransportNotification::kEndOutboundFlush);
      }
      if ((flags & kFlushDownload) != 0) {
        transport->Notify(TransportNotification::kEndInboundFlush);
      }
    }
    return step;
  }

  Result<void> ValidateState() {
    bool busy = false;
    bool changed = false;
    for (const auto& transport : transports_) {
      if (transport->IsDead()) continue;
      if (transport->IsCritical()) {
        busy = true;
      } else if (transport->Provider().ValidateState()) {
        transport->ReadAddressTypes();
        changed = true;
      }
    }
    if (changed) PublishProfile();
    if (busy) return bobbin::Fail(ErrorCode::kBusy, "a transport is in a critical section");
    return {};
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
    for (const auto& transport : transports_) transport->Cancel();
  }

 private:
  static void Earlier(std::optional<Time>& time, std::optional<Time> other) {
    if (other && *other != Time::max() && (!time || *other < *time)) time = other;
  }

  // One due message: locked, offered, committed. Empty when its transports cannot be reached:
  // then a younger one may need another (C48).
  std::optional<StepResult> Take(const DueMessage& due, Time now, std::optional<Time>& next_due) {
    StepResult worked;
    worked.worked = true;
    Result<std::optional<Message>> message = session_.LockDue(due);
    if (!message && message.error().code == ErrorCode::kCorruptData) {
      return SetAsideMessage(due, message.error(), now);
    }
    if (!message) return Failed(message.error(), now);
    if (!*message) return worked;
    const WorkerContext context = MakeContext();
    Result<DeliveryAttempt> prepared =
        DeliveryAttempt::Prepare(context, due, **std::move(message), now);
    if (!prepared) return UnlockAndFail(due, prepared.error(), now);
    std::optional<DeliveryAttempt> attempt(*std::move(prepared));
    PreprocessResult preprocessed;
    if (attempt->AwaitsPreprocessing()) {
      const Result<void> ran =
          RunPreprocessors(context, due, attempt->Identity(), now, preprocessed);
      if (!ran) return PreprocessingFailed(due, ran.error(), preprocessed.attempts, now);
      Result<Message> again = session_.OpenMessage(due.entry_id);
      if (!again) return UnlockAndFail(due, again.error(), now);
      Result<DeliveryAttempt> ready =
          DeliveryAttempt::Prepare(context, due, *std::move(again), now);
      if (!ready) return UnlockAndFail(due, ready.error(), now);
      attempt.emplace(*std::move(ready));
    }
    if (attempt->NeedsOperator()) return HoldInDoubt(due, now);
    if (!attempt->IsWorthwhile()) {
      const Time until = attempt->BlockedUntil();
      if (until == Time::max()) shared_.deferred.SetAllHeld(due.message);
      Earlier(next_due, until);
      session_.Unlock(due.entry_id);
      return std::nullopt;
    }
    attempt->Offer();
    current_ = due;
    uncommitted_.emplace(*std::move(attempt));
    return Finish(now);
  }

  Result<void> RunPreprocessors(const WorkerContext& context, const DueMessage& due,
                                const OutboundIdentity& identity, Time now,
                                PreprocessResult& result) {
    RETURN_IF_ERROR(Preprocess(context, due, identity, result));
    if (!result.undeliverable.empty()) {
      ASSIGN_OR_RETURN(Message message, session_.OpenMessage(due.entry_id));
      ASSIGN_OR_RETURN(DeliveryAttempt attempt,
                       DeliveryAttempt::Prepare(context, due, std::move(message), now));
      RETURN_IF_ERROR(attempt.SaveUndeliverable(result.undeliverable));
    }
    return SubmitPreprocessed(context, due, result);
  }

  StepResult UnlockAndFail(const DueMessage& due, const Error& error, Time now) {
    if (error.code == ErrorCode::kCorruptData) return SetAsideMessage(due, error, now);
    session_.Unlock(due.entry_id);
    return Failed(error, now);
  }

  // Specification 7, item 6.
  StepResult PreprocessingFailed(const DueMessage& due, const Error& error, std::uint32_t attempts,
                                 Time now) {
    if (attempts == 0) return UnlockAndFail(due, error, now);  // It did not even begin.
    if (error.code == ErrorCode::kCorruptData) {
      // Of the message, or only what a preprocessor calls so.
      const Result<SetAside> done = session_.SetAsideDamaged(due.message);
      if (!done) return Failed(done.error(), now);
      TellSetAside(*done);
      StepResult step;
      step.worked = true;
      if (done->outcome == SetAsideOutcome::kQuarantined) return step;
      const Result<std::optional<Message>> locked = session_.LockDue(due);
      if (!locked || !*locked) return step;
    }
    Tell(SpoolerEventKind::kError, due.message, "preprocessing failed: " + ToString(error));
    Result<Message> message = session_.OpenMessage(due.entry_id);
    if (!message) return UnlockAndFail(due, message.error(), now);
    if (attempts < options_.preprocess_attempts_max) {
      Attempt later;
      later.finish = false;
      later.next_due = options_.retry.NextAttempt(now, attempts, random_());
      const Result<FinishResult> committed = session_.CommitAttempt(due.entry_id, later);
      if (!committed) return UnlockAndFail(due, committed.error(), now);
    } else {
      Result<DeliveryAttempt> attempt =
          DeliveryAttempt::Prepare(MakeContext(), due, *std::move(message), now);
      if (!attempt) return UnlockAndFail(due, attempt.error(), now);
      attempt->FailAll(
          {0, "5.3.0", "the message could not be prepared for sending: " + error.detail});
      current_ = due;
      uncommitted_.emplace(*std::move(attempt));
      return Finish(now);
    }
    StepResult step;
    step.worked = true;
    return step;
  }

  // The commit of an attempt. Until it, or at least the outcomes alone, are written down, it stays
  // to be repeated, with the message locked: what was delivered must not be offered again because
  // of what happened after that.
  StepResult Finish(Time now) {
    const Result<FinishResult> result = uncommitted_->Commit();
    if (result) {
      uncommitted_.reset();
      StepResult step;
      step.worked = true;
      return step;
    }
    if (MayPass(result.error().code)) return Failed(result.error(), now);
    const Result<void> kept = uncommitted_->CommitOutcomes();
    const bool is_queued = kept || kept.error().code != ErrorCode::kNotInQueue;
    if (!kept && is_queued) return Failed(kept.error(), now);
    uncommitted_.reset();
    if (is_queued) return SetAsideMessage(current_, result.error(), now);
    session_.Unlock(current_.entry_id);
    return Failed(kept.error(), now);
  }

  StepResult SetAsideMessage(const DueMessage& due, const Error& error, Time now) {
    const Result<SetAside> done = session_.SetAsideDamaged(due, error);
    session_.Unlock(due.entry_id);
    if (!done) return Failed(done.error(), now);
    TellSetAside(*done);
    StepResult step;
    step.worked = true;
    return step;
  }

  void TellSetAside(const SetAside& done) const {
    if (done.outcome == SetAsideOutcome::kQuarantined) {
      Tell(SpoolerEventKind::kMessageQuarantined, done.message, done.detail);
    } else if (done.outcome == SetAsideOutcome::kMended) {
      Tell(SpoolerEventKind::kQueueMended, done.message, done.detail);
    }
  }

  StepResult HoldInDoubt(const DueMessage& due, Time now) {
    const Result<bool> held = session_.HoldInDoubt(due, now);
    session_.Unlock(due.entry_id);
    if (!held) return Failed(held.error(), now);
    if (*held) {
      Tell(SpoolerEventKind::kMessageDeferred, due.message,
           "held: an earlier attempt is in doubt; release it to send again, or abort it");
    }
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
  void TellTransport(const LoggedOnTransport& transport, std::string detail) const {
    SpoolerEvent event{SpoolerEventKind::kError, {}, std::string(transport.Name()), {}, {}, {},
                       std::move(detail)};
    events_(event);
  }

  EntryId EntryIdOf(MessageId message) const { return EntryId(database_.Id(), message.value); }

  // What transports take decides, in every process, whether a submission awaits preprocessing.
  void PublishProfile() {
    profile_ = ProfileOf(transports_, !options_.outbound_hooks.empty());
    const Result<void> published = session_.PublishTransports(profile_);
    // With very many workers the others' profiles are the same as this one.
    if (!published && published.error().code != ErrorCode::kNotEnoughResources) {
      Tell(SpoolerEventKind::kError, {}, ToString(published.error()));
    }
  }

  void ReadConfigChanges() {
    bool changed = false;
    for (const auto& transport : transports_) {
      if (transport->IsDead() || !transport->TakeConfigChange()) continue;
      transport->ReadAddressTypes();
      changed = true;
    }
    if (changed) PublishProfile();
  }

  // A message that a transport has taken aside may be aborted: then the transport must know (C55).
  // While there are such messages, a row that leaves the queue wakes this worker.
  void TellAborts() {
    bool any_held = false;
    for (const auto& transport : transports_) {
      for (const MessageId message : shared_.deferred.HeldBy(transport.get())) {
        if (!std::exchange(any_held, true) && !rows_gone_) WatchRowsGone();
        const Result<QueueRow> row = session_.GetOutgoingQueue().Row(message);
        if (row || row.error().code != ErrorCode::kNotInQueue) continue;
        shared_.deferred.Forget(message);
        transport->Notify(TransportNotification::kCancelDeferred, {0, EntryIdOf(message)});
      }
    }
    if (!any_held) rows_gone_.reset();
  }

  void WatchRowsGone() {
    rows_gone_.emplace(session_.GetOutgoingQueue().Advise([this](const QueueEvent& event) {
      if (event.kind == QueueEventKind::kRowDeleted || event.kind == QueueEventKind::kReload) {
        session_.Wake();
      }
    }));
  }

  // Idle, Poll and StartMessage of whoever asks for them. True: mail came.
  bool Fetch(Time now, std::optional<Time>& next_due) {
    bool fetched = false;
    for (const auto& transport : transports_) {
      if (transport->IsDead() || transport->IsCritical()) continue;
      if (transport->AsksFor(kLogonIdle)) transport->Provider().Idle();
      if (!options_.inbound_store) continue;
      const bool polls = transport->AsksFor(kLogonPoll);
      if (polls) Earlier(next_due, now + options_.poll_interval);
      const bool told = transport->TakeNewMail();
      if (told || (polls && transport->Provider().Poll())) fetched |= Start(*transport);
    }
    return fetched;
  }

  // One StartMessage. True: a message arrived.
  bool Start(LoggedOnTransport& transport) {
    if (transport.IsDead() || !options_.inbound_store) return false;
    Result<MessageStore> store = database_.OpenMessageStore(*options_.inbound_store);
    if (!store) return TellTransport(transport, ToString(store.error())), false;
    Result<Message> message = session_.CreateMessage(store->Id(), store->Folders().inbox);
    if (!message) return TellTransport(transport, ToString(message.error())), false;
    const Result<EntryId> id = message->Id();
    const Result<void> filled = transport.Provider().StartMessage(*message, kInboundReference);
    if (!filled) {
      TellTransport(transport, "incoming mail is lost: " + ToString(filled.error()));
      return false;
    }
    if (!id || !session_.OpenMessage(*id)) return false;  // It did not save: there was none.
    const Result<void> told = session_.NotifyNewMail(*id);
    if (!told) TellTransport(transport, ToString(told.error()));
    return true;
  }

  bool AnyHasFlushBit(std::uint32_t bits) const {
    return std::any_of(transports_.begin(), transports_.end(),
                       [&](const auto& transport) { return transport->HasFlushBit(bits); });
  }

  // Messages that wait for another attempt are due now; those for a deferred send time still wait.
  Result<void> EndWaiting(Time now) {
    OutgoingQueue queue = session_.GetOutgoingQueue();
    ASSIGN_OR_RETURN(const std::vector<MessageStoreInfo> stores, database_.ListMessageStores());
    for (const MessageStoreInfo& store : stores) {
      const OutgoingQueue of_store = session_.GetOutgoingQueue(store.id);
      for (std::uint64_t after = 0;;) {
        std::vector<Error> damaged;  // Of what is not waiting, but for the operator.
        ASSIGN_OR_RETURN(const std::vector<QueueRow> rows,
                         of_store.Rows(kFlushPage, after, &damaged));
        if (rows.empty()) break;
        after = rows.back().sequence;
        for (const QueueRow& row : rows) {
          if (row.lane != DueLane::kScheduled || row.due <= now) continue;
          ASSIGN_OR_RETURN(const bool waits, IsWaitingForRetry(row, now));
          if (waits) RETURN_IF_ERROR(queue.Retry(row.message));
        }
      }
    }
    return {};
  }

  Result<bool> IsWaitingForRetry(const QueueRow& row, Time now) const {
    ASSIGN_OR_RETURN(const Message message, session_.OpenMessage(row.entry_id));
    if (options_.in_doubt == InDoubtPolicy::kHold) {
      ASSIGN_OR_RETURN(const RecipientTable recipients, message.GetRecipientTable());
      const bool is_in_doubt =
          std::any_of(recipients.begin(), recipients.end(), [](const RecipientRow& recipient) {
            return !recipient.delivery.responsibility &&
                   recipient.delivery.state == RecipientState::kInDoubt;
          });
      if (is_in_doubt) return false;  // Retry would be the decision, which is the operator's.
    }
    ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
    return properties.NumberOr(pr::kDeferredSendTime, 0) <= ToFileTime(now);
  }

  WorkerContext MakeContext() {
    return {database_, session_, shared_, transports_, profile_, options_, random_, events_};
  }

  Database database_;
  SpoolerSession& session_;
  SpoolerShared& shared_;
  SpoolerOptions options_;
  Random random_;
  SpoolerEventSink events_;
  std::vector<std::unique_ptr<LoggedOnTransport>> transports_;
  TransportProfile profile_;
  std::atomic<bool> stop_{false};
  std::optional<DeliveryAttempt> uncommitted_;
  DueMessage current_;
  std::optional<QueueAdvise> rows_gone_;
};

Spooler::Spooler(Database database, SpoolerSession& session, SpoolerShared& shared,
                 std::vector<std::unique_ptr<TransportProvider>> transports, SpoolerOptions options,
                 Random random, SpoolerEventSink events)
    : work_(std::make_unique<Work>(std::move(database), session, shared, std::move(transports),
                                   std::move(options), std::move(random), std::move(events))) {}
Spooler::~Spooler() = default;

StepResult Spooler::RunOnce(Time now) { return work_->RunOnce(now); }
Result<StepResult> Spooler::FlushQueues(std::uint32_t flags, Time now) {
  return work_->FlushQueues(flags, now);
}
Result<void> Spooler::ValidateState() { return work_->ValidateState(); }
Result<void> Spooler::Run(const Clock& clock) { return work_->Run(clock); }
void Spooler::Stop() { work_->Stop(); }
void Spooler::Cancel() { work_->Cancel(); }

}  // namespace bobbin

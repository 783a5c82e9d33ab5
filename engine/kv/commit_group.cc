#include "engine/kv/commit_group.h"

#include <semaphore.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/check.h"
#include "engine/kv/transaction_scope.h"

namespace bobbin::kv {
namespace {

using Clock = std::chrono::steady_clock;

struct Request {
  UpdateFunction write;
  Completion done;
  SpaceUse space;
  Result<void> result;  // Of the last run.
};

// What FailCommit and FailWrite asked for; zero means nothing.
struct Faults {
  std::atomic<std::uint64_t> commits{0};
  std::atomic<CommitFault> commit_fault{};
  std::atomic<std::uint64_t> writes{0};
  std::atomic<ErrorCode> write_code{};

  // Whether this is the event that was counted down to.
  static bool Fires(std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed) != 0 && counter.fetch_sub(1) == 1;
  }
};

// Watches what a batch does to the backend's transaction.
class WatchedTransaction final : public WriteTransaction {
 public:
  WatchedTransaction(WriteTransaction& backend, Faults& faults)
      : backend_(backend), faults_(faults) {}

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override {
    return Watch(backend_.Get(table, key));
  }
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override {
    return Watch(backend_.Scan(table, range, visit));
  }
  std::uint64_t Sequence() const override { return backend_.Sequence(); }
  Result<void> Put(TableId table, Bytes key, Bytes value) override {
    RETURN_IF_ERROR(BeforeWrite());
    bytes_ += key.size() + value.size();
    return Watch(backend_.Put(table, key, value));
  }
  Result<void> Erase(TableId table, Bytes key) override {
    RETURN_IF_ERROR(BeforeWrite());
    return Watch(backend_.Erase(table, key));
  }

  Result<void> Replace(TableId table, Bytes key, Bytes value,
                       const FormerVisitor& former) override {
    RETURN_IF_ERROR(BeforeWrite());
    bytes_ += key.size() + value.size();
    return Watch(backend_.Replace(table, key, value, former));
  }
  Result<void> Remove(TableId table, Bytes key, const FormerVisitor& former) override {
    RETURN_IF_ERROR(BeforeWrite());
    return Watch(backend_.Remove(table, key, former));
  }
  std::optional<std::uint64_t> EntryCount(TableId table) override {
    return backend_.EntryCount(table);
  }

  void StartClosure() {
    closure_wrote_ = false;
    notes_before_ = Notes().size();
  }
  // For a closure that was refused before it wrote anything: the others go on.
  void ForgetClosure() { TruncateNotes(notes_before_); }
  bool ClosureWrote() const { return closure_wrote_; }
  bool Wrote() const { return wrote_; }
  std::size_t PutBytes() const { return bytes_; }
  // Why the transaction cannot be committed any more.
  const std::optional<Error>& Broken() const { return broken_; }

 private:
  Result<void> BeforeWrite() {
    if (Faults::Fires(faults_.writes)) {
      return Watch(Result<void>(Fail(faults_.write_code, "a test asked for this write to fail")));
    }
    wrote_ = closure_wrote_ = true;
    return {};
  }

  // A closure may ignore an error, but the transaction has met it: LMDB, for one,
  // refuses to commit after it.
  template <class T>
  T Watch(T result) {
    if (!result && result.error().code != ErrorCode::kTooBig && !broken_) broken_ = result.error();
    return result;
  }

  WriteTransaction& backend_;
  Faults& faults_;
  bool closure_wrote_ = false;
  bool wrote_ = false;
  std::size_t bytes_ = 0;
  std::size_t notes_before_ = 0;
  std::optional<Error> broken_;
};

}  // namespace

class CommitGroup::State {
 public:
  State(CommitBackend& backend, const CommitGroupOptions& options)
      : backend_(backend), options_(options), next_upkeep_(Clock::now() + options.upkeep_interval) {
    thread_ = std::thread([this]() noexcept {
      while (WaitForWork()) RunBatch();
    });
  }

  ~State() {
    // A completion that drops the last reference to the engine would wait for itself.
    BOBBIN_CHECK(thread_.get_id() != std::this_thread::get_id());
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  bool InForkedChild() const { return getpid() != owner_; }

  Result<void> CheckUsable() const {
    if (InForkedChild()) {
      return Fail(ErrorCode::kStoreFailed,
                  "the database was opened before fork; open it again in this process");
    }
    if (failed_.load(std::memory_order_acquire)) return tl::unexpected<Error>(failure_);
    return {};
  }

  void Add(UpdateFunction write, Completion done, SpaceUse space) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      arrived_.push_back({std::move(write), std::move(done), space, {}});
      wake = std::exchange(asleep_, false);
    }
    if (wake) wake_.notify_one();
  }

  void Listen(std::shared_ptr<CommitListener> listener) {
    const std::lock_guard lock(mutex_);
    listener_.swap(listener);
  }

  CommitCounts Counts() const { return {commits_.load(), closures_.load()}; }
  Faults& ActiveFaults() { return faults_; }
  const Faults& ActiveFaults() const { return faults_; }

 private:
  // False when there is nothing left to do for ever.
  bool WaitForWork() {
    for (;;) {
      if (Clock::now() >= next_upkeep_) {
        if (!failed_.load()) backend_.Upkeep();
        next_upkeep_ = Clock::now() + options_.upkeep_interval;
      }
      if (!taken_.empty()) return true;
      std::unique_lock lock(mutex_);
      if (!arrived_.empty()) return true;
      if (stopping_) return false;
      asleep_ = true;
      wake_.wait_until(lock, next_upkeep_);
      asleep_ = false;
    }
  }

  // Moves the next request in arrival order to the end of `batch`, if there is one.
  bool TakeNext(std::vector<Request>& batch) {
    if (taken_.empty()) {
      const std::lock_guard lock(mutex_);
      taken_.swap(arrived_);
    }
    if (taken_.empty()) return false;
    batch.push_back(std::move(taken_.front()));
    taken_.pop_front();
    return true;
  }

  void GiveBack(std::vector<Request>& batch, std::size_t first) {
    while (batch.size() > first) {
      taken_.push_front(std::move(batch.back()));
      batch.pop_back();
    }
  }

  void RunBatch() {
    std::vector<Request> batch;
    if (const Result<void> usable = CheckUsable(); !usable) {
      while (TakeNext(batch)) batch.back().result = usable;
      return Answer(batch);
    }
    const Result<void> space = backend_.CheckSpace();
    std::size_t closures_max = options_.closures_max;
    for (;;) {
      const Result<WriteTransaction*> begun = backend_.Begin();
      if (!begun) {
        if (batch.empty()) TakeNext(batch);
        for (Request& request : batch) request.result = tl::unexpected<Error>(begun.error());
        return Answer(batch);
      }
      WatchedTransaction transaction(**begun, faults_);
      const std::size_t good = RunClosures(transaction, space, closures_max, batch);
      if (good == batch.size()) {
        Result<void> ended = RunLastStep(transaction);
        if (ended) return Finish(transaction, batch);
        backend_.Abort();
        for (Request& request : batch) request.result = ended;
        return Answer(batch);
      }
      backend_.Abort();
      // The first of a transaction is judged; any other becomes the first of the next one.
      GiveBack(batch, good == 0 ? 1 : good);
      if (good == 0) return Answer(batch);
      closures_max = good;
    }
  }

  // Runs `batch`, then arrivals up to `closures_max` in all, adding them to it.
  // Returns how many came before the first that the transaction has to be rolled
  // back for; the size of `batch` if there is none.
  std::size_t RunClosures(WatchedTransaction& transaction, const Result<void>& space,
                          std::size_t closures_max, std::vector<Request>& batch) {
    for (std::size_t i = 0;; ++i) {
      if (i == batch.size()) {
        const bool full = i >= closures_max || transaction.PutBytes() >= options_.bytes_max;
        if (full || !TakeNext(batch)) return i;
      }
      Request& request = batch[i];
      if (!space && request.space == SpaceUse::kNormal) {
        request.result = space;
        continue;
      }
      transaction.StartClosure();
      {
        const TransactionScope scope(this, ScopeKind::kClosure);
        request.result = request.write(transaction);
      }
      if (transaction.Broken() && request.result) {
        request.result = tl::unexpected<Error>(*transaction.Broken());
      }
      if (transaction.Broken() || (!request.result && transaction.ClosureWrote())) return i;
      if (!request.result) transaction.ForgetClosure();
    }
  }

  Result<void> RunLastStep(WatchedTransaction& transaction) {
    const TransactionScope scope(this, ScopeKind::kClosure);
    return transaction.RunLastStep();
  }

  void Finish(const WatchedTransaction& transaction, std::vector<Request>& batch) {
    if (!transaction.Wrote()) {
      backend_.Abort();
      return Answer(batch);
    }
    const std::shared_ptr<CommitListener> listener = Listener();
    const std::uint64_t sequence = transaction.Sequence();  // The backend's is gone afterwards.
    if (listener) listener->Committing(sequence, transaction.Notes());
    if (Result<void> committed = Commit(); !committed) {
      const Error error = std::move(committed).error();
      Poison(error);
      for (Request& request : batch) {
        Call(request, OutcomeUnknown{{ErrorCode::kStoreFailed, error.detail}});
      }
      return;
    }
    commits_.fetch_add(1, std::memory_order_relaxed);
    closures_.fetch_add(batch.size(), std::memory_order_relaxed);
    if (listener) listener->Committed(sequence, transaction.Notes());
    Answer(batch);
  }

  std::shared_ptr<CommitListener> Listener() {
    const std::lock_guard lock(mutex_);
    return listener_;
  }

  void Poison(const Error& error) {
    failure_ = {ErrorCode::kStoreFailed,
                "an earlier transaction has an unknown outcome (" + error.detail +
                    "); close the database and open it again to see what is stored"};
    failed_.store(true, std::memory_order_release);
  }

  Result<void> Commit() {
    if (!Faults::Fires(faults_.commits)) return backend_.Commit();
    if (faults_.commit_fault.load() == CommitFault::kNothingCommitted) {
      backend_.Abort();
    } else {
      RETURN_IF_ERROR(backend_.Commit());
    }
    return Fail(ErrorCode::kStoreFailed, "a test asked for this commit to fail");
  }

  void Answer(std::vector<Request>& batch) {
    for (Request& request : batch) {
      if (request.result) {
        Call(request, Committed{});
      } else {
        Call(request, Refused{std::move(request.result).error()});
      }
    }
  }

  void Call(Request& request, CommitOutcome outcome) {
    const TransactionScope scope(this, ScopeKind::kCompletion);
    request.done(std::move(outcome));
  }

  CommitBackend& backend_;
  const CommitGroupOptions options_;
  const pid_t owner_ = getpid();
  Faults faults_;
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> closures_{0};
  std::atomic<bool> failed_{false};
  Error failure_{ErrorCode::kStoreFailed, {}};  // Constant once `failed_` is set.

  // Used by the commit thread alone.
  std::deque<Request> taken_;
  Clock::time_point next_upkeep_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request> arrived_;
  std::shared_ptr<CommitListener> listener_;
  bool asleep_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

CommitGroup::CommitGroup(CommitBackend& backend, const CommitGroupOptions& options)
    : state_(new State(backend, options)) {}

CommitGroup::~CommitGroup() {
  if (!state_->InForkedChild()) delete state_;
}

CommitOutcome CommitGroup::Update(const UpdateFunction& write, SpaceUse space) {
  TransactionScope::CheckMayWait(state_);
  std::optional<CommitOutcome> outcome;
  // Not std::binary_semaphore: libstdc++'s yields in a loop before it sleeps, which with 64
  // waiters costs a third of the processor time of an update.
  sem_t answered;
  BOBBIN_CHECK(sem_init(&answered, 0, 0) == 0);
  UpdateAsync([&write](WriteTransaction& transaction) { return write(transaction); },
              [&](CommitOutcome result) {
                outcome = std::move(result);
                sem_post(&answered);
              },
              space);
  while (sem_wait(&answered) != 0) BOBBIN_CHECK(errno == EINTR);
  sem_destroy(&answered);
  return *std::move(outcome);
}

void CommitGroup::UpdateAsync(UpdateFunction write, Completion done, SpaceUse space) {
  TransactionScope::CheckMayQueue(state_);
  if (state_->InForkedChild()) {
    done(Refused{state_->CheckUsable().error()});
    return;
  }
  state_->Add(std::move(write), std::move(done), space);
}

void CommitGroup::Listen(std::shared_ptr<CommitListener> listener) {
  if (!state_->InForkedChild()) state_->Listen(std::move(listener));
}

Result<void> CommitGroup::RunView(const ReadFunction& read, ReadTransaction& transaction) const {
  const TransactionScope scope(state_, ScopeKind::kClosure);
  return read(transaction);
}

Result<void> CommitGroup::CheckMayView() const {
  TransactionScope::CheckMayWait(state_);
  return state_->CheckUsable();
}

CommitCounts CommitGroup::Counts() const { return state_->Counts(); }

void CommitGroup::FailCommit(std::uint64_t commits, CommitFault fault) {
  state_->ActiveFaults().commit_fault = fault;
  state_->ActiveFaults().commits = commits;
}

void CommitGroup::FailWrite(std::uint64_t writes, ErrorCode code) {
  state_->ActiveFaults().write_code = code;
  state_->ActiveFaults().writes = writes;
}

bool CommitGroup::FaultPending() const {
  return state_->ActiveFaults().commits != 0 || state_->ActiveFaults().writes != 0;
}

void CommitGroup::ClearFaults() {
  state_->ActiveFaults().commits = 0;
  state_->ActiveFaults().writes = 0;
}

namespace {

CommitGroup& GroupOf(const Engine& engine) {
  const auto* grouped = dynamic_cast<const GroupedEngine*>(&engine);
  BOBBIN_CHECK(grouped != nullptr);
  return grouped->group();
}

}  // namespace

void FailCommitForTesting(Engine& engine, std::uint64_t commits, CommitFault fault) {
  GroupOf(engine).FailCommit(commits, fault);
}

void FailWriteForTesting(Engine& engine, std::uint64_t writes, ErrorCode code) {
  GroupOf(engine).FailWrite(writes, code);
}

bool FaultPendingForTesting(const Engine& engine) { return GroupOf(engine).FaultPending(); }

void ClearFaultsForTesting(Engine& engine) { GroupOf(engine).ClearFaults(); }

}  // namespace bobbin::kv

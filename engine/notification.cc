#include "engine/notification.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "engine/adviser.h"
#include "engine/change_reader.h"

namespace bobbin {
namespace {

// How late the commit of a process that was killed before it could wake anybody is told.
constexpr std::chrono::seconds kLookEvery{1};

// A snapshot must not be held for long: the pages it shows cannot be used again.
constexpr int kChangesPerLook = 256;

std::uint32_t NextNumber() {
  static std::atomic<std::uint32_t> last{0};
  std::uint32_t number = 0;
  while (number == 0) number = ++last;
  return number;
}

}  // namespace

class AdviseConnection::State {
 public:
  State(std::shared_ptr<DatabaseState> database, std::unique_ptr<Adviser> adviser)
      : database_(std::move(database)),
        adviser_(std::move(adviser)),
        feed_(database_->shared.changes),
        reader_(feed_) {
    // Without a session nothing is announced for this reader. It finds that out, transaction by
    // transaction, and tells kReload: worse, but not wrong.
    if (const Result<LockSession> session = database_->OperationSession()) session_ = *session;
    feed_->AddReader(session_);
    std::uint64_t committed = 0;
    const Result<void> viewed = database_->View([&](RowReader& rows) -> Result<void> {
      committed = rows.Sequence();
      return {};
    });
    if (viewed) reader_.Start(committed);
  }

  static void Begin(const std::shared_ptr<State>& state) {
    state->thread_ = std::thread([state]() noexcept { state->Run(); });
  }

  void End() {
    if (ended_.exchange(true)) return;
    feed_->RemoveReader(session_);
    feed_->Wake();
  }

  // After End. The thread keeps the state for as long as it runs.
  void Join() {
    if (thread_.get_id() == std::this_thread::get_id()) {
      thread_.detach();
    } else {
      thread_.join();
    }
  }

  // In a forked child: a std::thread that is not joined ends the program, and its thread is not
  // here.
  static void KeepForever(std::shared_ptr<State> state) {
    State& kept = *state;
    kept.itself_ = std::move(state);
  }

  std::uint32_t Number() const { return number_; }
  bool InForkedChild() const { return getpid() != owner_; }

 private:
  void Run() {
    while (!ended_) {
      const std::uint32_t seen = feed_->Signal().Current();
      const bool readable = Look();
      while (!ended_ && adviser_->Deliver()) {
      }
      if (store_failed_) return;
      if (!ended_ && (!readable || !reader_.HasNext())) feed_->Signal().Wait(seen, kLookEvery);
    }
  }

  bool Look() {
    const Result<void> viewed = database_->View([&](RowReader& rows) -> Result<void> {
      if (!reader_.HasNext() && !reader_.Look(rows.Sequence())) adviser_->AddReload();
      for (int i = 0; i < kChangesPerLook && reader_.HasNext(); ++i) Add(rows, *reader_.Next());
      return {};
    });
    if (!viewed && !error_told_) adviser_->AddError(viewed.error());
    error_told_ = !viewed;
    store_failed_ = !viewed && viewed.error().code == ErrorCode::kStoreFailed;
    return viewed.has_value();
  }

  void Add(RowReader& rows, const Change& change) {
    if (change.kind == ChangeKind::kReload) return adviser_->AddReload();
    adviser_->Add(rows, change);
  }

  const std::shared_ptr<DatabaseState> database_;
  const std::unique_ptr<Adviser> adviser_;
  const std::shared_ptr<ChangeFeed> feed_;
  const std::uint32_t number_ = NextNumber();
  const pid_t owner_ = getpid();
  LockSession session_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
  std::shared_ptr<State> itself_;

  // Used by the thread alone.
  ChangeReader reader_;
  bool error_told_ = false;
  bool store_failed_ = false;
};

AdviseConnection::AdviseConnection(std::shared_ptr<State> state) : state_(std::move(state)) {}

AdviseConnection& AdviseConnection::operator=(AdviseConnection&& other) noexcept {
  const AdviseConnection ended(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

AdviseConnection::~AdviseConnection() {
  if (!state_) return;
  if (state_->InForkedChild()) {
    State::KeepForever(std::move(state_));
    return;
  }
  state_->End();
  state_->Join();
}

std::uint32_t AdviseConnection::Number() const { return state_ ? state_->Number() : 0; }

void AdviseConnection::Unadvise() {
  if (state_ && !state_->InForkedChild()) state_->End();
}

AdviseConnection Connect(std::shared_ptr<DatabaseState> database,
                         std::unique_ptr<Adviser> adviser) {
  auto state = std::make_shared<AdviseConnection::State>(std::move(database), std::move(adviser));
  AdviseConnection::State::Begin(state);
  return AdviseConnection(std::move(state));
}

}  // namespace bobbin

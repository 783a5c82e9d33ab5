// A message has one owner among all processes, and an owner that is gone owns nothing (C15, C16,
// C53); a submit in one process wakes a spooler in another.
//
// Method: real processes. Children are forked, open the segment themselves, say over a pipe how
// far they are, and are killed with SIGKILL where a death is wanted: outside a call, at random
// inside calls, and at chosen points inside the mutex with the memory left half changed. A death
// is waited for without reaping it, so that the owner is a zombie when the survivor looks.

#include "engine/lock_table.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/lock_segment.h"
#include "tests/support/not_checked.h"

namespace bobbin {
namespace {

using std::chrono::milliseconds;
using Outcome = LockTable::Outcome;

// Longer than a test may take: who returns from such a wait was woken.
constexpr milliseconds kNever = std::chrono::hours(1);

constexpr std::string_view kNoSystemCalls = "this kernel has no /proc/<id>/syscall";

// A forked process that runs `body`. Killed and reaped at the latest when this object goes.
class Child {
 public:
  using Report = std::function<void(char)>;
  explicit Child(const std::function<void(const Report&)>& body) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    process_ = fork();
    if (process_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(ends[0]);
      body([&](char word) { (void)!write(ends[1], &word, 1); });
      _exit(0);
    }
    close(ends[1]);
    reports_ = ends[0];
  }
  ~Child() {
    KillAndLeaveZombie();
    waitpid(process_, nullptr, 0);
    close(reports_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The child's next word; '!' when it ended without one.
  char NextReport() const {
    char word = '!';
    return read(reports_, &word, 1) == 1 ? word : '!';
  }
  void KillAndLeaveZombie() const {
    kill(process_, SIGKILL);
    WaitForEnd();
  }
  void WaitForEnd() const {
    siginfo_t info;
    while (waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOWAIT) != 0) {
    }
  }
  // Waits until the child sleeps in this system call. False: the kernel does not show that.
  bool WaitUntilIn(long system_call) const {
    const std::string path = "/proc/" + std::to_string(process_) + "/syscall";
    const std::string wanted = std::to_string(system_call) + " ";
    for (;; sched_yield()) {
      std::array<char, 16> text{};
      const int file = open(path.c_str(), O_RDONLY);
      const ssize_t bytes = read(file, text.data(), text.size() - 1);
      close(file);
      if (bytes <= 0) return false;
      if (std::string_view(text.data()).starts_with(wanted)) return true;
    }
  }
  pid_t Process() const { return process_; }

 private:
  pid_t process_ = -1;
  int reports_ = -1;
};

// Zeroed memory that this process and its children share.
template <class T>
class Shared {
 public:
  Shared()
      : memory_(
            mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
  ~Shared() { munmap(memory_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() const { return static_cast<T*>(memory_); }

 private:
  void* memory_;
};

class LockTableTest : public testing::Test {
 public:
  LockTableTest() {
    std::random_device random;
    for (std::uint8_t& byte : database_.bytes) byte = static_cast<std::uint8_t>(random());
  }
  ~LockTableTest() override { RemoveVolatileState(database_); }
  LockTableTest(const LockTableTest&) = delete;
  LockTableTest& operator=(const LockTableTest&) = delete;

 protected:
  VolatileState Open() const {
    auto state = OpenVolatileState(database_);
    EXPECT_TRUE(state) << ToString(state.error());
    return *std::move(state);
  }
  static Outcome Lock(const VolatileState& state, std::uint64_t message, LockSession session,
                      LockKind kind = LockKind::kLock) {
    const auto outcome = state.locks->TryLock(MessageId{message}, session, kind);
    EXPECT_TRUE(outcome) << ToString(outcome.error());
    return outcome.value_or(Outcome::kHeldByOther);
  }
  // A child that holds `message` until it is killed.
  std::function<void(const Child::Report&)> Holding(std::uint64_t message) const {
    return [this, message](const Child::Report& report) {
      const VolatileState state = Open();
      const LockSession session = state.locks->OpenSession().value();
      report(Lock(state, message, session) == Outcome::kAcquired ? 'L' : 'x');
      for (;;) pause();
    };
  }
  std::shared_ptr<LockSegment> Segment() const { return OpenLockSegment(database_).value(); }
  std::string SegmentFile() const { return "/dev/shm" + LockSegmentName(database_); }

  DatabaseId database_;
};

TEST_F(LockTableTest, OneMessageHasOneOwner) {
  const VolatileState state = Open();
  const LockSession first = state.locks->OpenSession().value();
  const LockSession second = state.locks->OpenSession().value();

  EXPECT_EQ(Lock(state, 7, first), Outcome::kAcquired);
  EXPECT_EQ(Lock(state, 7, first), Outcome::kAlreadyOurs);
  EXPECT_EQ(Lock(state, 7, second), Outcome::kHeldByOther);
  state.locks->Unlock(MessageId{7}, second);  // Not the holder: changes nothing.
  const auto holder = state.locks->Holder(MessageId{7});
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->session, first);
  EXPECT_EQ(holder->process_id, getpid());
  EXPECT_EQ(state.locks->Count(), 1U);

  state.locks->Unlock(MessageId{7}, first);
  EXPECT_FALSE(state.locks->Holder(MessageId{7}));
  EXPECT_EQ(Lock(state, 7, second), Outcome::kAcquired);
}

TEST_F(LockTableTest, ReservationAndLockExcludeEachOther) {
  const VolatileState state = Open();
  const LockSession aborter = state.locks->OpenSession().value();
  const LockSession spooler = state.locks->OpenSession().value();

  EXPECT_EQ(Lock(state, 1, aborter, LockKind::kReservation), Outcome::kAcquired);
  EXPECT_EQ(Lock(state, 1, spooler), Outcome::kHeldByOther);
  EXPECT_EQ(state.locks->Holder(MessageId{1})->kind, LockKind::kReservation);
  state.locks->Unlock(MessageId{1}, aborter);
  EXPECT_EQ(Lock(state, 1, spooler), Outcome::kAcquired);
  EXPECT_EQ(Lock(state, 1, aborter, LockKind::kReservation), Outcome::kHeldByOther);
  EXPECT_EQ(state.locks->Holder(MessageId{1})->kind, LockKind::kLock);
}

TEST_F(LockTableTest, ClosingASessionFreesItsLocksAndNoOthers) {
  const VolatileState state = Open();
  const LockSession closed = state.locks->OpenSession().value();
  const LockSession open = state.locks->OpenSession().value();
  for (std::uint64_t id = 0; id < 100; ++id) Lock(state, id, id % 2 == 0 ? closed : open);

  state.locks->CloseSession(closed);

  EXPECT_EQ(state.locks->Count(), 50U);
  for (std::uint64_t id = 0; id < 100; ++id) {
    EXPECT_EQ(state.locks->Holder(MessageId{id}).has_value(), id % 2 == 1) << id;
  }
  const auto refused = state.locks->TryLock(MessageId{0}, closed, LockKind::kLock);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidObject);
}

TEST_F(LockTableTest, ASessionIdIsNeverUsedTwice) {
  const VolatileState state = Open();
  std::map<std::uint64_t, int> seen;
  for (int i = 0; i < 5000; ++i) {
    const LockSession session = state.locks->OpenSession().value();
    ++seen[session.value];
    state.locks->CloseSession(session);
  }
  EXPECT_EQ(seen.size(), 5000U);
  EXPECT_FALSE(seen.contains(0));
}

// Few messages, so that they are locked and freed often; what the table says is compared with a
// map after every step.
RC_GTEST_FIXTURE_PROP(LockTableTest, BehavesLikeAMap, ()) {
  const VolatileState state = Open();
  std::array<LockSession, 3> sessions{};
  for (LockSession& session : sessions) session = state.locks->OpenSession().value();
  std::map<std::uint64_t, std::uint64_t> model;

  using Step = std::pair<std::uint64_t, std::uint8_t>;
  for (const auto& [message, action] : *rc::gen::arbitrary<std::vector<Step>>()) {
    LockSession& session = sessions[action % 3];
    const auto holder = model.find(message % 8);
    const bool ours = holder != model.end() && holder->second == session.value;
    if (action % 16 == 15) {
      state.locks->CloseSession(session);
      std::erase_if(model, [&](const auto& entry) { return entry.second == session.value; });
      session = state.locks->OpenSession().value();
    } else if (action % 2 == 0) {
      const Outcome expected = holder == model.end() ? Outcome::kAcquired
                               : ours                ? Outcome::kAlreadyOurs
                                                     : Outcome::kHeldByOther;
      RC_ASSERT(Lock(state, message % 8, session) == expected);
      model.emplace(message % 8, session.value);
    } else {
      state.locks->Unlock(MessageId{message % 8}, session);
      if (ours) model.erase(holder);
    }
    RC_ASSERT(state.locks->Count() == model.size());
    for (std::uint64_t id = 0; id < 8; ++id) {
      const auto found = state.locks->Holder(MessageId{id});
      RC_ASSERT(found.has_value() == model.contains(id));
      if (found) RC_ASSERT(found->session.value == model[id]);
    }
  }
  for (const LockSession session : sessions) state.locks->CloseSession(session);
}

// Far more locks come and go here than there are slots, so freed slots must be cleaned; and they
// go in another order than they came, so many of them are in the middle of others' way.
TEST_F(LockTableTest, LongUseWithManyLocksLosesNone) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  std::mt19937_64 random(1);  // NOLINT: the same run every time.
  std::vector<std::uint64_t> held(40'000);
  for (std::uint64_t& id : held) {
    id = random();
    ASSERT_EQ(Lock(state, id, session), Outcome::kAcquired);
  }
  for (int i = 0; i < 300'000; ++i) {
    std::uint64_t& id = held[random() % held.size()];
    state.locks->Unlock(MessageId{id}, session);
    id = random();
    ASSERT_EQ(Lock(state, id, session), Outcome::kAcquired);
  }
  EXPECT_EQ(state.locks->Count(), held.size());
  for (const std::uint64_t id : held) ASSERT_TRUE(state.locks->Holder(MessageId{id})) << id;
}

TEST_F(LockTableTest, AFullLockTableRefusesAndRecovers) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  for (std::uint64_t id = 0; id < kLocksMax; ++id) {
    ASSERT_EQ(Lock(state, id, session), Outcome::kAcquired);
  }
  const auto refused = state.locks->TryLock(MessageId{kLocksMax}, session, LockKind::kLock);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kNotEnoughResources);
  state.locks->Unlock(MessageId{0}, session);
  EXPECT_EQ(Lock(state, kLocksMax, session), Outcome::kAcquired);
}

TEST_F(LockTableTest, AFullLockTableOfADeadProcessIsEmptyAtOnce) {
  const Child child([this](const Child::Report& report) {
    const VolatileState state = Open();
    const LockSession session = state.locks->OpenSession().value();
    for (std::uint64_t id = 0; id < kLocksMax; ++id) Lock(state, id, session);
    report('F');
    for (;;) pause();
  });
  ASSERT_EQ(child.NextReport(), 'F');
  child.KillAndLeaveZombie();
  const VolatileState state = Open();
  EXPECT_EQ(Lock(state, kLocksMax, state.locks->OpenSession().value()), Outcome::kAcquired);
  EXPECT_EQ(state.locks->Count(), 1U);
}

TEST_F(LockTableTest, AFullSessionTableRefusesUntilAProcessEnds) {
  const Child child([this](const Child::Report& report) {
    const VolatileState state = Open();
    for (std::uint32_t i = 0; i < kLockSessionsMax; ++i) (void)state.locks->OpenSession();
    report('F');
    for (;;) pause();
  });
  ASSERT_EQ(child.NextReport(), 'F');
  const VolatileState state = Open();
  const auto refused = state.locks->OpenSession();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kNotEnoughResources);
  child.KillAndLeaveZombie();
  EXPECT_TRUE(state.locks->OpenSession());
}

TEST_F(LockTableTest, ALockEndsWithItsProcess) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  const Child child(Holding(7));
  ASSERT_EQ(child.NextReport(), 'L');
  EXPECT_EQ(Lock(state, 7, session), Outcome::kHeldByOther);
  EXPECT_EQ(state.locks->Holder(MessageId{7})->process_id, child.Process());

  child.KillAndLeaveZombie();

  EXPECT_FALSE(state.locks->Holder(MessageId{7}));
  EXPECT_EQ(Lock(state, 7, session), Outcome::kAcquired);
}

TEST_F(LockTableTest, NoLockIsLeftWhenEveryProcessWasKilled) {
  {
    const Child first(Holding(1));
    const Child second(Holding(2));
    ASSERT_EQ(first.NextReport(), 'L');
    ASSERT_EQ(second.NextReport(), 'L');
  }
  const VolatileState state = Open();
  EXPECT_EQ(state.locks->Count(), 0U);
  EXPECT_EQ(Lock(state, 1, state.locks->OpenSession().value()), Outcome::kAcquired);
}

// The kernel gives process ids out again. The entry of the earlier process is made by changing
// the one thing in which it would differ.
TEST_F(LockTableTest, AProcessIdUsedAgainInheritsNothing) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  const Child child(Holding(7));
  ASSERT_EQ(child.NextReport(), 'L');
  const auto segment = Segment();
  for (LockSegment::Session& entry : segment->sessions) {
    if (entry.process_id == child.Process()) --entry.start_time;
  }
  EXPECT_EQ(Lock(state, 7, session), Outcome::kAcquired);
}

// A process that cannot be looked at is not a dead one.
TEST_F(LockTableTest, AnOwnerThatCannotBeLookedAtKeepsItsLock) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  const Child child(Holding(7));
  ASSERT_EQ(child.NextReport(), 'L');
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit no_files{0, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &no_files);
  const Outcome held = Lock(state, 7, session);
  const Outcome free = Lock(state, 8, session);  // And without a conflict nothing is opened.
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(held, Outcome::kHeldByOther);
  EXPECT_EQ(free, Outcome::kAcquired);
}

TEST_F(LockTableTest, AForkedChildDoesNotActForItsParent) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  ASSERT_EQ(Lock(state, 7, session), Outcome::kAcquired);
  const Child child([&](const Child::Report& report) {
    const auto refused = state.locks->TryLock(MessageId{8}, session, LockKind::kLock);
    report(!refused && refused.error().code == ErrorCode::kInvalidObject ? 'R' : 'x');
    state.locks->Unlock(MessageId{7}, session);
    state.locks->CloseSession(session);
    const LockSession own = state.locks->OpenSession().value();
    report(Lock(state, 7, own) == Outcome::kHeldByOther ? 'H' : 'x');
    report(Lock(state, 9, own) == Outcome::kAcquired ? 'A' : 'x');
  });
  EXPECT_EQ(child.NextReport(), 'R');
  EXPECT_EQ(child.NextReport(), 'H');
  EXPECT_EQ(child.NextReport(), 'A');
  child.WaitForEnd();
  EXPECT_EQ(state.locks->Holder(MessageId{7})->session, session);
  EXPECT_EQ(state.locks->Count(), 1U);
}

TEST_F(LockTableTest, OfTwoRacingProcessesExactlyOneWinsEachMessage) {
  constexpr std::uint64_t kMessages = 5000;
  struct Race {
    std::array<std::atomic<std::uint64_t>, 2> at;
    std::array<std::array<std::atomic<bool>, kMessages>, 2> won;
  };
  const Shared<Race> race;
  const auto runner = [&](std::size_t self) {
    return [this, &race, self](const Child::Report& report) {
      const VolatileState state = Open();
      const LockSession session = state.locks->OpenSession().value();
      for (std::uint64_t id = 0; id < kMessages; ++id) {
        race->at[self].store(id + 1);
        while (race->at[1 - self].load() <= id) sched_yield();
        // Every second race is between a spooler and an abort.
        const LockKind kind = self == 1 && id % 2 == 1 ? LockKind::kReservation : LockKind::kLock;
        race->won[self][id].store(Lock(state, id, session, kind) == Outcome::kAcquired);
      }
      report('D');
      for (;;) pause();
    };
  };
  const Child first(runner(0));
  const Child second(runner(1));
  ASSERT_EQ(first.NextReport(), 'D');
  ASSERT_EQ(second.NextReport(), 'D');
  for (std::uint64_t id = 0; id < kMessages; ++id) {
    ASSERT_NE(race->won[0][id].load(), race->won[1][id].load()) << "message " << id;
  }
}

// The child's table is small and always near a change, so most kills hit it inside a call.
TEST_F(LockTableTest, KillsInsideCallsLeaveTheTableUsable) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  for (std::uint64_t id = 0; id < 100; ++id)
    ASSERT_EQ(Lock(state, id, session), Outcome::kAcquired);
  std::mt19937 random(1);  // NOLINT: a fixed seed; the kernel's timing varies it enough.
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    Child child([this](const Child::Report& report) {
      const VolatileState own = Open();
      report('R');
      for (;;) {
        const LockSession brief = own.locks->OpenSession().value();
        for (std::uint64_t id = 50; id < 400; ++id) (void)Lock(own, id, brief);
        for (std::uint64_t id = 50; id < 300; ++id) own.locks->Unlock(MessageId{id}, brief);
        own.locks->CloseSession(brief);
      }
    });
    ASSERT_EQ(child.NextReport(), 'R');
    const auto delay = random() % 100'000;
    for (std::uint_fast32_t turn = 0; turn < delay; ++turn) (void)state.signal->Current();
    child.KillAndLeaveZombie();

    ASSERT_EQ(state.locks->Count(), 100U);
    for (std::uint64_t id = 0; id < 100; ++id) {
      ASSERT_EQ(Lock(state, id, session), Outcome::kAlreadyOurs) << id;
    }
    ASSERT_EQ(Lock(state, 300, session), Outcome::kAcquired);
    state.locks->Unlock(MessageId{300}, session);
  }
}

// Dies with the mutex held and the memory as it can be between two stores, and worse.
TEST_F(LockTableTest, AProcessThatDiesInsideTheMutexHarmsNobody) {
  const VolatileState state = Open();
  const LockSession session = state.locks->OpenSession().value();
  for (std::uint64_t id = 0; id < 1000; ++id) Lock(state, id, session);
  using Harm = std::function<void(LockSegment&, LockSession)>;
  const std::vector<Harm> harms = {
      [](LockSegment&, LockSession) {},
      [](LockSegment& segment, LockSession) { segment.locks = segment.slots_used = 77; },
      [](LockSegment& segment, LockSession own) {
        AddLock(segment, MessageId{5000}, OwnerWord(own.value, LockKind::kLock));
        segment.sessions[own.value % kLockSessionsMax].id.store(0);
      },
      [](LockSegment& segment, LockSession own) {
        AddLock(segment, MessageId{5000}, OwnerWord(own.value, LockKind::kLock));
        --segment.locks;
        segment.sessions[own.value % kLockSessionsMax].locks = 0;
      },
      [](LockSegment& segment, LockSession) {  // Killed half-way through a rebuild.
        for (auto& slot : segment.halves[1 - segment.active.load()]) slot.owner.store(12345);
      },
  };
  for (const Harm& harm : harms) {
    const Child child([&](const Child::Report&) {
      const VolatileState own = Open();
      const LockSession brief = own.locks->OpenSession().value();
      const auto segment = Segment();
      const SegmentGuard guard(*segment);
      harm(*segment, brief);
      raise(SIGKILL);
    });
    child.WaitForEnd();
    EXPECT_EQ(state.locks->Count(), 1000U);
    for (std::uint64_t id = 0; id < 1000; ++id) {
      ASSERT_EQ(Lock(state, id, session), Outcome::kAlreadyOurs) << id;
    }
    EXPECT_EQ(Lock(state, 5000, session), Outcome::kAcquired);
    state.locks->Unlock(MessageId{5000}, session);
  }
}

TEST_F(LockTableTest, FirstOpenersOfManyProcessesShareOneSegment) {
  for (int round = 0; round < 30; ++round) {
    const Shared<std::atomic<bool>> start;
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 6; ++i) {
      children.push_back(std::make_unique<Child>([&](const Child::Report& report) {
        while (!start->load()) sched_yield();
        const VolatileState state = Open();
        const LockSession session = state.locks->OpenSession().value();
        report(Lock(state, 7, session) == Outcome::kAcquired ? 'A' : 'H');
        for (;;) pause();
      }));
    }
    start->store(true);
    std::map<char, int> outcomes;
    for (const auto& child : children) ++outcomes[child->NextReport()];
    EXPECT_THAT(outcomes, testing::ElementsAre(testing::Pair('A', 1), testing::Pair('H', 5)));
    RemoveVolatileState(database_);
  }
}

TEST_F(LockTableTest, AKilledInitialisationIsBegunAgain) {
  const int file = open(SegmentFile().c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(file, 0);
  const std::string rubbish(100'000, 'x');
  ASSERT_EQ(pwrite(file, rubbish.data(), rubbish.size(), 8), 100'000);  // No magic yet.
  close(file);
  const VolatileState state = Open();
  EXPECT_EQ(state.locks->Count(), 0U);
  EXPECT_EQ(Lock(state, 1, state.locks->OpenSession().value()), Outcome::kAcquired);
}

TEST_F(LockTableTest, ASegmentOfAnotherLayoutIsLeftAloneWhileItIsOpen) {
  std::optional<VolatileState> older = Open();
  ++Segment()->layout;
  const auto refused = OpenVolatileState(database_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kVersion);
  EXPECT_THAT(refused.error().detail, testing::HasSubstr(LockSegmentName(database_)));
  older.reset();
  EXPECT_TRUE(OpenVolatileState(database_));
}

TEST_F(LockTableTest, TheLastToCloseRemovesTheSegment) {
  std::optional<VolatileState> first = Open();
  std::optional<VolatileState> second = Open();
  second.reset();
  EXPECT_EQ(access(SegmentFile().c_str(), F_OK), 0);
  first.reset();
  EXPECT_NE(access(SegmentFile().c_str(), F_OK), 0);
}

TEST_F(LockTableTest, AForkedChildThatClosesTakesNothingFromItsParent) {
  std::optional<VolatileState> state = Open();
  Lock(*state, 7, state->locks->OpenSession().value());
  const Child child([&](const Child::Report& report) {
    state.reset();
    report('C');
  });
  ASSERT_EQ(child.NextReport(), 'C');
  child.WaitForEnd();
  EXPECT_TRUE(Open().locks->Holder(MessageId{7}));
}

// A segment that is removed under one who is about to use it would give a lock two owners. Here
// the test is the last to close it, and is slow at that.
TEST_F(LockTableTest, ASegmentRemovedWhileAnotherOpensItIsNotUsed) {
  const std::string begun = SegmentFile() + "-begun";
  {
    const VolatileState state = Open();
    std::filesystem::copy_file(SegmentFile(), begun);
  }
  std::filesystem::rename(begun, SegmentFile());
  const int file = open(SegmentFile().c_str(), O_RDWR);
  ASSERT_EQ(flock(file, LOCK_EX), 0);
  const Child child(Holding(7));
  const bool waited = child.WaitUntilIn(SYS_flock);
  RemoveVolatileState(database_);
  flock(file, LOCK_UN);  // The child has it, too, so closing would not do.
  close(file);
  ASSERT_EQ(child.NextReport(), 'L');
  if (!waited) SayNotChecked("an opener that waits for the segment", kNoSystemCalls);
  const VolatileState state = Open();
  EXPECT_EQ(Lock(state, 7, state.locks->OpenSession().value()), Outcome::kHeldByOther);
}

TEST_F(LockTableTest, OpeningAndClosingAtTheSameTimeKeepsOneOwner) {
  struct Owners {
    std::atomic<int> now;
    std::atomic<int> most;
  };
  const Shared<Owners> owners;
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 2; ++i) {  // More would keep it open nearly all the time.
    children.push_back(std::make_unique<Child>([&](const Child::Report& report) {
      for (int round = 0; round < 300; ++round) {
        const VolatileState state = Open();
        const LockSession session = state.locks->OpenSession().value();
        while (Lock(state, 7, session) != Outcome::kAcquired) sched_yield();
        const int now = ++owners->now;
        sched_yield();
        if (now > owners->most.load()) owners->most.store(now);
        --owners->now;
        state.locks->Unlock(MessageId{7}, session);
      }
      report('D');
    }));
  }
  for (const auto& child : children) EXPECT_EQ(child->NextReport(), 'D');
  EXPECT_EQ(owners->most.load(), 1);
  for (const auto& child : children) child->WaitForEnd();
  EXPECT_NE(access(SegmentFile().c_str(), F_OK), 0);
}

TEST_F(LockTableTest, ARemovedSegmentIsGone) {
  std::optional<VolatileState> state = Open();
  Lock(*state, 7, state->locks->OpenSession().value());
  EXPECT_EQ(access(SegmentFile().c_str(), F_OK), 0);
  RemoveVolatileState(database_);
  EXPECT_NE(access(SegmentFile().c_str(), F_OK), 0);
  EXPECT_EQ(state->locks->Count(), 1U);  // Who has it mapped keeps it.
  const VolatileState next = Open();
  EXPECT_EQ(next.locks->Count(), 0U);  // Who comes now gets a new one,
  state.reset();
  EXPECT_EQ(access(SegmentFile().c_str(), F_OK), 0);  // which is not the first one's to remove.
}

using QueueSignalTest = LockTableTest;

TEST_F(QueueSignalTest, RaiseWakesEveryWaiterInOtherProcesses) {
  const VolatileState state = Open();
  const auto waiter = [this](const Child::Report& report) {
    const VolatileState own = Open();
    const std::uint32_t seen = own.signal->Current();
    report('W');
    own.signal->Wait(seen, kNever);
    report(own.signal->Current() != seen ? 'C' : 'x');
  };
  const Child first(waiter);
  const Child second(waiter);
  ASSERT_EQ(first.NextReport(), 'W');
  ASSERT_EQ(second.NextReport(), 'W');
  state.signal->Raise();
  EXPECT_EQ(first.NextReport(), 'C');
  EXPECT_EQ(second.NextReport(), 'C');
}

// The case above mostly raises before the waiters sleep; here they are certain to.
TEST_F(QueueSignalTest, RaiseWakesASleeper) {
  const VolatileState state = Open();
  const Child child([this](const Child::Report& report) {
    const VolatileState own = Open();
    own.signal->Wait(own.signal->Current(), kNever);
    report('C');
  });
  if (!child.WaitUntilIn(SYS_futex)) {
    return SayNotChecked("a raise that finds a sleeper", kNoSystemCalls);
  }
  state.signal->Raise();
  EXPECT_EQ(child.NextReport(), 'C');
}

TEST_F(QueueSignalTest, ARaiseBeforeTheWaitIsNotLost) {
  const VolatileState state = Open();
  const std::uint32_t seen = state.signal->Current();
  state.signal->Raise();
  state.signal->Wait(seen, kNever);
  EXPECT_EQ(state.signal->Current(), seen + 1);
}

TEST_F(QueueSignalTest, ALostWakeUpEndsWithTheTimeout) {
  const VolatileState state = Open();
  const std::uint32_t seen = state.signal->Current();
  Segment()->signal.store(seen);  // Nobody raises.
  state.signal->Wait(seen, milliseconds(5));
  state.signal->Wait(seen, milliseconds(0));
  state.signal->Wait(seen, milliseconds(-5));
  EXPECT_EQ(state.signal->Current(), seen);
}

TEST_F(QueueSignalTest, AnInterruptedWaitGoesOn) {
  const VolatileState state = Open();
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, nullptr);
  const itimerval every_millisecond{{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &every_millisecond, nullptr);
  const auto start = std::chrono::steady_clock::now();
  state.signal->Wait(state.signal->Current(), milliseconds(50));
  const auto waited = std::chrono::steady_clock::now() - start;
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  EXPECT_GE(waited, milliseconds(50));
}

}  // namespace
}  // namespace bobbin

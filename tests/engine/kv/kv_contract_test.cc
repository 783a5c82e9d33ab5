// Every engine keeps the page engine/kv/kv_engine.h.
//
// Method: the same tests run on a real LMDB environment and on the memory engine.
// Where several closures must share a transaction, the first of them holds the
// commit thread until the others are queued. Failures come from the seam below the
// commit group (engine/kv/commit_fault.h).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <mutex>
#include <set>
#include <thread>

#include "engine/kv/commit_fault.h"
#include "engine/kv/kv_engine.h"
#include "engine/kv/memory_engine.h"
#include "tests/engine/kv/kv_test_support.h"
#include "tests/support/temporary_directory.h"

namespace bobbin::kv {
namespace {

using test::CodeOf;
using test::kBodies;
using test::Keys;
using test::kQueue;
using test::PutRow;
using test::Read;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

constexpr auto kNothing = [](CommitOutcome) {};

enum class Kind : std::uint8_t { kLmdb, kMemory };

// Keeps the commit thread inside a transaction, so that what is queued meanwhile
// shares that transaction.
class Holder {
 public:
  explicit Holder(Engine& engine) {
    engine.UpdateAsync(
        [this](WriteTransaction& transaction) {
          if (!held_.exchange(true)) holding_.count_down();
          released_.wait();
          return transaction.Put(kQueue, "held", "");
        },
        [this](CommitOutcome) { answered_.count_down(); });
    holding_.wait();
  }
  ~Holder() { answered_.wait(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  void Release() { released_.count_down(); }

 private:
  std::atomic<bool> held_{false};  // The closure may be run again.
  std::latch holding_{1};
  std::latch released_{1};
  std::latch answered_{1};
};

class KvContract : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::kMemory) {
      engine_ = NewMemoryEngine({"queue", "bodies"});
      return;
    }
    ASSERT_TRUE(test::CreateEmpty(directory_.Path()));
    auto opened = OpenLmdbEngine(directory_.Path(), test::TwoTables());
    ASSERT_TRUE(opened) << ToString(opened.error());
    engine_ = *opened;
  }

  void PutNow(const std::string& key, const std::string& value, TableId table = kQueue) {
    ASSERT_TRUE(engine_->Update(PutRow(key, value, table)).IsCommitted());
  }

  std::future<CommitOutcome> UpdateLater(UpdateFunction write) {
    auto answer = std::make_shared<std::promise<CommitOutcome>>();
    engine_->UpdateAsync(std::move(write), [answer](CommitOutcome outcome) {
      answer->set_value(std::move(outcome));
    });
    return answer->get_future();
  }

  std::uint64_t SequenceSeen() {
    std::uint64_t sequence = 0;
    EXPECT_TRUE(engine_->View([&](ReadTransaction& transaction) -> Result<void> {
      sequence = transaction.Sequence();
      return {};
    }));
    return sequence;
  }

  TemporaryDirectory directory_;
  std::shared_ptr<Engine> engine_;
};

using KvContractDeathTest = KvContract;

TEST_P(KvContract, WhatIsCommittedIsReadInItsTableOnly) {
  PutNow("a", "1");
  PutNow("a", "2", kBodies);
  EXPECT_THAT(Read(*engine_, "a"), Optional(std::string("1")));
  EXPECT_THAT(Read(*engine_, "a", kBodies), Optional(std::string("2")));
  EXPECT_EQ(Read(*engine_, "b"), std::nullopt);
}

TEST_P(KvContract, PutReplacesAndEraseOfAnAbsentKeySucceeds) {
  PutNow("a", "1");
  PutNow("a", "");
  EXPECT_THAT(Read(*engine_, "a"), Optional(std::string()));
  const auto erase = [](WriteTransaction& transaction) { return transaction.Erase(kQueue, "a"); };
  EXPECT_TRUE(engine_->Update(erase).IsCommitted());
  EXPECT_EQ(Read(*engine_, "a"), std::nullopt);
  EXPECT_TRUE(engine_->Update(erase).IsCommitted());
}

TEST_P(KvContract, ReplaceAndRemoveShowWhatTheKeyHad) {
  std::vector<std::string> formers;
  const auto former = [&](Bytes value) { formers.emplace_back(value); };
  ASSERT_TRUE(engine_
                  ->Update([&](WriteTransaction& transaction) -> Result<void> {
                    formers = {};
                    RETURN_IF_ERROR(transaction.Replace(kQueue, "b", "1", former));
                    RETURN_IF_ERROR(transaction.Replace(kQueue, "b", "22", former));
                    RETURN_IF_ERROR(transaction.Replace(kQueue, "a", "3", former));
                    RETURN_IF_ERROR(transaction.Remove(kQueue, "b", former));
                    RETURN_IF_ERROR(transaction.Remove(kQueue, "b", former));
                    return transaction.Replace(kQueue, "c", "4", former);
                  })
                  .IsCommitted());
  EXPECT_THAT(formers, ElementsAre("1", "22"));
  EXPECT_THAT(Keys(*engine_), ElementsAre("a", "c"));
}

// Counts the closures that came before it.
class CountAtEnd final : public LastStep {
 public:
  Result<void> Run(WriteTransaction& transaction) override {
    if (fails) return Fail(ErrorCode::kNoSupport, "as asked");
    return transaction.Put(kQueue, "closures", std::to_string(closures));
  }
  int closures = 0;
  bool fails = false;
};

UpdateFunction CountedPut(std::string key, bool refuse = false, bool last_step_fails = false) {
  return [=](WriteTransaction& transaction) -> Result<void> {
    RETURN_IF_ERROR(transaction.Put(kQueue, key, ""));
    if (!transaction.AtEnd()) transaction.AtEnd() = std::make_unique<CountAtEnd>();
    auto& step = static_cast<CountAtEnd&>(*transaction.AtEnd());
    ++step.closures;
    step.fails = step.fails || last_step_fails;
    if (refuse) return Fail(ErrorCode::kCancel, "as asked");
    return {};
  };
}

TEST_P(KvContract, TheLastStepIsRunOnceForAllClosuresThatAreCommitted) {
  {
    Holder holder(*engine_);
    engine_->UpdateAsync(CountedPut("a"), kNothing);
    engine_->UpdateAsync(CountedPut("b", true), kNothing);
    engine_->UpdateAsync(CountedPut("c"), kNothing);
    engine_->UpdateAsync(CountedPut("d"), kNothing);
    holder.Release();
  }
  ASSERT_TRUE(engine_->Update(PutRow("z", "")).IsCommitted());
  EXPECT_THAT(Keys(*engine_), ElementsAre("a", "c", "closures", "d", "held", "z"));
  EXPECT_EQ(Read(*engine_, "closures"), "2") << "those after the refused one share a transaction";
}

TEST_P(KvContract, ALastStepThatFailsRefusesEverything) {
  EXPECT_EQ(CodeOf(engine_->Update(CountedPut("a", false, true))), ErrorCode::kNoSupport);
  EXPECT_THAT(Keys(*engine_), IsEmpty());
  EXPECT_TRUE(engine_->Update(CountedPut("b")).IsCommitted());
}

TEST_P(KvContract, AClosureSeesItsOwnWrites) {
  PutNow("b", "0");
  EXPECT_TRUE(engine_
                  ->Update([](WriteTransaction& transaction) -> Result<void> {
                    RETURN_IF_ERROR(transaction.Put(kQueue, "a", "1"));
                    RETURN_IF_ERROR(transaction.Erase(kQueue, "b"));
                    ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "a"));
                    EXPECT_THAT(value, Optional(Bytes("1")));
                    EXPECT_THAT(Keys(transaction, kQueue), ElementsAre("a"));
                    return {};
                  })
                  .IsCommitted());
}

TEST_P(KvContract, ScanVisitsTheRangeInByteOrder) {
  for (const char* key : {"b", "aa", "a", "c", "\xff", "\x01"}) PutNow(key, key);
  EXPECT_THAT(Keys(*engine_), ElementsAre("\x01", "a", "aa", "b", "c", "\xff"));
  EXPECT_THAT(Keys(*engine_, kQueue, {"a", "b"}), ElementsAre("a", "aa"));
  EXPECT_THAT(Keys(*engine_, kQueue, {"a0", ""}), ElementsAre("aa", "b", "c", "\xff"));
  EXPECT_THAT(Keys(*engine_, kQueue, {"", "a"}), ElementsAre("\x01"));
  EXPECT_THAT(Keys(*engine_, kQueue, {"b", "b"}), IsEmpty());
  EXPECT_THAT(Keys(*engine_, kQueue, {"c", "a"}), IsEmpty());
  EXPECT_THAT(Keys(*engine_, kBodies), IsEmpty());
}

TEST_P(KvContract, ScanStopsWhenTheVisitorSaysSoAndTheVisitorMayRead) {
  for (const char* key : {"a", "b", "c"}) PutNow(key, key);
  std::vector<std::string> seen;
  EXPECT_TRUE(engine_->View([&](ReadTransaction& transaction) {
    return transaction.Scan(kQueue, {}, [&](Bytes key, Bytes value) {
      EXPECT_EQ(key, value);
      EXPECT_THAT(Keys(transaction, kQueue), SizeIs(3));
      const auto other = transaction.Get(kQueue, "c");
      EXPECT_TRUE(other && *other && **other == "c");
      seen.emplace_back(key);
      return seen.size() < 2;
    });
  }));
  EXPECT_THAT(seen, ElementsAre("a", "b"));
}

TEST_P(KvContract, KeysAndValuesUpToTheLimitsAreKeptAndBeyondThemRefused) {
  const std::string key_max(kKeyBytesMax, 'k');
  const std::string value_max(kValueBytesMax, 'v');
  PutNow(key_max, value_max);
  EXPECT_THAT(Read(*engine_, key_max), Optional(value_max));

  EXPECT_EQ(CodeOf(engine_->Update(PutRow("", ""))), ErrorCode::kTooBig);
  EXPECT_EQ(CodeOf(engine_->Update(PutRow(key_max + "k", ""))), ErrorCode::kTooBig);
  EXPECT_EQ(CodeOf(engine_->Update(PutRow("k", value_max + "v"))), ErrorCode::kTooBig);
  EXPECT_TRUE(engine_->View([&](ReadTransaction& transaction) -> Result<void> {
    for (const std::string& key : {std::string(), key_max + "k"}) {
      const auto found = transaction.Get(kQueue, key);
      if (found) return Fail(ErrorCode::kCallFailed, "a key beyond the limits was looked up");
      EXPECT_EQ(found.error().code, ErrorCode::kTooBig);
    }
    return {};
  }));
  EXPECT_THAT(Keys(*engine_), ElementsAre(key_max));
}

TEST_P(KvContract, AClosureMayGoOnAfterABytesLimit) {
  EXPECT_TRUE(engine_
                  ->Update([](WriteTransaction& transaction) -> Result<void> {
                    EXPECT_FALSE(transaction.Put(kQueue, "", ""));
                    return transaction.Put(kQueue, "a", "");
                  })
                  .IsCommitted());
  EXPECT_THAT(Keys(*engine_), ElementsAre("a"));
}

TEST_P(KvContract, TheErrorOfAViewIsReturned) {
  const Result<void> viewed = engine_->View(
      [](ReadTransaction&) -> Result<void> { return Fail(ErrorCode::kNotFound, "no message"); });
  ASSERT_FALSE(viewed);
  EXPECT_EQ(viewed.error().detail, "no message");
}

TEST_P(KvContract, AClosureThatFailsIsRefusedWithItsErrorAndLeavesNoTrace) {
  PutNow("kept", "1");
  for (const bool writes_first : {false, true}) {
    CommitOutcome outcome = engine_->Update([&](WriteTransaction& transaction) -> Result<void> {
      if (writes_first) {
        RETURN_IF_ERROR(transaction.Put(kQueue, "new", "1"));
        RETURN_IF_ERROR(transaction.Erase(kQueue, "kept"));
      }
      return Fail(ErrorCode::kSubmitted, "queued already");
    });
    EXPECT_TRUE(outcome.IsRefused());
    EXPECT_EQ(CodeOf(std::move(outcome)), ErrorCode::kSubmitted);
    EXPECT_THAT(Keys(*engine_), ElementsAre("kept"));
  }
}

TEST_P(KvContract, AClosureThatFailsCostsItsNeighboursNothing) {
  for (const bool writes_first : {false, true}) {
    std::atomic<int> runs_before = 0;
    Holder holder(*engine_);
    auto before = UpdateLater([&](WriteTransaction& transaction) {
      ++runs_before;
      return transaction.Put(kQueue, "1", "");
    });
    auto failing = UpdateLater([=](WriteTransaction& transaction) -> Result<void> {
      if (writes_first) RETURN_IF_ERROR(transaction.Put(kQueue, "2", ""));
      return Fail(ErrorCode::kTooBig, "");
    });
    auto after = UpdateLater(PutRow("3", ""));
    holder.Release();
    EXPECT_TRUE(before.get().IsCommitted());
    EXPECT_TRUE(failing.get().IsRefused());
    EXPECT_TRUE(after.get().IsCommitted());
    EXPECT_THAT(Keys(*engine_), ElementsAre("1", "3", "held"));
    EXPECT_EQ(runs_before, writes_first ? 2 : 1) << "the closures did not share a transaction";
  }
}

TEST_P(KvContract, ARefusalRestsOnCommittedDataOnly) {
  // The first neighbour fails when it is run again, so what the second saw never existed.
  std::atomic<int> runs = 0;
  Holder holder(*engine_);
  auto fickle = UpdateLater([&](WriteTransaction& transaction) -> Result<void> {
    RETURN_IF_ERROR(transaction.Put(kQueue, "phantom", ""));
    if (++runs > 1) return Fail(ErrorCode::kNotFound, "");
    return {};
  });
  auto judged = UpdateLater([](WriteTransaction& transaction) -> Result<void> {
    RETURN_IF_ERROR(transaction.Put(kQueue, "mine", ""));
    ASSIGN_OR_RETURN(const auto phantom, transaction.Get(kQueue, "phantom"));
    if (phantom) return Fail(ErrorCode::kCollision, "");
    return {};
  });
  holder.Release();
  EXPECT_TRUE(fickle.get().IsRefused());
  EXPECT_TRUE(judged.get().IsCommitted());
  EXPECT_THAT(Keys(*engine_), ElementsAre("held", "mine"));
}

TEST_P(KvContract, AFailedWriteRefusesItsClosureEvenIfThatIgnoresIt) {
  FailWriteForTesting(*engine_, 2);
  CommitOutcome outcome = engine_->Update([](WriteTransaction& transaction) -> Result<void> {
    EXPECT_TRUE(transaction.Put(kQueue, "a", ""));
    EXPECT_FALSE(transaction.Put(kQueue, "b", ""));
    return {};
  });
  EXPECT_FALSE(FaultPendingForTesting(*engine_));
  EXPECT_TRUE(outcome.IsRefused());
  EXPECT_EQ(CodeOf(std::move(outcome)), ErrorCode::kDiskError);
  EXPECT_THAT(Keys(*engine_), IsEmpty());
  PutNow("c", "");
}

TEST_P(KvContract, AFailureAtEveryWriteInTurnLeavesAllOrNothing) {
  std::uint64_t n = 1;
  for (bool finished = false; !finished; ++n) {
    FailWriteForTesting(*engine_, n);
    const CommitOutcome outcome =
        engine_->Update([](WriteTransaction& transaction) -> Result<void> {
          RETURN_IF_ERROR(transaction.Put(kQueue, "a", ""));
          RETURN_IF_ERROR(transaction.Put(kBodies, "a", ""));
          RETURN_IF_ERROR(transaction.Erase(kQueue, "a"));
          return transaction.Put(kQueue, "b", "");
        });
    finished = FaultPendingForTesting(*engine_);
    EXPECT_EQ(outcome.IsCommitted(), finished);
    EXPECT_EQ(Read(*engine_, "b").has_value(), finished);
    EXPECT_EQ(Read(*engine_, "a", kBodies).has_value(), finished);
    ClearFaultsForTesting(*engine_);
  }
  EXPECT_EQ(n, 6U) << "four writes were to fail";
}

TEST_P(KvContract, AViewShowsOneUnchangingSnapshot) {
  PutNow("a", "old");
  EXPECT_TRUE(engine_->View([&](ReadTransaction& transaction) -> Result<void> {
    const std::uint64_t sequence = transaction.Sequence();
    std::thread([&] { PutNow("a", "new"); }).join();
    ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "a"));
    EXPECT_THAT(value, Optional(Bytes("old")));
    EXPECT_EQ(transaction.Sequence(), sequence);
    return {};
  }));
  EXPECT_THAT(Read(*engine_, "a"), Optional(std::string("new")));
}

TEST_P(KvContract, AViewSeesNothingOfAnUnfinishedUpdate) {
  std::latch written(1);
  std::latch looked(1);
  auto answer = UpdateLater([&](WriteTransaction& transaction) {
    Result<void> put = transaction.Put(kQueue, "a", "");
    written.count_down();
    looked.wait();
    return put;
  });
  written.wait();
  EXPECT_EQ(Read(*engine_, "a"), std::nullopt);
  looked.count_down();
  EXPECT_TRUE(answer.get().IsCommitted());
  EXPECT_TRUE(Read(*engine_, "a").has_value());
}

TEST_P(KvContract, AnUpdateSeesEveryUpdateAnsweredBeforeIt) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  const auto increment = [](WriteTransaction& transaction) -> Result<void> {
    ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "count"));
    const int count = value ? std::stoi(std::string(*value)) : 0;
    return transaction.Put(kQueue, "count", std::to_string(count + 1));
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kRounds; ++k) EXPECT_TRUE(engine_->Update(increment).IsCommitted());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Read(*engine_, "count"), Optional(std::to_string(kThreads * kRounds)));
}

TEST_P(KvContract, SequenceNumbersCommittedTransactionsInTheirOrder) {
  std::uint64_t last = SequenceSeen();
  for (int i = 0; i < 5; ++i) {
    std::uint64_t mine = 0;
    EXPECT_TRUE(engine_
                    ->Update([&](WriteTransaction& transaction) {
                      mine = transaction.Sequence();
                      return transaction.Put(kQueue, "a", std::to_string(mine));
                    })
                    .IsCommitted());
    EXPECT_GT(mine, last);
    EXPECT_EQ(SequenceSeen(), mine);
    last = mine;
  }
}

TEST_P(KvContract, AnUpdateWithoutWritesIsCommittedAndNotCounted) {
  PutNow("a", "");
  const std::uint64_t before = SequenceSeen();
  EXPECT_TRUE(engine_->Update([](WriteTransaction&) { return Result<void>(); }).IsCommitted());
  EXPECT_EQ(SequenceSeen(), before);
}

TEST_P(KvContract, ManyUpdatesInFlightFromTwoThreadsAreEachAnsweredOnce) {
  constexpr std::size_t kEach = 256;
  std::mutex mutex;
  std::vector<int> answers(2 * kEach);
  std::set<std::thread::id> answered_on;
  std::latch done(2 * kEach);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < kEach; ++i) {
        const std::size_t number = t * kEach + i;
        engine_->UpdateAsync(PutRow(std::to_string(number), ""),
                             [&, number](CommitOutcome outcome) {
                               EXPECT_TRUE(outcome.IsCommitted());
                               {
                                 const std::lock_guard lock(mutex);
                                 ++answers[number];
                                 answered_on.insert(std::this_thread::get_id());
                               }
                               done.count_down();
                             });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done.wait();
  EXPECT_THAT(answers, ::testing::Each(1));
  EXPECT_THAT(answered_on, SizeIs(1)) << "completions run on a thread of the engine";
  EXPECT_THAT(Keys(*engine_), SizeIs(answers.size()));
}

TEST_P(KvContract, UpdatesOfOneThreadHappenInTheirOrder) {
  std::vector<std::future<CommitOutcome>> answers;
  for (int i = 0; i < 50; ++i) {
    answers.push_back(UpdateLater([i](WriteTransaction& transaction) -> Result<void> {
      ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "last"));
      EXPECT_EQ(value.value_or("-1"), std::to_string(i - 1));
      return transaction.Put(kQueue, "last", std::to_string(i));
    }));
  }
  for (auto& answer : answers) EXPECT_TRUE(answer.get().IsCommitted());
}

TEST_P(KvContract, ACompletionMayQueueTheNextUpdate) {
  std::promise<CommitOutcome> second;
  engine_->UpdateAsync(PutRow("1", ""), [&](CommitOutcome outcome) {
    EXPECT_TRUE(outcome.IsCommitted());
    engine_->UpdateAsync(PutRow("2", ""),
                         [&](CommitOutcome last) { second.set_value(std::move(last)); });
  });
  EXPECT_TRUE(second.get_future().get().IsCommitted());
  EXPECT_THAT(Keys(*engine_), ElementsAre("1", "2"));
}

TEST_P(KvContract, DestroyingTheEngineAnswersWhatIsUnderWay) {
  std::atomic<int> committed = 0;
  for (int i = 0; i < 100; ++i) {
    engine_->UpdateAsync(PutRow(std::to_string(i), ""), [&](CommitOutcome outcome) {
      if (outcome.IsCommitted()) ++committed;
    });
  }
  engine_.reset();
  EXPECT_EQ(committed, 100);
}

TEST_P(KvContract, AFailedCommitIsUnknownToItsWholeBatchAndStopsTheEngine) {
  PutNow("before", "");
  FailCommitForTesting(*engine_, 1, CommitFault::kNothingCommitted);
  {
    Holder holder(*engine_);
    auto writer = UpdateLater(PutRow("a", ""));
    auto refused = UpdateLater(
        [](WriteTransaction&) -> Result<void> { return Fail(ErrorCode::kNotFound, ""); });
    holder.Release();
    CommitOutcome outcome = writer.get();
    EXPECT_TRUE(outcome.IsUnknown());
    EXPECT_EQ(CodeOf(std::move(outcome)), ErrorCode::kStoreFailed);
    EXPECT_TRUE(refused.get().IsUnknown()) << "its error may rest on a neighbour's writes";
  }
  CommitOutcome later = engine_->Update(PutRow("b", ""), SpaceUse::kMayUseReserve);
  EXPECT_TRUE(later.IsRefused());
  EXPECT_EQ(CodeOf(std::move(later)), ErrorCode::kStoreFailed);
  EXPECT_EQ(CodeOf(UpdateLater(PutRow("c", "")).get()), ErrorCode::kStoreFailed);
  const Result<void> viewed = engine_->View([](ReadTransaction&) { return Result<void>(); });
  ASSERT_FALSE(viewed);
  EXPECT_EQ(viewed.error().code, ErrorCode::kStoreFailed);
}

TEST_P(KvContract, TheCommitThatFailsIsTheOneAskedFor) {
  FailCommitForTesting(*engine_, 3, CommitFault::kCommitted);
  PutNow("1", "");
  EXPECT_TRUE(engine_->Update([](WriteTransaction&) { return Result<void>(); }).IsCommitted());
  PutNow("2", "");
  EXPECT_TRUE(FaultPendingForTesting(*engine_));
  EXPECT_TRUE(engine_->Update(PutRow("3", "")).IsUnknown());
  EXPECT_FALSE(FaultPendingForTesting(*engine_));
}

TEST_P(KvContract, AClosureOfOneEngineMayReadAnother) {
  const std::shared_ptr<Engine> other = NewMemoryEngine({"queue"});
  ASSERT_TRUE(other->Update(PutRow("a", "1")).IsCommitted());
  EXPECT_TRUE(engine_
                  ->Update([&](WriteTransaction& transaction) {
                    return transaction.Put(kQueue, "a", *Read(*other, "a"));
                  })
                  .IsCommitted());
}

TEST_P(KvContractDeathTest, StartingATransactionInsideAClosureStopsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto view = [&] { return engine_->View([](ReadTransaction&) { return Result<void>(); }); };
  const auto update = [&] { return engine_->Update(PutRow("a", "")).IsCommitted(); };
  const auto read = [&](const std::function<void()>& nested) {
    (void)engine_->View([&](ReadTransaction&) -> Result<void> {
      nested();
      return {};
    });
  };
  const auto write = [&](const std::function<void()>& nested) {
    (void)engine_->Update([&](WriteTransaction&) -> Result<void> {
      nested();
      return {};
    });
  };
  EXPECT_DEATH(read([&] { (void)view(); }), "check failed");
  EXPECT_DEATH(read([&] { (void)update(); }), "check failed");
  EXPECT_DEATH(read([&] { engine_->UpdateAsync(PutRow("a", ""), kNothing); }), "check failed");
  EXPECT_DEATH(write([&] { (void)view(); }), "check failed");
  EXPECT_DEATH(write([&] { (void)update(); }), "check failed");
  EXPECT_DEATH(write([&] { engine_->UpdateAsync(PutRow("a", ""), kNothing); }), "check failed");
}

TEST_P(KvContractDeathTest, WaitingForTheEngineInsideACompletionStopsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto complete = [&](const std::function<void()>& nested) {
    std::promise<void> done;
    engine_->UpdateAsync(PutRow("a", ""), [&](CommitOutcome) {
      nested();
      done.set_value();
    });
    done.get_future().wait();
  };
  EXPECT_DEATH(
      complete([&] { (void)engine_->View([](ReadTransaction&) { return Result<void>(); }); }),
      "check failed");
  EXPECT_DEATH(complete([&] { (void)engine_->Update(PutRow("b", "")).IsCommitted(); }),
               "check failed");
}

// Remembers what it hears; the engine's thread is idle when the test looks.
class Heard : public CommitListener {
 public:
  void Committing(std::uint64_t sequence, Bytes notes) override {
    committing.emplace_back(sequence, notes);
  }
  void Committed(std::uint64_t sequence, Bytes notes) override {
    committed.emplace_back(sequence, notes);
  }
  using Transactions = std::vector<std::pair<std::uint64_t, std::string>>;
  Transactions committing;
  Transactions committed;
};

UpdateFunction PutAndNote(const std::string& key, const std::string& note, bool fail = false) {
  return [=](WriteTransaction& transaction) -> Result<void> {
    RETURN_IF_ERROR(transaction.Put(kQueue, key, ""));
    transaction.Note(note);
    if (fail) return Fail(ErrorCode::kNotFound, "refused after it wrote");
    return {};
  };
}

// Of a transaction: one closure that is good, one refused before it wrote, one refused after (so
// that the others run again), one more that is good.
TEST_P(KvContract, AListenerHearsTheNotesOfWhatIsCommittedInItsOrder) {
  const auto heard = std::make_shared<Heard>();
  engine_->Listen(heard);
  Holder holder(*engine_);
  std::vector<std::future<CommitOutcome>> answers;
  answers.push_back(UpdateLater(PutAndNote("a", "first ")));
  answers.push_back(UpdateLater([](WriteTransaction& transaction) -> Result<void> {
    transaction.Note("refused ");
    return Fail(ErrorCode::kNotFound, "before it wrote");
  }));
  answers.push_back(UpdateLater(PutAndNote("b", "second ")));
  answers.push_back(UpdateLater(PutAndNote("c", "rolled back ", true)));
  answers.push_back(UpdateLater(PutAndNote("d", "third ")));
  holder.Release();
  std::vector<bool> good;
  for (auto& answer : answers) good.push_back(answer.get().IsCommitted());
  EXPECT_THAT(good, ElementsAre(true, false, true, false, true));
  const std::uint64_t last = SequenceSeen();
  const Heard::Transactions told{{last - 1, "first second "}, {last, "third "}};
  EXPECT_EQ(heard->committing, told);
  EXPECT_EQ(heard->committed, told);
}

TEST_P(KvContract, AListenerHearsOfAFailedCommitOnlyBeforeIt) {
  const auto heard = std::make_shared<Heard>();
  engine_->Listen(heard);
  ASSERT_TRUE(engine_->Update(PutAndNote("a", "kept")).IsCommitted());
  const std::uint64_t last = SequenceSeen();
  FailCommitForTesting(*engine_, 1, CommitFault::kNothingCommitted);
  EXPECT_TRUE(engine_->Update(PutAndNote("b", "lost")).IsUnknown());
  EXPECT_EQ(heard->committing, (Heard::Transactions{{last, "kept"}, {last + 1, "lost"}}));
  EXPECT_EQ(heard->committed, (Heard::Transactions{{last, "kept"}}));
}

TEST_P(KvContract, TheListenerThatCameLastIsTheOneThatHears) {
  const auto before = std::make_shared<Heard>();
  const auto after = std::make_shared<Heard>();
  engine_->Listen(before);
  engine_->Listen(after);
  ASSERT_TRUE(engine_->Update(PutRow("a", "")).IsCommitted());
  ASSERT_TRUE(engine_->Update([](WriteTransaction&) { return Result<void>(); }).IsCommitted());
  EXPECT_THAT(before->committing, IsEmpty());
  EXPECT_THAT(after->committed, SizeIs(1)) << "what wrote nothing is no transaction";
  engine_->Listen(nullptr);
  PutNow("b", "");
  EXPECT_THAT(after->committed, SizeIs(1));
}

std::string KindName(const ::testing::TestParamInfo<Kind>& kind) {
  return kind.param == Kind::kLmdb ? "Lmdb" : "Memory";
}
INSTANTIATE_TEST_SUITE_P(Engines, KvContract, ::testing::Values(Kind::kLmdb, Kind::kMemory),
                         KindName);
INSTANTIATE_TEST_SUITE_P(Engines, KvContractDeathTest,
                         ::testing::Values(Kind::kLmdb, Kind::kMemory), KindName);

}  // namespace
}  // namespace bobbin::kv

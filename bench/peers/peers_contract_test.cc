// The peers keep the page engine/kv/kv_engine.h where the message store leans on it, so that the
// comparison is one of stores that do the same work.
//
// Method: each test runs on both peers, on real files; what must survive is read after reopening.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bench/peers/rocksdb_engine.h"
#include "bench/peers/sqlite_engine.h"

namespace bobbin::bench {
namespace {

using kv::Bytes;
using kv::KeyRange;
using kv::ReadTransaction;
using kv::TableId;
using kv::WriteTransaction;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

constexpr TableId kQueue{0};
constexpr TableId kBodies{1};

using Open = decltype(&OpenRocksdbEngine);

class PeerContract : public ::testing::TestWithParam<Open> {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "bobbin-peer-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    Reopen();
  }
  void TearDown() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Reopen() {
    engine_.reset();
    auto opened = GetParam()(directory_, {"queue", "bodies"});
    ASSERT_TRUE(opened) << ToString(opened.error());
    engine_ = *opened;
  }

  void Put(const std::string& key, const std::string& value, TableId table = kQueue) {
    ASSERT_TRUE(engine_
                    ->Update([&](WriteTransaction& transaction) {
                      return transaction.Put(table, key, value);
                    })
                    .IsCommitted());
  }

  static std::vector<std::string> Keys(ReadTransaction& transaction, const KeyRange& range = {}) {
    std::vector<std::string> keys;
    EXPECT_TRUE(transaction.Scan(kQueue, range, [&](Bytes key, Bytes) {
      keys.emplace_back(key);
      return true;
    }));
    return keys;
  }
  std::vector<std::string> Keys(const KeyRange& range = {}) {
    std::vector<std::string> keys;
    EXPECT_TRUE(engine_->View([&](ReadTransaction& transaction) -> Result<void> {
      keys = Keys(transaction, range);
      return {};
    }));
    return keys;
  }
  std::optional<std::string> Read(Bytes key, TableId table = kQueue) {
    std::optional<std::string> value;
    EXPECT_TRUE(engine_->View([&](ReadTransaction& transaction) -> Result<void> {
      ASSIGN_OR_RETURN(const auto found, transaction.Get(table, key));
      if (found) value.emplace(*found);
      return {};
    }));
    return value;
  }

  std::filesystem::path directory_;
  std::shared_ptr<kv::Engine> engine_;
};

TEST_P(PeerContract, WhatIsCommittedIsThereAfterReopening) {
  Put("a", "1");
  Put("a", "2", kBodies);
  Put("empty", "");
  Put("largest", std::string(kv::kValueBytesMax, 'v'));
  Reopen();
  EXPECT_THAT(Read("a"), Optional(std::string("1")));
  EXPECT_THAT(Read("a", kBodies), Optional(std::string("2")));
  EXPECT_THAT(Read("empty"), Optional(std::string()));
  EXPECT_THAT(Read("largest"), Optional(SizeIs(kv::kValueBytesMax)));
  EXPECT_EQ(Read("b"), std::nullopt);
}

TEST_P(PeerContract, AClosureSeesItsOwnWritesAndErasures) {
  Put("b", "0");
  EXPECT_TRUE(engine_
                  ->Update([](WriteTransaction& transaction) -> Result<void> {
                    RETURN_IF_ERROR(transaction.Put(kQueue, "a", "1"));
                    RETURN_IF_ERROR(transaction.Put(kQueue, "a", "2"));
                    RETURN_IF_ERROR(transaction.Erase(kQueue, "b"));
                    RETURN_IF_ERROR(transaction.Erase(kQueue, "absent"));
                    ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "a"));
                    EXPECT_THAT(value, Optional(Bytes("2")));
                    ASSIGN_OR_RETURN(const auto erased, transaction.Get(kQueue, "b"));
                    EXPECT_EQ(erased, std::nullopt);
                    EXPECT_THAT(Keys(transaction), ElementsAre("a"));
                    return {};
                  })
                  .IsCommitted());
  EXPECT_THAT(Keys(), ElementsAre("a"));
}

TEST_P(PeerContract, ScanVisitsTheRangeInByteOrderAndTheVisitorMayRead) {
  for (const char* key : {"b", "aa", "a", "c", "\xff", "\x01"}) Put(key, key);
  EXPECT_THAT(Keys(), ElementsAre("\x01", "a", "aa", "b", "c", "\xff"));
  EXPECT_THAT(Keys({"a", "b"}), ElementsAre("a", "aa"));
  EXPECT_THAT(Keys({"a0", ""}), ElementsAre("aa", "b", "c", "\xff"));
  EXPECT_THAT(Keys({"c", "a"}), IsEmpty());
  EXPECT_TRUE(engine_->View([](ReadTransaction& transaction) {
    return transaction.Scan(kQueue, {"a", "b"}, [&](Bytes key, Bytes value) {
      EXPECT_EQ(key, value);
      EXPECT_THAT(Keys(transaction, {"c", ""}), ElementsAre("c", "\xff"));
      const auto other = transaction.Get(kQueue, "c");
      EXPECT_TRUE(other && *other && **other == "c");
      return true;
    });
  }));
}

TEST_P(PeerContract, AClosureThatFailsAfterWritingLeavesNoTrace) {
  Put("kept", "1");
  EXPECT_TRUE(engine_
                  ->Update([](WriteTransaction& transaction) -> Result<void> {
                    RETURN_IF_ERROR(transaction.Put(kQueue, "new", "1"));
                    RETURN_IF_ERROR(transaction.Erase(kQueue, "kept"));
                    return Fail(ErrorCode::kSubmitted, "queued already");
                  })
                  .IsRefused());
  EXPECT_THAT(Keys(), ElementsAre("kept"));
}

TEST_P(PeerContract, AViewShowsOneUnchangingSnapshot) {
  Put("a", "old");
  EXPECT_TRUE(engine_->View([&](ReadTransaction& transaction) -> Result<void> {
    const std::uint64_t sequence = transaction.Sequence();
    std::thread([&] { Put("a", "new"); }).join();
    ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "a"));
    EXPECT_THAT(value, Optional(Bytes("old")));
    EXPECT_EQ(transaction.Sequence(), sequence);
    return {};
  }));
  EXPECT_THAT(Read("a"), Optional(std::string("new")));
}

TEST_P(PeerContract, SequenceAscendsWithEveryCommitAndAcrossReopening) {
  std::uint64_t last = 0;
  for (int i = 0; i < 4; ++i) {
    if (i == 2) Reopen();
    std::uint64_t mine = 0;
    EXPECT_TRUE(engine_
                    ->Update([&](WriteTransaction& transaction) {
                      mine = transaction.Sequence();
                      return transaction.Put(kQueue, "a", "");
                    })
                    .IsCommitted());
    EXPECT_GT(mine, last);
    last = mine;
  }
}

TEST_P(PeerContract, EveryConcurrentUpdateSeesThoseAnsweredBeforeIt) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kRounds; ++k) {
        EXPECT_TRUE(engine_
                        ->Update([](WriteTransaction& transaction) -> Result<void> {
                          ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "count"));
                          const int count = value ? std::stoi(std::string(*value)) : 0;
                          return transaction.Put(kQueue, "count", std::to_string(count + 1));
                        })
                        .IsCommitted());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Read("count"), Optional(std::to_string(kThreads * kRounds)));
}

INSTANTIATE_TEST_SUITE_P(Peers, PeerContract,
                         ::testing::Values(OpenRocksdbEngine, OpenSqliteEngine),
                         [](const auto& peer) { return peer.index == 0 ? "Rocksdb" : "Sqlite"; });

}  // namespace
}  // namespace bobbin::bench

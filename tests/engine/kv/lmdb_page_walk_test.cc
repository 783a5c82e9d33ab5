// What engine/kv/lmdb_page_walk.h and lmdb_file_check.h promise about a data.mdb, read without
// LMDB.
//
// Method: environments that the real LMDB wrote, in every state that much writing and deleting goes
// through, must walk clean. Then pages of every kind are damaged in every way, some thousand times:
// what the guard and the walk let pass is given to LMDB in a process of its own, which must find
// every row and lose none by writing.

#include "engine/kv/lmdb_page_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lmdb.h>

#include <iterator>
#include <map>
#include <random>

#include "engine/kv/lmdb_file_check.h"
#include "tests/engine/kv/forked_child.h"
#include "tests/engine/kv/kv_test_support.h"
#include "tests/engine/kv/page_damage.h"
#include "tests/support/temporary_directory.h"

namespace bobbin::kv {
namespace {

using test::DamagedCopy;
using test::ForkedChild;
using test::kBodies;
using test::Kind;
using test::kQueue;
using test::PagesByGroup;
using Random = test::Random;
namespace fs = std::filesystem;

// A value names its key, as sealed records do.
std::string ValueOf(const std::string& key, std::size_t bytes) {
  std::string value = key;
  value.resize(std::max(bytes, key.size()), 'v');
  return value;
}

PageWalkOptions ByKey() {
  PageWalkOptions options;
  options.row_is_right = [](const PageWalkOptions::Row& row) {
    return row.value.substr(0, row.key.size()) == row.key;
  };
  return options;
}

Result<PageWalkReport> GuardAndWalk(const fs::path& path) {
  ASSIGN_OR_RETURN(const LmdbPageFile file, LmdbPageFile::Open(path));
  ASSIGN_OR_RETURN(const LmdbMetaPages metas, CheckLmdbFile(file));
  return WalkLmdbPages(file, metas.Newest(), ByKey());
}

std::string FindingsOf(const Result<PageWalkReport>& report) {
  if (!report) return ToString(report.error());
  std::string text;
  for (const PageFinding& finding : report->findings) {
    text += std::to_string(finding.page) + " " + finding.table + ": " + finding.detail + "\n";
  }
  return text;
}

class LmdbPageWalkTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(test::CreateEmpty(directory_.Path())); }

  fs::path File() const { return directory_.Path() / "data.mdb"; }
  std::shared_ptr<Engine> Open() const {
    auto opened = OpenLmdbEngine(directory_.Path(), test::TwoTables());
    EXPECT_TRUE(opened) << ToString(opened.error());
    return opened.value_or(nullptr);
  }

  // One transaction of puts and erasures: keys and values of many lengths.
  void Churn(Engine& engine, std::size_t steps) {
    std::map<std::pair<std::uint8_t, std::string>, std::string> before = rows_;
    const Random random = random_;
    const auto outcome = engine.Update([&](WriteTransaction& transaction) -> Result<void> {
      rows_ = before;
      random_ = random;
      for (std::size_t i = 0; i < steps; ++i) {
        const TableId table = random_() % 2 == 0 ? kQueue : kBodies;
        if (random_() % 5 < 2 && !rows_.empty()) {
          const auto at =
              std::next(rows_.begin(), static_cast<std::ptrdiff_t>(random_() % rows_.size()));
          RETURN_IF_ERROR(transaction.Erase({at->first.first}, at->first.second));
          rows_.erase(at);
          continue;
        }
        std::string key(1 + random_() % (random_() % 20 == 0 ? 511 : 24), '\0');
        for (char& c : key) c = static_cast<char>(random_());
        static constexpr std::size_t kLengths[] = {40, 300, 1'900, 3'000, 9'000, 65'520};
        const std::string value = ValueOf(key, random_() % kLengths[random_() % 6]);
        RETURN_IF_ERROR(transaction.Put(table, key, value));
        rows_[{table.index, key}] = value;
      }
      return {};
    });
    EXPECT_TRUE(outcome.IsCommitted());
  }

  // An environment with every kind of page, and a long free list.
  void Fill() {
    const auto engine = Open();
    for (int i = 0; i < 40; ++i) Churn(*engine, 80);
  }

  std::map<std::pair<std::uint8_t, std::string>, std::string>::iterator HundredthRow() {
    return std::next(rows_.begin(), std::min<std::ptrdiff_t>(100, std::ssize(rows_)));
  }

  TemporaryDirectory directory_;
  Random random_{20240229};
  std::map<std::pair<std::uint8_t, std::string>, std::string> rows_;
};

TEST_F(LmdbPageWalkTest, WhatLmdbWroteIsSoundInEveryState) {
  const auto engine = Open();
  std::uint64_t transaction = 0;
  for (int i = 0; i < 100; ++i) {
    Churn(*engine, 1 + random_() % 400);
    const Result<PageWalkReport> report = GuardAndWalk(File());
    ASSERT_TRUE(report) << ToString(report.error());
    ASSERT_TRUE(report->IsClean()) << "after " << i << " transactions: " << FindingsOf(report);
    EXPECT_EQ(report->used_pages + report->free_pages, report->pages);
    EXPECT_GT(report->transaction, transaction);
    transaction = report->transaction;
  }
  while (!rows_.empty()) {
    ASSERT_TRUE(engine
                    ->Update([&](WriteTransaction& out) -> Result<void> {
                      for (auto row = rows_.begin(); row != HundredthRow(); ++row) {
                        RETURN_IF_ERROR(out.Erase({row->first.first}, row->first.second));
                      }
                      return {};
                    })
                    .IsCommitted());
    rows_.erase(rows_.begin(), HundredthRow());
    const Result<PageWalkReport> report = GuardAndWalk(File());
    ASSERT_TRUE(report && report->IsClean()) << FindingsOf(report);
  }
}

// Damage

// LMDB reads every row, writes some, and reads again. 0: it found `keys` keys and no write changed
// what it had read; otherwise it did not, or a signal ended it (-1).
int LmdbUses(const fs::path& directory, std::size_t keys) {
  ForkedChild child([&](const ForkedChild::Line&) {
    alarm(20);
    auto engine = OpenLmdbEngine(directory, test::TwoTables());
    if (!engine) return 10;
    const auto rows = [&] {
      std::map<std::string, std::string> found;
      (void)(*engine)->View([&](ReadTransaction& transaction) -> Result<void> {
        for (const TableId table : {kQueue, kBodies}) {
          RETURN_IF_ERROR(transaction.Scan(table, {}, [&](Bytes key, Bytes value) {
            if (value.substr(0, key.size()) == key) {
              found[static_cast<char>(table.index) + std::string(key)] = value;
            }
            return true;
          }));
        }
        return {};
      });
      return found;
    };
    const auto before = rows();
    if (before.size() != keys) return 11;
    for (int i = 0; i < 2; ++i) {
      const auto outcome = (*engine)->Update([&](WriteTransaction& transaction) -> Result<void> {
        for (std::size_t j = 0; j < 30; ++j) {
          const std::string key = "new " + std::to_string(i) + " " + std::to_string(j);
          RETURN_IF_ERROR(transaction.Put(kQueue, key, ValueOf(key, j % 3 * 9'000)));
        }
        return {};
      });
      if (!outcome.IsCommitted()) return 12;
    }
    const auto after = rows();
    for (const auto& [key, value] : before) {
      const auto found = after.find(key);
      if (found == after.end() || found->second != value) return 13;
    }
    return 0;
  });
  return child.Wait();
}

TEST_F(LmdbPageWalkTest, DamageIsFoundOrDoesNoHarmToOtherRows) {
  Fill();
  const auto groups = PagesByGroup(File());
  ASSERT_EQ(groups.size(), 5U) << "a kind of page is missing";
  DamagedCopy copy(ReadFile(File()));
  std::map<std::pair<std::string, Kind>, int> passed;
  test::ForEachDamage(copy, groups, random_, [&](const std::string& group, Kind kind) {
    const Result<PageWalkReport> report = GuardAndWalk(copy.Path());
    if (!report || !report->IsClean()) return;
    // Of content that changed in place, LMDB takes no notice: a few of those are enough.
    if (++passed[{group, kind}] > 30 && group == "overflow") return;
    copy.WillBeWritten();
    ASSERT_EQ(LmdbUses(copy.Directory(), rows_.size()), 0);
  });
  EXPECT_GT((passed[{"overflow", Kind::kBit}]), test::kDamageCases / 6)
      << "content alone is not the walk's";
  for (const auto& [what, count] : passed) {
    if (what.second == Kind::kBit || what.first == "overflow") continue;
    EXPECT_EQ(count, 0) << what.first << ", damage " << static_cast<int>(what.second);
  }
}

}  // namespace
}  // namespace bobbin::kv

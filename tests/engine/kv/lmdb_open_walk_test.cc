// When opening an environment walks its pages, and what it does with what it finds
// (engine/kv/lmdb_engine.h, Damage).
//
// Method: real environments, closed, killed, copied, damaged; a walk asks about every row, so the
// questions tell whether there was one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "engine/kv/lmdb_sequence.h"
#include "tests/engine/kv/forked_child.h"
#include "tests/engine/kv/kv_test_support.h"
#include "tests/support/file_bytes.h"
#include "tests/support/temporary_directory.h"

namespace bobbin::kv {
namespace {

using test::ForkedChild;
using test::PutRow;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class LmdbOpenWalkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(Path());
    ASSERT_TRUE(test::CreateEmpty(Path()));
    const auto engine = OpenLmdbEngine(Path(), Options());
    ASSERT_TRUE(engine);
    ASSERT_TRUE((*engine)->Update(PutRow("a", "value of a")).IsCommitted());
  }

  fs::path Path() const { return directory_.Path() / "environment"; }

  LmdbOptions Options() {
    LmdbOptions options = test::TwoTables();
    options.walk.row_is_right = [this](const PageWalkOptions::Row&) {
      ++rows_walked_;
      return true;
    };
    return options;
  }

  // Opens and closes it; how many rows a walk saw, none if there was no walk.
  int RowsWalkedAtOpen(const fs::path& path) {
    rows_walked_ = 0;
    const auto engine = OpenLmdbEngine(path, Options());
    EXPECT_TRUE(engine) << ToString(engine.error());
    return rows_walked_;
  }
  int RowsWalkedAtOpen() { return RowsWalkedAtOpen(Path()); }

  // A process that commits one row and is killed.
  void CommitAndDie(const std::string& key) {
    ForkedChild child([&](const ForkedChild::Line& line) {
      const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
      if (!engine || !(*engine)->Update(PutRow(key, "value")).IsCommitted()) return 1;
      line.Say(1);
      (void)line.Hear();
      return 0;
    });
    ASSERT_TRUE(child.GetLine().Hear());
    child.Kill();
  }

  Result<void> Replace(Engine& engine) const {
    return ReplaceLmdbFile(engine, [&](ReadTransaction&, std::uint64_t sequence) -> Result<void> {
      const fs::path aside = Path() / "compacting";
      fs::create_directory(aside);
      RETURN_IF_ERROR(CreateLmdbEnvironment(aside, test::TwoTables(), PutRow("a", "value of a")));
      return SetLmdbSequence(aside, sequence);
    });
  }

  // The root of the list of tables names no page of its own any more.
  static void DamageAPageInUse(std::string& bytes) {
    const auto even = lmdb::LoadAt<lmdb::Meta>(bytes, 16);
    const auto odd = lmdb::LoadAt<lmdb::Meta>(bytes, 4096 + 16);
    const std::uint64_t root = std::max(even, odd, [](const auto& a, const auto& b) {
                                 return a.transaction < b.transaction;
                               }).main.root;
    bytes[root * 4096] ^= 0x40;
  }

  TemporaryDirectory directory_;
  int rows_walked_ = 0;
};

TEST_F(LmdbOpenWalkTest, AfterACleanStopThereIsNone) {
  EXPECT_EQ(RowsWalkedAtOpen(), 0);
  fs::remove(Path() / "lock.mdb");
  EXPECT_EQ(RowsWalkedAtOpen(), 0);
}

TEST_F(LmdbOpenWalkTest, ItComesAfterAKillAndOnlyOnce) {
  CommitAndDie("b");
  EXPECT_EQ(RowsWalkedAtOpen(), 2);
  EXPECT_EQ(RowsWalkedAtOpen(), 0);
}

TEST_F(LmdbOpenWalkTest, AMarkOfAnEarlierStateIsWorthNothing) {
  const fs::path old = directory_.Path() / "old";
  fs::copy_file(Path() / "clean", old);
  CommitAndDie("b");
  fs::copy_file(old, Path() / "clean", fs::copy_options::overwrite_existing);
  EXPECT_EQ(RowsWalkedAtOpen(), 2);
}

TEST_F(LmdbOpenWalkTest, AMarkThatIsLostOrTornIsWorthNothing) {
  fs::remove(Path() / "clean");
  EXPECT_EQ(RowsWalkedAtOpen(), 1);
  fs::resize_file(Path() / "clean", fs::file_size(Path() / "clean") - 1);
  EXPECT_EQ(RowsWalkedAtOpen(), 1);
  fs::resize_file(Path() / "clean", 0);
  EXPECT_EQ(RowsWalkedAtOpen(), 1);
}

TEST_F(LmdbOpenWalkTest, ACopyIsWalked) {
  const fs::path copy = directory_.Path() / "copy";
  fs::copy(Path(), copy);
  EXPECT_EQ(RowsWalkedAtOpen(copy), 1);
  EXPECT_EQ(RowsWalkedAtOpen(), 0);
}

TEST_F(LmdbOpenWalkTest, BesideAProcessThatHasItOpenThereIsNone) {
  ForkedChild child([&](const ForkedChild::Line& line) {
    const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
    if (!engine) return 1;
    for (int i = 0; line.Hear(); ++i) {
      if (!(*engine)->Update(PutRow("child" + std::to_string(i), "value")).IsCommitted()) return 2;
      line.Say(1);
    }
    return 0;
  });
  for (int i = 0; i < 3; ++i) {
    child.GetLine().Say(1);
    ASSERT_TRUE(child.GetLine().Hear());
    EXPECT_EQ(RowsWalkedAtOpen(), 0) << i;
  }
  child.GetLine().Say(1);
  ASSERT_TRUE(child.GetLine().Hear());
  child.Kill();
  EXPECT_EQ(RowsWalkedAtOpen(), 5);
}

TEST_F(LmdbOpenWalkTest, WhoGoesOverToAnotherFileVouchesForIt) {
  {
    const auto engine = OpenLmdbEngine(Path(), Options());
    ASSERT_TRUE(engine);
    ASSERT_TRUE(Replace(**engine));
    ASSERT_TRUE((*engine)->Update(PutRow("b", "value of b")).IsCommitted());
    EXPECT_EQ(rows_walked_, 0);
  }
  EXPECT_EQ(RowsWalkedAtOpen(), 0);
}

TEST_F(LmdbOpenWalkTest, WhoHasTheFileThatWasReplacedVouchesForNothing) {
  ForkedChild child([&](const ForkedChild::Line& line) {
    const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
    if (!engine) return 1;
    line.Say(1);
    return line.Hear() ? 0 : 1;
  });
  ASSERT_TRUE(child.GetLine().Hear());
  {
    const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
    ASSERT_TRUE(engine);
    ASSERT_TRUE(Replace(**engine));
  }
  fs::remove(Path() / "clean");
  child.GetLine().Say(1);
  ASSERT_EQ(child.Wait(), 0);
  EXPECT_GT(RowsWalkedAtOpen(), 0);
}

TEST_F(LmdbOpenWalkTest, ACommitThatFailedLeavesNoMark) {
  ForkedChild writer([&](const ForkedChild::Line&) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit full{1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_FSIZE, &full) != 0) return 1;
    const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
    if (!engine) return 2;
    for (int i = 0; i < 100; ++i) {
      if (!(*engine)->Update(PutRow(std::to_string(i), std::string(60'000, 'x'))).IsCommitted()) {
        return 0;  // And closes it.
      }
    }
    return 3;
  });
  ASSERT_EQ(writer.Wait(), 0);
  EXPECT_GT(RowsWalkedAtOpen(), 1);
}

TEST_F(LmdbOpenWalkTest, ADamagedListOfFreePagesIsRefusedAndNotTouched) {
  const fs::path file = Path() / "data.mdb";
  std::string bytes = ReadFile(file);
  const auto even = lmdb::LoadAt<lmdb::Meta>(bytes, 16);
  const auto odd = lmdb::LoadAt<lmdb::Meta>(bytes, 4096 + 16);
  const lmdb::Meta& newest = odd.transaction > even.transaction ? odd : even;
  ASSERT_NE(newest.free_pages.root, lmdb::kNoPage);
  // The lowest page of the first list becomes the root of the list of tables.
  const std::size_t page = newest.free_pages.root * 4096;
  const auto node = page + lmdb::LoadAt<std::uint16_t>(bytes, page + sizeof(lmdb::PageHeader));
  const std::size_t list = node + sizeof(lmdb::NodeHeader) + 8;
  const auto count = lmdb::LoadAt<std::uint64_t>(bytes, list);
  std::memcpy(bytes.data() + list + count * 8, &newest.main.root, 8);
  WriteFile(file, bytes);

  const auto engine = OpenLmdbEngine(Path(), Options());
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, ErrorCode::kCorruptStore);
  EXPECT_THAT(engine.error().detail, HasSubstr("data.mdb is damaged in "));
  EXPECT_TRUE(bytes == ReadFile(file));
  EXPECT_FALSE(OpenLmdbEngine(Path(), Options())) << "the next opening must look again";
}

// Those who come while the first one looks wait for it. It must not seem to have the file open, and
// to vouch for it, when it has been refused.
TEST_F(LmdbOpenWalkTest, WhatOneOpenerRefusesNobodyWhoWaitedForItTakes) {
  std::string bytes = ReadFile(Path() / "data.mdb");
  DamageAPageInUse(bytes);
  for (int round = 0; round < 25; ++round) {
    WriteFile(Path() / "data.mdb", bytes);
    std::vector<std::unique_ptr<ForkedChild>> openers;
    for (int i = 0; i < 6; ++i) {
      openers.push_back(std::make_unique<ForkedChild>([&](const ForkedChild::Line& line) {
        (void)line.Hear();
        const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
        return !engine && engine.error().code == ErrorCode::kCorruptStore ? 0 : 1;
      }));
    }
    for (const auto& opener : openers) opener->GetLine().Say(1);
    for (const auto& opener : openers) ASSERT_EQ(opener->Wait(), 0) << "round " << round;
  }
}

TEST_F(LmdbOpenWalkTest, DamageThatIsFoundWhileItIsOpenEndsWritingAndLeavesNoMark) {
  {
    const auto engine = OpenLmdbEngine(Path(), Options());
    ASSERT_TRUE(engine);
    std::string bytes = ReadFile(Path() / "data.mdb");
    DamageAPageInUse(bytes);
    WriteFile(Path() / "data.mdb", bytes);
    const auto report = WalkLmdbEngine(**engine, {});
    ASSERT_TRUE(report && !report->IsClean());
    const Result<void> written = (*engine)->Update(PutRow("b", "value")).ToResult();
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::kStoreFailed);
    EXPECT_THAT(written.error().detail, HasSubstr("is damaged in "));
  }
  const auto again = OpenLmdbEngine(Path(), Options());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kCorruptStore);
}

TEST_F(LmdbOpenWalkTest, WhatIsOpenIsWalkedWhateverHasGotItsName) {
  const auto engine = OpenLmdbEngine(Path(), Options());
  ASSERT_TRUE(engine);
  fs::rename(Path(), directory_.Path() / "moved");
  fs::create_directory(Path());
  ASSERT_TRUE(test::CreateEmpty(Path()));
  ASSERT_TRUE((*engine)->Update(PutRow("b", "value")).IsCommitted());
  const auto report = WalkLmdbEngine(**engine, {});
  ASSERT_TRUE(report) << ToString(report.error());
  EXPECT_TRUE(report->IsClean());
  EXPECT_EQ(report->rows, 2U);
}

TEST_F(LmdbOpenWalkTest, WhoAsksIsToldWhatTheWalkFound) {
  LmdbOptions options = Options();
  std::uint64_t pages = 0;
  options.walked = [&](const PageWalkReport& report) {
    EXPECT_TRUE(report.IsClean());
    pages = report.pages;
  };
  ASSERT_TRUE(OpenLmdbEngine(Path(), options));
  EXPECT_EQ(rows_walked_, 1) << "a clean stop does not answer a question";
  EXPECT_GT(pages, 2U);
}

}  // namespace
}  // namespace bobbin::kv

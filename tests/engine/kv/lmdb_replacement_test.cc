// Environments whose data.mdb gets another sequence (engine/kv/lmdb_sequence.h) or is replaced
// while it is open (ReplaceLmdbFile).
//
// Method: real environments, of this process alone (other processes:
// tests/tools_cli/compact_test.cc).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "engine/kv/lmdb_engine.h"
#include "engine/kv/lmdb_sequence.h"
#include "tests/engine/kv/kv_test_support.h"
#include "tests/support/temporary_directory.h"

namespace bobbin::kv {
namespace {

namespace fs = std::filesystem;
using test::Keys;
using test::PutRow;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class LmdbReplacementTest : public ::testing::Test {
 protected:
  const fs::path& Path() const { return directory_.Path(); }
  void Create() const { ASSERT_TRUE(test::CreateEmpty(Path())); }

  static std::shared_ptr<Engine> Open(const fs::path& path) {
    auto opened = OpenLmdbEngine(path, test::TwoTables());
    if (opened) return *opened;
    ADD_FAILURE() << ToString(opened.error());
    return nullptr;
  }

  static std::uint64_t Sequence(Engine& engine) {
    std::uint64_t sequence = 0;
    EXPECT_TRUE(engine.View([&](ReadTransaction& rows) -> Result<void> {
      sequence = rows.Sequence();
      return {};
    }));
    return sequence;
  }

  std::uint64_t SequenceInRootPage(std::uint64_t page) const {
    constexpr std::uint64_t kOffset = 16 + 128;  // Page header, and what precedes it in MDB_meta.
    std::uint64_t sequence = 0;
    std::ifstream file(Path() / "data.mdb", std::ios::binary);
    file.seekg(static_cast<std::streamoff>(page * 4'096 + kOffset));
    file.read(reinterpret_cast<char*>(&sequence), sizeof(sequence));
    return sequence;
  }

  // A file that holds `key` alone takes the place of what is there.
  static Result<void> ReplaceBy(Engine& engine, const fs::path& path, const std::string& key) {
    return ReplaceLmdbFile(engine, [&](ReadTransaction&, std::uint64_t sequence) -> Result<void> {
      const fs::path aside = path / "compacting";
      fs::create_directory(aside);
      RETURN_IF_ERROR(CreateLmdbEnvironment(aside, test::TwoTables(), PutRow(key, "new")));
      return SetLmdbSequence(aside, sequence);
    });
  }

  TemporaryDirectory directory_;
};

// Transaction n writes root page n % 2: the page that is not written must be the good one.
TEST_F(LmdbReplacementTest, TransactionsGoOnFromASequenceThatWasSet) {
  Create();
  for (const std::uint64_t sequence : {1'000U, 1'005U, 2'001U, 2'004U}) {
    ASSERT_TRUE(Open(Path())->Update(PutRow("b" + std::to_string(sequence), "")).IsCommitted());
    ASSERT_TRUE(SetLmdbSequence(Path(), sequence));
    EXPECT_EQ(SequenceInRootPage(sequence % 2), sequence);
    EXPECT_EQ(SequenceInRootPage((sequence + 1) % 2), sequence - 1);
    const auto engine = Open(Path());
    EXPECT_EQ(Sequence(*engine), sequence);
    ASSERT_TRUE(engine->Update(PutRow("k" + std::to_string(sequence), "")).IsCommitted());
    EXPECT_EQ(Sequence(*engine), sequence + 1);
    EXPECT_EQ(SequenceInRootPage(sequence % 2), sequence) << "the last good state is overwritten";
  }
  EXPECT_THAT(Keys(*Open(Path())), SizeIs(8));
  const auto lower = SetLmdbSequence(Path(), 5);
  ASSERT_FALSE(lower);
  EXPECT_EQ(lower.error().code, ErrorCode::kInvalidParameter);
  EXPECT_EQ(GetLmdbSequence(Path()).value(), 2'005U);
}

TEST_F(LmdbReplacementTest, WhoHasItOpenGoesOverToTheNewFileAndTheSequenceGoesOn) {
  Create();
  const auto engine = Open(Path());
  ASSERT_TRUE(engine->Update(PutRow("old", "")).IsCommitted());
  const std::uint64_t sequence = Sequence(*engine);
  ASSERT_TRUE(ReplaceBy(*engine, Path(), "new"));
  EXPECT_THAT(Keys(*engine), ElementsAre("new"));
  EXPECT_EQ(Sequence(*engine), sequence);
  ASSERT_TRUE(engine->Update(PutRow("newer", "")).IsCommitted());
  EXPECT_EQ(Sequence(*engine), sequence + 1);
  EXPECT_EQ(Open(Path()), engine) << "still one environment in this process";
}

TEST_F(LmdbReplacementTest, AReplacementThatFailsChangesNothing) {
  Create();
  const auto engine = Open(Path());
  ASSERT_TRUE(engine->Update(PutRow("old", "")).IsCommitted());
  const auto refused =
      ReplaceLmdbFile(*engine, [](ReadTransaction&, std::uint64_t) -> Result<void> {
        return Fail(ErrorCode::kTimeout, "it takes too long");
      });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kTimeout);
  const auto no_file =
      ReplaceLmdbFile(*engine, [](ReadTransaction&, std::uint64_t) { return Result<void>(); });
  EXPECT_FALSE(no_file);
  ASSERT_TRUE(engine->Update(PutRow("later", "")).IsCommitted());
  EXPECT_THAT(Keys(*engine), ElementsAre("later", "old"));
}

// Whoever takes the directory's name away and gives it to another database changes nothing for
// those who have the first one open.
TEST_F(LmdbReplacementTest, AnotherDatabaseUnderTheSameNameIsNoReplacement) {
  const fs::path path = Path() / "db";
  fs::create_directory(path);
  ASSERT_TRUE(test::CreateEmpty(path));
  const auto engine = Open(path);
  ASSERT_TRUE(engine->Update(PutRow("first", "")).IsCommitted());
  fs::rename(path, Path() / "moved");
  fs::create_directory(path);
  ASSERT_TRUE(test::CreateEmpty(path));
  ASSERT_TRUE(Open(path)->Update(PutRow("second", "")).IsCommitted());
  ASSERT_TRUE(engine->Update(PutRow("third", "")).IsCommitted());
  EXPECT_THAT(Keys(*engine), ElementsAre("first", "third"));
  EXPECT_THAT(Keys(*Open(path)), ElementsAre("second"));
  ASSERT_TRUE(ReplaceBy(*engine, Path() / "moved", "new"));
  EXPECT_THAT(Keys(*engine), ElementsAre("new"));
}

}  // namespace
}  // namespace bobbin::kv

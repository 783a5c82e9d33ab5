// What engine/kv/lmdb_engine.h promises beyond the contract of all engines.
//
// Method: real environments in a temporary directory, real processes that fork,
// write side by side and die of SIGKILL, and a file size limit as the full disk.

#include "engine/kv/lmdb_engine.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <deque>
#include <fstream>
#include <thread>

#include "engine/kv/commit_fault.h"
#include "tests/engine/kv/forked_child.h"
#include "tests/engine/kv/kv_test_support.h"
#include "tests/support/temporary_directory.h"

namespace bobbin::kv {
namespace {

using test::CodeOf;
using test::ForkedChild;
using test::kBodies;
using test::Keys;
using test::kQueue;
using test::PutRow;
using test::Read;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

class LmdbEngineTest : public ::testing::Test {
 protected:
  const std::filesystem::path& Path() const { return directory_.Path(); }

  void Create() { ASSERT_TRUE(test::CreateEmpty(Path())); }

  std::shared_ptr<Engine> Open(const LmdbOptions& options = test::TwoTables()) const {
    auto opened = OpenLmdbEngine(Path(), options);
    if (opened) return *opened;
    ADD_FAILURE() << ToString(opened.error());
    return nullptr;
  }

  Error OpenError(const LmdbOptions& options = test::TwoTables()) const {
    const auto opened = OpenLmdbEngine(Path(), options);
    if (!opened) return opened.error();
    ADD_FAILURE() << "it opened";
    return {};
  }

  void WriteFile(const std::string& name, const std::string& content) const {
    std::ofstream(Path() / name, std::ios::binary) << content;
  }

  TemporaryDirectory directory_;
};

LmdbStatistics StatisticsOf(const Engine& engine) {
  const auto statistics = GetLmdbStatistics(engine);
  EXPECT_TRUE(statistics) << ToString(statistics.error());
  return statistics.value_or(LmdbStatistics{});
}

std::string NumberKey(std::uint32_t number) {
  std::string key(4, '\0');
  for (std::size_t i = 0; i < 4; ++i) key[i] = static_cast<char>(number >> (24 - 8 * i));
  return key;
}

// Creation and opening

TEST_F(LmdbEngineTest, WhatWasCommittedIsThereAfterReopening) {
  Create();
  std::shared_ptr<Engine> engine = Open();
  ASSERT_TRUE(engine->Update(PutRow("a", "1")).IsCommitted());
  ASSERT_TRUE(engine->Update(PutRow("b", "2", kBodies)).IsCommitted());
  std::uint64_t last = 0;
  const auto note_sequence = [&](WriteTransaction& transaction) {
    last = transaction.Sequence();
    return transaction.Put(kQueue, "c", "");
  };
  ASSERT_TRUE(engine->Update(note_sequence).IsCommitted());
  const std::uint64_t before = last;
  engine.reset();

  engine = Open();
  EXPECT_THAT(Read(*engine, "a"), Optional(std::string("1")));
  EXPECT_THAT(Read(*engine, "b", kBodies), Optional(std::string("2")));
  ASSERT_TRUE(engine->Update(note_sequence).IsCommitted());
  EXPECT_GT(last, before) << "sequences go on across restarts";
}

TEST_F(LmdbEngineTest, RowsOfTheMainTableLieBesideTheNamesOfTheOthersAndCostNoPage) {
  LmdbOptions options = test::TwoTables();
  static constexpr TableId kMain{2};
  options.tables.emplace_back(kMainTableName);
  ASSERT_TRUE(CreateLmdbEnvironment(Path(), options, [](WriteTransaction& transaction) {
    return transaction.Put(kMain, "R", "0");
  }));
  const std::shared_ptr<Engine> engine = Open(options);
  ASSERT_TRUE(engine->Update(test::PutRow("a", "")).IsCommitted());
  ASSERT_TRUE(engine->Update(test::PutRow("R", "1", kMain)).IsCommitted());
  EXPECT_EQ(test::Keys(*engine, kMain), std::vector<std::string>{"R"});
  EXPECT_EQ(test::Read(*engine, "R", kMain), "1");
  ASSERT_TRUE(engine->View([&](ReadTransaction& transaction) -> Result<void> {
    EXPECT_EQ(transaction.EntryCount(kMain), 1U);
    EXPECT_EQ(transaction.EntryCount(TableId{0}), 1U);
    EXPECT_EQ(transaction.EntryCount(TableId{1}), 0U);
    return {};
  }));
  const LmdbPageFile file = *LmdbPageFile::Open(Path() / "data.mdb");
  const auto report = WalkLmdbPages(file, ReadLmdbMetaPages(file)->Newest(), {});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->IsClean());
  EXPECT_EQ(report->rows, 2U);
  // Two meta pages, the main tree, the one row of `queue`, the list of free pages.
  EXPECT_EQ(report->used_pages, 5U);
}

TEST_F(LmdbEngineTest, CreatingWritesTheFirstRowsAndRefusesAnExistingEnvironment) {
  const UpdateFunction fill = PutRow("first", "row");
  ASSERT_TRUE(CreateLmdbEnvironment(Path(), test::TwoTables(), fill));
  const Result<void> again = CreateLmdbEnvironment(Path(), test::TwoTables(), fill);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kCollision);
  EXPECT_THAT(Keys(*Open()), ElementsAre("first"));
}

TEST_F(LmdbEngineTest, AFailedCreationLeavesNothing) {
  const Result<void> created = CreateLmdbEnvironment(
      Path(), test::TwoTables(), [](WriteTransaction& transaction) -> Result<void> {
        RETURN_IF_ERROR(transaction.Put(kQueue, "a", ""));
        return Fail(ErrorCode::kCallFailed, "no");
      });
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().detail, "no");
  EXPECT_TRUE(std::filesystem::is_empty(Path()));
  EXPECT_FALSE(test::CreateEmpty(Path() / "absent"));
}

TEST_F(LmdbEngineTest, APathWithoutADatabaseIsRefusedAndNotTouched) {
  const auto is_not_a_database = [&](const std::string& reason) {
    const auto before = std::distance(std::filesystem::directory_iterator(Path()), {});
    const Error error = OpenError();
    EXPECT_EQ(error.code, ErrorCode::kNotADatabase) << ToString(error);
    EXPECT_THAT(error.detail, HasSubstr(reason));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Path()), {}), before);
    std::filesystem::remove_all(Path() / "data.mdb");
  };
  is_not_a_database("does not exist");
  WriteFile("data.mdb", "");
  is_not_a_database("too short");
  WriteFile("data.mdb", std::string(8191, 'x'));
  is_not_a_database("too short");
  WriteFile("data.mdb", std::string(100'000, 'x'));
  is_not_a_database("not an LMDB file");
  WriteFile("data.mdb", std::string(100'000, '\0'));
  is_not_a_database("not an LMDB file");
  std::filesystem::create_directory(Path() / "data.mdb");
  is_not_a_database("not a regular file");
  ASSERT_EQ(mkfifo((Path() / "data.mdb").c_str(), 0600), 0);
  is_not_a_database("not a regular file");

  WriteFile("file", "");
  for (const char* name : {"absent", "file"}) {
    const auto opened = OpenLmdbEngine(Path() / name, test::TwoTables());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kNotADatabase) << ToString(opened.error());
  }
}

TEST_F(LmdbEngineTest, AnLmdbFileWithoutOurTablesIsRefused) {
  LmdbOptions other;
  other.tables = {"queue"};
  ASSERT_TRUE(CreateLmdbEnvironment(Path(), other, PutRow("a", "")));
  const Error error = OpenError();
  EXPECT_EQ(error.code, ErrorCode::kNotADatabase);
  EXPECT_THAT(error.detail, HasSubstr("has no table bodies"));
  EXPECT_THAT(Keys(*Open(other)), ElementsAre("a"));
}

TEST_F(LmdbEngineTest, DamagedRootPagesAreRefused) {
  struct Damage {
    std::streamoff offset;
    char byte;
    ErrorCode code;
  };
  for (const Damage& damage :
       {Damage{16, 0, ErrorCode::kNotADatabase}, Damage{4096 + 16, 0, ErrorCode::kNotADatabase},
        Damage{20, 9, ErrorCode::kNotADatabase}, Damage{4096 + 20, 9, ErrorCode::kNotADatabase},
        Damage{41, 1, ErrorCode::kNotADatabase}}) {
    Create();
    std::fstream file(Path() / "data.mdb", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(damage.offset).put(damage.byte).flush();
    EXPECT_EQ(OpenError().code, damage.code) << "byte " << damage.offset;
    std::filesystem::remove(Path() / "data.mdb");
  }
}

TEST_F(LmdbEngineTest, ATruncatedFileIsRefusedAtEveryLength) {
  Create();
  {
    const auto engine = Open();
    for (std::uint32_t i = 0; i < 64; ++i) {
      ASSERT_TRUE(engine->Update(PutRow(NumberKey(i), std::string(3'000, 'x'))).IsCommitted());
    }
  }
  const std::uintmax_t whole = std::filesystem::file_size(Path() / "data.mdb");
  ASSERT_GT(whole, 30U * 4096);
  int refused = 0;
  for (std::uintmax_t bytes = whole - 1; bytes > 4096;
       bytes -= std::min<std::uintmax_t>(bytes, 4095)) {
    std::filesystem::resize_file(Path() / "data.mdb", bytes);
    EXPECT_EQ(OpenError().code, ErrorCode::kNotADatabase) << bytes << " of " << whole;
    ++refused;
  }
  EXPECT_GT(refused, 30);
}

TEST_F(LmdbEngineTest, AFileThatEndsInUnwrittenFreePagesIsSound) {
  // LMDB counts pages that one transaction took and gave back, but never writes them.
  Create();
  auto engine = Open();
  ASSERT_TRUE(engine->Update(PutRow("a", std::string(60'000, 'x'))).IsCommitted());
  ASSERT_TRUE(engine->Update(PutRow("a", "")).IsCommitted());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(engine
                    ->Update([&](WriteTransaction& transaction) -> Result<void> {
                      RETURN_IF_ERROR(transaction.Put(kQueue, "b", std::to_string(i)));
                      for (const char* key : {"c", "d", "e"}) {
                        RETURN_IF_ERROR(transaction.Put(kQueue, key, std::string(65'000, 'x')));
                      }
                      for (const char* key : {"c", "d", "e"}) {
                        RETURN_IF_ERROR(transaction.Erase(kQueue, key));
                      }
                      return {};
                    })
                    .IsCommitted());
  }
  const LmdbStatistics statistics = StatisticsOf(*engine);
  ASSERT_LT(statistics.file_bytes, statistics.used_bytes) << "this is about nothing";
  engine.reset();
  engine = Open();
  ASSERT_NE(engine, nullptr);
  EXPECT_THAT(Keys(*engine), ElementsAre("a", "b"));
}

TEST_F(LmdbEngineTest, AFileWithoutPermissionIsNoAccess) {
  Create();
  ASSERT_EQ(chmod(Path().c_str(), 0755), 0);
  for (const mode_t mode : {0000U, 0444U}) {
    ASSERT_EQ(chmod((Path() / "data.mdb").c_str(), mode), 0);
    ForkedChild child([&](const ForkedChild::Line&) {
      if (geteuid() == 0 && setuid(65534) != 0) return 2;
      const auto opened = OpenLmdbEngine(Path(), test::TwoTables());
      return !opened && opened.error().code == ErrorCode::kNoAccess ? 0 : 1;
    });
    EXPECT_EQ(child.Wait(), 0) << "mode " << mode;
  }
}

// Sharing inside the process, and forks

TEST_F(LmdbEngineTest, OnePathOpenedTwiceSharesTheEnvironment) {
  Create();
  const auto first = Open();
  const auto link = Path() / "link";
  std::filesystem::create_directory_symlink(Path(), link);
  const auto second = OpenLmdbEngine(link, test::TwoTables());
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, first);
  LmdbOptions other = test::TwoTables();
  std::swap(other.tables[0], other.tables[1]);
  EXPECT_EQ(OpenError(other).code, ErrorCode::kInvalidParameter);
}

TEST_F(LmdbEngineTest, OpeningAndClosingFromManyThreadsKeepsOneEnvironment) {
  Create();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = 0; i < 20; ++i) {
        const auto engine = Open();
        const auto number = static_cast<std::uint32_t>(t) * 100 + i;
        EXPECT_TRUE(engine->Update(PutRow(NumberKey(number), "")).IsCommitted());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Keys(*Open()), SizeIs(80));
}

TEST_F(LmdbEngineTest, AForkedChildIsRefusedAndLeavesTheParentAlone) {
  Create();
  auto engine = Open();
  ASSERT_TRUE(engine->Update(PutRow("a", "")).IsCommitted());
  ASSERT_THAT(Keys(*engine), ElementsAre("a"));
  ASSERT_EQ(StatisticsOf(*engine).readers, 1U);
  ForkedChild child([&](const ForkedChild::Line&) {
    const Result<void> viewed = engine->View([](ReadTransaction&) { return Result<void>(); });
    if (viewed || viewed.error().code != ErrorCode::kStoreFailed) return 1;
    if (viewed.error().detail.find("before fork") == std::string::npos) return 2;
    Result<void> updated = engine->Update(PutRow("b", "")).ToResult();
    if (updated || updated.error().code != ErrorCode::kStoreFailed) return 3;
    int answers = 0;
    engine->UpdateAsync(PutRow("b", ""), [&](CommitOutcome outcome) {
      if (outcome.IsRefused()) ++answers;
    });
    if (answers != 1) return 4;
    if (GetLmdbStatistics(*engine)) return 5;
    engine.reset();
#ifdef __SANITIZE_THREAD__
    return 0;  // It lets no forked child start a thread.
#else
    const auto own = OpenLmdbEngine(Path(), test::TwoTables());
    return own ? 0 : 6;
#endif
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(StatisticsOf(*engine).readers, 1U) << "the child gave up the parent's reader";
  EXPECT_TRUE(engine->Update(PutRow("c", "")).IsCommitted());
  EXPECT_THAT(Keys(*engine), ElementsAre("a", "c"));
}

// Several processes

Result<void> Increment(WriteTransaction& transaction) {
  ASSIGN_OR_RETURN(const auto value, transaction.Get(kQueue, "count"));
  const int count = value ? std::stoi(std::string(*value)) : 0;
  return transaction.Put(kQueue, "count", std::to_string(count + 1));
}

TEST_F(LmdbEngineTest, ProcessesThatWriteAtOnceLoseNothing) {
  Create();
  const auto increment_often = [&](const ForkedChild::Line&) {
    const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
    if (!engine) return 1;
    for (int i = 0; i < 100; ++i) {
      if (!(*engine)->Update(Increment).IsCommitted()) return 2;
    }
    return 0;
  };
  ForkedChild first(increment_often);
  ForkedChild second(increment_often);
  {
    const auto engine = Open();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(engine->Update(Increment).IsCommitted());
  }
  EXPECT_EQ(first.Wait(), 0);
  EXPECT_EQ(second.Wait(), 0);
  EXPECT_THAT(Read(*Open(), "count"), Optional(std::string("300")));
}

TEST_F(LmdbEngineTest, ProcessesThatOpenAtOnceSeeTheSameDatabase) {
  // A first opener that fails, here for want of address space before it asks for less,
  // leaves LMDB's lock file half initialised. Who was waiting for it then takes the
  // database for empty, and the next commit overwrites it.
  Create();
  const auto open_and_increment = [&](const ForkedChild::Line& line) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const rlimit limit{std::uint64_t{1} << 40, std::uint64_t{1} << 40};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 3;
#endif
    (void)line.Hear();
    for (int i = 0; i < 30; ++i) {
      const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
      if (!engine) return 1;
      if (!(*engine)->Update(Increment).IsCommitted()) return 2;
    }
    return 0;
  };
  std::deque<ForkedChild> children;
  for (int i = 0; i < 4; ++i) children.emplace_back(open_and_increment);
  for (ForkedChild& child : children) child.GetLine().Say(1);
  for (ForkedChild& child : children) EXPECT_EQ(child.Wait(), 0);
  EXPECT_THAT(Read(*Open(), "count"), Optional(std::string("120")));
}

TEST_F(LmdbEngineTest, ALockFileThatForgotTheLastTransactionIsNotBelieved) {
  Create();
  ASSERT_TRUE(Open()->Update(PutRow("a", "")).IsCommitted());
  // While another process has it open, LMDB takes the lock file as it finds it.
  ForkedChild other([&](const ForkedChild::Line& line) {
    const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
    line.Say(engine ? 1 : 0);
    (void)line.Hear();
    return 0;
  });
  ASSERT_EQ(other.GetLine().Hear(), 1U);
  {
    std::fstream lock(Path() / "lock.mdb", std::ios::in | std::ios::out | std::ios::binary);
    // LMDB's number of the last transaction, behind the head of the file and a mutex.
    lock.seekp(48).write("\0\0\0\0\0\0\0\0", 8);
  }
  const Error error = OpenError();
  EXPECT_EQ(error.code, ErrorCode::kBusy) << ToString(error);
  EXPECT_THAT(error.detail, HasSubstr("close"));
  other.GetLine().Say(0);
  EXPECT_EQ(other.Wait(), 0);
  EXPECT_THAT(Keys(*Open()), ElementsAre("a"));
}

// Writes numbered rows to both tables, telling the line each number that is durable.
int WriteRowsForever(const std::filesystem::path& path, const ForkedChild::Line& line) {
  const auto engine = OpenLmdbEngine(path, test::TwoTables());
  if (!engine) return 1;
  for (std::uint32_t i = 0;; ++i) {
    const CommitOutcome outcome =
        (*engine)->Update([&](WriteTransaction& transaction) -> Result<void> {
          RETURN_IF_ERROR(transaction.Put(kQueue, NumberKey(i), "queued"));
          return transaction.Put(kBodies, NumberKey(i), std::string(5'000, 'b'));
        });
    if (!outcome.IsCommitted()) return outcome.IsUnknown() ? 0 : 2;
    line.Say(i);
  }
}

void ExpectRowsUpTo(Engine& engine, std::uint32_t acknowledged) {
  const std::vector<std::string> queue = Keys(engine, kQueue);
  EXPECT_GT(queue.size(), acknowledged);
  EXPECT_LE(queue.size(), acknowledged + 2) << "at most one was durable and not yet told";
  EXPECT_EQ(queue, Keys(engine, kBodies)) << "half of an update is there";
  for (std::uint32_t i = 0; i < queue.size(); ++i) ASSERT_EQ(queue[i], NumberKey(i));
}

TEST_F(LmdbEngineTest, AKilledWriterLosesNothingItAcknowledged) {
  for (const std::uint32_t kill_after : {0U, 7U, 40U}) {
    Create();
    ForkedChild writer(
        [&](const ForkedChild::Line& line) { return WriteRowsForever(Path(), line); });
    std::optional<std::uint32_t> acknowledged = writer.GetLine().Hear();
    while (acknowledged && *acknowledged < kill_after) acknowledged = writer.GetLine().Hear();
    writer.Kill();
    for (auto more = acknowledged; more; more = writer.GetLine().Hear()) acknowledged = more;
    ASSERT_TRUE(acknowledged);
    ExpectRowsUpTo(*Open(), *acknowledged);
    std::filesystem::remove(Path() / "data.mdb");
  }
}

TEST_F(LmdbEngineTest, ReadersOfDeadProcessesAreClearedAtOpen) {
  Create();
  // Holds a View until it is killed or told to go.
  const auto hold_view = [&](const ForkedChild::Line& line) {
    const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
    if (!engine) return 1;
    const Result<void> viewed = (*engine)->View([&](ReadTransaction&) -> Result<void> {
      line.Say(1);
      (void)line.Hear();
      return {};
    });
    return viewed ? 0 : 2;
  };
  ForkedChild doomed(hold_view);
  ForkedChild living(hold_view);  // While somebody lives, LMDB keeps the reader table.
  ASSERT_TRUE(doomed.GetLine().Hear());
  ASSERT_TRUE(living.GetLine().Hear());
  {
    const auto engine = Open();
    EXPECT_EQ(StatisticsOf(*engine).readers, 2U);
    doomed.Kill();
    EXPECT_EQ(StatisticsOf(*engine).readers, 2U);
  }
  EXPECT_EQ(StatisticsOf(*Open()).readers, 1U);
  living.GetLine().Say(0);
  EXPECT_EQ(living.Wait(), 0);
}

TEST_F(LmdbEngineTest, AMapThatAnotherProcessOutgrewIsAdopted) {
  Create();
  ForkedChild writer([&](const ForkedChild::Line& line) {
    for (std::uint32_t round = 0; line.Hear(); ++round) {
      const auto engine = OpenLmdbEngine(Path(), test::TwoTables());
      if (!engine) return 1;
      for (std::uint32_t i = 0; i < 64; ++i) {
        const std::string key = NumberKey(round * 64 + i);
        if (!(*engine)->Update(PutRow(key, std::string(60'000, 'x'))).IsCommitted()) return 2;
      }
      line.Say(round);
    }
    return 0;
  });
  LmdbOptions small = test::TwoTables();
  small.map_bytes = 1 << 20;
  const auto engine = Open(small);
  EXPECT_THAT(Keys(*engine), IsEmpty());
  writer.GetLine().Say(0);
  ASSERT_TRUE(writer.GetLine().Hear());
  EXPECT_THAT(Keys(*engine), SizeIs(64)) << "read through the larger map";
  for (int i = 0; i < 2; ++i) {
    writer.GetLine().Say(0);
    ASSERT_TRUE(writer.GetLine().Hear());
  }
  EXPECT_TRUE(engine->Update(PutRow("z", "")).IsCommitted()) << "written through it";
  EXPECT_THAT(Keys(*engine), SizeIs(3 * 64 + 1));
}

// Space

TEST_F(LmdbEngineTest, BelowTheReserveOnlyWhatMayUseItIsCommitted) {
  Create();
  LmdbOptions options = test::TwoTables();
  options.free_bytes_min = std::uint64_t{1} << 60;
  const auto engine = Open(options);
  EXPECT_EQ(CodeOf(engine->Update(PutRow("a", ""))), ErrorCode::kNotEnoughDisk);
  EXPECT_TRUE(engine->Update(PutRow("b", ""), SpaceUse::kMayUseReserve).IsCommitted());
  EXPECT_THAT(Keys(*engine), ElementsAre("b"));
}

TEST_F(LmdbEngineTest, AFullMapIsNotEnoughDiskForTheClosureThatMetIt) {
  Create();
  LmdbOptions options = test::TwoTables();
  options.map_bytes = 1 << 20;
  const auto engine = Open(options);
  ASSERT_TRUE(engine->Update(PutRow("a", "")).IsCommitted());
  CommitOutcome outcome = engine->Update([](WriteTransaction& transaction) -> Result<void> {
    for (std::uint32_t i = 0; i < 40; ++i) {
      RETURN_IF_ERROR(transaction.Put(kQueue, NumberKey(i), std::string(60'000, 'x')));
    }
    return {};
  });
  EXPECT_TRUE(outcome.IsRefused());
  EXPECT_EQ(CodeOf(std::move(outcome)), ErrorCode::kNotEnoughDisk);
  EXPECT_TRUE(engine->Update(PutRow("b", "")).IsCommitted());
  EXPECT_THAT(Keys(*engine), ElementsAre("a", "b"));
}

TEST_F(LmdbEngineTest, AWriteThatFailsOnAFullDiskIsUnknownAndLosesNothingAcknowledged) {
  Create();
  ForkedChild writer([&](const ForkedChild::Line& line) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
    return WriteRowsForever(Path(), line);
  });
  std::optional<std::uint32_t> acknowledged;
  for (auto more = writer.GetLine().Hear(); more; more = writer.GetLine().Hear())
    acknowledged = more;
  EXPECT_EQ(writer.Wait(), 0);
  ASSERT_TRUE(acknowledged);
  EXPECT_GT(*acknowledged, 50U);
  const auto engine = Open();
  ExpectRowsUpTo(*engine, *acknowledged);
  EXPECT_TRUE(engine->Update(PutRow("z", "")).IsCommitted());
}

TEST_F(LmdbEngineTest, AscendingKeysFillTheirPages) {
  constexpr std::uint32_t kRows = 1'000;
  Create();
  const auto engine = Open();
  const auto put_rows = [](WriteTransaction& transaction) -> Result<void> {
    for (std::uint32_t i = 0; i < kRows; ++i) {
      RETURN_IF_ERROR(transaction.Put(kQueue, NumberKey(i), std::string(2'000, 'x')));
    }
    return {};
  };
  ASSERT_TRUE(engine->Update(put_rows).IsCommitted());
  // Two rows fit a page; put the usual way, each would have one of its own.
  EXPECT_LT(StatisticsOf(*engine).used_bytes, kRows / 2 * 4096 * 11 / 10);
}

// Commits

TEST_F(LmdbEngineTest, UpdatesOfManyThreadsShareCommits) {
  Create();
  const auto engine = Open();
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 32; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = 0; i < 10; ++i) {
        EXPECT_TRUE(engine->Update(PutRow(NumberKey(t * 10 + i), "")).IsCommitted());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const LmdbStatistics statistics = StatisticsOf(*engine);
  EXPECT_EQ(statistics.closures, 320U);
  EXPECT_LT(statistics.commits, 160U);
  EXPECT_GT(statistics.commits, 0U);
}

TEST_F(LmdbEngineTest, AfterAnUnknownOutcomeTheReopenedEnvironmentShowsAllOrNothing) {
  for (const CommitFault fault : {CommitFault::kNothingCommitted, CommitFault::kCommitted}) {
    Create();
    {
      const auto engine = Open();
      ASSERT_TRUE(engine->Update(PutRow("before", "")).IsCommitted());
      FailCommitForTesting(*engine, 1, fault);
      EXPECT_TRUE(engine
                      ->Update([](WriteTransaction& transaction) -> Result<void> {
                        RETURN_IF_ERROR(transaction.Put(kQueue, "unknown", ""));
                        return transaction.Put(kBodies, "unknown", "");
                      })
                      .IsUnknown());
      EXPECT_EQ(CodeOf(engine->Update(PutRow("after", ""))), ErrorCode::kStoreFailed);
      EXPECT_EQ(Open(), engine) << "while it is open, it stays failed";
    }
    const auto engine = Open();
    const bool committed = fault == CommitFault::kCommitted;
    EXPECT_EQ(Read(*engine, "unknown").has_value(), committed);
    EXPECT_EQ(Read(*engine, "unknown", kBodies).has_value(), committed);
    EXPECT_TRUE(Read(*engine, "before").has_value());
    EXPECT_TRUE(engine->Update(PutRow("again", "")).IsCommitted());
    std::filesystem::remove(Path() / "data.mdb");
  }
}

}  // namespace
}  // namespace bobbin::kv

// A page that the disk cannot read is a damaged page: check names it, salvage goes around it.
//
// Method: pread of chosen pages of one data.mdb says EIO, of bobbin and bobbind with the fault
// library in front and of this process, which is linked to it. One page after the other of a
// database with all kinds of pages; what salvage finds is compared with what it finds where the
// page has zeros.

#include <gmock/gmock.h>

#include <csignal>
#include <stdexcept>

#include "engine/identity_file.h"
#include "engine/kv/lmdb_page_walk.h"
#include "engine/salvage.h"
#include "engine/salvage_scan.h"
#include "tests/faults/fault_for_children.h"
#include "tests/faults/fault_library.h"
#include "tests/support/file_bytes.h"
#include "tests/support/matchers.h"
#include "tests/support/not_checked.h"
#include "tests/support/temporary_database.h"
#include "tests/tools/running_daemon.h"
#include "tests/tools_cli/documented_fields.h"
#include "tests/tools_cli/run_program.h"

namespace bobbin::faults {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::size_t kPage = 4096;
constexpr const char* kFile = "database/data.mdb";

std::string Join(const std::vector<std::uint64_t>& pages) {
  std::string text;
  for (const std::uint64_t page : pages) text += (text.empty() ? "" : ",") + std::to_string(page);
  return text;
}

class UnreadablePages : public testing::Test {
 protected:
  void SetUp() override { Fill(30); }
  void TearDown() override { MakeUnreadable("", ""); }

  void Fill(int messages) {
    database_.Open();
    MessageStore& store = database_.Store();
    std::vector<EntryId> ids;
    for (int i = 0; i < messages; ++i) {
      Message message = NewDraft(store, {"a@x.test", "b@x.test"}, "subject " + std::to_string(i));
      SetContent(store, message,
                 std::string(i % 8 == 1 ? 60'000 : 900, static_cast<char>('a' + i % 26)));
      ids.push_back(Must(message.Id()));
      Must(message.SubmitMessage());
    }
    for (std::size_t i = 0; i < ids.size(); i += 4) {
      Must(store.AbortSubmit(ids[i]));
      const MessageId id{ids[i].Object()};
      Must(store.DeleteMessages(store.Folders().outbox, {&id, 1}));
    }
    database_.Close();
    sound_ = ReadFile(File());
  }

  fs::path File() const { return database_.Path() / "data.mdb"; }
  fs::path Target() const { return database_.Path().parent_path() / "salvaged"; }
  std::size_t Pages() const { return sound_.size() / kPage; }

  static void CannotRead(const std::vector<std::uint64_t>& pages) {
    MakeUnreadable(Join(pages).c_str(), kFile);
  }

  kv::PageWalkReport Walk(const kv::PageWalkOptions& options) const {
    const kv::LmdbPageFile file = Must(kv::LmdbPageFile::Open(File()));
    const kv::LmdbMetaPages metas = Must(kv::ReadLmdbMetaPages(file));
    return Must(kv::WalkLmdbPages(file, metas.Newest(), options));
  }
  std::vector<bool> FreePages() const {
    kv::PageWalkOptions options;
    options.list_free_pages = true;
    return Walk(options).is_free.value();
  }
  // Of the branch and leaf pages with `flag`, one that is in use.
  std::uint64_t InUse(std::uint16_t flag) const {
    const std::vector<bool> is_free = FreePages();
    for (std::uint64_t page = 2; page < Pages(); ++page) {
      const auto header = kv::lmdb::LoadAt<kv::lmdb::PageHeader>(sound_, page * kPage);
      if (!is_free[page] && header.number == page && header.flags == flag) return page;
    }
    throw std::runtime_error("no such page");
  }

  SalvageScan Scan(const fs::path& file) const {
    const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
    return Must(ScanForRecords(Must(kv::LmdbPageFile::Open(file)), codec));
  }

  test::Ended Bobbin(const std::vector<std::uint64_t>& pages,
                     std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), BOBBIN_PROGRAM);
    test::Start start{arguments, {}, database_.Path().parent_path(), {}};
    start.environment = {"BOBBIN_DATABASE=" + database_.Path().string()};
    if (!pages.empty()) {
      start.environment.push_back("LD_PRELOAD=" BOBBIN_FAULT_LIBRARY);
      start.environment.push_back("BOBBIN_FAULT=read-page " + Join(pages) + " " + kFile);
    }
    return test::RunProgram(start);
  }
  test::Ended InTarget(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--database", Target().string()});
    return Bobbin({}, arguments);
  }

  TemporaryDatabase database_;
  std::string sound_;
};

TEST_F(UnreadablePages, AreNamedByCheckWhateverTheyAreUsedFor) {
  const std::vector<bool> is_free = FreePages();
  int named = 0;
  for (std::uint64_t page = 2; page < Pages(); ++page) {
    SCOPED_TRACE(testing::Message() << "page " << page << " of " << Pages());
    const test::Ended run = Bobbin({page}, {"check", "--deep", "--json"});
    const auto objects = test::ParseLines(run.out);
    ASSERT_GE(objects.size(), 1U) << run.err;
    EXPECT_EQ(run.exit_code, is_free[page] ? 0 : 1) << run.out << run.err;
    if (is_free[page]) continue;
    ++named;
    ASSERT_THAT(objects.front(), test::HasTheFieldsOf("finding"));
    EXPECT_EQ(objects.front()["page"], page);
    EXPECT_THAT(objects.front()["detail"].get<std::string>(),
                AllOf(HasSubstr("the disk cannot read it"), HasSubstr("bobbin salvage")));
  }
  EXPECT_GT(named, 40);
}

// But that it is said, and that nobody knows what was there.
TEST_F(UnreadablePages, AreAsGoodAsZerosToTheScan) {
  const fs::path copy = database_.Path().parent_path() / "zeros";
  for (std::uint64_t page = 0; page < Pages(); ++page) {
    SCOPED_TRACE(testing::Message() << "page " << page << " of " << Pages());
    std::string bytes = sound_;
    WriteFile(copy, bytes.replace(page * kPage, kPage, std::string(kPage, '\0')));
    const SalvageScan zeros = Scan(copy);
    CannotRead({page});
    const SalvageScan scan = Scan(File());
    EXPECT_EQ(scan.unreadable, std::set<std::uint64_t>{page * kPage});
    EXPECT_EQ(zeros.unreadable.size(), 0U);
    EXPECT_EQ(scan.is_proven, zeros.is_proven);
    EXPECT_EQ(scan.found, zeros.found);
    EXPECT_EQ(scan.stale, zeros.stale);
    EXPECT_EQ(scan.uncommitted, zeros.uncommitted);
    ASSERT_EQ(scan.records.size(), zeros.records.size());
    for (std::size_t i = 0; i < scan.records.size(); ++i) {
      ASSERT_EQ(scan.records[i].offset, zeros.records[i].offset);
    }
  }
}

TEST_F(UnreadablePages, WithoutAMetaPageMayHaveHadTheLastTransaction) {
  const auto even = kv::lmdb::LoadAt<kv::lmdb::Meta>(sound_, 16);
  const auto odd = kv::lmdb::LoadAt<kv::lmdb::Meta>(sound_, kPage + 16);
  const std::uint64_t older = even.transaction < odd.transaction ? 0 : 1;
  CannotRead({older});
  EXPECT_TRUE(Scan(File()).is_proven) << "nothing else is newer, and all of it was read";
  for (std::uint64_t page = 2; page < Pages(); ++page) {
    CannotRead({older, page});
    EXPECT_FALSE(Scan(File()).is_proven) << "page " << page;
  }
}

TEST_F(UnreadablePages, AreCountedByBobbinSalvageAndTheRestComesBack) {
  const std::uint64_t leaf = InUse(kv::lmdb::kLeafPage);
  const std::uint64_t overflow = InUse(kv::lmdb::kOverflowPage) + 3;
  const test::Ended run =
      Bobbin({0, 1, leaf, overflow}, {"salvage", "--json", database_.Path(), Target()});
  EXPECT_EQ(run.exit_code, 1) << run.err;
  const auto objects = test::ParseLines(run.out);
  ASSERT_GE(objects.size(), 1U);
  ASSERT_THAT(objects.back(), test::HasTheFieldsOf("salvage summary"));
  EXPECT_EQ(objects.back()["unreadable_pages"], 4);
  EXPECT_EQ(objects.back()["proven"], false);
  EXPECT_GE(objects.back()["whole"], 10);
  EXPECT_EQ(objects.back()["held"], objects.back()["queued"]);
  EXPECT_EQ(InTarget({"check", "--deep"}).exit_code, 0);
  fs::remove_all(Target());
  const test::Ended text = Bobbin({leaf}, {"salvage", database_.Path(), Target()});
  EXPECT_THAT(text.out,
              HasSubstr("The disk could not read 1 pages of " + database_.Path().string()));
}

// The scan could, and what is looked at again cannot. Two windows, so that there is a moment
// between.
TEST_F(UnreadablePages, MayBecomeSoAfterTheyWereRead) {
  database_.Open();
  SubmitNew(database_.Store());
  {
    Message message = NewDraft(database_.Store());
    SetContent(database_.Store(), message, std::string(std::size_t{9} << 20, 'x'));
    Must(message.SubmitMessage());
  }
  database_.Close();
  sound_ = ReadFile(File());
  const std::vector<bool> is_free = FreePages();
  std::uint64_t whole = 0;
  int fewer = 0;
  for (std::uint64_t page = 1; page < 600; ++page) {
    const auto header = kv::lmdb::LoadAt<kv::lmdb::PageHeader>(sound_, page * kPage);
    // Page 1 has no record: all of it comes back.
    if (page != 1 && (is_free[page] || header.flags != kv::lmdb::kLeafPage)) continue;
    SCOPED_TRACE(testing::Message() << "page " << page);
    CannotRead({0, 1});
    SalvageOptions options;
    options.progress = [&](std::uint64_t done, std::uint64_t) {
      if (done == std::uint64_t{8} << 20) CannotRead({page});
    };
    fs::remove_all(Target());
    const SalvageReport report = Must(Salvage(database_.Path(), Target(), options));
    if (page == 1) whole = report.whole;
    if (report.whole < whole) {
      ++fewer;
      EXPECT_EQ(report.unreadable_pages, 3U);
    }
    EXPECT_GT(report.whole, whole / 2);
    EXPECT_EQ(Findings(Must(Database::Open(Target()))), "");
  }
  EXPECT_GT(fewer, 3);
}

TEST_F(UnreadablePages, ThatAreAMetaPageAreMadeAnewByRepairMeta) {
  const fs::path copy = database_.Path().parent_path() / "copy";
  for (const std::uint64_t page : {0U, 1U}) {
    const test::Ended check = Bobbin({page}, {"check"});
    EXPECT_EQ(check.exit_code, 1) << check.err;
    EXPECT_THAT(check.out,
                AllOf(HasSubstr("cannot be read from the disk"), HasSubstr("bobbin repair-meta")));
    const std::uint64_t other = InUse(kv::lmdb::kOverflowPage) + 3;
    const test::Ended more = Bobbin({page, other}, {"repair-meta", database_.Path(), copy});
    EXPECT_EQ(more.exit_code, 74) << more.err;
    EXPECT_THAT(more.err, AllOf(HasSubstr("page " + std::to_string(other) + " of "),
                                HasSubstr("salvage it")));
    EXPECT_FALSE(fs::exists(copy));
    const test::Ended run = Bobbin({page}, {"repair-meta", database_.Path(), copy});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(Bobbin({}, {"--database", copy, "check", "--deep"}).exit_code, 0);
    fs::remove_all(copy);
  }
  const test::Ended both = Bobbin({0, 1}, {"check"});
  EXPECT_EQ(both.exit_code, 1) << both.err;
  EXPECT_THAT(both.out, HasSubstr("two damaged meta pages"));
}

TEST(UnreadablePagesUnderBobbind, AreNamedAtItsStartWithWhatToDo) {
  daemon::RunningDaemon daemon;
  const auto kill = [&] {
    daemon.Signal(SIGKILL);
    daemon.Wait();
  };
  kill();
  daemon.Start();
  kill();
  if (daemon.Log().find("compared=yes") == std::string::npos) {
    return SayNotChecked("what a daemon says that cannot read a page", "there is no O_DIRECT here");
  }
  const FaultForChildren fault(std::string("read-page 3 ") + kFile);
  EXPECT_THROW(daemon.Start(), std::runtime_error);
  EXPECT_EQ(daemon.Wait(), 74);
  EXPECT_THAT(daemon.Log(), AllOf(HasSubstr("the disk cannot read "), HasSubstr(" at byte 12288 "),
                                  HasSubstr("bobbin salvage")));
}

}  // namespace
}  // namespace bobbin::faults

// Databases: making and opening them, also where that must fail; several openers, threads and
// processes; what a failed commit means for everybody.
#include "engine/database.h"

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/identity_file.h"
#include "engine/kv/commit_fault.h"
#include "engine/kv/lmdb_engine.h"
#include "engine/rows.h"
#include "tests/support/child_process.h"
#include "tests/support/matchers.h"
#include "tests/support/not_checked.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void WriteFile(const fs::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::vector<std::string> NamesIn(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

class Creation : public testing::Test {
 protected:
  fs::path Path(std::string_view name) const { return directory_.Path() / name; }
  TemporaryDirectory directory_;
};

TEST_F(Creation, MakesAnEmptyDatabaseAndNothingBesideIt) {
  Must(Database::Create(Path("db")));
  EXPECT_THAT(NamesIn(directory_.Path()), ElementsAre("db"));
  const Database database = Must(Database::Open(Path("db")));
  EXPECT_THAT(Must(database.ListMessageStores()), IsEmpty());
  EXPECT_EQ(Findings(database), "");
  EXPECT_EQ(fs::status(Path("db") / "identity").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(Path("db")).permissions(), fs::perms::owner_all);
}

TEST_F(Creation, TakesAnEmptyDirectoryATrailingSlashAndMissingParents) {
  fs::create_directory(Path("empty"));
  Must(Database::Create(Path("empty")));
  Must(Database::Create(Path("slash/")));
  Must(Database::Create(Path("a") / "b" / "c"));
  for (const fs::path& path : {Path("empty"), Path("slash"), Path("a") / "b" / "c"}) {
    EXPECT_THAT(Database::Open(path), IsOk()) << path;
  }
}

TEST_F(Creation, LeavesAloneWhatIsThere) {
  WriteFile(Path("file"), "not a database");
  fs::create_directory(Path("full"));
  WriteFile(Path("full") / "precious", "data");
  Must(Database::Create(Path("db")));
  const std::string identity = ReadFile(Path("db") / "identity");
  for (const char* name : {"file", "full", "db"}) {
    EXPECT_THAT(Database::Create(Path(name)),
                IsErrorNaming(ErrorCode::kCollision, std::vector<std::string>{name}));
  }
  EXPECT_EQ(ReadFile(Path("file")), "not a database");
  EXPECT_EQ(ReadFile(Path("full") / "precious"), "data");
  EXPECT_EQ(ReadFile(Path("db") / "identity"), identity);
  EXPECT_THAT(NamesIn(directory_.Path()), SizeIs(3)) << "something was left beside them";
}

TEST_F(Creation, SaysWhatIsWrongWithThePath) {
  EXPECT_THAT(Database::Create("/proc/self/database"), testing::Not(IsOk()));
  WriteFile(Path("file"), "");
  EXPECT_THAT(Database::Create(Path("file") / "database"), testing::Not(IsOk()));
}

// A creation that crashed has left its directory; with process identifiers that come round soon,
// as in a container, the next one is of a process with the same.
TEST_F(Creation, IsNotHinderedByWhatACrashedOneLeft) {
  for (const std::string& suffix : {std::to_string(getpid()), std::string()}) {
    const fs::path left = Path(".db.creating-" + suffix);
    fs::create_directory(left);
    WriteFile(left / "identity", "half");
  }
  EXPECT_THAT(Database::Create(Path("db")), IsOk());
  EXPECT_THAT(Database::Open(Path("db")), IsOk());
}

TEST_F(Creation, ByManyAtOnceMakesOneDatabase) {
  std::atomic<int> created{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const Result<void> outcome = Database::Create(Path("db"));
      if (outcome) ++created;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(created, 1);
  EXPECT_THAT(Database::Open(Path("db")), IsOk());
  EXPECT_THAT(NamesIn(directory_.Path()), ElementsAre("db"));
}

class Opening : public Creation {
 protected:
  void SetUp() override {
    Must(Database::Create(Path("db")));
    Database database = Must(Database::Open(Path("db")));
    MessageStore store = Must(database.CreateMessageStore("alice@a.test"));
    for (int i = 0; i < 20; ++i) SubmitNew(store);
  }
  fs::path Data() const { return Path("db") / "data.mdb"; }
  fs::path IdentityPath() const { return Path("db") / "identity"; }
};

TEST_F(Opening, RefusesWhatIsNoDatabaseAndSaysWhatToDo) {
  fs::create_directory(Path("empty"));
  WriteFile(Path("file"), "x");
  const auto not_a_database = [](std::string part) {
    return IsErrorNaming(ErrorCode::kNotADatabase, std::vector<std::string>{std::move(part)});
  };
  EXPECT_THAT(Database::Open(Path("missing")), not_a_database("bobbin init"));
  EXPECT_THAT(Database::Open(Path("missing") / "deeper"), not_a_database("bobbin init"));
  EXPECT_THAT(Database::Open(Path("file")), not_a_database("is a file"));
  EXPECT_THAT(Database::Open(Path("file") / "below"), not_a_database("no database"));
  EXPECT_THAT(Database::Open(Path("empty")), not_a_database("identity"));
  EXPECT_THAT(NamesIn(Path("empty")), IsEmpty()) << "looking has made something";
  fs::remove(Data());
  EXPECT_THAT(Database::Open(Path("db")), not_a_database("data.mdb"));
  EXPECT_FALSE(fs::exists(Data())) << "LMDB made a new one";
}

TEST_F(Opening, RefusesEveryDamagedIdentity) {
  const std::string identity = ReadFile(IdentityPath());
  const auto refused =
      IsErrorNaming(ErrorCode::kNotADatabase, std::vector<std::string>{"identity"});
  for (std::size_t bytes = 0; bytes < identity.size(); ++bytes) {
    WriteFile(IdentityPath(), identity.substr(0, bytes));
    EXPECT_THAT(Database::Open(Path("db")), refused) << bytes;
  }
  for (std::size_t i = 0; i < identity.size(); ++i) {
    std::string damaged = identity;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    WriteFile(IdentityPath(), damaged);
    const Result<Database> opened = Database::Open(Path("db"));
    ASSERT_FALSE(opened) << i;
    // A flipped digit of the format can read as that of a newer Bobbin.
    EXPECT_THAT(opened.error().code, testing::AnyOf(ErrorCode::kNotADatabase, ErrorCode::kVersion));
  }
  WriteFile(IdentityPath(), identity + "\n");
  EXPECT_THAT(Database::Open(Path("db")), refused);
  WriteFile(IdentityPath(), std::string(100'000, 'x'));
  EXPECT_THAT(Database::Open(Path("db")), refused);
  WriteFile(IdentityPath(), identity);
  EXPECT_THAT(Database::Open(Path("db")), IsOk());
}

TEST_F(Opening, RefusesANewerVersionAndDoesNotTouchIt) {
  std::string identity = ReadFile(IdentityPath());
  identity.replace(identity.find(" 1\n"), 3, " 2\n");
  identity.resize(identity.find("checksum "));
  char checksum[17];
  std::snprintf(checksum, sizeof(checksum), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(identity.data(), identity.size())));
  WriteFile(IdentityPath(), identity + "checksum " + checksum + "\n");
  const std::string data = ReadFile(Data());
  EXPECT_THAT(Database::Open(Path("db")),
              IsErrorNaming(ErrorCode::kVersion, std::vector<std::string>{"newer"}));
  EXPECT_TRUE(ReadFile(Data()) == data);
}

TEST_F(Opening, RefusesADatabaseWhoseRootIsNewer) {
  const Identity identity = Must(ReadIdentityFile(Path("db")));
  kv::LmdbOptions options;
  options.tables = Database::TableNames();
  {
    const auto engine = Must(kv::OpenLmdbEngine(Path("db"), options));
    const RecordCodec codec(identity.record_key);
    Must(engine
             ->Update([&](kv::WriteTransaction& transaction) {
               return RowWriter(codec, transaction).PutRoot({2, identity.database, Time{}});
             })
             .ToResult());
  }
  EXPECT_THAT(Database::Open(Path("db")), IsError(ErrorCode::kVersion));
}

TEST_F(Opening, RefusesTheIdentityOfAnotherDatabase) {
  Must(Database::Create(Path("other")));
  fs::copy_file(Path("other") / "identity", IdentityPath(), fs::copy_options::overwrite_existing);
  EXPECT_THAT(Database::Open(Path("db")), IsError(ErrorCode::kNotADatabase));
}

TEST_F(Opening, RefusesATruncatedFileWhereverItWasCut) {
  const std::string data = ReadFile(Data());
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{4'095}, std::size_t{4'096}, std::size_t{8'192},
        std::size_t{12'288}, data.size() / 2, data.size() - 4'096}) {
    WriteFile(Data(), data.substr(0, bytes));
    const Result<Database> opened = Database::Open(Path("db"));
    // A cut behind the last page in use is no damage; before it, it must be seen.
    if (opened) {
      EXPECT_EQ(Findings(*opened), "") << bytes;
    } else {
      EXPECT_EQ(opened.error().code, ErrorCode::kNotADatabase) << ToString(opened.error());
    }
    if (bytes <= data.size() / 2) {
      EXPECT_FALSE(opened) << bytes;
    }
  }
  WriteFile(Data(), data);
  EXPECT_EQ(Findings(Must(Database::Open(Path("db")))), "");
}

TEST_F(Opening, RefusesAnotherFileInPlaceOfTheData) {
  for (const std::string& bytes :
       {std::string(100'000, 'x'), std::string(100'000, '\0'), std::string("SQLite format 3")}) {
    WriteFile(Data(), bytes);
    EXPECT_THAT(Database::Open(Path("db")), IsError(ErrorCode::kNotADatabase));
  }
}

// For root, modes are no obstacle: a read-only mount is. Neither can be had everywhere.
TEST_F(Opening, OnAReadOnlyFileSystemSaysNoAccess) {
  const fs::path mount_point = Path("mount");
  fs::create_directory(mount_point);
  if (geteuid() == 0) {
    if (mount("none", mount_point.c_str(), "tmpfs", 0, nullptr) != 0) {
      return SayNotChecked("a read-only file system", "this system lets not even root mount");
    }
    fs::copy(Path("db"), mount_point / "db");
    ASSERT_EQ(mount("none", mount_point.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
  } else {
    fs::copy(Path("db"), mount_point / "db");
    fs::remove(mount_point / "db" / "lock.mdb");
    fs::permissions(mount_point / "db" / "data.mdb", fs::perms::owner_read);
    for (const fs::path& path : {mount_point / "db", mount_point}) {
      fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
    }
  }
  EXPECT_THAT(Database::Open(mount_point / "db"), IsError(ErrorCode::kNoAccess));
  EXPECT_THAT(Database::Create(mount_point / "other"), IsError(ErrorCode::kNoAccess));
  if (geteuid() == 0) {
    umount2(mount_point.c_str(), MNT_DETACH);
  } else {
    for (const fs::path& path : {mount_point, mount_point / "db"}) {
      fs::permissions(path, fs::perms::owner_all);
    }
  }
}

// --- Several openers ---

class Databases : public testing::Test {
 protected:
  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }
  TemporaryDatabase database_;
};

TEST_F(Databases, HaveStoresWithNamesOfTheirOwn) {
  EXPECT_THAT(Db().CreateMessageStore(TemporaryDatabase::kStoreName),
              IsError(ErrorCode::kCollision));
  const auto invalid = IsError(ErrorCode::kInvalidParameter);
  EXPECT_THAT(Db().CreateMessageStore(""), invalid);
  EXPECT_THAT(Db().CreateMessageStore(std::string(256, 'x')), invalid);
  EXPECT_THAT(Db().CreateMessageStore("\xc3"), invalid);
  EXPECT_THAT(Db().OpenMessageStore("nobody@a.test"), IsError(ErrorCode::kNotFound));
  const MessageStore longest = Must(Db().CreateMessageStore(std::string(255, 'x')));
  EXPECT_EQ(Must(Db().OpenMessageStore(std::string(255, 'x'))).Id(), longest.Id());
  std::vector<std::string> names;
  for (const MessageStoreInfo& info : Must(Db().ListMessageStores())) names.push_back(info.name);
  EXPECT_THAT(names, ElementsAre(TemporaryDatabase::kStoreName, std::string(255, 'x')));
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(Databases, OpenedTwiceInOneProcessAreOne) {
  const Database second = Must(Database::Open(database_.Path()));
  MessageStore store = Must(second.OpenMessageStore(TemporaryDatabase::kStoreName));
  const EntryId here = SubmitNew(Store());
  const EntryId there = SubmitNew(store);
  EXPECT_NE(here, there);
  EXPECT_THAT(QueueOrder(second), ElementsAre(MessageId{here.Object()}, MessageId{there.Object()}));
  EXPECT_EQ(QueueOrder(Db()), QueueOrder(second));
  Database third = second;
  SpoolerSession session = Must(third.OpenSpoolerSession());
  Message message = Must(session.OpenMessage(here));
  Must(session.SetLockState(message, LockState::kLocked));
  EXPECT_THAT(Store().AbortSubmit(here), IsError(ErrorCode::kUnableToAbort));
}

const ChildProgram kSubmitMany("submit-many", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments.at(0)));
  MessageStore store = Must(database.OpenMessageStore(TemporaryDatabase::kStoreName));
  Say("open");
  Hear();
  for (int i = 0; i < 100; ++i) Say(SubmitNew(store).ToHex());
  return 0;
});

TEST_F(Databases, AreWrittenByTwoProcessesAtOnce) {
  ChildProcess child("submit-many", {database_.Path()});
  ASSERT_EQ(child.ReadLine(), "open");
  child.WriteLine("go");
  std::vector<EntryId> submitted;
  for (int i = 0; i < 100; ++i) submitted.push_back(SubmitNew(Store()));
  for (std::string line; !(line = child.ReadLine()).empty();) {
    submitted.push_back(Must(EntryId::FromHex(line)));
  }
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_THAT(submitted, SizeIs(200));
  for (const EntryId& id : submitted) EXPECT_TRUE(IsStored(Db(), id));
  const std::vector<QueueRow> rows = Must(Db().GetOutgoingQueue().Rows(1'000));
  EXPECT_THAT(rows, SizeIs(200)) << "an identifier was given twice";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    EXPECT_LE(rows[i - 1].client_submit_time, rows[i].client_submit_time);
  }
  EXPECT_EQ(Findings(Db()), "");
}

// The parent goes on undisturbed, also after the child has ended with all its destructors run.
TEST_F(Databases, AreClosedToAForkedChild) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message locked = Must(session.OpenMessage(id));
  Must(session.SetLockState(locked, LockState::kLocked));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto refused = [](const auto& result) {
      return !result && result.error().code == ErrorCode::kStoreFailed;
    };
    const bool all = refused(Store().OpenMessage(id, 0)) && refused(Db().CheckStore()) &&
                     refused(Db().CreateMessageStore("child@a.test")) &&
                     refused(Store().AbortSubmit(id));
    {
      const SpoolerSession inherited = std::move(session);
      const Message also_inherited = std::move(locked);
    }
    database_.Close();
    _exit(all ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_THAT(Store().AbortSubmit(id), IsError(ErrorCode::kUnableToAbort)) << "the lock is gone";
  Must(session.FinishMessage(id));
  SubmitNew(Store());
  EXPECT_EQ(Findings(Db()), "");
}

// --- Submitting without waiting ---

// Counts outcomes as they come, from whatever thread.
class Outcomes {
 public:
  std::function<void(Result<void>)> Next() {
    return [this](Result<void> outcome) {
      const std::lock_guard lock(mutex_);
      ++(outcome ? succeeded_ : failed_);
      all_.notify_all();
    };
  }
  void WaitFor(int count) {
    std::unique_lock lock(mutex_);
    all_.wait(lock, [&] { return succeeded_ + failed_ >= count; });
  }
  int Succeeded() const { return succeeded_; }
  int Failed() const { return failed_; }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  int succeeded_ = 0;
  int failed_ = 0;
};

TEST_F(Databases, TakeSixtyFourSubmissionsInFlightFromTwoThreads) {
  constexpr int kRounds = 4;
  Outcomes outcomes;
  std::vector<std::vector<MessageId>> submitted(2);
  const auto submit = [&](std::size_t thread) {
    std::vector<Message> messages;
    for (int i = 0; i < 32 * kRounds; ++i) messages.push_back(NewDraft(Store()));
    for (Message& message : messages) {
      submitted[thread].push_back({Must(message.Id()).Object()});
      message.SubmitMessageAsync(0, outcomes.Next());
      EXPECT_THAT(message.GetProps(),
                  testing::AnyOf(IsError(ErrorCode::kBusy), IsError(ErrorCode::kInvalidObject)));
    }
  };
  std::thread first(submit, 0);
  std::thread second(submit, 1);
  first.join();
  second.join();
  outcomes.WaitFor(64 * kRounds);
  EXPECT_EQ(outcomes.Succeeded(), 64 * kRounds);
  EXPECT_EQ(outcomes.Failed(), 0);
  const std::vector<MessageId> order = QueueOrder(Db());
  EXPECT_THAT(order, SizeIs(64 * kRounds));
  // Each thread's messages are in the order of its calls.
  for (const std::vector<MessageId>& mine : submitted) {
    std::vector<MessageId> seen;
    for (const MessageId id : order) {
      if (std::find(mine.begin(), mine.end(), id) != mine.end()) seen.push_back(id);
    }
    EXPECT_EQ(seen, mine);
  }
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(Databases, AnswerARefusedSubmissionOnceAndLeaveTheObjectOpen) {
  Message message = NewDraft(Store(), std::vector<std::string>{});
  Outcomes outcomes;
  message.SubmitMessageAsync(0, outcomes.Next());
  outcomes.WaitFor(1);
  EXPECT_EQ(outcomes.Failed(), 1);
  Must(message.ModifyRecipients(kModifyRecipientsAdd, {MakeSmtpRecipient("b@x.test", 1)}));
  message.SubmitMessageAsync(0, outcomes.Next());
  outcomes.WaitFor(2);
  EXPECT_EQ(outcomes.Succeeded(), 1);
}

// Everything that keeps the database open is dropped while the submissions are under way.
TEST_F(Databases, DestroyedWithSubmissionsInFlightAnswerThemAll) {
  Outcomes outcomes;
  for (int i = 0; i < 64; ++i) {
    Message message = NewDraft(Store());
    message.SubmitMessageAsync(0, outcomes.Next());
  }
  database_.Close();
  outcomes.WaitFor(64);
  EXPECT_EQ(outcomes.Succeeded(), 64);
  database_.Open();
  EXPECT_THAT(QueueOrder(Db()), SizeIs(64));
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(Databases, TellNobodyAfterTheAnswerWasLostThatAnythingWorks) {
  const EntryId queued = SubmitNew(Store());
  Message draft = NewDraft(Store());
  const EntryId draft_id = Must(draft.Id());
  Must(draft.SaveChanges(kKeepOpenReadWrite));
  Message other = NewDraft(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  MessageBodyWriter writer = Store().NewContent();
  {
    const auto engine = database_.Engine();
    kv::FailCommitForTesting(*engine, 1, kv::CommitFault::kCommitted);
  }
  const auto failed = IsError(ErrorCode::kStoreFailed);
  ASSERT_THAT(draft.SubmitMessage(), failed);
  EXPECT_THAT(draft.SubmitMessage(), failed) << "the object is open, the store is not";
  EXPECT_THAT(draft.SaveChanges(), failed);
  EXPECT_THAT(other.SubmitMessage(), failed);
  EXPECT_THAT(Store().OpenEntry(queued, 0), failed);
  EXPECT_THAT(Store().OpenEntry(std::nullopt, 0), failed);
  EXPECT_THAT(Store().AbortSubmit(queued), failed);
  EXPECT_THAT(Store().CreateFolder(Store().Folders().inbox, "x"), failed);
  EXPECT_THAT(Store().DeleteMessages(Store().Folders().outbox, {}), failed);
  EXPECT_THAT(Db().ListMessageStores(), failed);
  EXPECT_THAT(Db().CreateMessageStore("x"), failed);
  EXPECT_THAT(Db().CheckStore(), failed);
  EXPECT_THAT(Db().Statistics(), failed);
  EXPECT_THAT(Db().GetOutgoingQueue().Rows(1), failed);
  EXPECT_THAT(Db().GetOutgoingQueue().Hold(MessageId{queued.Object()}), failed);
  EXPECT_THAT(session.NextDue(Time::max()), failed);
  EXPECT_THAT(session.OpenMessage(queued), failed);
  EXPECT_THAT(session.FinishMessage(queued), failed);
  EXPECT_THAT(writer.Append(std::string(300'000, 'x')), failed);
  Outcomes outcomes;
  other.SubmitMessageAsync(0, outcomes.Next());
  outcomes.WaitFor(1);
  EXPECT_EQ(outcomes.Failed(), 1);
  // Opened a second time while the first is there it is still the failed one.
  EXPECT_THAT(Database::Open(database_.Path()), failed);
  // What was lost was only the answer.
  {
    const Message drop_one = std::move(draft);
    const Message drop_two = std::move(other);
    const SpoolerSession drop_three = std::move(session);
    writer = MessageBodyWriter(nullptr);
  }
  database_.Reopen();
  EXPECT_THAT(QueueOrder(Db()),
              ElementsAre(MessageId{queued.Object()}, MessageId{draft_id.Object()}));
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(Databases, CountWhatBobbinStatShows) {
  SubmitNew(Store());
  const EntryId held = SubmitNew(Store());
  Must(Db().GetOutgoingQueue().Hold(MessageId{held.Object()}));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message message = Must(session.OpenMessage(held));
  Must(session.SetLockState(message, LockState::kLocked));
  const DatabaseStatistics statistics = Must(Db().Statistics());
  EXPECT_EQ(statistics.queued, 2U);
  EXPECT_EQ(statistics.held, 1U);
  EXPECT_EQ(statistics.locks, 1U);
  EXPECT_EQ(statistics.stores, 1U);
  EXPECT_EQ(statistics.file_bytes, fs::file_size(database_.Path() / "data.mdb"));
  EXPECT_GT(statistics.commits, 0U);
  EXPECT_GE(statistics.updates, statistics.commits);
  EXPECT_GT(statistics.disk_free_bytes, 0U);
}

}  // namespace
}  // namespace bobbin

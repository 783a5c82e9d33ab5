// bobbin compact.
//
// Method: the real program compacts databases that this process, and others, have open and write
// to; afterwards everything that was acknowledged is there, for all of them. The dump, which holds
// every record, says that nothing else has changed.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <set>
#include <thread>

#include "engine/database_state.h"
#include "tests/tools_cli/mail_database.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class CompactTest : public MailDatabaseTest {
 protected:
  // Content that is deleted again, so that the file has space to give back.
  void LeaveSpace(std::size_t messages) const {
    Result<Database> database = Database::Open(database_);
    ASSERT_TRUE(database) << ToString(database.error());
    Result<MessageStore> store = database->OpenOrCreateMessageStore("deleted");
    ASSERT_TRUE(store);
    std::vector<MessageId> ids;
    for (std::size_t i = 0; i < messages; ++i) {
      Result<Message> message = store->CreateMessage(store->Folders().drafts);
      ASSERT_TRUE(message);
      ASSERT_TRUE(message->SetProps(
          std::vector<Property>{Property::Bytes(pr::kMessageClass, "IPM.Note"),
                                Property::Bytes(pr::kBody, std::string(30'000, 'd'))}));
      ASSERT_TRUE(message->SaveChanges());
      ids.push_back(MessageId{message->Id()->Object()});
    }
    ASSERT_TRUE(store->DeleteMessages(store->Folders().drafts, ids));
  }

  Ended Compact() const { return Bobbin({"compact", "--json"}); }

  ino_t Inode() const {
    struct stat status {};
    EXPECT_EQ(stat((database_ / "data.mdb").c_str(), &status), 0);
    return status.st_ino;
  }
};

// Submits until it is told to stop; knows what was acknowledged.
class Writers {
 public:
  Writers(const fs::path& path, int count) {
    for (int t = 0; t < count; ++t) threads_.emplace_back([this, path, t] { Run(path, t); });
  }
  ~Writers() { Stop(); }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;

  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::set<std::uint64_t> Acknowledged() {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
  }

 private:
  void Run(const fs::path& path, int number) {
    Result<Database> database = Database::Open(path);
    ASSERT_TRUE(database) << ToString(database.error());
    Result<MessageStore> store =
        database->OpenOrCreateMessageStore("writer" + std::to_string(number));
    ASSERT_TRUE(store) << ToString(store.error());
    for (std::size_t i = 0; !stop_; ++i) {
      Result<Message> message = store->CreateMessage(store->Folders().outbox);
      ASSERT_TRUE(message) << ToString(message.error());
      ASSERT_TRUE(message->SetProps(
          std::vector<Property>{Property::Bytes(pr::kMessageClass, "IPM.Note"),
                                Property::Bytes(pr::kBody, std::string(i % 5 * 4'000, 'w'))}));
      ASSERT_TRUE(message->ModifyRecipients(kModifyRecipientsReplace,
                                            {MakeSmtpRecipient("b@x.test", kRecipientTo)}));
      const Result<EntryId> id = message->Id();
      const Result<void> submitted = message->SubmitMessage();
      ASSERT_TRUE(submitted) << ToString(submitted.error());
      const std::lock_guard lock(mutex_);
      acknowledged_.insert(id->Object());
    }
  }

  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::set<std::uint64_t> acknowledged_;
  std::vector<std::thread> threads_;
};

TEST_F(CompactTest, TheFileShrinksAndNothingElseChanges) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(40));
  ASSERT_NO_FATAL_FAILURE(LeaveSpace(100));
  const std::string dump = DumpOf(database_);
  const std::uintmax_t before = FileBytes();
  const mode_t mode = static_cast<mode_t>(fs::status(database_ / "data.mdb").permissions());
  const Ended run = Compact();
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto objects = ParseLines(run.out);
  ASSERT_EQ(objects.size(), 1U);
  ASSERT_THAT(objects[0], HasTheFieldsOf("compact"));
  EXPECT_EQ(objects[0]["file_bytes_before"], before);
  EXPECT_EQ(objects[0]["file_bytes"], FileBytes());
  EXPECT_LT(FileBytes() * 3, dump.size() * 4) << "about what the records take";
  EXPECT_LT(FileBytes(), before / 2 + dump.size());
  EXPECT_TRUE(DumpOf(database_) == dump);
  EXPECT_EQ(FindingsOf(database_), "");
  EXPECT_EQ(static_cast<mode_t>(fs::status(database_ / "data.mdb").permissions()), mode);
  EXPECT_FALSE(fs::exists(database_ / "compacting"));
  Submit(kMessage);
  EXPECT_EQ(Compact().exit_code, 0) << "once more";
  EXPECT_EQ(FindingsOf(database_), "");
}

TEST_F(CompactTest, WhoeverHasItOpenGoesOverToTheNewFile) {
  const std::string first = Submit(kMessage);
  ASSERT_NO_FATAL_FAILURE(LeaveSpace(20));
  Database database = Database::Open(database_).value();
  for (const bool read_first : {true, false}) {
    const ino_t before = Inode();
    ASSERT_EQ(Compact().exit_code, 0);
    ASSERT_NE(Inode(), before);
    const std::string theirs = read_first ? Submit(kMessage) : first;
    if (read_first) {
      EXPECT_TRUE(database.GetOutgoingQueue().Row(ParseQueueId(theirs).value()).has_value());
    }
    ASSERT_TRUE(database.GetOutgoingQueue().Hold(ParseQueueId(first).value()).has_value());
    EXPECT_EQ(ShowJson(first)["state"], "held");
    ASSERT_TRUE(database.GetOutgoingQueue().Release(ParseQueueId(first).value()).has_value());
    EXPECT_EQ(ShowJson(first)["state"], "due");
  }
  EXPECT_EQ(FindingsOf(database_), "");
}

TEST_F(CompactTest, AnOpenSnapshotKeepsWhatItShows) {
  const std::string id = Submit(kMessage);
  const Database database = Database::Open(database_).value();
  std::uint64_t seen = 0;
  const Result<void> read = database.State()->View([&](RowReader& rows) -> Result<void> {
    EXPECT_EQ(Compact().exit_code, 0);
    EXPECT_EQ(Bobbin({"abort", id}).exit_code, 0);
    return rows.Scan(table::kQueue, {}, {},
                     [&](std::string_view, std::string_view) -> Result<bool> {
                       ++seen;
                       return true;
                     });
  });
  ASSERT_TRUE(read) << ToString(read.error());
  EXPECT_EQ(seen, 1U);
  EXPECT_EQ(database.GetOutgoingQueue().Count().value(), 0U);
}

TEST_F(CompactTest, BesideWritersNothingIsLost) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(10));
  Writers writers(database_, 3);
  for (int round = 0; round < 12; ++round) {
    const std::size_t before = writers.Acknowledged().size();
    const Ended run = Compact();
    ASSERT_EQ(run.exit_code, 0) << run.err;
    if (round % 4 == 0) {
      ASSERT_NO_FATAL_FAILURE(LeaveSpace(10));  // In this process, beside them.
    }
    for (int i = 0; writers.Acknowledged().size() == before && i < 1'000; ++i) usleep(10'000);
    EXPECT_GT(writers.Acknowledged().size(), before) << "the writers stopped";
  }
  writers.Stop();
  const std::string ids = "\n" + QueuedIds();
  for (const std::uint64_t id : writers.Acknowledged()) {
    EXPECT_THAT(ids, HasSubstr("\n" + ToQueueId(MessageId{id}) + "\n")) << "lost";
  }
  EXPECT_EQ(FindingsOf(database_), "");
}

TEST_F(CompactTest, KilledAtAnyMomentItLosesNothing) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(30));
  ino_t inode = Inode();
  int replaced = 0;
  int killed = 0;
  {
    Writers writers(database_, 2);
    for (int i = 0; i < 30; ++i) {
      const std::string path = database_.string();
      const pid_t child = fork();
      if (child == 0) {
        const bool quiet = freopen("/dev/null", "w", stdout) != nullptr;
        if (quiet) execl(BOBBIN_PROGRAM, "bobbin", "compact", "--database", path.c_str(), nullptr);
        _exit(127);
      }
      usleep(static_cast<useconds_t>(4'000 + i * 4'000));
      kill(child, SIGKILL);
      int status = 0;
      waitpid(child, &status, 0);
      if (WIFSIGNALED(status)) ++killed;
      if (Inode() != inode) ++replaced;
      inode = Inode();
    }
    writers.Stop();
    const std::string ids = "\n" + QueuedIds();
    for (const std::uint64_t id : writers.Acknowledged()) {
      EXPECT_THAT(ids, HasSubstr("\n" + ToQueueId(MessageId{id}) + "\n")) << "lost";
    }
  }
  EXPECT_EQ(FindingsOf(database_), "");
  EXPECT_EQ(Compact().exit_code, 0) << "what was left behind is in nobody's way";
  EXPECT_FALSE(fs::exists(database_ / "compacting"));
  EXPECT_GT(killed, 5);
  std::cout << killed << " of 30 killed, the file was replaced " << replaced << " times\n";
}

TEST_F(CompactTest, WhatCannotBeDoneChangesNothing) {
  Submit("Subject: UnmistakableSubject\n\nHello\n");
  const ino_t before = Inode();
  const int directory = open(database_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(directory, LOCK_EX), 0);
  const Ended busy = Compact();
  EXPECT_EQ(busy.exit_code, 75);
  EXPECT_THAT(busy.err, HasSubstr("another compaction is under way"));
  close(directory);
  EXPECT_EQ(Bobbin({"compact", "--max-stall", "0"}).exit_code, 75);
  ASSERT_GT(DamageEvery("UnmistakableSubject"), 0U);
  const Ended damaged = Compact();
  EXPECT_EQ(damaged.exit_code, 74);
  EXPECT_THAT(damaged.err, HasSubstr("MAPI_E_CORRUPT_DATA"));
  EXPECT_EQ(Inode(), before);
  EXPECT_FALSE(fs::exists(database_ / "compacting"));
}

}  // namespace
}  // namespace bobbin::test

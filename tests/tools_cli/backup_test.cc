// bobbin backup and restore.
//
// Method: databases of real mail are backed up, restored and compared by their dumps, which hold
// every record. What was queued must come back held; the operator's commands decide.

#include "engine/backup.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

#include "engine/database_directory.h"
#include "engine/database_state.h"
#include "tests/tools_cli/mail_database.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class BackupTest : public MailDatabaseTest {
 protected:
  fs::path Copy() const { return directory_ / "copy"; }
  fs::path Restored() const { return directory_ / "restored"; }

  nlohmann::ordered_json BackUp(std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"backup", "--json", Copy().string()});
    const Ended run = Bobbin(options);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    const auto objects = ParseLines(run.out);
    return objects.size() == 1 ? objects[0] : nlohmann::ordered_json();
  }
  nlohmann::ordered_json Restore(std::vector<std::string> options = {}) const {
    fs::remove_all(Restored());
    options.insert(options.begin(), {"restore", "--json", Copy().string(), Restored().string()});
    const Ended run = Bobbin(options);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    const auto objects = ParseLines(run.out);
    return objects.size() == 1 ? objects[0] : nlohmann::ordered_json();
  }
  Ended InRestored(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, {"--database", Restored().string()});
    return Bobbin(std::move(arguments));
  }

  // The first row of a table, behind the store's back; `change` returns false to erase it.
  void ChangeRow(kv::TableId table, const std::function<bool(std::string&)>& change) const {
    const Database database = Database::Open(database_).value();
    kv::Engine& engine = database.State()->Engine();
    std::string key;
    std::string value;
    ASSERT_TRUE(engine.View([&](kv::ReadTransaction& rows) {
      return rows.Scan(table, {}, [&](kv::Bytes found, kv::Bytes content) {
        key = found;
        value = content;
        return false;
      });
    }));
    const bool stays = change(value);
    ASSERT_TRUE(engine
                    .Update([&](kv::WriteTransaction& rows) {
                      return stays ? rows.Put(table, key, value) : rows.Erase(table, key);
                    })
                    .ToResult());
  }

  // The records of a dump without the counters, which a restoration moves.
  static std::string WithoutCounters(std::string dump) {
    // The totals have the checksum of the counters in them.
    for (const char* row : {"\nmeta 43 ", "\nmain 54 "}) {
      const std::size_t at = dump.find(row);
      dump.erase(at, dump.find('\n', at + 1) - at);
    }
    return dump;
  }
  void ExpectRestoredEqual() const {
    Restore({"--nothing-sent-since"});
    EXPECT_TRUE(WithoutCounters(DumpOf(Restored())) == WithoutCounters(DumpOf(database_)));
    EXPECT_EQ(FindingsOf(Restored()), "");
  }
};

TEST_F(BackupTest, WhatIsRestoredIsTheDatabaseAsItWas) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(60));
  const auto report = BackUp();
  ASSERT_THAT(report, HasTheFieldsOf("backup"));
  EXPECT_EQ(report["records"], report["records_written"]);
  EXPECT_EQ(report["damaged"], 0);
  ExpectRestoredEqual();
  EXPECT_EQ(Bobbin({"backup", Copy().string()}).exit_code, 73) << "it is there already";
}

TEST_F(BackupTest, WhatWasQueuedComesBackHeldAndInDoubtUntilTheOperatorDecides) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(8));
  const std::size_t queued = ParseLines(Bobbin({"queue", "list", "--json"}).out).size();
  BackUp();
  const auto report = Restore();
  ASSERT_THAT(report, HasTheFieldsOf("restore"));
  EXPECT_EQ(report["queued"], queued);
  EXPECT_EQ(report["held"], queued);
  EXPECT_EQ(report["recipients_in_doubt"], 2 * queued - 1) << "one is delivered";
  EXPECT_EQ(ParseLines(InRestored({"queue", "list", "--json"}).out).size(), queued);
  for (const auto& row : ParseLines(InRestored({"queue", "list", "--json"}).out)) {
    EXPECT_EQ(row["state"], "held");
  }
  const auto shown = ParseLines(InRestored({"queue", "show", "--json", waiting_}).out).at(0);
  EXPECT_EQ(shown["recipients"][0]["state"], "delivered");
  EXPECT_EQ(shown["recipients"][0]["last_reply"]["text"], "greylisted\nin two lines");
  EXPECT_EQ(shown["recipients"][1]["state"], "in doubt");
  EXPECT_THAT(std::string(shown["recipients"][1]["last_reply"]["text"]),
              HasSubstr("may have been sent"));
  EXPECT_EQ(FindingsOf(Restored()), "");

  Database restored = Database::Open(Restored()).value();
  SpoolerSession session = std::move(*restored.OpenSpoolerSession());
  const Time much_later = SystemClock().Now() + std::chrono::hours(1'000);
  EXPECT_FALSE(session.NextDue(much_later)->message.has_value()) << "nothing leaves by itself";
  EXPECT_EQ(InRestored({"release", in_doubt_}).exit_code, 0);
  const DueResult due = session.NextDue(much_later).value();
  ASSERT_TRUE(due.message.has_value());
  EXPECT_EQ(ToQueueId(due.message->message), in_doubt_);
  EXPECT_THAT(InRestored({"abort", waiting_}).out, HasSubstr("may have it"));
}

TEST_F(BackupTest, NothingGivenOutAfterTheBackupIsGivenOutAgain) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(5));
  BackUp();
  std::string last;
  for (int i = 0; i < 40; ++i) last = Submit(kMessage);
  const std::uint64_t given = ParseQueueId(last)->value;
  Restore();
  const Ended run = Bobbin(
      {"submit", "--database", Restored().string(), "-f", "a@x.test", "b@x.test"}, File(kMessage));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_GT(ParseQueueId(run.out.substr(0, run.out.find('\n')))->value, given);
  const Ended late = InRestored({"abort", last});
  EXPECT_THAT(late.out, HasSubstr("too late")) << "it may have been sent, and is not unknown";
  EXPECT_EQ(FindingsOf(Restored()), "");
}

TEST_F(BackupTest, AnIncrementWritesWhatHasChangedAndErasesWhatIsGone) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(40));
  const auto full = BackUp();
  const auto nothing = BackUp({"--incremental"});
  EXPECT_EQ(nothing["records_written"], 0);
  EXPECT_EQ(nothing["records_erased"], 0);
  EXPECT_EQ(nothing["incremental"], true);
  EXPECT_EQ(Bobbin({"abort", held_}).exit_code, 0);
  Submit(kMessage);
  const auto increment = BackUp({"--incremental"});
  EXPECT_GT(increment["records_written"], 0);
  EXPECT_GT(increment["records_erased"], 0);
  EXPECT_LT(increment["bytes_written"], 20'000);
  EXPECT_GT(full["bytes_written"], 50'000);
  EXPECT_GT(increment["sequence"], full["sequence"]);
  ExpectRestoredEqual();
}

TEST_F(BackupTest, AnIncrementThatIsTooLargeForOneTransactionReplacesTheBackup) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(20));
  BackUp();
  Submit(kMessage + std::string(100'000, 'x') + "\n");
  {
    const Database database = Database::Open(database_).value();
    BackupOptions options;
    options.incremental = true;
    options.increment_bytes_max = 10'000;
    const auto report = bobbin::BackUp(database, database_, Copy(), options);
    ASSERT_TRUE(report) << ToString(report.error());
    EXPECT_FALSE(report->incremental);
    EXPECT_EQ(report->copy.written, report->copy.records);
  }
  ExpectRestoredEqual();
  for (const auto& entry : fs::directory_iterator(directory_)) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr("creating"))) << "left behind";
  }
}

TEST_F(BackupTest, ABackupIsNoDatabaseAndADatabaseIsNoBackup) {
  Submit(kMessage);
  BackUp();
  const Ended list = Bobbin({"queue", "list", "--database", Copy().string()});
  EXPECT_EQ(list.exit_code, 66);
  EXPECT_THAT(list.err, HasSubstr("bobbin restore"));
  EXPECT_EQ(Bobbin({"restore", database_.string(), Restored().string()}).exit_code, 66);
  EXPECT_EQ(Bobbin({"backup", "--incremental", database_.string()}).exit_code, 66);
  EXPECT_EQ(Bobbin({"backup", "--incremental", (directory_ / "none").string()}).exit_code, 66);
  ASSERT_EQ(Bobbin({"init", "--database", (directory_ / "other").string()}).exit_code, 0);
  const Ended other = Bobbin(
      {"backup", "--database", (directory_ / "other").string(), "--incremental", Copy().string()});
  EXPECT_EQ(other.exit_code, 64);
  EXPECT_THAT(other.err, HasSubstr("another database"));
  ExpectRestoredEqual();
}

TEST_F(BackupTest, ADamagedRecordDoesNotReplaceTheGoodCopy) {
  const std::string id = Submit("Subject: UnmistakableSubject\n\nHello\n");
  BackUp();
  ASSERT_EQ(Bobbin({"abort", id}).exit_code, 0);  // Its record is another one now.
  Submit(kMessage);
  ASSERT_GT(DamageEvery("UnmistakableSubject"), 0U);
  const Ended run = Bobbin({"backup", "--incremental", Copy().string()});
  EXPECT_EQ(run.exit_code, 1) << run.err;
  EXPECT_THAT(run.err, HasSubstr("MAPI_E_CORRUPT_DATA: table messages"));
  Restore({"--nothing-sent-since"});
  EXPECT_THAT(InRestored({"message", "export", id}).out, HasSubstr("UnmistakableSubject"));

  fs::remove_all(Copy());
  const Ended full = Bobbin({"backup", Copy().string()});
  EXPECT_EQ(full.exit_code, 1) << "it is copied as it lies, and named";
  EXPECT_THAT(full.err, HasSubstr("MAPI_E_CORRUPT_DATA: table messages"));
}

// The last state of the mail is whole, its place in the queue is not: the spooler would make that
// anew, and send.
TEST_F(BackupTest, WhatHasADamagedPlaceInTheQueueComesBackHeldToo) {
  const std::string id = Submit(kMessage);
  for (const bool erases : {false, true}) {
    SCOPED_TRACE(erases ? "erased" : "damaged");
    ChangeRow(table::kQueue, [&](std::string& value) {
      value[value.size() / 2] ^= 0x10;
      return !erases;
    });
    fs::remove_all(Copy());
    fs::remove_all(Restored());
    EXPECT_EQ(Bobbin({"backup", Copy().string()}).exit_code, 1);
    const Ended run = Bobbin({"restore", Copy().string(), Restored().string()});
    EXPECT_EQ(run.exit_code, 1) << run.err;
    {
      Database restored = Database::Open(Restored()).value();
      SpoolerSession session = std::move(*restored.OpenSpoolerSession());
      const Time much_later = SystemClock().Now() + std::chrono::hours(1'000);
      EXPECT_FALSE(session.NextDue(much_later)->message.has_value()) << "nothing leaves by itself";
    }
    const auto shown = ParseLines(InRestored({"queue", "show", "--json", id}).out).at(0);
    EXPECT_EQ(shown["state"], "held");
    EXPECT_EQ(shown["recipients"][0]["state"], "in doubt");
  }
}

TEST_F(BackupTest, WhatWasInQuarantineIsHeldWhenItIsReleased) {
  const std::string id = Submit(kMessage);
  const MessageId message = ParseQueueId(id).value();
  std::string sound;
  ChangeRow(table::kMessages, [&](std::string& value) {
    sound = value;
    value[value.size() / 2] ^= 0x10;
    return true;
  });
  {
    Database database = Database::Open(database_).value();
    SpoolerSession session = std::move(*database.OpenSpoolerSession());
    ASSERT_TRUE(session.SetAsideDamaged(message));
  }
  ChangeRow(table::kMessages, [&](std::string& value) {
    value = sound;
    return true;
  });
  BackUp();
  EXPECT_EQ(Restore()["recipients_in_doubt"], 1);
  ASSERT_EQ(InRestored({"quarantine", "release", id}).exit_code, 0);
  const auto shown = ParseLines(InRestored({"queue", "show", "--json", id}).out).at(0);
  EXPECT_EQ(shown["state"], "held");
  EXPECT_EQ(shown["recipients"][0]["state"], "in doubt");
}

// A row that is gone leaves nothing behind that does not open: only the totals tell, and the backup
// may be the last that has it.
TEST_F(BackupTest, AnIncrementDoesNotLoseWhatTheDatabaseHasLost) {
  const std::string id = Submit(kMessage);
  BackUp();
  Submit("Subject: Another\n\nHello\n");
  ChangeRow(table::kMessages, [](std::string&) { return false; });
  const Ended run = Bobbin({"backup", "--incremental", Copy().string()});
  EXPECT_EQ(run.exit_code, 74) << run.err;
  EXPECT_THAT(run.err, HasSubstr("table messages: it has 1 rows, and 2 were committed"));
  Restore({"--nothing-sent-since"});
  EXPECT_EQ(InRestored({"message", "export", id}).out, kMessage);
  fs::remove_all(Copy());
  EXPECT_EQ(Bobbin({"backup", Copy().string()}).exit_code, 1) << "it is copied as it lies";
}

TEST_F(BackupTest, TwoIncrementsAtATimeAreRefused) {
  BackUp();
  const DirectoryTurn turn(Copy());
  ASSERT_TRUE(turn.Take("backup"));
  const Ended run = Bobbin({"backup", "--incremental", Copy().string()});
  EXPECT_EQ(run.exit_code, 75);
  EXPECT_THAT(run.err, HasSubstr("another backup is under way"));
}

TEST_F(BackupTest, ASnapshotThatGetsTooOldIsGivenUpAndNothingChanges) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(5));
  EXPECT_EQ(Bobbin({"backup", "--max-age", "0", Copy().string()}).exit_code, 75);
  EXPECT_FALSE(fs::exists(Copy()));
  BackUp();
  Submit(kMessage);
  EXPECT_EQ(Bobbin({"backup", "--incremental", "--max-age", "0", Copy().string()}).exit_code, 75);
  BackUp({"--incremental"});
  ExpectRestoredEqual();
}

// Writers submit and abort all the time; each backup must be one state of the database, with
// everything that was acknowledged before it began.
TEST_F(BackupTest, ABackupBesideWritersIsOneStateOfTheDatabase) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(10));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> submitted{0};
  std::vector<std::thread> writers;
  for (int t = 0; t < 3; ++t) {
    writers.emplace_back([&, t] {
      Result<Database> opened = Database::Open(database_);
      ASSERT_TRUE(opened) << ToString(opened.error());
      Database& database = *opened;
      Result<MessageStore> made = database.OpenOrCreateMessageStore("writer" + std::to_string(t));
      ASSERT_TRUE(made) << ToString(made.error());
      MessageStore& store = *made;
      for (int i = 0; !stop; ++i) {
        Result<Message> created = store.CreateMessage(store.Folders().outbox);
        ASSERT_TRUE(created) << ToString(created.error());
        Message& message = *created;
        ASSERT_TRUE(message.SetProps(std::vector<Property>{
            Property::Bytes(pr::kMessageClass, "IPM.Note"),
            Property::Bytes(pr::kSubject, "from a writer"),
            Property::Bytes(pr::kBody,
                            std::string(static_cast<std::size_t>(i % 5) * 4'000, 'b'))}));
        ASSERT_TRUE(message.ModifyRecipients(kModifyRecipientsReplace,
                                             {MakeSmtpRecipient("b@x.test", kRecipientTo)}));
        const Result<EntryId> id = message.Id();
        ASSERT_TRUE(id) << ToString(id.error());
        const Result<void> sent = message.SubmitMessage();
        ASSERT_TRUE(sent) << ToString(sent.error());
        ++submitted;
        const Result<void> aborted = i % 3 == 0 ? store.AbortSubmit(*id) : Result<void>();
        ASSERT_TRUE(aborted) << ToString(aborted.error());
      }
    });
  }
  for (int round = 0; round < 8; ++round) {
    const std::uint64_t before = submitted;
    const auto report = BackUp(round % 4 == 0 ? std::vector<std::string>{}
                                              : std::vector<std::string>{"--incremental"});
    EXPECT_GE(report["records_written"], 0);
    Restore();
    EXPECT_EQ(FindingsOf(Restored()), "") << "round " << round;
    const std::string stat = InRestored({"check", "--json"}).out;
    EXPECT_GE(std::uint64_t{ParseLines(stat).at(0)["messages"]}, before);
    if (round % 4 == 3) fs::remove_all(Copy());
  }
  const std::uint64_t while_backing_up = submitted;
  stop = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_GT(while_backing_up, 8U) << "the writers were stalled";
}

// SIGKILL at any moment: of a first backup a whole one is left or none; an increment leaves the
// earlier backup or the later one.
TEST_F(BackupTest, ABackupThatIsKilledLeavesTheEarlierOne) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(60));
  const auto kill_after = [&](std::vector<std::string> arguments, int microseconds) {
    arguments.insert(arguments.begin(),
                     {BOBBIN_PROGRAM, "backup", "--database", database_.string(), Copy().string()});
    const pid_t child = fork();
    if (child == 0) {
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      if (freopen("/dev/null", "w", stdout) != nullptr) execv(argv[0], argv.data());
      _exit(127);
    }
    usleep(static_cast<useconds_t>(microseconds));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  };
  int killed = 0;
  int whole = 0;
  for (int i = 0; i < 25; ++i) {
    if (kill_after({}, 2'000 + i * 3'000)) ++killed;
    if (!fs::exists(Copy())) continue;
    ++whole;
    ExpectRestoredEqual();
    fs::remove_all(Copy());
  }
  EXPECT_GT(killed, 2);
  BackUp();
  for (int i = 0; i < 25; ++i) {
    Submit(kMessage + std::string(static_cast<std::size_t>(i) * 2'000, 'k') + "\n");
    if (kill_after({"--incremental"}, 2'000 + i * 2'000)) ++killed;
    Restore();
    ASSERT_EQ(FindingsOf(Restored()), "") << "round " << i;
  }
  BackUp({"--incremental"});
  ExpectRestoredEqual();
  std::cout << killed << " of 50 killed, " << whole << " first backups were whole\n";
}

}  // namespace
}  // namespace bobbin::test

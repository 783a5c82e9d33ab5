// bobbind on a disk that fails: the client is told 451, nothing more is answered for, it ends with
// a code of its own, and the next start believes the disk, not the memory.
//
// Method: a real bobbind with the fault library in front of its C library, and one client that
// sends until it is refused, for the n-th write, O_DSYNC write and flush, n = 1, 2, ...; then
// bobbind without it on the same database.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>

#include "engine/database.h"
#include "engine/identity_file.h"
#include "engine/lock_table.h"
#include "tests/faults/fault_for_children.h"
#include "tests/support/child_process.h"
#include "tests/support/file_bytes.h"
#include "tests/support/matchers.h"
#include "tests/support/not_checked.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_directory.h"
#include "tests/tools/running_daemon.h"

namespace bobbin::daemon {
namespace {

using faults::FaultForChildren;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string ContentOf(std::size_t number) {
  return "Subject: " + std::to_string(number) + "\r\n\r\n" +
         std::string(number % 2 == 0 ? 300 : 300'000, 'x') + "\r\n";
}

class BobbindFaults : public testing::Test {
 protected:
  static constexpr std::string_view kGone = "gone before it greeted";

  // Sends up to `messages`; the reply that was no 250, if there was one.
  std::string Send(const RunningDaemon& daemon, std::size_t messages) {
    SmtpSocket client(daemon.Port());
    if (client.Reply().empty()) return std::string(kGone);
    for (std::size_t sent = 0; sent < messages; ++sent) {
      for (const char* line :
           {"EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@x.test>", "DATA"}) {
        std::string reply = client.Command(line);
        if (!reply.starts_with("2") && !reply.starts_with("3"))
          return reply.empty() ? "closed" : reply;
      }
      const std::string content = ContentOf(contents_.size());
      std::string end = client.Command(content + ".");
      if (!end.starts_with("250")) return end;
      contents_.push_back(content);
    }
    return "";
  }

  std::vector<std::string> contents_;  // What was answered 250.
};

TEST_F(BobbindFaults, SayFourFiftyOneAndEndWithACodeOfTheirOwn) {
  int ends = 0;
  int refused = 0;
  struct Way {
    std::string calls;
    std::string how;
    int error;
  };
  for (const auto& [calls, how, error] :
       {Way{"write", "once", EIO}, Way{"sync-write", "once", EIO}, Way{"fdatasync", "once", EIO},
        Way{"write", "sticky", ENOSPC}, Way{"sync-write", "sticky", EIO},
        Way{"fdatasync", "sticky", EIO}}) {
    for (int number = 1;; ++number) {
      const std::string fault =
          calls + " " + std::to_string(number) + " " + how + " error " + std::to_string(error);
      SCOPED_TRACE(fault);
      contents_.clear();
      std::optional<FaultForChildren> preload(fault);
      std::unique_ptr<RunningDaemon> daemon;
      try {
        daemon = std::make_unique<RunningDaemon>();
      } catch (const std::runtime_error& failure) {
        // Before it takes mail: opening the store that mail goes to.
        EXPECT_THAT(failure.what(), HasSubstr("committing: " + std::string(strerror(error))));
        continue;
      }
      preload.reset();
      const std::string refusal = Send(*daemon, 4);
      // Where the commit that failed was the spooler's, this client hears of its end, or of
      // nothing, or comes too late.
      EXPECT_THAT(refusal, AnyOf("", kGone, StartsWith("451 4.3.0"), StartsWith("421 4.3.2")));
      refused += refusal.starts_with("451") ? 1 : 0;
      if (refusal.empty()) daemon->Signal(SIGTERM);
      const int exit_code = daemon->Wait();
      if (exit_code == 0) {
        EXPECT_EQ(refusal, "");
        break;
      }
      ++ends;
      EXPECT_EQ(exit_code, 75);
      EXPECT_THAT(daemon->Log(), HasSubstr("store-failed"));
      EXPECT_THAT(daemon->Log(), HasSubstr(strerror(error)));
      daemon->Start();
      EXPECT_THAT(daemon->Log(), HasSubstr("verified"));
      std::vector<std::string> stored = daemon->QueuedContents();
      // The one that nobody knows of may be there, too.
      if (stored.size() > contents_.size()) {
        EXPECT_EQ(stored.back(), ContentOf(contents_.size()));
        stored.pop_back();
      }
      EXPECT_TRUE(stored == contents_);
      if (HasFailure()) return;
    }
  }
  std::cout << ends << " ends\n";
  EXPECT_GT(refused, 24);
}

TEST_F(BobbindFaults, AStartComparesMemoryWithTheDiskUnlessTheStopWasClean) {
  const SmallDisk disk(256 << 20, SmallDisk::Kind::kExt4);
  RunningDaemon daemon({}, disk.Path() / "db");
  EXPECT_EQ(Send(daemon, 1), "");
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  daemon.Start();
  EXPECT_THAT(daemon.Log(), Not(HasSubstr("verified")));
  daemon.Signal(SIGKILL);
  daemon.Wait();
  if (!disk.IsMounted()) {
    return SayNotChecked("memory that differs from the disk",
                         "this process may not mount an ext4 image");
  }
  // The first byte of the last page that is in use: of the record of a message, or of an index.
  disk.FlipOnDisk(daemon.DatabasePath() / "data.mdb",
                  std::filesystem::file_size(daemon.DatabasePath() / "data.mdb") - 4092);
  daemon.Start();
  EXPECT_THAT(daemon.Log(), HasSubstr("stale=4096"));
  daemon.Signal(SIGKILL);
  daemon.Wait();
  // Of the message: what the disk has is damaged.
  const std::filesystem::path file = daemon.DatabasePath() / "data.mdb";
  const std::string bytes = ReadFile(file);
  for (auto at = bytes.find(contents_[0]); at != bytes.npos;
       at = bytes.find(contents_[0], at + 1)) {
    disk.FlipOnDisk(file, at + 20);
  }
  EXPECT_THROW(daemon.Start(), std::runtime_error);
  EXPECT_THAT(daemon.Log(), HasSubstr("what the disk has is damaged"));
  EXPECT_EQ(daemon.Wait(), 74);
}

TEST_F(BobbindFaults, AStartComparesMemoryWithTheDiskWhenAnotherProgramCameToABadEnd) {
  RunningDaemon daemon;
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  const pid_t other = fork();
  if (other == 0) {
    auto database = Database::Open(daemon.DatabasePath());
    const bool done = database && database->OpenOrCreateMessageStore("other@x.test");
    _exit(done ? 0 : 1);  // And has closed nothing.
  }
  int status = -1;
  ASSERT_EQ(waitpid(other, &status, 0), other);
  ASSERT_EQ(status, 0);
  daemon.Start();
  EXPECT_THAT(daemon.Log(), HasSubstr("verified"));
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  daemon.Start();
  EXPECT_THAT(daemon.Log().substr(daemon.Log().rfind("stopped")), Not(HasSubstr("verified")));
}

TEST_F(BobbindFaults, ADatabaseThatIsCutOffEndsItWithAReason) {
  RunningDaemon daemon;
  EXPECT_EQ(Send(daemon, 1), "");
  SmtpSocket client(daemon.Port());
  ASSERT_TRUE(client.OpenData());
  ASSERT_EQ(truncate((daemon.DatabasePath() / "data.mdb").c_str(), 8'192), 0);
  EXPECT_THAT(client.Command(ContentOf(0) + "."), AnyOf("", StartsWith("451")));
  EXPECT_EQ(daemon.Wait(), 74);
  EXPECT_THAT(daemon.Log(), HasSubstr("bobbind: a page of the database cannot be read"));
}

// bobbin has the database open while it waits for the message on its standard input.
TEST(BobbinFaults, ADatabaseThatIsCutOffEndsItWithAReason) {
  const TemporaryDirectory directory;
  const std::string database = (directory.Path() / "db").string();
  const std::string input = (directory.Path() / "input").string();
  Must(Database::Create(database));
  ASSERT_EQ(mkfifo(input.c_str(), 0600), 0);
  ChildProcess bobbin(
      {"/bin/sh", "-c",
       "exec " BOBBIN_PROGRAM " --database " + database + " submit b@x.test < " + input + " 2>&1"});
  std::signal(SIGPIPE, SIG_IGN);  // It may have met its end before it reads.
  std::ofstream message(input);
  const std::string maps = "/proc/" + std::to_string(bobbin.Id()) + "/maps";
  while (bobbin.Running() && ReadFile(maps).find("data.mdb") == std::string::npos) usleep(1'000);
  ASSERT_EQ(truncate((database + "/data.mdb").c_str(), 8'192), 0);
  message << ContentOf(0);
  message.close();
  EXPECT_THAT(bobbin.ReadLine(), StartsWith("bobbin: a page of the database cannot be read"));
  EXPECT_EQ(bobbin.Wait(), 74);
  RemoveVolatileState(Must(ReadIdentityFile(database)).database);
}

}  // namespace
}  // namespace bobbin::daemon

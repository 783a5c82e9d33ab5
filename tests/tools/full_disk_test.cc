// bobbind on a disk that fills up: it answers for now, loses nothing it has answered for, and takes
// mail again by itself when there is space.
//
// Method: a real bobbind whose database is on a file system of its own
// (tests/support/small_disk.h); one client sends messages until they are refused. Where nothing can
// be mounted, the reserve is that of the test TakesNoMailWhileTheDiskIsNearlyFull, and a file's
// size limit the full disk.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include "engine/database.h"
#include "tests/support/not_checked.h"
#include "tests/support/small_disk.h"
#include "tests/tools/running_daemon.h"

namespace bobbin::daemon {
namespace {

using ::testing::AnyOf;
using ::testing::StartsWith;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;

class BobbindOnAFullDisk : public testing::TestWithParam<SmallDisk::Kind> {
 protected:
  // The reply that refused the next message, or its 250.
  std::string SendNext(SmtpSocket& client) {
    const std::string mail = client.Command("MAIL FROM:<a@x.test>");
    if (!mail.starts_with("250")) return "MAIL " + mail;
    EXPECT_THAT(client.Command("RCPT TO:<b@x.test>"), StartsWith("250"));
    const std::string data = client.Command("DATA");
    if (!data.starts_with("354")) return "DATA " + data;
    constexpr std::size_t kSizes[] = {500, 40'000, 400'000};
    const std::string content = "Subject: " + std::to_string(sent_) + "\r\n\r\n" +
                                std::string(kSizes[sent_ % 3], 'x') + "\r\n";
    ++sent_;
    std::string end = client.Command(content + ".");
    if (!end.starts_with("250")) return "content " + end;
    acknowledged_.push_back(content);
    return end;
  }
  std::string SendUntilRefused(SmtpSocket& client) {
    for (;;) {
      std::string reply = SendNext(client);
      if (!reply.starts_with("250")) return reply;
    }
  }
  // Sends until the answer starts with `wanted`; the last answer.
  std::string SendUntil(SmtpSocket& client, std::string_view wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
      std::string reply = SendNext(client);
      if (reply.starts_with(wanted) || std::chrono::steady_clock::now() > deadline) return reply;
    }
  }

  SmallDisk disk_{24 * kMebibyte, GetParam()};
  std::vector<std::string> acknowledged_;
  std::size_t sent_ = 0;
};

TEST_P(BobbindOnAFullDisk, RefusesForNowAndTakesMailAgainWhenSpaceReturns) {
  if (!disk_.IsMounted()) {
    return SayNotChecked("refusing and taking mail again",
                         "this process may not mount a file system to fill");
  }
  RunningDaemon daemon({"--disk-free-bytes-min", std::to_string(4 * kMebibyte)},
                       disk_.Path() / "db");
  disk_.FillUntilFree(8 * kMebibyte);
  SmtpSocket client(daemon.Port());
  client.Reply();
  client.Command("EHLO c");
  EXPECT_THAT(SendUntilRefused(client),
              AnyOf(StartsWith("MAIL 452 4.3.1"), StartsWith("content 452 4.3.1")));
  EXPECT_GT(acknowledged_.size(), 8U);
  EXPECT_THAT(SendUntil(client, "MAIL 452"), StartsWith("MAIL 452 4.3.1"))
      << "before the content is sent";
  EXPECT_TRUE(daemon.QueuedContents() == acknowledged_);

  disk_.Relieve();
  EXPECT_THAT(SendUntil(client, "250"), StartsWith("250 2.0.0 queued"));
  EXPECT_TRUE(daemon.QueuedContents() == acknowledged_);
  client.Close();
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
}

TEST_P(BobbindOnAFullDisk, TakesMailAgainWhenMailIsDeletedThoughItsFileStaysAsLarge) {
  if (!disk_.IsMounted()) {
    return SayNotChecked("taking mail into the space of deleted mail",
                         "this process may not mount a file system to fill");
  }
  RunningDaemon daemon({"--disk-free-bytes-min", std::to_string(4 * kMebibyte)},
                       disk_.Path() / "db");
  SmtpSocket client(daemon.Port());
  client.Reply();
  client.Command("EHLO c");
  SendUntilRefused(client);
  EXPECT_THAT(SendUntil(client, "MAIL 452"), StartsWith("MAIL 452 4.3.1"));
  {
    Database database = Database::Open(disk_.Path() / "db").value();
    const auto queued = database.GetOutgoingQueue().Rows(10'000).value();
    ASSERT_EQ(queued.size(), acknowledged_.size());
    const std::size_t half = queued.size() / 2;
    ASSERT_GT(half, 10U);
    for (std::size_t i = 0; i < half; ++i) {
      ASSERT_TRUE(database.AbortSubmit(queued[i].message));
      ASSERT_TRUE(database.DeleteMessage(queued[i].message));
    }
    acknowledged_.erase(acknowledged_.begin(), acknowledged_.begin() + static_cast<long>(half));
  }
  EXPECT_THAT(SendUntil(client, "250"), StartsWith("250 2.0.0 queued"));
  SendUntilRefused(client);
  EXPECT_TRUE(daemon.QueuedContents() == acknowledged_);
  client.Close();
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
}

TEST_P(BobbindOnAFullDisk, WithoutAReserveEndsAndHasAllItAnsweredFor) {
  RunningDaemon daemon({"--disk-free-bytes-min", "0"}, disk_.Path() / "db");
  if (disk_.IsMounted()) {
    disk_.FillUntilFree(3 * kMebibyte);
  } else {
    SayNotChecked("a full file system", "this process may not mount one");
    daemon.LimitFileSize(3 * kMebibyte);
  }
  SmtpSocket client(daemon.Port());
  client.Reply();
  client.Command("EHLO c");
  EXPECT_THAT(SendUntilRefused(client), StartsWith("content 451 4.3.0"));
  EXPECT_THAT(client.Reply(), StartsWith("421 4.3.2"));
  EXPECT_EQ(daemon.Wait(), 75);
  EXPECT_GT(acknowledged_.size(), 4U);
  EXPECT_TRUE(daemon.QueuedContents() == acknowledged_);
}

INSTANTIATE_TEST_SUITE_P(FileSystems, BobbindOnAFullDisk,
                         testing::Values(SmallDisk::Kind::kTmpfs, SmallDisk::Kind::kExt4),
                         [](const auto& kind) {
                           return kind.param == SmallDisk::Kind::kTmpfs ? "Tmpfs" : "Ext4";
                         });

}  // namespace
}  // namespace bobbin::daemon

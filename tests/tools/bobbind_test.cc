// The daemon as its clients and operators meet it.
//
// Method: a real bobbind is started on a real database, with a next hop nobody listens on, so that
// what it takes stays queued; raw sockets play the clients, and the queue is read from this
// process, through the engine.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "tests/tools/running_daemon.h"

namespace bobbin::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using ::testing::StartsWith;

const std::string kEnvelope = "EHLO c.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n";
const std::string kMail = "Subject: one\r\n\r\ntext\r\n";

TEST(Bobbind, PrintsThreeLinesWhenItIsReady) {
  const RunningDaemon daemon;
  EXPECT_THAT(daemon.ReadyLines(),
              ElementsAre(MatchesRegex("bobbind listens on 127\\.0\\.0\\.1:[0-9]+ \\(SMTP\\)"),
                          "mail goes to smtp://127.0.0.1:1", StartsWith("try: ")));
}

TEST(Bobbind, QueuesPipelinedMessagesByteForByte) {
  const RunningDaemon daemon;
  SmtpSocket client(daemon.Port());
  static constexpr char kLiteral[] = "Subject: \xFF\r\n\r\nlf\ncr\rnul\0 \n..\r\n";
  const std::string bytes(kLiteral, sizeof kLiteral - 1);
  ASSERT_TRUE(client.Send(kEnvelope + "DATA\r\n" + kMail + ".\r\nMAIL FROM:<>\r\n" +
                          "RCPT TO:<c@x.test>\r\nDATA\r\n" + bytes + ".\r\nQUIT\r\n"));
  EXPECT_EQ(client.Codes(5), "220 250 250 250 354");
  EXPECT_THAT(client.Reply(), MatchesRegex("250 2\\.0\\.0 queued as [0-9A-Z]+"));
  EXPECT_EQ(client.Codes(5), "250 250 354 250 221");
  EXPECT_THAT(daemon.QueuedContents(), ElementsAre(kMail, bytes));
}

TEST(Bobbind, QueuesAnEmptyMessageEmpty) {
  const RunningDaemon daemon;
  SmtpSocket client(daemon.Port());
  ASSERT_TRUE(client.OpenData());
  EXPECT_THAT(client.Command("."), StartsWith("250 2.0.0 queued"));
  EXPECT_THAT(daemon.QueuedContents(), ElementsAre(""));
}

TEST(Bobbind, StreamsALargeMessage) {
  const RunningDaemon daemon;
  SmtpSocket client(daemon.Port());
  ASSERT_TRUE(client.OpenData());
  std::string content = kMail;
  for (int i = 0; i < 200'000; ++i) content += "line " + std::to_string(i) + "\r\n";
  ASSERT_TRUE(client.Send(content));
  EXPECT_THAT(client.Command("."), StartsWith("250 2.0.0 queued"));
  EXPECT_TRUE(daemon.QueuedContents() == std::vector<std::string>{content});
}

TEST(Bobbind, HalfMessagesAndVanishedClientsLeaveNothingQueued) {
  const RunningDaemon daemon;
  const std::string conversation =
      kEnvelope + "DATA\r\n" + kMail + std::string(600'000, 'x') + "\r\n.\r\n";
  std::vector<std::size_t> cuts = {0, 3, kEnvelope.size(), kEnvelope.size() + 6};
  for (std::size_t back = 1; back <= 5; ++back) cuts.push_back(conversation.size() - back);
  cuts.push_back(conversation.size() / 2);
  for (const std::size_t cut : cuts) {
    for (const bool reset : {false, true}) {
      SmtpSocket client(daemon.Port());
      client.Send(conversation.substr(0, cut));
      if (reset) client.Reset();
    }
  }
  SmtpSocket client(daemon.Port());
  ASSERT_TRUE(client.OpenData());
  EXPECT_THAT(client.Command("whole\r\n."), StartsWith("250"));
  EXPECT_THAT(daemon.QueuedContents(), ElementsAre("whole\r\n"));
}

TEST(Bobbind, SurvivesHugeLinesAndControlCharacters) {
  const RunningDaemon daemon;
  SmtpSocket client(daemon.Port());
  EXPECT_EQ(client.Codes(1), "220");
  EXPECT_THAT(client.Command(std::string(100'000, 'x')), StartsWith("500 5.5.2"));
  EXPECT_THAT(client.Command("EHLO c"), StartsWith("250"));
  EXPECT_THAT(client.Command("MAIL FROM:<a@x.test>"), StartsWith("250"));
  EXPECT_THAT(client.Command("RCPT TO:<" + std::string(100'000, 'b') + "@x.test>"),
              StartsWith("500 5.5.2"));
  EXPECT_THAT(client.Command(std::string("RCPT TO:<b\0@x.test>", 19)), StartsWith("500 5.5.2"));
  EXPECT_THAT(client.Command("RCPT TO:<b\x1B@x.test>"), StartsWith("500 5.5.2"));
  EXPECT_THAT(client.Command("RCPT TO:<b\r@x.test>"), StartsWith("500 5.5.2"));
  EXPECT_THAT(client.Command("RCPT TO:<\"b c\"@x.test>"), StartsWith("250 2.1.5"));
  EXPECT_THAT(client.Command("DATA"), StartsWith("354"));
  EXPECT_THAT(client.Command("."), StartsWith("250 2.0.0"));
}

TEST(Bobbind, RefusesSmuggledMessages) {
  const RunningDaemon daemon;
  for (const std::string end : {"\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r"}) {
    SmtpSocket client(daemon.Port());
    ASSERT_TRUE(client.OpenData());
    client.Send(kMail + end + "MAIL FROM:<evil@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nx");
    EXPECT_THAT(client.Command("\r\n."), StartsWith("550 5.6.0"));
    EXPECT_THAT(client.Command("NOOP"), StartsWith("250"));
  }
  EXPECT_EQ(daemon.QueueCount(), 0U);
}

TEST(Bobbind, Serves64ClientsAtOnce) {
  const RunningDaemon daemon;
  std::vector<std::thread> threads;
  threads.reserve(64);
  std::mutex mutex;
  std::set<std::string> answers;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      SmtpSocket client(daemon.Port());
      client.Reply();
      client.Command("EHLO c");
      for (int k = 0; k < 5; ++k) {
        client.Send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n");
        client.Codes(3);
        const std::string answer = client.Command(kMail + ".");
        const std::lock_guard lock(mutex);
        answers.insert(answer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(answers, SizeIs(64 * 5)) << "each has a queue id of its own";
  EXPECT_THAT(answers, testing::Each(StartsWith("250 2.0.0 queued as ")));
  EXPECT_EQ(daemon.QueueCount(), 64U * 5U);
}

TEST(Bobbind, ListensOnSeveralAddressesAndIpv6) {
  const RunningDaemon daemon({"--listen", "127.0.0.1:0", "--listen", "[::1]:0"});
  EXPECT_THAT(daemon.ReadyLines()[0],
              MatchesRegex("bobbind listens on 127.0.0.1:[0-9]+, \\[::1\\]:[0-9]+ \\(SMTP\\)"));
  SmtpSocket client(daemon.Port(), /*ipv6=*/true);
  ASSERT_TRUE(client.OpenData());
  EXPECT_THAT(client.Command(kMail + "."), StartsWith("250"));
}

TEST(Bobbind, KeepsItsLimits) {
  const RunningDaemon daemon({"--message-bytes-max", "2000", "--recipients-max", "1",
                              "--connections-max", "1", "--idle-seconds", "1"});
  {
    SmtpSocket client(daemon.Port());
    client.Send(kEnvelope + "RCPT TO:<c@x.test>\r\nDATA\r\n" + std::string(3'000, 'x') +
                "\r\n.\r\n");
    EXPECT_EQ(client.Codes(7), "220 250 250 250 452 354 552");
    SmtpSocket second(daemon.Port());
    EXPECT_THAT(second.Reply(), StartsWith("421 4.7.0"));
    EXPECT_THAT(client.Reply(), StartsWith("421 4.4.2")) << "a second of silence";
    EXPECT_EQ(client.Reply(), "") << "and the connection is closed";
  }
  EXPECT_EQ(daemon.QueueCount(), 0U);
}

TEST(Bobbind, TakesNoMailWhileTheDiskIsNearlyFull) {
  const RunningDaemon daemon({"--disk-free-bytes-min", std::to_string(std::uint64_t{1} << 59)});
  SmtpSocket client(daemon.Port());
  client.Reply();
  client.Command("EHLO c");
  EXPECT_THAT(client.Command("MAIL FROM:<a@x.test>"), StartsWith("452 4.3.1"));
}

TEST(Bobbind, SigtermLetsAMessageInProgressFinish) {
  RunningDaemon daemon;
  SmtpSocket idle(daemon.Port());
  idle.Reply();
  SmtpSocket busy(daemon.Port());
  ASSERT_TRUE(busy.OpenData());
  ASSERT_TRUE(busy.Send(kMail));
  daemon.Signal(SIGTERM);
  EXPECT_THAT(idle.Reply(), StartsWith("421 4.3.2"));
  EXPECT_THAT(busy.Command("."), StartsWith("250 2.0.0 queued"));
  EXPECT_THAT(busy.Reply(), StartsWith("421 4.3.2"));
  EXPECT_FALSE(SmtpSocket(daemon.Port()).IsConnected());
  idle.Close();
  busy.Close();
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_THAT(daemon.QueuedContents(), ElementsAre(kMail));
}

TEST(Bobbind, SigtermEndsWithinTenSecondsWhateverClientsDo) {
  RunningDaemon daemon;
  SmtpSocket busy(daemon.Port());
  ASSERT_TRUE(busy.OpenData());
  ASSERT_TRUE(busy.Send(kMail));
  const auto start = std::chrono::steady_clock::now();
  daemon.Signal(SIGTERM);
  EXPECT_THAT(busy.Reply(), StartsWith("421 4.3.2"));
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(11));
  EXPECT_EQ(daemon.QueueCount(), 0U);
}

TEST(Bobbind, ASecondSignalEndsItAtOnce) {
  RunningDaemon daemon;
  SmtpSocket busy(daemon.Port());
  ASSERT_TRUE(busy.OpenData());
  SmtpSocket idle(daemon.Port());
  idle.Reply();
  daemon.Signal(SIGTERM);
  EXPECT_THAT(idle.Reply(), StartsWith("421"));
  daemon.Signal(SIGINT);
  EXPECT_EQ(daemon.Wait(), 128 + SIGINT);
}

TEST(Bobbind, EndsWithACodeOfItsOwnWhenTheStoreFails) {
  RunningDaemon daemon;
  SmtpSocket client(daemon.Port());
  ASSERT_TRUE(client.OpenData());
  daemon.LimitFileSize(4'096);
  EXPECT_THAT(client.Command(kMail + "."), StartsWith("451 4.3.0"));
  EXPECT_THAT(client.Reply(), StartsWith("421 4.3.2"));
  client.Close();
  EXPECT_EQ(daemon.Wait(), 75);
  EXPECT_THAT(daemon.Log(), HasSubstr("store-failed"));
}

TEST(Bobbind, DeliversToMaildirsByDefault) {
  const TemporaryDirectory directory;
  RunningDaemon daemon({"--maildir", directory.Path().string()});
  SmtpSocket client(daemon.Port());
  ASSERT_TRUE(client.OpenData());
  ASSERT_THAT(client.Command(kMail + "."), StartsWith("250"));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (daemon.QueueCount() != 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  const std::filesystem::directory_iterator files(directory.Path() / "b@x.test" / "new");
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

// --- Starting it wrongly ---

TEST(BobbindStart, SaysWhereADatabaseIsMissingAndHowToMakeOne) {
  const TemporaryDirectory directory;
  const std::string path = directory.Path() / "none";
  const ProgramResult result = RunBobbind({"--database", path});
  EXPECT_EQ(result.exit_code, 66);
  EXPECT_EQ(result.errors, "bobbind: no database at " + path +
                               ": create one with: bobbin init --database " + path + "\n");
}

TEST(BobbindStart, RefusesAPathThatIsAFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.Path() / "file";
  std::ofstream(path) << "x";
  const ProgramResult result = RunBobbind({"--database", path});
  EXPECT_EQ(result.exit_code, 66) << result.errors;
  EXPECT_THAT(result.output, IsEmpty());
}

TEST(BobbindStart, RefusesAnAddressInUse) {
  const RunningDaemon daemon;
  const std::string address = "127.0.0.1:" + std::to_string(daemon.Port());
  const ProgramResult result =
      RunBobbind({"--database", daemon.DatabasePath().string(), "--listen", address});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.errors, HasSubstr("cannot listen on " + address));
}

TEST(BobbindStart, RefusesUnknownFlagsAndNamesTheNearest) {
  const ProgramResult result = RunBobbind({"--databse", "x"});
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_THAT(result.errors, HasSubstr("unknown setting 'databse'; did you mean 'database'?"));
}

TEST(BobbindStart, ChecksItsConfigurationWithoutStarting) {
  const TemporaryDirectory directory;
  const std::string path = directory.Path() / "bobbind.toml";
  std::ofstream(path) << "database = \"/nowhere\"\nworkers = 2\n";
  ProgramResult result = RunBobbind({"--config", path, "--workers", "9", "--check-config"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("database = \"/nowhere\"\n"));
  EXPECT_THAT(result.output, HasSubstr("workers = 9\n")) << "flags win";

  std::ofstream(path, std::ios::app) << "wrokers = 2\n";
  result = RunBobbind({"--config", path, "--check-config"});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_EQ(result.errors,
            "bobbind: " + path + ":3: unknown setting 'wrokers'; did you mean 'workers'?\n");
}

TEST(BobbindStart, ShowsHelpAndVersion) {
  EXPECT_THAT(RunBobbind({"--version"}).output, MatchesRegex("bobbind [0-9.]+\n"));
  const ProgramResult help = RunBobbind({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.output, HasSubstr("--next-hop"));
}

}  // namespace
}  // namespace bobbin::daemon

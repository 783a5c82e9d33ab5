// Nothing that was answered 250 is ever lost, whatever moment bobbind dies at.
//
// Method: clients load a real bobbind that relays to a real smtp-sink; the daemon is killed with
// SIGKILL at random moments, looked at (`bobbin check`, and which recipients the database has in
// doubt), and started again on the same database. In the end the queue is let run empty. Then
//   every acknowledged (message, recipient) has arrived at least once, whole;
//   what arrived twice is only what the database had marked in doubt at some kill.
// Some messages are so long that they are written ahead in transactions of their own; what a kill
// leaves of those is collected, and nothing of it is left.
// Once more with preprocessors, which change every message in a step of its own before it goes out:
// each of them has done its work exactly once in what arrives.
// BOBBIN_TEST_SEED repeats a run's moments; BOBBIN_KILL_CYCLES sets their number (default 50).

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "engine/database.h"
#include "tests/process/smtp_load.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin::test {
namespace {

int FromEnvironment(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::atoi(text);
}

// "bobbind listens on 127.0.0.1:40123 (SMTP)"
int PortOf(const std::string& first_line) {
  const std::size_t colon = first_line.find_last_of(':');
  return colon == std::string::npos ? 0 : std::atoi(first_line.c_str() + colon + 1);
}

std::string WithoutCr(std::string text) {
  std::erase(text, '\r');
  return text;
}

int CountOf(std::string_view text, std::string_view content) {
  int count = 0;
  for (auto at = content.find(text); at != content.npos; at = content.find(text, at + 1)) ++count;
  return count;
}

constexpr char kFooter[] = "-- \nSent through Bobbin.\n";

class KillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(SmtpSink::Available()) << "smtp-sink is missing: run ./dev test, which unpacks it";
    database_ = directory_.Path() / "db";
    ASSERT_TRUE(Database::Create(database_));
    const Result<Database> database = Database::Open(database_);
    ASSERT_TRUE(database) << ToString(database.error());
  }

  void Start() {
    const std::string program = BOBBIN_BIN_DIR "/bobbind";
    std::vector<std::string> command = {program,     "--database",  database_.string(),
                                        "--listen",  "127.0.0.1:0", "--next-hop",
                                        sink_.Url(), "--log-level", "error"};
    command.insert(command.end(), options_.begin(), options_.end());
    daemon_.emplace(std::move(command));
    const std::string first_line = daemon_->ReadLine();
    port_ = PortOf(first_line);
    ASSERT_NE(port_, 0) << "bobbind said: " << first_line;
  }

  // bobbind puts a footer under every message and signs it.
  void UsePreprocessors() {
    const std::string key = (directory_.Path() / "key.pem").string();
    const std::string footer = (directory_.Path() / "footer.txt").string();
    ASSERT_EQ(std::system(("openssl genrsa -out " + key + " 2048 2> /dev/null").c_str()), 0);
    std::ofstream(footer) << kFooter;
    options_ = {"--footer-file",   footer, "--dkim-domain",   "load.test",
                "--dkim-selector", "s",    "--dkim-key-file", key};
  }

  void Kill() { daemon_.reset(); }  // SIGKILL, and waited for.

  void CheckClean() {
    const std::string command = std::string(BOBBIN_BIN_DIR "/bobbin check --deep --database ") +
                                database_.string() + " >&2";
    ASSERT_EQ(std::system(command.c_str()), 0) << "bobbin check has findings";
  }

  // Adds the recipients that the database has in doubt now.
  void CollectInDoubt(std::set<Delivery>& in_doubt) {
    const Result<Database> database = Database::Open(database_);
    ASSERT_TRUE(database) << ToString(database.error());
    const auto rows = database->GetOutgoingQueue().Rows(1'000'000);
    ASSERT_TRUE(rows) << ToString(rows.error());
    for (const QueueRow& row : *rows) {
      const auto message = database->OpenMessageForOperator(row.message);
      ASSERT_TRUE(message) << ToString(message.error());
      const auto recipients = message->GetRecipientTable();
      ASSERT_TRUE(recipients);
      for (const RecipientRow& recipient : *recipients) {
        if (recipient.delivery.state == RecipientState::kInDoubt) {
          in_doubt.insert({row.subject, std::string(recipient.EmailAddress())});
        }
      }
    }
  }

  // Removes what nobody will complete; adds how many bodies that were.
  void CollectAbandoned(std::uint64_t& bodies) {
    Result<Database> database = Database::Open(database_);
    ASSERT_TRUE(database) << ToString(database.error());
    const Result<std::uint64_t> collected = database->CollectAbandonedBodies();
    ASSERT_TRUE(collected) << ToString(collected.error());
    bodies += *collected;
  }

  void ExpectNoBodyLeft() {
    const Result<Database> database = Database::Open(database_);
    ASSERT_TRUE(database) << ToString(database.error());
    const Result<CheckReport> report = database->CheckStore();
    ASSERT_TRUE(report) << ToString(report.error());
    EXPECT_EQ(report->bodies, 0U);
  }

  std::uint64_t QueueLength() {
    const Result<Database> database = Database::Open(database_);
    return database ? database->GetOutgoingQueue().Count().value_or(1) : 1;
  }

  std::map<Delivery, int> Arrived() {
    std::map<Delivery, int> arrived;
    for (const TakenMessage& message : sink_.Messages()) {
      const std::size_t at = message.content.find("\nSubject: ");
      const std::size_t begin = at + 10;
      std::string id = message.content.substr(begin, message.content.find('\n', begin) - begin);
      while (!id.empty() && id.back() == '\r') id.pop_back();
      const std::string footer = options_.empty() ? "" : kFooter;
      EXPECT_TRUE(WithoutCr(message.content).ends_with("\n\n" + WithoutCr(LoadTextOf(id)) + footer))
          << id << " arrived, but not whole";
      EXPECT_EQ(CountOf("DKIM-Signature:", message.content), options_.empty() ? 0 : 1) << id;
      for (const std::string& recipient : message.recipients) ++arrived[{id, recipient}];
    }
    return arrived;
  }

  void KillAndCompare(int cycles);

  TemporaryDirectory directory_;
  std::vector<std::string> options_;  // Of bobbind.
  std::filesystem::path database_;
  SmtpSink sink_;
  std::optional<ChildProcess> daemon_;
  int port_ = 0;
};

void KillTest::KillAndCompare(int cycles) {
  const auto seed = static_cast<unsigned>(
      FromEnvironment("BOBBIN_TEST_SEED", static_cast<int>(std::random_device()() & 0xFFFFFF)));
  std::cout << "BOBBIN_TEST_SEED=" << seed << "\n";
  std::mt19937 random(seed);
  std::set<Delivery> in_doubt;
  std::uint64_t abandoned = 0;
  SmtpLoad load(6, 3);
  for (int cycle = 0; cycle < cycles; ++cycle) {
    SCOPED_TRACE(testing::Message() << "cycle " << cycle);
    ASSERT_NO_FATAL_FAILURE(Start());
    load.SetPort(port_);
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 180));
    Kill();
    load.SetPort(0);
    ASSERT_NO_FATAL_FAILURE(CollectInDoubt(in_doubt));
    ASSERT_NO_FATAL_FAILURE(CheckClean());
    ASSERT_NO_FATAL_FAILURE(CollectAbandoned(abandoned));
  }
  load.Stop();
  const std::set<Delivery> acknowledged = load.Acknowledged();
  ASSERT_GT(acknowledged.size(), static_cast<std::size_t>(cycles)) << "the load did not load";

  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_TRUE(Eventually([&] { return QueueLength() == 0; })) << "the queue does not run empty";
  Kill();
  CheckClean();
  CollectAbandoned(abandoned);
  ExpectNoBodyLeft();

  const std::map<Delivery, int> arrived = Arrived();
  std::size_t lost = 0;
  for (const Delivery& delivery : acknowledged) {
    if (!arrived.contains(delivery)) {
      ++lost;
      ADD_FAILURE() << "lost: " << delivery.message << " to " << delivery.recipient;
    }
  }
  std::size_t duplicates = 0;
  for (const auto& [delivery, count] : arrived) {
    if (count == 1) continue;
    duplicates += static_cast<std::size_t>(count - 1);
    EXPECT_TRUE(in_doubt.contains(delivery))
        << delivery.message << " to " << delivery.recipient << " arrived " << count
        << " times and was never in doubt";
  }
  std::cout << cycles << " kills, " << acknowledged.size() << " recipients acknowledged, "
            << arrived.size() << " arrived, " << lost << " lost, " << duplicates << " duplicates, "
            << in_doubt.size() << " were in doubt at a kill, " << abandoned
            << " bodies half written ahead\n";
}

TEST_F(KillTest, EverythingAcknowledgedArrivesAndOnlyWhatWasInDoubtArrivesTwice) {
  KillAndCompare(FromEnvironment("BOBBIN_KILL_CYCLES", 50));
}

TEST_F(KillTest, WhatPreprocessorsChangeIsChangedOnce) {
  ASSERT_NO_FATAL_FAILURE(UsePreprocessors());
  KillAndCompare(FromEnvironment("BOBBIN_KILL_CYCLES", 50) / 2);
}

// smtp-source, Postfix's own load generator, gets every message through in one quiet run.
TEST_F(KillTest, SmtpSourceDeliversThroughBobbindToSmtpSink) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string command = "LD_LIBRARY_PATH=" BOBBIN_POSTFIX_DIR
                              "/usr/lib/postfix " BOBBIN_POSTFIX_DIR
                              "/usr/sbin/smtp-source -s 10 -m 300 -l 4096 -r 3 -N -f a@load.test "
                              "-t b@sink.test 127.0.0.1:" +
                              std::to_string(port_);
  ASSERT_EQ(std::system(command.c_str()), 0);
  ASSERT_TRUE(Eventually([&] { return QueueLength() == 0; }));
  std::size_t recipients = 0;
  for (const TakenMessage& message : sink_.Messages()) recipients += message.recipients.size();
  EXPECT_EQ(recipients, 900U);
  Kill();
  CheckClean();
}

}  // namespace
}  // namespace bobbin::test

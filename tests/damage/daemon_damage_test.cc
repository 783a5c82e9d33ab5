// Damage under a real bobbind, and what its operator does about it with the real bobbin.
//
// Method: bytes inside of records are changed in data.mdb itself; the pages stay as they are.
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "engine/database.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"
#include "tests/tools/running_daemon.h"
#include "tests/tools_cli/documented_fields.h"
#include "tests/tools_cli/run_program.h"

namespace bobbin::daemon {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Flips a bit in every copy of `text`, also of one that was flipped: twice is as it was.
std::size_t Flip(const fs::path& database, std::string text, bool is_flipped = false) {
  if (is_flipped) text[0] = static_cast<char>(text[0] ^ 1);
  std::fstream file(database / "data.mdb", std::ios::binary | std::ios::in | std::ios::out);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  file.clear();
  std::size_t count = 0;
  for (std::size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1)) {
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(text[0] ^ 1));
    ++count;
  }
  return count;
}

std::size_t CountOf(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

template <class Condition>
bool Eventually(const Condition& condition) {
  for (int i = 0; i < 600; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

class DamageUnderBobbind : public testing::Test {
 protected:
  // With its subject in its record.
  MessageId Submit(const fs::path& database, const std::string& subject) {
    Database opened = Must(Database::Open(database));
    MessageStore store = Must(opened.OpenOrCreateMessageStore("outgoing"));
    return {SubmitNew(store, {"b@x.test"}, subject).Object()};
  }
  test::Ended Bobbin(const fs::path& database, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), BOBBIN_PROGRAM);
    return test::RunProgram(
        {arguments, {}, directory_.Path(), {"BOBBIN_DATABASE=" + database.string()}});
  }
  static void Stop(RunningDaemon& daemon) {
    daemon.Signal(SIGTERM);
    EXPECT_EQ(daemon.Wait(), 0) << daemon.Log();
  }
  std::size_t Delivered() const {
    std::size_t count = 0;
    std::error_code ignored;
    for (const auto& entry :
         fs::recursive_directory_iterator(directory_.Path() / "mail", ignored)) {
      if (entry.is_regular_file() && entry.path().parent_path().filename() == "new") ++count;
    }
    return count;
  }

  TemporaryDirectory directory_;
};

TEST_F(DamageUnderBobbind, OfOneMessageOfTenQuarantinesItAndTheOthersAreDelivered) {
  RunningDaemon daemon({"--maildir", (directory_.Path() / "mail").string()});
  const fs::path database = daemon.DatabasePath();
  Stop(daemon);
  std::vector<MessageId> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(Submit(database, "Unmistakable" + std::to_string(i)));
  ASSERT_GT(Flip(database, "Unmistakable4"), 0U);

  daemon.Start();
  EXPECT_TRUE(Eventually([&] { return Delivered() == 9; })) << daemon.Log();
  EXPECT_TRUE(Eventually([&] { return daemon.QueueCount() == 0; })) << daemon.Log();
  Stop(daemon);
  daemon.Start();
  Stop(daemon);
  EXPECT_EQ(Delivered(), 9U);
  EXPECT_EQ(CountOf(daemon.Log(), " error quarantined id="), 1U) << daemon.Log();

  const std::string id = ToQueueId(ids[4]);
  EXPECT_EQ(Bobbin(database, {"quarantine", "list", "--ids"}).out, id + "\n");
  const auto listed = test::ParseLines(Bobbin(database, {"quarantine", "list", "--json"}).out);
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_THAT(listed[0], test::HasTheFieldsOf("quarantine"));
  EXPECT_THAT(Bobbin(database, {"quarantine", "list"}).out, HasSubstr("table messages, key"));
  EXPECT_THAT(Bobbin(database, {"queue", "list"}).out, HasSubstr("1 in quarantine"));
  EXPECT_THAT(Bobbin(database, {"stat", "--json"}).out, HasSubstr("\"quarantined\":1"));
  const test::Ended exported = Bobbin(database, {"quarantine", "export", id});
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.out, HasSubstr("X-Bobbin-Recipient: b@x.test (pending)"));
  const test::Ended check = Bobbin(database, {"check"});
  EXPECT_EQ(check.exit_code, 1) << check.err;
  EXPECT_THAT(check.out, HasSubstr("bobbin quarantine show " + id));
  EXPECT_EQ(Bobbin(database, {"release", id}).exit_code, 66);
  const test::Ended refused = Bobbin(database, {"quarantine", "release", "--json", id});
  EXPECT_EQ(refused.exit_code, 74);
  EXPECT_THAT(test::ParseLines(refused.out).at(0), test::HasTheFieldsOf("quarantine step"));

  ASSERT_GT(Flip(database, "Unmistakable4", true), 0U);
  EXPECT_EQ(Bobbin(database, {"quarantine", "release", id}).exit_code, 0);
  EXPECT_EQ(Bobbin(database, {"check", "--deep"}).exit_code, 0);
  daemon.Start();
  EXPECT_TRUE(Eventually([&] { return Delivered() == 10; })) << daemon.Log();
  Stop(daemon);
}

// It is held, so that no delivery meets the damage before the scrub does.
TEST_F(DamageUnderBobbind, IsFoundByTheScrubLoggedOnceAndQuarantined) {
  RunningDaemon daemon({"--scrub-interval-seconds", "1", "--scrub-mib-per-second", "100"});
  const fs::path database = daemon.DatabasePath();
  const MessageId id = Submit(database, "UnmistakableSubject");
  Must(Must(Database::Open(database)).GetOutgoingQueue().Hold(id));
  ASSERT_TRUE(Eventually([&] { return CountOf(daemon.Log(), " info scrubbed ") > 0; }))
      << daemon.Log();
  EXPECT_EQ(CountOf(daemon.Log(), "scrub-finding"), 0U) << daemon.Log();

  ASSERT_GT(Flip(database, "UnmistakableSubject"), 0U);
  ASSERT_TRUE(Eventually([&] { return CountOf(daemon.Log(), " error scrubbed ") >= 2; }))
      << daemon.Log();
  Stop(daemon);
  const std::string log = daemon.Log();
  EXPECT_EQ(CountOf(log, "scrub-finding table=messages"), 1U) << log;
  EXPECT_EQ(CountOf(log, " error quarantined id=" + ToQueueId(id)), 1U) << log;
  EXPECT_EQ(daemon.QueueCount(), 0U);

  const test::Ended scrub = Bobbin(database, {"scrub", "--rate", "100"});
  EXPECT_EQ(scrub.exit_code, 1) << scrub.err;
  EXPECT_THAT(scrub.out, HasSubstr("bobbin quarantine show " + ToQueueId(id)));
  EXPECT_THAT(Bobbin(database, {"stat"}).out, testing::ContainsRegex("Scrubbed +20.*, 1 findings"));
  EXPECT_EQ(Bobbin(database, {"quarantine", "delete", ToQueueId(id)}).exit_code, 0);
  EXPECT_EQ(Bobbin(database, {"scrub", "--rate", "100"}).exit_code, 0);
}

// What a scrub meets may end the daemon: it must not do so again before mail could be delivered.
TEST_F(DamageUnderBobbind, IsNotLookedForAtOnceAfterAStart) {
  const auto start = std::chrono::steady_clock::now();
  RunningDaemon daemon({"--scrub-interval-seconds", "20", "--scrub-mib-per-second", "100"});
  ASSERT_TRUE(Eventually([&] { return CountOf(daemon.Log(), " info scrubbed ") > 0; }))
      << daemon.Log();
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  Stop(daemon);
}

}  // namespace
}  // namespace bobbin::daemon

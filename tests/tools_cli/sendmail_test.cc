// The program under the names sendmail and mailq.
//
// Method: call it through the links that the build makes, as mail programs call sendmail.

#include "engine/database.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

class SendmailTest : public CliTest {
 protected:
  SendmailTest() { Init(); }

  Ended As(const std::string& name, std::vector<std::string> arguments,
           const std::string& content = "") const {
    const auto program = std::filesystem::path(BOBBIN_PROGRAM).parent_path() / name;
    arguments.insert(arguments.begin(), program.string());
    return RunProgram(
        {arguments, File(content), directory_, {"BOBBIN_DATABASE=" + database_.string()}});
  }

  // The only queued message.
  std::string QueueId() const {
    const std::string ids = QueuedIds();
    EXPECT_EQ(std::count(ids.begin(), ids.end(), '\n'), 1) << ids;
    return ids.substr(0, ids.find('\n'));
  }

  std::string Sent(std::vector<std::string> arguments, const std::string& content) const {
    const Ended run = As("sendmail", std::move(arguments), content);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(run.out, "") << "sendmail prints nothing";
    return Bobbin({"message", "export", QueueId()}).out;
  }
};

TEST_F(SendmailTest, SubmitsToArgumentsAndToTheHeaderWithJoinedOptions) {
  Sent({"-oi", "-ti", "-fa@x.test", "-oem", "--", "c@x.test"}, kMessage);
  EXPECT_THAT(RecipientAddresses(QueueId()), UnorderedElementsAre("b@x.test", "c@x.test"));
  EXPECT_EQ(ShowJson(QueueId())["sender_address"], "a@x.test");
}

TEST_F(SendmailTest, AddsReceivedAndOnlyWhatIsMissing) {
  const std::string sent = Sent({"-F", "Amy \"A\"", "-f", "a@x.test", "b@x.test"},
                                "Subject: cron\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n\nHello\n");
  EXPECT_THAT(sent, testing::StartsWith("Received: "));
  EXPECT_THAT(
      sent, AllOf(HasSubstr("id " + QueueId()), HasSubstr("\nFrom: \"Amy \\\"A\\\"\" <a@x.test>\n"),
                  HasSubstr("\nMessage-ID: <"), Not(HasSubstr("\r"))));
  EXPECT_EQ(sent.find("Date:"), sent.rfind("Date:"));
  EXPECT_THAT(sent, testing::EndsWith("\nSubject: cron\nDate: Thu, 1 Jan 2026 00:00:00 +0000"
                                      "\n\nHello\n"));
}

TEST_F(SendmailTest, TextWithoutAHeaderGetsOne) {
  const std::string sent = Sent({"-f", "a@x.test", "b@x.test"}, "It is: late\n");
  EXPECT_THAT(sent, testing::EndsWith("\n\nIt is: late\n"));
}

TEST_F(SendmailTest, AnMboxLineIsDropped) {
  const std::string sent = Sent({"-f", "a@x.test", "b@x.test"},
                                "From a@x.test Thu Jan  1 00:00:00 2026\nSubject: x\n\ny\n");
  EXPECT_THAT(sent, AllOf(testing::EndsWith("\nSubject: x\n\ny\n"), Not(HasSubstr("From a@x"))));
}

TEST_F(SendmailTest, CarriageReturnsOfTheMessageAreKept) {
  const std::string sent = Sent({"-f", "a@x.test", "b@x.test"}, "Subject: x\r\n\r\ny\r\n");
  EXPECT_THAT(sent, testing::EndsWith("\r\nSubject: x\r\n\r\ny\r\n"));
  EXPECT_THAT(sent, testing::StartsWith("Received: "));
}

TEST_F(SendmailTest, ALoneDotEndsTheMessageUnlessToldOtherwise) {
  const std::string content = "Subject: x\n\none\n..\n.two\n.\nthree\n";
  EXPECT_THAT(Sent({"b@x.test"}, content), testing::EndsWith("\none\n..\n.two\n"));
  Bobbin({"abort", QueueId()});
  EXPECT_THAT(Sent({"-i", "b@x.test"}, content), testing::EndsWith("\n.two\n.\nthree\n"));
}

TEST_F(SendmailTest, ArgumentsAfterTheFirstRecipientAreNoOptions) {
  const Ended run = As("sendmail", {"b@x.test", "-t"}, kMessage);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(RecipientAddresses(QueueId()),
              ElementsAre("b@x.test", testing::MatchesRegex("-t@.+")));
}

TEST_F(SendmailTest, MailqAndBpListTheQueue) {
  const std::string queue_id = Submit(kMessage);
  for (const Ended& run : {As("mailq", {}), As("sendmail", {"-bp"})}) {
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr(queue_id));
  }
}

TEST_F(SendmailTest, WhatIsAskedOfReportsIsStored) {
  Sent({"-Ndelay,success", "-R", "hdrs", "-Vjob+207", "-f", "a@x.test", "b@x.test", "c@x.test"},
       kMessage);
  const std::string queue_id = QueueId();
  Result<Database> database = Database::Open(database_);
  ASSERT_TRUE(database) << ToString(database.error());
  const Result<MessageId> id = ParseQueueId(queue_id);
  ASSERT_TRUE(id);
  const Result<Message> message = database->OpenMessageForOperator(*id);
  ASSERT_TRUE(message) << ToString(message.error());
  EXPECT_EQ(message->GetProp(pr::kEnvelopeId)->bytes, "job 7");
  EXPECT_EQ(message->GetProp(pr::kReportHeadersOnly)->number, 1);
  const Result<RecipientTable> rows = message->GetRecipientTable();
  ASSERT_EQ(rows->size(), 2U);
  for (const RecipientRow& row : *rows) {
    EXPECT_EQ(row.properties.NumberOr(pr::kOriginatorDeliveryReportRequested, -1), 1);
    EXPECT_EQ(row.properties.NumberOr(pr::kOriginatorNonDeliveryReportRequested, -1), 0);
    EXPECT_EQ(row.properties.NumberOr(pr::kDelayReportRequested, -1), 1);
  }
}

TEST_F(SendmailTest, WhatItCannotDoIsExit64) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"-bs"},
                                                                     {"-bd"},
                                                                     {"-q"},
                                                                     {"-I"},
                                                                     {"-Z"},
                                                                     {"-f"},
                                                                     {},
                                                                     {"-t"},
                                                                     {"-Noften", "b@x.test"},
                                                                     {"-Rbody", "b@x.test"},
                                                                     {"-Va=b", "b@x.test"}}) {
    const Ended run = As("sendmail", arguments, "Subject: to nobody\n\nHello\n");
    EXPECT_EQ(run.exit_code, 64) << testing::PrintToString(arguments) << run.err;
  }
  EXPECT_EQ(QueuedIds(), "");
}

}  // namespace
}  // namespace bobbin::test

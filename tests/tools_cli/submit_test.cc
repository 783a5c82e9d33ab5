// bobbin submit: what goes in is queued whole, or not at all and the exit code says so.
//
// Method: run the program with a message on standard input against a real database, then ask the
// other sub-commands what is there.

#include <gmock/gmock.h>

#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class SubmitTest : public CliTest {
 protected:
  SubmitTest() { Init(); }

  void ExpectNothingQueued() const { EXPECT_EQ(QueuedIds(), ""); }
};

TEST_F(SubmitTest, PrintsTheQueueIdOfAQueuedMessage) {
  const std::string queue_id = Submit(kMessage);
  EXPECT_EQ(QueuedIds(), queue_id + "\n");
  const auto shown = ShowJson(queue_id);
  EXPECT_EQ(shown["sender_address"], "a@x.test");
  EXPECT_EQ(shown["subject"], "Tea");
  EXPECT_EQ(shown["state"], "due");
  EXPECT_THAT(RecipientAddresses(queue_id), ElementsAre("b@x.test"));
}

TEST_F(SubmitTest, JsonHasTheDocumentedFieldsAndQuietPrintsNothing) {
  const auto objects = ParseLines(Bobbin({"submit", "--json", "b@x.test"}, File(kMessage)).out);
  ASSERT_EQ(objects.size(), 1U);
  ASSERT_THAT(objects[0], HasTheFieldsOf("submit"));
  const Ended quiet = Bobbin({"submit", "-q", "b@x.test"}, File(kMessage));
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_EQ(quiet.out, "");
}

TEST_F(SubmitTest, TakesRecipientsFromToCcAndBccAndAddsArguments) {
  const std::string content =
      "From: a@x.test\nTo: Bob <b@x.test>,\n \"Cee, Dee\" <c@x.test>\nCc: d@x.test\n"
      "Bcc: e@x.test\nSubject: All\n\nHello\n";
  const std::string queue_id = Submit(content, {"-t", "f@x.test", "b@x.test"});
  EXPECT_THAT(RecipientAddresses(queue_id),
              UnorderedElementsAre("b@x.test", "c@x.test", "d@x.test", "e@x.test", "f@x.test"));
  EXPECT_EQ(Bobbin({"message", "export", queue_id}).out, content) << "Bcc stays in what is stored";
}

TEST_F(SubmitTest, WithoutTheOptionTheHeaderNamesNoRecipients) {
  const std::string queue_id =
      Submit("From: a@x.test\nTo: b@x.test\nBcc: e@x.test\n\nHello\n", {"c@x.test"});
  EXPECT_THAT(RecipientAddresses(queue_id), ElementsAre("c@x.test"));
}

TEST_F(SubmitTest, RecipientsMayBeNamedAsPeopleWriteThem) {
  const std::string queue_id =
      Submit(kMessage, {"Bob B <b@x.test>, c@x.test", "\"odd one\"@x.test"});
  EXPECT_THAT(RecipientAddresses(queue_id),
              ElementsAre("b@x.test", "c@x.test", "\"odd one\"@x.test"));
}

TEST_F(SubmitTest, NamesWithoutADomainGetThisHosts) {
  const std::string queue_id = Submit(kMessage, {"root"});
  EXPECT_THAT(RecipientAddresses(queue_id), ElementsAre(testing::MatchesRegex("root@.+")));
  EXPECT_THAT(std::string(ShowJson(queue_id)["sender_address"]), testing::MatchesRegex(".+@.+"));
}

TEST_F(SubmitTest, TheNullSenderIsGivenAsEmptyOrAsBrackets) {
  for (const char* sender : {"<>", ""}) {
    const std::string queue_id = Submit(kMessage, {"-f", sender, "b@x.test"});
    EXPECT_EQ(ShowJson(queue_id)["sender_address"], "");
  }
}

TEST_F(SubmitTest, OptionsThatMailProgramsPassToSendmailAreAccepted) {
  const std::string queue_id =
      Submit("To: b@x.test\n\n.\nmore\n", {"-i", "-oi", "-oem", "-t", "-bm", "-B8BITMIME", "-N",
                                           "never", "-O", "DeliveryMode=b", "-F", "Amy A"});
  EXPECT_EQ(Bobbin({"message", "export", queue_id}).out, "To: b@x.test\n\n.\nmore\n");
  EXPECT_EQ(ShowJson(queue_id)["sender_name"], "Amy A");
}

TEST_F(SubmitTest, EveryByteIsKept) {
  std::string content = "Subject: \xE4\xF6\r\n\nNUL \0 CR \r LF \n dot\n.\nend"s;
  for (int byte = 0; byte < 256; ++byte) content += static_cast<char>(byte);
  content += std::string(1'000'000, 'x') + "\n";
  const std::string queue_id = Submit(content, {"-f", "a@x.test", "b@x.test"});
  const Ended run = Bobbin({"message", "export", queue_id});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_TRUE(run.out == content) << run.out.size() << " bytes of " << content.size();
}

// RLIMIT_DATA bounds what the process has for itself, threads' stacks included. Its resident size
// would not do: it counts the pages of the database that were read, which belong to the system.
TEST_F(SubmitTest, ALargeMessageIsStreamedInBothDirections) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer needs more for itself";
#endif
  constexpr std::size_t kMessageBytes = std::size_t{100} << 20;
  constexpr std::size_t kLimitKib = std::size_t{48} << 10;
  const std::filesystem::path input = File("Subject: large\n\n");
  {
    std::ofstream file(input, std::ios::binary | std::ios::app);
    for (std::uint32_t line = 0; static_cast<std::size_t>(file.tellp()) < kMessageBytes; ++line) {
      file << "line " << line * 2'654'435'761U << " of many\n";
    }
  }
  const std::string program = BOBBIN_PROGRAM;
  const std::string command = "ulimit -d " + std::to_string(kLimitKib) + " && id=$(" + program +
                              " submit b@x.test < input) && " + program +
                              " message export $id > exported && cmp exported input";
  const Ended ended = RunProgram(
      {{"sh", "-c", command}, {}, directory_, {"BOBBIN_DATABASE=" + database_.string()}});
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
}

TEST_F(SubmitTest, MoreThan150MibIsRefusedWithExit65) {
  const std::filesystem::path input = File("Subject: huge\n\n");
  std::filesystem::resize_file(input, (std::uintmax_t{150} << 20) + 1);
  const Ended run = Bobbin({"submit", "b@x.test"}, input);
  EXPECT_EQ(run.exit_code, 65);
  EXPECT_THAT(run.err, HasSubstr("nothing was queued"));
  ExpectNothingQueued();
}

TEST_F(SubmitTest, NoRecipientsIsExit64) {
  for (const auto& arguments : {std::vector<std::string>{"submit"}, {"submit", "-t"}}) {
    const Ended run = Bobbin(arguments, File("Subject: to nobody\n\nHello\n"));
    EXPECT_EQ(run.exit_code, 64);
    EXPECT_THAT(run.err, HasSubstr("there are no recipients"));
  }
  ExpectNothingQueued();
}

TEST_F(SubmitTest, AnUnusableAddressIsRefusedWhole) {
  const std::vector<std::string> unusable{
      "b@x.test\nRCPT TO:<c@x.test>",   "b@", "@x.test", "a b@x.test", "b@x..test",
      std::string(65, 'b') + "@x.test", " ",  ""};
  for (const std::string& address : unusable) {
    const Ended run = Bobbin({"submit", "good@x.test", address}, File(kMessage));
    EXPECT_EQ(run.exit_code, 64) << address << run.err;
  }
  const Ended sender = Bobbin({"submit", "-f", "a@x..test", "b@x.test"}, File(kMessage));
  EXPECT_EQ(sender.exit_code, 64);
  EXPECT_THAT(sender.err, HasSubstr("sender a@x..test"));
  ExpectNothingQueued();
}

TEST_F(SubmitTest, AnAddressInTheHeaderThatCannotBeReadIsNotLostWithoutAWord) {
  for (const char* list : {"b@x.test, c@x..test", "b@x.test, c@", "b@x.test, \"unclosed c@x.test",
                           "b@x.test; c@x.test", "b@x.test, c d@x.test", "<b@x.test>, @x.test"}) {
    const Ended run =
        Bobbin({"submit", "-t", "z@x.test"}, File("To: " + std::string(list) + "\n\nHello\n"));
    EXPECT_EQ(run.exit_code, 65) << list << run.err;
    EXPECT_THAT(run.err, HasSubstr("nothing was queued"));
  }
  EXPECT_EQ(Bobbin({"submit", "b@x.test; c@x.test"}, File(kMessage)).exit_code, 64);
  ExpectNothingQueued();
}

TEST_F(SubmitTest, AnEmptyMessageIsAMessage) {
  const std::string queue_id = Submit("");
  EXPECT_EQ(QueuedIds(), queue_id + "\n");
  EXPECT_EQ(Bobbin({"message", "export", queue_id}).exit_code, 0);
}

TEST_F(SubmitTest, AHeaderTooLongToReadWholeIsRefusedWithDashT) {
  std::string content = "To: b@x.test";
  while (content.size() < 80'000) content += ",\n b" + std::to_string(content.size()) + "@x.test";
  content += "\nSubject: many\n\nHello\n";
  const Ended run = Bobbin({"submit", "-t"}, File(content));
  EXPECT_EQ(run.exit_code, 65);
  EXPECT_THAT(run.err, HasSubstr("longer than 64 KiB"));
  ExpectNothingQueued();
  EXPECT_NE(Submit(content, {"b@x.test"}), "") << "without -t nothing depends on it";
}

TEST_F(SubmitTest, AReadErrorQueuesNothing) {
  const Ended run = Bobbin({"submit", "b@x.test"}, directory_);
  EXPECT_EQ(run.exit_code, 74);
  EXPECT_THAT(run.err, HasSubstr("nothing was queued"));
  ExpectNothingQueued();
}

TEST_F(SubmitTest, AnIdThatCannotBePrintedIsNoReasonToSubmitAgain) {
  const std::string command = std::string(BOBBIN_PROGRAM) + " submit b@x.test < " +
                              File(kMessage).string() + " > /dev/full";
  const Ended run = RunProgram(
      {{"sh", "-c", command}, {}, directory_, {"BOBBIN_DATABASE=" + database_.string()}});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.err, HasSubstr("the message is queued as"));
  EXPECT_NE(QueuedIds(), "");
}

TEST_F(SubmitTest, MailGoingInCirclesIsRefused) {
  std::string content;
  for (int i = 0; i < 101; ++i) content += "Received: by x.test; Thu, 1 Jan 2026 00:00:00 +0000\n";
  const Ended run = Bobbin({"submit", "b@x.test"}, File(content + "\nHello\n"));
  EXPECT_EQ(run.exit_code, 65);
  ExpectNothingQueued();
}

TEST_F(SubmitTest, AScheduledMessageWaitsInTheQueueUntilItsTime) {
  const auto submit = [this](const std::string& time) {
    const Ended run = Bobbin({"submit", "--json", "--send-at", time, "b@x.test"}, File(kMessage));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return ParseLines(run.out).at(0);
  };
  const auto at = submit("2199-12-31T23:30:00+01:00");
  ASSERT_THAT(at, HasTheFieldsOf("submit"));
  EXPECT_EQ(at["send_at"], "2199-12-31T22:30:00.000Z");
  const auto shown = ShowJson(at["queue_id"]);
  EXPECT_EQ(shown["state"], "waiting");
  EXPECT_EQ(shown["due"], at["send_at"]);

  const auto later = submit("+2h");
  EXPECT_EQ(ShowJson(later["queue_id"])["due"], later["send_at"]);
  EXPECT_EQ(ShowJson(later["queue_id"])["state"], "waiting");
  EXPECT_EQ(ShowJson(submit("2001-01-01T00:00:00Z")["queue_id"])["state"], "due");
}

TEST_F(SubmitTest, ATimeThatIsNoneQueuesNothing) {
  for (const char* time : {"tomorrow", "2026-01-31T12:00:00", "+2", "2201-01-01T00:00:00Z"}) {
    const Ended run = Bobbin({"submit", "--send-at", time, "b@x.test"}, File(kMessage));
    EXPECT_EQ(run.exit_code, 64) << time;
    EXPECT_THAT(run.err, HasSubstr("nothing was queued"));
  }
  ExpectNothingQueued();
}

TEST_F(SubmitTest, TheDeliveredMessageIsKeptOnlyWhenAskedFor) {
  const auto delete_after_submit = [this](const std::string& queue_id) {
    const auto shown = ParseLines(Bobbin({"message", "show", "--json", queue_id}).out);
    for (const auto& property : shown.at(0)["properties"]) {
      if (property["tag"] == "0x0E01000B") return property["value"] == true;
    }
    return false;
  };
  EXPECT_TRUE(delete_after_submit(Submit(kMessage, {"b@x.test"})));
  EXPECT_FALSE(delete_after_submit(Submit(kMessage, {"--keep", "b@x.test"})));
}

}  // namespace
}  // namespace bobbin::test

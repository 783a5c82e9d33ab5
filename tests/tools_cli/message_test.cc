// bobbin message show and export: any stored message, queued or not.
//
// Method: messages submitted with the program, or composed through the engine, shown and written
// out by the program.

#include "engine/database.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class MessageTest : public CliTest {
 protected:
  MessageTest() { Init(); }
};

TEST_F(MessageTest, JsonHasTheDocumentedFields) {
  const std::string queue_id = Submit(kMessage);
  const auto objects = ParseLines(Bobbin({"message", "show", "--json", queue_id}).out);
  ASSERT_EQ(objects.size(), 1U);
  const auto& shown = objects[0];
  ASSERT_THAT(shown, HasTheFieldsOf("message show"));
  ASSERT_THAT(shown["recipients"].at(0), HasTheFieldsOf("recipient"));
  ASSERT_THAT(shown["properties"].at(0), HasTheFieldsOf("property"));
  EXPECT_EQ(shown["queue_id"], queue_id);
  EXPECT_EQ(shown["subject"], "Tea");
  EXPECT_EQ(shown["content_bytes"], std::string(kMessage).size());
  EXPECT_EQ(shown["message_flags"].get<int>() & 0x4, 0x4);
}

// Through properties: a subject out of a header has lost its control characters on the way in.
TEST_F(MessageTest, WhatMailSaysCannotCommandATerminal) {
  const std::string harmful = "\x1b]0;owned\x07\xE2\x80\xAE\xFFnow";
  Database database = Database::Open(database_).value();
  MessageStore store = database.OpenOrCreateMessageStore("outgoing").value();
  Message message = store.CreateMessage(store.Folders().outbox).value();
  const Property subject = Property::Bytes(pr::kSubject, harmful);
  ASSERT_TRUE(message.SetProps({&subject, 1}).has_value());
  ASSERT_TRUE(message.ModifyRecipients(0, {MakeSmtpRecipient("b@x.test", kRecipientTo, harmful)})
                  .has_value());
  const std::string queue_id = ToQueueId(MessageId{message.Id()->Object()});
  ASSERT_TRUE(message.SubmitMessage().has_value());
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"message", "show", queue_id}, {"queue", "show", queue_id}, {"queue", "list"}}) {
    const Ended run = Bobbin(arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("\\x1b]0;owned\\x07\\u202e\\xffnow"));
    EXPECT_THAT(run.out, Not(HasSubstr("\x1b")));
    EXPECT_THAT(run.out, Not(HasSubstr("\xE2\x80\xAE")));
  }
  ParseLines(Bobbin({"message", "show", "--json", queue_id}).out);
}

TEST_F(MessageTest, AComposedMessageIsExportedAsItWouldBeSent) {
  Database database = Database::Open(database_).value();
  MessageStore store = database.OpenOrCreateMessageStore("outgoing").value();
  Message message = store.CreateMessage(store.Folders().drafts).value();
  const std::vector<Property> properties{Property::Bytes(pr::kSubject, "Composed"),
                                         Property::Bytes(pr::kBody, "Hello\n")};
  ASSERT_TRUE(message.SetProps(properties).has_value());
  ASSERT_TRUE(message.SaveChanges().has_value());
  const std::string queue_id = ToQueueId(MessageId{message.Id()->Object()});
  const Ended run = Bobbin({"message", "export", queue_id});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("Subject: Composed\r\n"));
  EXPECT_THAT(run.out, HasSubstr("\r\n\r\nHello"));
  const auto shown = ParseLines(Bobbin({"message", "show", "--json", queue_id}).out);
  EXPECT_EQ(shown.at(0)["content_bytes"], nullptr);
}

TEST_F(MessageTest, AnEmptyOriginalIsExportedEmpty) {
  const std::string queue_id = Submit("");
  const Ended run = Bobbin({"message", "export", queue_id});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out, "");
  const auto shown = ParseLines(Bobbin({"message", "show", "--json", queue_id}).out);
  EXPECT_EQ(shown.at(0)["content_bytes"], 0);
}

TEST_F(MessageTest, WhatIsNotThereIsExit66) {
  for (const char* command : {"show", "export"}) {
    const Ended run = Bobbin({"message", command, "ZZZZ"});
    EXPECT_EQ(run.exit_code, 66);
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr("MAPI_E_NOT_FOUND"));
  }
}

}  // namespace
}  // namespace bobbin::test

// bobbin submit --id: a draft of the database goes into the queue, and nothing else does.
//
// Method: drafts are .msg files imported by the real program, or messages taken back out of the
// queue; what is queued is what the program shows of it.

#include "tests/tools_cli/cli_test.h"
#include "tests/tools_cli/msg_maker.h"

namespace bobbin::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kForeignId = "an address book's own identifier";

MadeProperties Recipient(std::uint64_t type, const std::string& address_type,
                         const std::string& address) {
  return {Fixed(0x0C150003, type), Stored(0x3001001F, Utf16(address)),
          Stored(0x3002001F, Utf16(address_type)), Stored(0x3003001F, Utf16(address))};
}

class SubmitDraftTest : public CliTest {
 protected:
  SubmitDraftTest() { Init(); }

  std::string Import(MadeMessage message) const {
    const std::filesystem::path file = directory_ / "draft.msg";
    message.properties.push_back(Stored(0x0037001F, Utf16("Tea")));
    WriteMsg(file, message);
    const Ended run = Bobbin({"import", "--store", "mail", "--ids", file.string()});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.out.substr(0, run.out.find('\n'));
  }
  std::string Draft(MadeProperties properties = {}) const {
    MadeMessage message;
    message.properties = std::move(properties);
    message.recipients = {Recipient(1, "SMTP", "b@x.test")};
    return Import(std::move(message));
  }
  Ended SubmitId(const std::string& id, std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"submit", "--id", id});
    return Bobbin(std::move(options));
  }
  nlohmann::ordered_json Submitted(const std::string& id,
                                   std::vector<std::string> options = {}) const {
    options.emplace_back("--json");
    const Ended run = SubmitId(id, std::move(options));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return ParseLines(run.out).at(0);
  }
  void ExpectRefused(const Ended& run, int exit_code, const std::string& why) const {
    EXPECT_EQ(run.exit_code, exit_code);
    EXPECT_THAT(run.err, HasSubstr(why));
    EXPECT_EQ(run.out, "");
  }
};

TEST_F(SubmitDraftTest, AnImportedMessageIsQueuedToItsOwnRecipients) {
  ASSERT_EQ(Bobbin({"list", "create", "team"}).exit_code, 0);
  ASSERT_EQ(Bobbin({"list", "add", "team", "Dee <d@x.test>"}).exit_code, 0);
  MadeMessage message;
  message.properties = {Stored(0x0C1F001F, Utf16("amy@x.test"))};
  message.recipients = {Recipient(1, "SMTP", "b@x.test"), Recipient(2, "SMTP", "c@x.test"),
                        Recipient(3, "MAPIPDL", "team")};
  message.recipients[1].push_back(Stored(0x0FFF0102, kForeignId));
  const std::string id = Import(message);
  const Ended run = SubmitId(id);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out, id + "\n");
  const auto shown = ShowJson(id);
  EXPECT_EQ(shown["state"], "due");
  EXPECT_EQ(shown["store"], "mail");
  EXPECT_EQ(shown["subject"], "Tea");
  EXPECT_EQ(shown["sender_address"], "amy@x.test");
  EXPECT_THAT(RecipientAddresses(id), ElementsAre("b@x.test", "c@x.test", "d@x.test"));
  EXPECT_EQ(shown["recipients"][1]["type"], "cc");
  EXPECT_EQ(shown["recipients"][2]["display_name"], "Dee");

  std::string foreign_id;
  for (const char* c = kForeignId; *c != '\0'; ++c) {
    for (const int digit : {*c >> 4, *c & 0xF}) foreign_id += "0123456789abcdef"[digit];
  }
  std::vector<std::string> entry_ids;
  for (const auto& property : ParseLines(Bobbin({"message", "props", "--json", id}).out)) {
    if (property["tag"] == "0x0FFF0102" && property["path"] != "message") {
      entry_ids.push_back(property["value"]);
    }
  }
  EXPECT_THAT(entry_ids, ElementsAre(HasSubstr("812b1fa4bea310199d6e00dd010f5402"), foreign_id,
                                     HasSubstr("812b1fa4bea310199d6e00dd010f5402")));
}

TEST_F(SubmitDraftTest, WhatWasTakenBackCanBeSubmittedAgain) {
  const std::string id = Submit(kMessage);
  ASSERT_EQ(Bobbin({"abort", id}).exit_code, 0);
  ASSERT_EQ(QueuedIds(), "");
  const auto answer = Submitted(id);
  EXPECT_THAT(answer, HasTheFieldsOf("submit"));
  EXPECT_EQ(answer["queue_id"], id);
  EXPECT_EQ(answer["send_at"], nullptr);
  EXPECT_EQ(QueuedIds(), id + "\n");
  EXPECT_EQ(Bobbin({"message", "export", id}).out, kMessage);
  EXPECT_EQ(ShowJson(id)["sender_address"], "a@x.test");
}

TEST_F(SubmitDraftTest, OptionsGoBeforeWhatTheDraftSays) {
  const MadeProperties amy{Stored(0x0C1A001F, Utf16("Amy")), Stored(0x0C1E001F, Utf16("EX")),
                           Stored(0x0C1F001F, Utf16("/o=x/cn=amy")),
                           Stored(0x5D01001F, Utf16("amy@x.test")),
                           // In two weeks, for clients that know no times.
                           Fixed(0x3FEB0003, 2), Fixed(0x3FEC0003, 3)};
  const std::string as_it_is = Draft(amy);
  EXPECT_EQ(Submitted(as_it_is)["send_at"], nullptr);
  EXPECT_EQ(ShowJson(as_it_is)["sender_name"], "Amy");
  EXPECT_EQ(ShowJson(as_it_is)["state"], "waiting");

  const std::string id = Draft(amy);
  const auto answer = Submitted(
      id, {"--send-at", "2199-12-31T23:30:00+01:00", "-f", "Ann <a@x.test>", "-F", "Ann"});
  EXPECT_EQ(answer["send_at"], "2199-12-31T22:30:00.000Z");
  const auto shown = ShowJson(id);
  EXPECT_EQ(shown["due"], answer["send_at"]);
  EXPECT_EQ(shown["sender_address"], "a@x.test");
  EXPECT_EQ(shown["sender_name"], "Ann");
  for (const auto& property : ParseLines(Bobbin({"message", "props", "--json", id}).out)) {
    EXPECT_NE(property["tag"], "0x5D01001F") << "the address of another sender";
  }
  EXPECT_EQ(ShowJson(Submitted(Draft(amy), {"-f", "<>"})["queue_id"])["sender_address"], "");
  EXPECT_EQ(SubmitId(Draft(), {"-q"}).out, "");
}

TEST_F(SubmitDraftTest, NothingIsQueuedThatIsNoDraftWithRecipients) {
  ExpectRefused(SubmitId("no id!"), 64, "MAPI_E_INVALID_PARAMETER");
  ExpectRefused(SubmitId("ZZZZ"), 66, "submit ZZZZ: MAPI_E_NOT_FOUND: there is no message ZZZZ");
  ExpectRefused(SubmitId(Import({})), 64, "MAPI_E_NO_RECIPIENTS");
  MadeMessage to_strangers;
  to_strangers.recipients = {Recipient(1, "MAPIPDL", "strangers")};
  ExpectRefused(SubmitId(Import(to_strangers)), 66, "no list strangers; nothing was queued");

  const std::string id = Draft();
  ExpectRefused(SubmitId(id, {"--send-at", "tomorrow"}), 64, "--send-at tomorrow");
  ExpectRefused(SubmitId(id, {"-f", "no address"}), 64, "sender no address");
  for (const std::vector<std::string>& of_input : {std::vector<std::string>{"c@x.test"},
                                                   {"-t"},
                                                   {"--keep"},
                                                   {"--store", "mail"},
                                                   {"-N", "never"},
                                                   {"-R", "full"},
                                                   {"-V", "1"}}) {
    ExpectRefused(SubmitId(id, of_input), 64, "excludes --id");
  }
  EXPECT_EQ(QueuedIds(), "");
  ASSERT_EQ(SubmitId(id).exit_code, 0);
  ExpectRefused(SubmitId(id), 73, "MAPI_E_SUBMITTED");
  EXPECT_EQ(QueuedIds(), id + "\n");
}

TEST_F(SubmitDraftTest, WhatWasSentIsNotSentAgain) {
  ASSERT_EQ(Bobbin({"store", "create", "amy@x.test"}).exit_code, 0);
  ASSERT_EQ(Bobbin({"store", "create", "coupled", "--tightly-coupled"}).exit_code, 0);
  const std::string sent = Submit(kMessage, {"--store", "coupled", "--keep", "amy@x.test"});
  ASSERT_EQ(QueuedIds(), "") << "delivered inside the submission";
  ExpectRefused(SubmitId(sent), 73, "MAPI_E_SUBMITTED: it is no draft");
  const auto stores = ParseLines(Bobbin({"store", "show", "--json"}).out);
  EXPECT_EQ(stores.at(0)["inbox_messages"], 1);
}

}  // namespace
}  // namespace bobbin::test

// bobbin list, and submitting to a list.
//
// Method: keep lists with the real program, submit to them, and look at the recipients queued.

#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class ListTest : public CliTest {
 protected:
  ListTest() { Init(); }

  Ended List(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "list");
    return Bobbin(std::move(arguments));
  }
  void Make(const std::string& name, std::vector<std::string> members) const {
    EXPECT_EQ(List({"create", name}).exit_code, 0);
    if (members.empty()) return;
    members.insert(members.begin(), {"add", name});
    const Ended run = List(std::move(members));
    EXPECT_EQ(run.exit_code, 0) << run.err;
  }
  std::vector<std::string> Members(const std::string& name) const {
    const auto lists = ParseLines(List({"show", "--json", name}).out);
    std::vector<std::string> members;
    if (lists.size() != 1) return {"there is no such list"};
    for (const auto& member : lists[0]["members"]) {
      members.push_back(std::string(member["address_type"]) + ":" + std::string(member["address"]));
    }
    return members;
  }
};

TEST_F(ListTest, KeepsMembersInTheOrderTheyWereAdded) {
  Make("friends", {"b@x.test", "Cee <c@x.test>, d@x.test"});
  EXPECT_THAT(Members("friends"), ElementsAre("SMTP:b@x.test", "SMTP:c@x.test", "SMTP:d@x.test"));
  EXPECT_EQ(List({"remove", "friends", "C@X.test"}).exit_code, 0);
  EXPECT_THAT(Members("friends"), ElementsAre("SMTP:b@x.test", "SMTP:d@x.test"));
  const Ended shown = List({"show"});
  EXPECT_EQ(shown.out, "friends\n  b@x.test\n  d@x.test\n");
  EXPECT_EQ(List({"delete", "friends"}).exit_code, 0);
  EXPECT_EQ(List({"show"}).out, "");
}

TEST_F(ListTest, MembersKeepTheNamesTheyWereGiven) {
  Make("team", {"Amy <amy@x.test>", "\"Smith, Bob \\\"B\\\"\" <bob@x.test>", "cee@x.test (Cee)",
                "J\u00f6rg M\u00fcller <j@x.test>, \u6797 <lin@x.test>", "<e@x.test>", "Fay <fay>",
                "<gil>"});
  std::vector<std::string> names;
  const auto lists = ParseLines(List({"show", "--json", "team"}).out);
  ASSERT_EQ(lists.size(), 1U);
  for (const auto& member : lists[0]["members"]) names.push_back(member["display_name"]);
  const std::string gil = lists[0]["members"].back()["address"];
  ASSERT_THAT(gil, testing::StartsWith("gil@"));
  EXPECT_THAT(names, ElementsAre("Amy", "Smith, Bob \"B\"", "Cee", "J\u00f6rg M\u00fcller",
                                 "\u6797", "e@x.test", "Fay", gil));
  const Ended shown = List({"show", "team"});
  EXPECT_THAT(shown.out, testing::StartsWith("team\n"
                                             "  Amy <amy@x.test>\n"
                                             "  Smith, Bob \"B\" <bob@x.test>\n"
                                             "  Cee <cee@x.test>\n"
                                             "  J\u00f6rg M\u00fcller <j@x.test>\n"
                                             "  \u6797 <lin@x.test>\n"
                                             "  e@x.test\n"
                                             "  Fay <fay@"));
  EXPECT_EQ(List({"remove", "team", "Somebody Else <AMY@x.test>"}).exit_code, 0)
      << "the address says who it is";
  EXPECT_THAT(Members("team"), testing::Not(testing::Contains("SMTP:amy@x.test")));
}

TEST_F(ListTest, WhatIsQueuedHasTheNamesOfTheMembers) {
  Make("inner", {"J\u00f6rg <j@x.test>"});
  Make("team", {"Amy <amy@x.test>", "list:inner", "d@x.test"});
  std::vector<std::string> names;
  for (const auto& property :
       ParseLines(Bobbin({"message", "props", "--json", Submit(kMessage, {"list:team"})}).out)) {
    const bool of_recipient = property["path"] != "message";
    if (of_recipient && property["tag"] == "0x3001001F") names.push_back(property["value"]);
  }
  EXPECT_THAT(names, ElementsAre("Amy", "J\u00f6rg", "d@x.test"));
}

TEST_F(ListTest, JsonHasTheDocumentedFields) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"create", "--json", "friends"},
        {"add", "--json", "friends", "b@x.test"},
        {"add", "--json", "friends", "b@x.test"},
        {"remove", "--json", "friends", "b@x.test"},
        {"delete", "--json", "friends"}}) {
    const auto answers = ParseLines(List(arguments).out);
    ASSERT_EQ(answers.size(), 1U) << arguments[0];
    EXPECT_THAT(answers[0], HasTheFieldsOf("list step"));
    EXPECT_EQ(answers[0]["command"], arguments[0]);
  }
  Make("team", {"b@x.test"});
  const auto lists = ParseLines(List({"show", "--json"}).out);
  ASSERT_EQ(lists.size(), 1U);
  EXPECT_THAT(lists[0], HasTheFieldsOf("list show"));
  EXPECT_THAT(lists[0]["members"][0], HasTheFieldsOf("list member"));
}

TEST_F(ListTest, EveryMemberIsAnsweredAndTheFirstFailureIsTheExitCode) {
  Make("friends", {"b@x.test"});
  const Ended run =
      List({"add", "--json", "friends", "c@x.test", "b@x.test", "no address", "d@x.test"});
  EXPECT_EQ(run.exit_code, 73);
  const auto answers = ParseLines(run.out);
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0]["ok"], true);
  EXPECT_EQ(answers[1]["error"], "MAPI_E_COLLISION");
  EXPECT_EQ(answers[2]["error"], "MAPI_E_INVALID_PARAMETER");
  EXPECT_EQ(answers[3]["ok"], true);
  EXPECT_THAT(Members("friends"), ElementsAre("SMTP:b@x.test", "SMTP:c@x.test", "SMTP:d@x.test"));
}

TEST_F(ListTest, OneCommandAddsAllThatCanBeOrNoneWhenTheListGetsTooLong) {
  Make("friends", {"b@x.test"});
  const Ended run = List({"add", "friends", "b@x.test, c@x.test", "d@x.test", "D@X.test"});
  EXPECT_EQ(run.exit_code, 73);
  EXPECT_EQ(run.out, "d@x.test  is in friends\n");
  EXPECT_THAT(run.err, HasSubstr("add friends b@x.test, c@x.test: MAPI_E_COLLISION: b@x.test is"));
  EXPECT_THAT(run.err, HasSubstr("add friends D@X.test: MAPI_E_COLLISION"));
  EXPECT_THAT(Members("friends"), ElementsAre("SMTP:b@x.test", "SMTP:c@x.test", "SMTP:d@x.test"));

  std::vector<std::string> too_many{"add", "friends"};
  for (int i = 0; i < 10'000; ++i) too_many.push_back("r" + std::to_string(i) + "@x.test");
  const Ended refused = List(too_many);
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("add friends r9999@x.test: MAPI_E_TOO_BIG: a list has at "
                                     "most 10000 members; nothing was added"));
  EXPECT_THAT(Members("friends"), SizeIs(3));
}

TEST_F(ListTest, RefusesWhatCannotBe) {
  Make("friends", {});
  EXPECT_EQ(List({"create", "friends"}).exit_code, 73);
  EXPECT_EQ(List({"create", "a;b"}).exit_code, 64);
  EXPECT_EQ(List({"create", std::string(256, 'x')}).exit_code, 64);
  EXPECT_EQ(List({"delete", "strangers"}).exit_code, 66);
  EXPECT_EQ(List({"add", "strangers", "b@x.test"}).exit_code, 66);
  EXPECT_EQ(List({"remove", "friends", "b@x.test"}).exit_code, 66);
  EXPECT_EQ(List({"add", "friends", "list:strangers"}).exit_code, 66);
  const Ended shown = List({"show", "strangers", "friends"});
  EXPECT_EQ(shown.exit_code, 66);
  EXPECT_EQ(shown.out, "friends\n") << "the lists that are there are shown";
  EXPECT_THAT(shown.err, HasSubstr("bobbin list show"));
  EXPECT_EQ(List({"add", "friends"}).exit_code, 64);
}

TEST_F(ListTest, SubmitSendsToTheMembersOfAListAndOfTheListsInIt) {
  Make("inner", {"c@x.test", "d@x.test"});
  Make("all", {"b@x.test", "list:inner"});
  ASSERT_EQ(List({"add", "inner", "list:all"}).exit_code, 0) << "a circle";
  const std::string queue_id = Submit(kMessage, {"list:all", "d@x.test", "e@x.test"});
  EXPECT_THAT(RecipientAddresses(queue_id),
              UnorderedElementsAre("b@x.test", "c@x.test", "d@x.test", "e@x.test"));
  ASSERT_EQ(List({"remove", "inner", "c@x.test"}).exit_code, 0);
  EXPECT_THAT(RecipientAddresses(queue_id), testing::Contains("c@x.test"))
      << "what is queued stays as it was submitted";
  EXPECT_THAT(RecipientAddresses(Submit(kMessage, {"list:inner"})),
              UnorderedElementsAre("b@x.test", "d@x.test"));
}

TEST_F(ListTest, WhatIsAskedOfReportsIsAskedForEveryMember) {
  Make("friends", {"b@x.test", "c@x.test"});
  const std::string queue_id = Submit(kMessage, {"-N", "never", "list:friends"});
  int wishes = 0;
  for (const auto& property : ParseLines(Bobbin({"message", "props", queue_id, "--json"}).out)) {
    if (property["path"] == "message") continue;
    wishes += property["tag"] == "0x0C08000B" && property["value"] == false;
  }
  EXPECT_EQ(wishes, 2);
}

TEST_F(ListTest, SubmittingToWhatIsNoListQueuesNothing) {
  Make("empty", {});
  Make("inner", {"b@x.test"});
  Make("outer", {"list:inner"});
  ASSERT_EQ(List({"delete", "inner"}).exit_code, 0);
  const auto submit = [this](const std::string& recipient) {
    return Bobbin({"submit", recipient}, File(kMessage));
  };
  const Ended unknown = submit("list:strangers");
  EXPECT_EQ(unknown.exit_code, 66);
  EXPECT_THAT(unknown.err, HasSubstr("recipient list:strangers"));
  EXPECT_EQ(submit("list:empty").exit_code, 64);
  EXPECT_EQ(submit("list:outer").exit_code, 66);
  EXPECT_EQ(QueuedIds(), "");
}

TEST_F(ListTest, AGroupOfAddressesIsNoList) {
  EXPECT_THAT(RecipientAddresses(Submit(kMessage, {"list: b@x.test, c@x.test;"})),
              ElementsAre("b@x.test", "c@x.test"));
}

}  // namespace
}  // namespace bobbin::test

// bobbin store, and submission from a tightly coupled store.
#include "tests/tools_cli/cli_test.h"
#include "tests/tools_cli/documented_fields.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

class StoreTest : public CliTest {
 protected:
  StoreTest() { Init(); }
  nlohmann::ordered_json Show(const std::string& name) const {
    for (const auto& store : ParseLines(Bobbin({"store", "show", "--json"}).out)) {
      if (store["store"] == name) return store;
    }
    return {};
  }
};

TEST_F(StoreTest, IsMadeCoupledAndUncoupled) {
  const Ended made = Bobbin({"store", "create", "amy@x.test"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.out, "amy@x.test  uncoupled, 0 messages in the Inbox, 0 unread\n");
  EXPECT_THAT(Show("amy@x.test"), HasTheFieldsOf("store"));
  EXPECT_EQ(Show("amy@x.test")["tightly_coupled"], false);
  EXPECT_EQ(Bobbin({"store", "couple", "amy@x.test"}).exit_code, 0);
  EXPECT_EQ(Show("amy@x.test")["tightly_coupled"], true);
  EXPECT_EQ(Bobbin({"store", "uncouple", "amy@x.test"}).exit_code, 0);
  EXPECT_EQ(Show("amy@x.test")["tightly_coupled"], false);
  EXPECT_EQ(Bobbin({"store", "create", "bob@x.test", "--tightly-coupled"}).exit_code, 0);
  EXPECT_EQ(Show("bob@x.test")["tightly_coupled"], true);
}

TEST_F(StoreTest, DeliversInsideTheSubmissionWhenCoupled) {
  ASSERT_EQ(Bobbin({"store", "create", "amy@x.test"}).exit_code, 0);
  const auto submit = [&] {
    const Ended run =
        Bobbin({"submit", "-f", "carl@x.test", "amy@x.test"}, File("Subject: hi\n\nHi.\n"));
    EXPECT_EQ(run.exit_code, 0) << run.err;
  };
  submit();
  EXPECT_NE(Bobbin({"queue", "list", "--ids"}).out, "") << "the spooler's";
  EXPECT_EQ(Show("amy@x.test")["inbox_messages"], 0);
  // `submit` uses the store that takes mail, which is there now.
  ASSERT_EQ(Bobbin({"store", "couple", "outgoing"}).exit_code, 0);
  const std::string queued = Bobbin({"queue", "list", "--ids"}).out;
  submit();
  EXPECT_EQ(Bobbin({"queue", "list", "--ids"}).out, queued) << "done inside the submission";
  EXPECT_EQ(Show("amy@x.test")["inbox_messages"], 1);
  EXPECT_EQ(Show("amy@x.test")["inbox_unread"], 1);
}

TEST_F(StoreTest, SaysWhatIsWrong) {
  const Ended unknown = Bobbin({"store", "couple", "nobody@x.test"});
  EXPECT_EQ(unknown.exit_code, 66);
  EXPECT_THAT(unknown.err, HasSubstr("MAPI_E_NOT_FOUND"));
  ASSERT_EQ(Bobbin({"store", "create", "amy@x.test"}).exit_code, 0);
  EXPECT_EQ(Bobbin({"store", "create", "amy@x.test"}).exit_code, 73);
  EXPECT_EQ(Bobbin({"store", "create", ""}).exit_code, 64);
}

}  // namespace
}  // namespace bobbin::test

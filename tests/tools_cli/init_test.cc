// bobbin init and the choice of the database.
//
// Method: run the program in an empty directory with and without option and variable, and look at
// which directory became a database, the exit code and the line on standard error.

#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

class InitTest : public CliTest {
 protected:
  Ended WithoutVariable(std::vector<std::string> arguments) const {
    Start start = StartOf(std::move(arguments));
    start.environment.clear();
    return RunProgram(start);
  }
};

TEST_F(InitTest, CreatesADatabaseAndSaysWhatToDoNext) {
  const Ended run = Bobbin({"init"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("bobbind --database " + database_.string()));
  EXPECT_EQ(Bobbin({"stat"}).exit_code, 0);
}

TEST_F(InitTest, AnExistingDatabaseIsLeftAloneWithExit73) {
  Init();
  const std::string queue_id = Submit(kMessage);
  const Ended run = Bobbin({"init"});
  EXPECT_EQ(run.exit_code, 73);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("there is one already; use it as it is"));
  EXPECT_EQ(QueuedIds(), queue_id + "\n");
}

TEST_F(InitTest, ADirectoryWithOtherThingsInItIsLeftAloneWithExit73) {
  std::filesystem::create_directory(database_);
  std::ofstream(database_ / "letter") << "Dear Bob";
  const Ended run = Bobbin({"init"});
  EXPECT_EQ(run.exit_code, 73);
  EXPECT_THAT(run.err, HasSubstr("name a directory that is new or empty"));
  EXPECT_FALSE(std::filesystem::exists(database_ / "data.mdb"));
}

TEST_F(InitTest, JsonHasTheDocumentedFields) {
  const auto objects = ParseLines(Bobbin({"init", "--json"}).out);
  ASSERT_EQ(objects.size(), 1U);
  ASSERT_THAT(objects[0], HasTheFieldsOf("init"));
}

TEST_F(InitTest, WithoutOptionAndVariableTheDatabaseIsData) {
  const Ended none = WithoutVariable({"stat"});
  EXPECT_EQ(none.exit_code, 66);
  EXPECT_THAT(none.err, HasSubstr("there is no ./data here"));
  EXPECT_THAT(none.err, HasSubstr("bobbin init"));
  EXPECT_EQ(WithoutVariable({"init"}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(directory_ / "data" / "data.mdb"));
  EXPECT_EQ(WithoutVariable({"stat"}).exit_code, 0);
}

TEST_F(InitTest, TheOptionWinsOverTheVariableWhereverItStands) {
  const std::string other = directory_ / "other";
  EXPECT_EQ(Bobbin({"--database", other, "init"}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(other + "/data.mdb"));
  EXPECT_EQ(Bobbin({"queue", "list", "--database", other}).exit_code, 0);
  EXPECT_EQ(Bobbin({"--database", other, "queue", "list"}).exit_code, 0);
  EXPECT_EQ(Bobbin({"queue", "list"}).exit_code, 66);
}

TEST_F(InitTest, AWrongCommandLineIsExit64AndNamesWhatIsWrong) {
  Init();
  const std::vector<std::vector<std::string>> wrong{
      {},           {"dance"},           {"queue"},        {"queue", "list", "--purple"},
      {"abort"},    {"message", "show"}, {"stat", "more"}, {"queue", "list", "--limit", "x"},
      {"hold", "U"}};
  for (const auto& arguments : wrong) {
    const Ended run = Bobbin(arguments);
    EXPECT_EQ(run.exit_code, 64) << testing::PrintToString(arguments) << run.out << run.err;
    EXPECT_THAT(run.err, testing::StartsWith("bobbin: "));
  }
  EXPECT_THAT(Bobbin({"queue", "list", "--purple"}).err, HasSubstr("--purple"));
}

TEST_F(InitTest, HelpAndVersionAreAnswered) {
  EXPECT_EQ(Bobbin({"--help"}).exit_code, 0);
  EXPECT_THAT(Bobbin({"submit", "--help"}).out, HasSubstr("--keep"));
  EXPECT_THAT(Bobbin({"--version"}).out, HasSubstr("bobbin 0."));
}

}  // namespace
}  // namespace bobbin::test

// A path that is no usable database gives the documented exit code and a line that helps, and is
// left as it was; no command crashes on it.
//
// Method: every way a path can be wrong, against every command.

#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <iterator>
#include <sstream>

#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

class BadDatabaseTest : public CliTest {
 protected:
  void ExpectEveryCommandFailsWith(int exit_code) const {
    const std::vector<std::vector<std::string>> commands{
        {"queue", "list"},          {"queue", "show", "1"}, {"stat"},
        {"submit", "b@x.test"},     {"abort", "1"},         {"message", "show", "1"},
        {"message", "export", "1"}, {"hold", "1", "2"}};
    for (const auto& command : commands) {
      const Ended run = Bobbin(command, "/dev/null");
      EXPECT_EQ(run.exit_code, exit_code) << command[0] << ": " << run.err;
      EXPECT_EQ(run.out, "");
      EXPECT_THAT(run.err, testing::StartsWith("bobbin: open the database: "));
      EXPECT_THAT(run.err, HasSubstr(database_.string()));
      EXPECT_THAT(run.err, HasSubstr("; "));
    }
  }

  void ExpectCheckFailsWith(int exit_code) const {
    const Ended run = Bobbin({"check"});
    EXPECT_EQ(run.exit_code, exit_code) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, testing::StartsWith("bobbin: open the database: "));
  }
  // A database whose file is damaged beyond opening: that is what check was asked for.
  void ExpectCheckTells(const std::string& what_to_do) const {
    const Ended run = Bobbin({"check", "--json"});
    EXPECT_EQ(run.exit_code, 1) << run.err;
    const auto objects = ParseLines(run.out);
    ASSERT_EQ(objects.size(), 2U) << run.out;
    EXPECT_THAT(objects[0], HasTheFieldsOf("finding"));
    EXPECT_THAT(objects[0]["detail"].get<std::string>(), HasSubstr(what_to_do));
    EXPECT_EQ(objects[1]["findings"], 1);
  }

  // The program as a user who owns nothing here; root may do everything.
  Ended AsNobody(std::vector<std::string> arguments) const {
    Start start = StartOf(std::move(arguments));
    if (geteuid() == 0) {
      const std::vector<std::string> drop{"setpriv", "--reuid=65534", "--regid=65534",
                                          "--clear-groups"};
      start.arguments.insert(start.arguments.begin(), drop.begin(), drop.end());
    }
    return RunProgram(start);
  }
};

TEST_F(BadDatabaseTest, AbsentIsExit66) {
  ExpectEveryCommandFailsWith(66);
  ExpectCheckFailsWith(66);
}

TEST_F(BadDatabaseTest, AFileIsExit66) {
  std::ofstream(database_) << "not a directory";
  ExpectEveryCommandFailsWith(66);
  EXPECT_EQ(Bobbin({"init"}).exit_code, 73);
}

TEST_F(BadDatabaseTest, AnEmptyDirectoryIsExit66) {
  std::filesystem::create_directory(database_);
  ExpectEveryCommandFailsWith(66);
  ExpectCheckFailsWith(66);
}

TEST_F(BadDatabaseTest, GarbageInsteadOfTheDataIsExit66) {
  Init();
  std::ofstream(database_ / "data.mdb") << std::string(100'000, 'x');
  ExpectEveryCommandFailsWith(66);
  ExpectCheckTells("salvage");
}

TEST_F(BadDatabaseTest, TruncatedIsExit66AtEveryPlace) {
  Init();
  for (int i = 0; i < 5; ++i) Submit(kMessage);
  const std::uintmax_t whole = std::filesystem::file_size(database_ / "data.mdb");
  for (const std::uintmax_t bytes : {std::uintmax_t{0}, std::uintmax_t{1}, std::uintmax_t{4096},
                                     std::uintmax_t{8192}, whole / 2}) {
    SCOPED_TRACE(testing::Message() << "cut to " << bytes << " of " << whole << " bytes");
    std::filesystem::resize_file(database_ / "data.mdb", bytes);
    ExpectEveryCommandFailsWith(66);
    ExpectCheckTells("salvage");
  }
}

TEST_F(BadDatabaseTest, OfANewerVersionIsExit69AndUntouched) {
  Init();
  std::string text = ReadFile(database_ / "identity");
  const std::string first = "bobbin-database 1\n";
  ASSERT_EQ(text.rfind(first, 0), 0U);
  text.replace(0, first.size(), "bobbin-database 2\n");
  text.erase(text.find("checksum "));
  std::ostringstream checksum;
  checksum << std::hex;
  checksum.fill('0');
  checksum.width(16);
  checksum << XXH3_64bits(text.data(), text.size());
  text += "checksum " + checksum.str() + "\n";
  std::ofstream(database_ / "identity") << text;
  ExpectEveryCommandFailsWith(69);
  ExpectCheckFailsWith(69);
}

TEST_F(BadDatabaseTest, WithoutPermissionIsExit77) {
  Init();
  chmod(directory_.c_str(), 0755);
  const Ended probe = AsNobody({"--version"});
  if (probe.exit_code != 0) GTEST_SKIP() << "another user cannot run the program: " << probe.err;
  if (geteuid() != 0) chmod(database_.c_str(), 0);
  const Ended run = AsNobody({"queue", "list"});
  chmod(database_.c_str(), 0700);
  EXPECT_EQ(run.exit_code, 77) << run.err;
  EXPECT_THAT(run.err, HasSubstr("MAPI_E_NO_ACCESS"));
}

TEST_F(BadDatabaseTest, ReadableButNotWritableIsExit77) {
  Init();
  chmod(directory_.c_str(), 0755);
  chmod(database_.c_str(), 0555);
  for (const auto& entry : std::filesystem::directory_iterator(database_)) {
    chmod(entry.path().c_str(), 0444);
  }
  const Ended probe = AsNobody({"--version"});
  if (probe.exit_code != 0) GTEST_SKIP() << "another user cannot run the program: " << probe.err;
  const Ended run = AsNobody({"queue", "list"});
  EXPECT_EQ(run.exit_code, 77) << run.err;
  EXPECT_THAT(run.err, HasSubstr("MAPI_E_NO_ACCESS"));
  chmod(database_.c_str(), 0700);
}

}  // namespace
}  // namespace bobbin::test

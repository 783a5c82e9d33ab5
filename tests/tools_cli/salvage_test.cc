// bobbin salvage: a database that no longer opens is made anew, and the report names every message.
#include <iterator>

#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

constexpr std::size_t kPage = 4096;

class SalvageTest : public CliTest {
 protected:
  SalvageTest() { Init(); }

  std::filesystem::path Target() const { return directory_ / "salvaged"; }

  void Overwrite(std::size_t offset, std::size_t bytes) const {
    std::fstream file(Data(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file << std::string(bytes, '\0');
  }
  Ended Salvage(const std::vector<std::string>& options = {}) const {
    std::vector<std::string> arguments{"salvage", database_.string(), Target().string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return Bobbin(arguments);
  }
  Ended InTarget(const std::vector<std::string>& command) const {
    return BobbinIn(Target(), command);
  }
};

TEST_F(SalvageTest, WithoutMetaPagesEverythingComesBackHeld) {
  const std::string first = Submit(kMessage);
  const std::string second = Submit(kMessage);
  Overwrite(0, 2 * kPage);
  const Ended before = Bobbin({"queue", "list"});
  EXPECT_EQ(before.exit_code, 66);
  EXPECT_THAT(before.err, HasSubstr("salvage"));
  const Ended run = Salvage({"--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto objects = ParseLines(run.out);
  ASSERT_EQ(objects.size(), 4U);
  ASSERT_THAT(objects[0], HasTheFieldsOf("salvaged message"));
  EXPECT_EQ(objects[0]["id"], first);
  EXPECT_EQ(objects[0]["fate"], "whole");
  EXPECT_EQ(objects[0]["held"], true);
  ASSERT_THAT(objects[2], HasTheFieldsOf("salvaged store"));
  EXPECT_EQ(objects[2]["whole"], 2);
  ASSERT_THAT(objects[3], HasTheFieldsOf("salvage summary"));
  EXPECT_EQ(objects[3]["whole"], 2);
  EXPECT_EQ(objects[3]["proven"], false);
  EXPECT_EQ(InTarget({"check", "--deep"}).exit_code, 0);
  EXPECT_EQ(InTarget({"message", "export", second}).out, kMessage);
  EXPECT_EQ(InTarget({"release", first}).exit_code, 0);
  EXPECT_EQ(Salvage().exit_code, 73) << "there is something already";
}

TEST_F(SalvageTest, WhatIsNotWholeIsExportedAndNamed) {
  const std::string whole = Submit(kMessage);
  const std::string broken = Submit("Subject: Tea\n\n" + std::string(90'000, 'y') + "TheEnd\n");
  Overwrite(ReadFile(Data()).find("TheEnd"), 1);
  const Ended run = Salvage();
  EXPECT_EQ(run.exit_code, 1) << run.err;
  EXPECT_THAT(run.out, testing::AllOf(HasSubstr(broken), HasSubstr("damaged"),
                                      HasSubstr("1 messages whole, 0 moved, 1 damaged")));
  EXPECT_EQ(InTarget({"queue", "list", "--ids"}).out, whole + "\n");
  EXPECT_THAT(
      ReadFile(Target() / "salvaged" / (broken + ".eml")),
      testing::AllOf(HasSubstr("X-Bobbin-Salvage: its content is not whole"),
                     HasSubstr("X-Bobbin-Recipient: b@x.test"), HasSubstr("Subject: Tea\n\nyyyy"),
                     HasSubstr("[here something is missing]")));
}

TEST_F(SalvageTest, WhereThereIsNoDatabaseItMakesNone) {
  std::filesystem::remove(database_ / "identity");
  EXPECT_EQ(Salvage().exit_code, 66);
  EXPECT_FALSE(std::filesystem::exists(Target()));
  EXPECT_EQ(Bobbin({"salvage"}).exit_code, 64);
}

}  // namespace
}  // namespace bobbin::test

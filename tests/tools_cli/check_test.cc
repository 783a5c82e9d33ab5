// bobbin check, and what the other commands do with a damaged record.
//
// Method: flip one byte in every copy of a message's subject in data.mdb, with nobody having the
// database open. Check must find it and name it; the other messages must stay usable.

#include <algorithm>
#include <iterator>

#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

class CheckTest : public CliTest {
 protected:
  CheckTest() { Init(); }

  // Returns how many copies there were.
  std::size_t DamageEvery(const std::string& text) const {
    const std::filesystem::path path = database_ / "data.mdb";
    std::string bytes;
    {
      std::ifstream file(path, std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(file), {});
    }
    std::size_t count = 0;
    for (std::size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at)) {
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      ++count;
    }
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return count;
  }
};

TEST_F(CheckTest, AWholeDatabaseIsClean) {
  Submit(kMessage);
  const Ended run = Bobbin({"check"});
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_THAT(run.out, HasSubstr("clean: "));
  EXPECT_EQ(run.err, "") << "progress is for terminals";
  const auto objects = ParseLines(Bobbin({"check", "--json"}).out);
  ASSERT_EQ(objects.size(), 1U);
  ASSERT_THAT(objects[0], HasTheFieldsOf("summary"));
  EXPECT_EQ(objects[0]["messages"], 1);
  EXPECT_EQ(objects[0]["findings"], 0);
}

TEST_F(CheckTest, DamageIsFoundWithExit1AndNamesTableAndKey) {
  Submit("Subject: UnmistakableSubject\n\nHello\n");
  ASSERT_GT(DamageEvery("UnmistakableSubject"), 0U);
  const Ended run = Bobbin({"check"});
  EXPECT_EQ(run.exit_code, 1) << run.err;
  EXPECT_THAT(run.out, HasSubstr("messages"));
  const auto objects = ParseLines(Bobbin({"check", "--json"}).out);
  ASSERT_GE(objects.size(), 2U);
  ASSERT_THAT(objects.front(), HasTheFieldsOf("finding"));
  EXPECT_EQ(objects.front()["table"], "messages");
  ASSERT_THAT(objects.back(), HasTheFieldsOf("summary"));
  EXPECT_EQ(objects.back()["findings"], objects.size() - 1);
}

TEST_F(CheckTest, TheOtherMessagesStayUsable) {
  const std::string damaged = Submit("Subject: UnmistakableSubject\n\nHello\n");
  const std::string whole = Submit(kMessage);
  ASSERT_GT(DamageEvery("UnmistakableSubject"), 0U);
  const Ended shown = Bobbin({"message", "show", damaged});
  EXPECT_EQ(shown.exit_code, 74);
  EXPECT_EQ(shown.out, "");
  EXPECT_THAT(shown.err, HasSubstr("MAPI_E_CORRUPT_DATA"));
  EXPECT_THAT(shown.err, HasSubstr("bobbin check"));
  const Ended list = Bobbin({"queue", "list", "--ids"});
  EXPECT_EQ(list.exit_code, 74);
  EXPECT_EQ(list.out, whole + "\n");
  EXPECT_EQ(Bobbin({"message", "export", whole}).out, kMessage);
  EXPECT_EQ(Bobbin({"abort", whole}).exit_code, 0);
}

}  // namespace
}  // namespace bobbin::test

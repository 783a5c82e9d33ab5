// bobbin check, and what the other commands do with a damaged record.
//
// Method: flip one byte in every copy of a message's subject in data.mdb, with nobody having the
// database open. Check must find it and name it; the other messages must stay usable.

#include "engine/database.h"
#include "engine/database_state.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

class CheckTest : public CliTest {
 protected:
  CheckTest() { Init(); }
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
  // Of what was there, the first letter was changed.
  const std::string bytes = ReadFile(Data());
  const std::string page = bytes.substr(objects.front()["page"].get<std::size_t>() * 4096, 4096);
  EXPECT_THAT(page, HasSubstr("nmistakableSubject"));
  ASSERT_THAT(objects.back(), HasTheFieldsOf("summary"));
  EXPECT_EQ(objects.back()["findings"], objects.size() - 1);
}

TEST_F(CheckTest, DamagedPagesAreFoundAndNothingIsReadThroughThem) {
  for (int i = 0; i < 200; ++i) Submit(kMessage);
  const std::filesystem::path path = database_ / "data.mdb";
  constexpr std::size_t kPage = 4096;
  const std::uintmax_t pages = std::filesystem::file_size(path) / kPage;
  int found = 0;
  // One page after the other: of most no program may make anything, some are free.
  for (std::uintmax_t page = 2; page < pages; page += 3) {
    SCOPED_TRACE(testing::Message() << "page " << page << " of " << pages);
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    std::string was(kPage, '\0');
    file.seekg(static_cast<std::streamoff>(page * kPage)).read(was.data(), kPage);
    const std::string zeros(kPage, '\0');
    file.seekp(static_cast<std::streamoff>(page * kPage)).write(zeros.data(), kPage).flush();
    const Ended run = Bobbin({"check", "--quick", "--json"});
    const auto objects = ParseLines(run.out);
    ASSERT_GE(objects.size(), 1U) << run.err;
    ASSERT_THAT(objects.back(), HasTheFieldsOf("summary"));
    if (run.exit_code == 1) {
      ++found;
      ASSERT_THAT(objects.front(), HasTheFieldsOf("finding"));
      EXPECT_EQ(objects.back()["records"], 0);
      const Ended list = Bobbin({"queue", "list"});
      EXPECT_EQ(list.exit_code, 74) << list.err;
      EXPECT_THAT(list.err,
                  testing::AllOf(HasSubstr("MAPI_E_CORRUPT_STORE"), HasSubstr("bobbin salvage")));
    } else {
      EXPECT_EQ(run.exit_code, 0) << run.err;
    }
    file.seekp(static_cast<std::streamoff>(page * kPage)).write(was.data(), kPage).flush();
  }
  EXPECT_GT(found, 20);
  EXPECT_EQ(Bobbin({"check", "--deep"}).exit_code, 0);
}

TEST_F(CheckTest, WhatRowsSayOfEachOtherIsNamedWithItsPageAndWhatToDo) {
  const std::string id = Submit(kMessage);
  {
    const Database database = Database::Open(database_).value();
    ASSERT_TRUE(database.State()
                    ->Engine()
                    .Update([&](kv::WriteTransaction& rows) {
                      return rows.Erase(table::kDue, [&] {
                        std::string key;
                        (void)rows.Scan(table::kDue, {}, [&](kv::Bytes found, kv::Bytes) {
                          key = found;
                          return false;
                        });
                        return key;
                      }());
                    })
                    .ToResult());
  }
  const Ended run = Bobbin({"check", "--json"});
  EXPECT_EQ(run.exit_code, 1) << run.err;
  const auto objects = ParseLines(run.out);
  ASSERT_EQ(objects.size(), 3U) << run.out;
  EXPECT_EQ(objects[0]["table"], "due");
  EXPECT_EQ(objects[0]["key"], id);
  EXPECT_GT(objects[0]["page"], 1);
  EXPECT_EQ(objects[0]["detail"],
            "the queued message has no row in the due index; `bobbin salvage` makes a new database "
            "of what is whole");
  EXPECT_EQ(objects[1]["detail"],
            "it has 0 rows, and 1 were committed; restore a backup, or salvage what is there");
}

TEST_F(CheckTest, OnlyDeepLooksAtTheBytesOfLongContent) {
  Submit("Subject: Tea\n\n" + std::string(200'000, 'y') + "UnmistakableEnd\n");
  ASSERT_EQ(DamageEvery("UnmistakableEnd"), 1U);
  EXPECT_EQ(Bobbin({"check", "--quick"}).exit_code, 0);
  EXPECT_EQ(Bobbin({"check"}).exit_code, 0);
  const Ended run = Bobbin({"check", "--deep"});
  EXPECT_EQ(run.exit_code, 1) << run.err;
  EXPECT_THAT(run.out, HasSubstr("bodies"));
  EXPECT_EQ(Bobbin({"check", "--deep", "--quick"}).exit_code, 64);
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

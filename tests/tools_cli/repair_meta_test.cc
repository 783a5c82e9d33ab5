// bobbin repair-meta: whichever meta page is destroyed, and however, the copy opens and is clean.
#include <iterator>

#include "engine/kv/lmdb_pages.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

constexpr std::size_t kPage = 4096;

class RepairMetaTest : public CliTest {
 protected:
  RepairMetaTest() { Init(); }

  std::filesystem::path Copy() const { return directory_ / "copy"; }

  Ended Repair(std::vector<std::string> options = {}) const {
    std::vector<std::string> arguments{"repair-meta", database_.string(), Copy().string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return Bobbin(arguments);
  }
  Ended InCopy(const std::vector<std::string>& command) const { return BobbinIn(Copy(), command); }
};

TEST_F(RepairMetaTest, EitherPageIsMadeAnew) {
  const std::string first = Submit(kMessage);
  const std::string second = Submit(kMessage);
  const std::string sound = ReadFile(Data());
  const auto even = kv::lmdb::LoadAt<kv::lmdb::Meta>(sound, 16);
  const auto odd = kv::lmdb::LoadAt<kv::lmdb::Meta>(sound, kPage + 16);
  for (const std::size_t page : {0U, 1U}) {
    const bool newest = (odd.transaction > even.transaction) == (page == 1);
    for (const std::string& damage :
         {std::string(kPage, '\0'), std::string(kPage, '\xA5'), sound.substr(2 * kPage, kPage),
          sound.substr((1 - page) * kPage, kPage)}) {
      SCOPED_TRACE(testing::Message() << "page " << page);
      std::string bytes = sound;
      WriteFile(Data(), bytes.replace(page * kPage, kPage, damage));
      EXPECT_EQ(Bobbin({"queue", "list"}).exit_code, 66);
      const Ended check = Bobbin({"check", "--json"});
      EXPECT_EQ(check.exit_code, 1) << check.err;
      EXPECT_EQ(ParseLines(check.out)[0]["page"], page);
      EXPECT_THAT(check.out, HasSubstr("repair-meta"));
      const Ended run = Repair({"--json"});
      ASSERT_EQ(run.exit_code, 0) << run.err;
      const auto objects = ParseLines(run.out);
      ASSERT_EQ(objects.size(), 1U);
      ASSERT_THAT(objects[0], HasTheFieldsOf("repair"));
      EXPECT_EQ(objects[0]["page"], page);
      EXPECT_EQ(objects[0]["transaction"], newest ? std::min(even.transaction, odd.transaction)
                                                  : std::max(even.transaction, odd.transaction));
      EXPECT_EQ(InCopy({"check", "--deep"}).exit_code, 0);
      EXPECT_THAT(InCopy({"queue", "list", "--ids"}).out, HasSubstr(first));
      if (!newest) {
        EXPECT_THAT(InCopy({"queue", "list", "--ids"}).out, HasSubstr(second));
      }
      EXPECT_EQ(InCopy({"abort", first}).exit_code, 0) << "the copy can be written to";
      EXPECT_EQ(InCopy({"check", "--deep"}).exit_code, 0);
      EXPECT_TRUE(ReadFile(Data()) == bytes) << "the source is only read";
      std::filesystem::remove_all(Copy());
    }
  }
}

TEST_F(RepairMetaTest, WhereItCannotHelpItSaysSoAndMakesNothing) {
  Submit(kMessage);
  const std::string sound = ReadFile(Data());
  EXPECT_EQ(Repair().exit_code, 64) << "both are sound";

  std::string bytes = sound;
  WriteFile(Data(), bytes.replace(0, 2 * kPage, std::string(2 * kPage, '\0')));
  EXPECT_EQ(Repair().exit_code, 66) << "none is";

  // Everything but one meta page is gone.
  std::string worse = sound;
  worse.replace(0, kPage, std::string(kPage, '\0'));
  worse.replace(2 * kPage, worse.size() - 2 * kPage, std::string(worse.size() - 2 * kPage, '\0'));
  WriteFile(Data(), worse);
  const Ended run = Repair();
  EXPECT_EQ(run.exit_code, 74) << run.err;
  EXPECT_THAT(run.err, HasSubstr("salvage"));

  EXPECT_FALSE(std::filesystem::exists(Copy()));
  std::filesystem::create_directory(Copy());
  WriteFile(Copy() / "other", "of somebody");
  EXPECT_EQ(Repair().exit_code, 73);
  EXPECT_EQ(ReadFile(Copy() / "other"), "of somebody");
}

}  // namespace
}  // namespace bobbin::test

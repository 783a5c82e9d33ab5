// bobbin dump and load.
//
// Method: a database of real mail in every state is dumped, loaded elsewhere and dumped again: the
// two texts are the same, byte for byte. Then dumps that were cut or changed are loaded.

#include <sstream>

#include "tests/tools_cli/mail_database.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class DumpTest : public MailDatabaseTest {
 protected:
  fs::path Loaded() const { return directory_ / "loaded"; }
  Ended Load(const std::string& dump) const {
    return Bobbin({"load", "--database", Loaded().string()}, File(dump, "dump"));
  }

  // What loading must refuse, with nothing left of the attempt.
  void ExpectRefused(const std::string& dump, const std::string& reason) const {
    const Ended run = Load(dump);
    EXPECT_EQ(run.exit_code, 65) << run.out;
    EXPECT_THAT(run.err, HasSubstr(reason));
    for (const auto& entry : fs::directory_iterator(directory_)) {
      EXPECT_EQ(entry.path().filename().string().find("loaded"), std::string::npos) << entry;
    }
  }
};

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line + "\n");
  return lines;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

TEST_F(DumpTest, WhatIsLoadedIsTheSameDatabase) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(150));
  const std::string dump = DumpOf(database_);
  const Ended run = Load(dump);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("Loaded " + std::to_string(Lines(dump).size() - 2) + " records"));
  EXPECT_TRUE(DumpOf(Loaded()) == dump) << "the dumps differ";
  EXPECT_EQ(FindingsOf(Loaded()), "");
  const std::string queue = Bobbin({"queue", "list", "--json"}).out;
  EXPECT_GT(Lines(queue).size(), 5U);
  EXPECT_TRUE(Bobbin({"queue", "list", "--json", "--database", Loaded().string()}).out == queue);
  EXPECT_THAT(Bobbin({"queue", "show", "--database", Loaded().string(), in_doubt_}).out,
              HasSubstr("the connection was lost"));
}

// Or a later change would look older than the record it replaces.
TEST_F(DumpTest, TransactionsOfTheLoadedDatabaseComeAfterAllThatWereLoaded) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(5));
  ASSERT_EQ(Load(DumpOf(database_)).exit_code, 0);
  const auto highest = [](const std::string& dump) {
    std::uint64_t sequence = 0;
    for (const std::string& line : Lines(dump)) {
      std::istringstream words(line);
      std::string table;
      std::string key;
      std::uint64_t kind = 0;
      std::uint64_t number = 0;
      if (words >> table >> key >> kind >> number) sequence = std::max(sequence, number);
    }
    return sequence;
  };
  const std::uint64_t before = highest(DumpOf(Loaded()));
  ASSERT_GT(before, 0U);
  ASSERT_EQ(Bobbin({"hold", "--database", Loaded().string(), waiting_}).exit_code, 0);
  EXPECT_GT(highest(DumpOf(Loaded())), before);
  EXPECT_EQ(FindingsOf(Loaded()), "");
}

TEST_F(DumpTest, ADumpThatWasCutOrChangedMakesNoDatabase) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(5));
  const std::string dump = DumpOf(database_);
  const std::vector<std::string> lines = Lines(dump);
  ASSERT_GT(lines.size(), 20U);
  const auto changed = [&](std::size_t line, const std::string& text) {
    std::vector<std::string> copy = lines;
    copy[line] = text;
    return Joined(copy);
  };
  std::string flipped = lines[4];
  flipped[flipped.size() - 2] = flipped[flipped.size() - 2] == 'A' ? 'B' : 'A';
  ExpectRefused(changed(4, flipped), "line 5: ");
  ExpectRefused(changed(4, ""), "but there were");
  ExpectRefused(changed(4, lines[3]), "line 5: records are not in their order");
  ExpectRefused(changed(4, "nonsense\n"), "line 5: it does not begin with the name of a table");
  ExpectRefused(changed(4, "meta ff\n"), "line 5: the record is malformed");
  ExpectRefused(changed(4, "meta 4g\n"), "line 5: the key is malformed");
  ExpectRefused(changed(lines.size() - 1, ""), "cut off");
  ExpectRefused(dump + lines[3], "something follows the end");
  ExpectRefused("", "line 1: this is not a dump");
  ExpectRefused(kMessage, "line 1: this is not a dump");
  std::string other_key = lines[0];
  other_key[other_key.size() - 2] = other_key[other_key.size() - 2] == 'a' ? 'b' : 'a';
  ExpectRefused(changed(0, other_key), "line 2: the checksum does not match");
  const Ended newer = Load(changed(0, "bobbin-dump 2\n"));
  EXPECT_EQ(newer.exit_code, 69);
  EXPECT_THAT(newer.err, HasSubstr("BOBBIN_E_VERSION"));
  EXPECT_EQ(Load(dump).exit_code, 0) << "after all that";
  EXPECT_EQ(Load(dump).exit_code, 73) << "it is there already";
}

TEST_F(DumpTest, DamagedRecordsAreNamedAndKeptAsTheyLie) {
  Submit("Subject: UnmistakableSubject\n\nHello\n");
  const std::string whole = Submit(kMessage);
  ASSERT_GT(DamageEvery("UnmistakableSubject"), 0U);
  const Ended run = Bobbin({"dump"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("MAPI_E_CORRUPT_DATA: table messages"));
  ASSERT_EQ(Load(run.out).exit_code, 0);
  EXPECT_EQ(FindingsOf(Loaded()), FindingsOf(database_));
  EXPECT_NE(FindingsOf(Loaded()), "");
  EXPECT_TRUE(Bobbin({"dump", "--database", Loaded().string()}).out == run.out);
  EXPECT_EQ(Bobbin({"message", "export", "--database", Loaded().string(), whole}).out, kMessage);
}

TEST_F(DumpTest, ASnapshotThatGetsTooOldIsGivenUp) {
  ASSERT_NO_FATAL_FAILURE(FillWithMail(5));
  const Ended run = Bobbin({"dump", "--max-age", "0"});
  EXPECT_EQ(run.exit_code, 75);
  EXPECT_THAT(run.err, HasSubstr("--max-age"));
}

TEST_F(DumpTest, WhatIsPrintedIsDocumented) {
  Submit(kMessage);
  ASSERT_EQ(Load(DumpOf(database_)).exit_code, 0);
  const Ended run = Bobbin({"load", "--json", "--database", (directory_ / "two").string(),
                            (directory_ / "dump").string()});
  const auto objects = ParseLines(run.out);
  ASSERT_EQ(objects.size(), 1U) << run.err;
  EXPECT_THAT(objects[0], HasTheFieldsOf("load"));
}

}  // namespace
}  // namespace bobbin::test

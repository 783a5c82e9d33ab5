// A row that vanished as a whole and an older state of a page that came back are found, though all
// their checksums are good.
//
// Method: rows are removed through the engine behind the database; and into a closed data.mdb,
// former contents of its own pages are put back, one at a time.
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "engine/database_state.h"
#include "engine/kv/lmdb_page_walk.h"
#include "engine/record.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;
namespace lmdb = kv::lmdb;

constexpr std::size_t kPage = 4096;

std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string QuickFindings(const Database& database) {
  std::string text;
  for (const Finding& finding : Must(CompareRowCounts(*database.State())).findings) {
    text += finding.table + ": " + finding.detail + "\n";
  }
  return text;
}

TEST(TableTotals, ARowThatVanishesIsNamedWithItsTable) {
  TemporaryDatabase database;
  SubmitNew(database.Store(), {"a@x.test", "b@x.test"});
  const EntryId deleted = SubmitNew(database.Store());
  Must(database.Store().AbortSubmit(deleted));
  const MessageId id{deleted.Object()};
  Must(database.Store().DeleteMessages(database.Store().Folders().outbox, {&id, 1}));
  ASSERT_EQ(Findings(database.Database()), "");
  ASSERT_EQ(QuickFindings(database.Database()), "");
  std::set<std::string_view> tables;
  for (std::size_t i = 0; i < table::kNames.size(); ++i) {
    const kv::TableId table{static_cast<std::uint8_t>(i)};
    std::vector<std::pair<std::string, std::string>> rows;
    const auto engine = database.Engine();
    Must(engine->View([&](kv::ReadTransaction& raw) {
      rows.clear();
      return raw.Scan(table, {}, [&](kv::Bytes key, kv::Bytes value) {
        rows.emplace_back(key, value);
        return true;
      });
    }));
    for (const std::pair<std::string, std::string>& row : rows) {
      SCOPED_TRACE(testing::Message() << table::kNames[i] << " " << ToHex(row.first));
      Must(engine->Update([&](kv::WriteTransaction& raw) { return raw.Erase(table, row.first); })
               .ToResult());
      const std::string said = table == table::kMain
                                   ? "totals row is missing"
                                   : "it has " + std::to_string(rows.size() - 1) + " rows, and " +
                                         std::to_string(rows.size()) + " were committed";
      EXPECT_THAT(Findings(database.Database()), HasSubstr(std::string(table::kNames[i])));
      EXPECT_THAT(Findings(database.Database()), HasSubstr(said));
      if (table != table::kMain) {
        EXPECT_THAT(QuickFindings(database.Database()), HasSubstr(said));
      }
      Must(engine
               ->Update(
                   [&](kv::WriteTransaction& raw) { return raw.Put(table, row.first, row.second); })
               .ToResult());
      ASSERT_EQ(Findings(database.Database()), "");
      tables.insert(table::kNames[i]);
    }
  }
  EXPECT_GE(tables.size(), 7U);
}

TEST(TableTotals, AnOlderStateOfAPageIsNamed) {
  TemporaryDatabase database;
  const fs::path file = database.Path() / "data.mdb";
  std::vector<Message> drafts;
  for (int i = 0; i < 40; ++i) {
    drafts.push_back(NewDraft(database.Store()));
    Must(drafts.back().SaveChanges(kKeepOpenReadWrite));
  }
  std::vector<std::string> states;
  for (int i = 0; i < 60; ++i) {
    Message& draft = drafts[static_cast<std::size_t>(i * 7 % 40)];
    ASSERT_TRUE(SetProp(draft, Property::Bytes(pr::kSubject, i % 2 == 0 ? "even" : "odd.")));
    Must(draft.SaveChanges(kKeepOpenReadWrite));
    states.push_back(Slurp(file));
  }
  drafts.clear();
  ASSERT_EQ(Findings(database.Database()), "");
  database.Close();
  const std::string sound = Slurp(file);
  kv::PageWalkOptions options;
  options.list_free_pages = true;
  const kv::LmdbPageFile pages = Must(kv::LmdbPageFile::Open(file));
  const auto walked =
      Must(kv::WalkLmdbPages(pages, Must(kv::ReadLmdbMetaPages(pages)).Newest(), options));
  int opened = 0;
  for (std::size_t page = 2; page < walked.is_free->size(); ++page) {
    if ((*walked.is_free)[page]) continue;
    std::set<std::string> formers;
    for (const std::string& state : states) {
      if (state.size() < (page + 1) * kPage) continue;
      std::string former = state.substr(page * kPage, kPage);
      const auto header = lmdb::LoadAt<lmdb::PageHeader>(former, 0);
      if (header.number != page || header.flags != lmdb::kLeafPage) continue;
      if (former != sound.substr(page * kPage, kPage)) formers.insert(std::move(former));
    }
    for (const std::string& former : formers) {
      std::string bytes = sound;
      bytes.replace(page * kPage, kPage, former);
      std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
      const Result<Database> found = Database::Open(database.Path());
      if (!found) continue;  // No sound tree any more: the walk of the pages has named it.
      ++opened;
      EXPECT_THAT(Findings(*found), HasSubstr("not those last committed")) << "page " << page;
    }
  }
  std::printf("%d former pages fit into the trees\n", opened);
  EXPECT_GT(opened, 0);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << sound;
  database.Open();
  EXPECT_EQ(Findings(database.Database()), "");
}

}  // namespace
}  // namespace bobbin

// The structural walk and the guard before it: whatever a data.mdb is, they end; and what they find
// sound LMDB can use. It reads every row that the walk has counted, each by its key too, writes new
// ones without a word of the old ones changing, and leaves pages that are sound again.
//
// The first byte chooses a database that LMDB wrote, the rest is a script that damages it: page,
// what to do, where. Bytes that are a file themselves hardly get past the two meta pages.

#include <algorithm>
#include <array>
#include <string>

#include "engine/kv/lmdb_file_check.h"
#include "engine/kv/lmdb_page_walk.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lmdb_file.h"

namespace bobbin::fuzz {
namespace {

namespace lmdb = kv::lmdb;

constexpr std::size_t kPage = 4096;
// A value begins with its key, as sealed records do with theirs.
void Put(MDB_txn* transaction, MDB_dbi table, const std::string& name, std::size_t bytes) {
  std::string value = name;
  value.resize(std::max(bytes, name.size()), 'v');
  Lmdb::Put(transaction, table, name, value);
}

std::string MakeKey(std::uint64_t number) {
  std::string key(number % 23 == 0 ? 300 : 12, 'k');
  for (std::size_t i = 0; i < 4; ++i) key[i] = static_cast<char>(number * 2'654'435'761U >> 8 * i);
  return key;
}

// Rows of every length, then the first of them deleted: `rows` decides how deep the trees are, and
// whether the list of free pages needs overflow pages itself.
std::string MakeDatabase(std::uint64_t rows, std::size_t bytes, std::uint64_t deleted) {
  return MakeLmdbFile([&](Lmdb& database) {
    for (int part = 0; part < 3; ++part) {
      database.Write([&](MDB_txn* transaction, MDB_dbi table) {
        for (std::uint64_t i = static_cast<std::uint64_t>(part); i < rows; i += 3) {
          Put(transaction, table, MakeKey(i), i % 5 == 0 ? bytes : i % 400);
        }
      });
    }
    database.Write([&](MDB_txn* transaction, MDB_dbi table) {
      for (std::uint64_t i = 0; i < deleted; ++i) {
        const std::string name = MakeKey(i);
        MDB_val key = Lmdb::ValueOf(name);
        Lmdb::Check(mdb_del(transaction, table, &key, nullptr));
      }
    });
    database.Write(
        [](MDB_txn* transaction, MDB_dbi table) { Put(transaction, table, "last", 10); });
  });
}

void Damage(std::string_view script, std::string& file) {
  while (!script.empty() && file.size() >= kPage) {
    const std::uint8_t what = TakeByte(script);
    const std::size_t page = TakeNumber(script) % (file.size() / kPage) * kPage;
    const std::size_t other = TakeNumber(script);
    const std::size_t slot = page + sizeof(lmdb::PageHeader) + other % 256 * 2;
    switch (what % 6) {
      case 0:
        Overwrite(script, file, page + other % kPage);
        break;
      case 1:
        Overwrite(script, file, page + other % 160);  // Where the structure is densest.
        break;
      case 2:
        Overwrite(script, file,
                  page + lmdb::LoadAt<std::uint16_t>(file, slot) + TakeByte(script) % 24);
        break;
      case 3:
        if (slot + 4 <= file.size()) {
          std::swap_ranges(&file[slot], &file[slot] + 2, &file[slot + 2]);
        }
        break;
      case 4:
        file.replace(page, kPage, file.substr(other % (file.size() / kPage) * kPage, kPage));
        break;
      default:
        file.resize(page + other % kPage);
    }
  }
}

bool IsSound(const MemoryFile& file, std::uint64_t& rows) {
  const auto opened = kv::LmdbPageFile::Open(file.Path());
  if (!opened) return false;
  const auto metas = kv::CheckLmdbFile(*opened);
  if (!metas) return false;
  kv::PageWalkOptions options;
  options.list_free_pages = true;
  options.row_is_right = [](const kv::PageWalkOptions::Row& row) {
    return row.value.substr(0, row.key.size()) == row.key;
  };
  const auto report = kv::WalkLmdbPages(*opened, metas->Newest(), options);
  BOBBIN_CHECK(report.has_value());
  BOBBIN_CHECK(report->findings.size() <= report->findings_total);
  rows = report->rows;
  return report->IsClean();
}

void Run(std::string_view input) {
  static const std::array kDatabases{MakeDatabase(6, 5'000, 2), MakeDatabase(60, 3'000, 20),
                                     MakeDatabase(50, 60'000, 48)};
  static MemoryFile file;
  std::string bytes = kDatabases[TakeByte(input) % kDatabases.size()];
  Damage(input, bytes);
  file.Replace(bytes);
  std::uint64_t count = 0;
  if (!IsSound(file, count)) {
    BOBBIN_CHECK(!input.empty());
    return;
  }
  Lmdb database(file);
  const Lmdb::Rows before = database.Read();
  if (before.empty()) return;
  BOBBIN_CHECK(before.size() == count);
  for (int i = 0; i < 2; ++i) {
    database.Write([&](MDB_txn* transaction, MDB_dbi table) {
      for (std::size_t j = 0; j < 12; ++j) {
        const std::string key = "new " + std::to_string(i) + " " + std::to_string(j);
        Put(transaction, table, key, j % 3 * 9'000);
      }
    });
  }
  const Lmdb::Rows after = database.Read();
  for (const auto& [key, value] : before) {
    const auto found = after.find(key);
    BOBBIN_CHECK(found != after.end() && found->second == value);
  }
  BOBBIN_CHECK(IsSound(file, count) && count == after.size());
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  bobbin::fuzz::Run(bobbin::fuzz::Input(data, bytes));
  return 0;
}

// The scanner of salvage: what it takes for a record was sealed with the database's key, is where
// it says, and lies in no other. What is before a sound page does not hide it.
//
// The first byte says whether the file begins with a database that LMDB wrote. The rest is a script
// that appends pages, records, records of another database, copies of records in the content of
// others, and damages what is there already.

#include <set>
#include <string>
#include <vector>

#include "engine/keyspace.h"
#include "engine/salvage_scan.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lmdb_file.h"

namespace bobbin::fuzz {
namespace {

namespace lmdb = kv::lmdb;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kFileBytesMax = std::size_t{512} << 10;
const RecordCodec kCodec(RecordKey{1, 2, 3});
const RecordCodec kForgersCodec(RecordKey{1, 2, 4});

template <class T>
void Append(std::string& file, const T& value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

class File {
 public:
  explicit File(bool with_database) {
    if (with_database) *this = Database();
  }

  void Run(std::string_view& script) {
    const std::uint8_t what = TakeByte(script);
    switch (what % 9) {
      case 0: {
        const std::size_t count = TakeByte(script);
        bytes_ += TakeBytes(script, count);
        break;
      }
      case 1:
        bytes_ += SealNext(kCodec, script);
        break;
      case 2:
        bytes_ += SealNext(kForgersCodec, script);
        break;
      case 3:
        bytes_ += Seal(what, 1, last_ + SealNext(kForgersCodec, script) + last_);
        break;
      case 4:
        Pad(TakeNumber(script) % kPage);
        break;
      case 5:
        BeginPage(script);
        break;
      case 6:
        AppendLeaf({SealNext(kCodec, script), SealNext(kCodec, script), Seal(what, 2, last_)});
        break;
      case 7: {
        BeginPage(script);
        const std::size_t count = TakeNumber(script) % 20'000;
        bytes_ += Seal(what, 3, last_ + std::string(count, 'c') + last_);
        break;
      }
      default: {
        const std::size_t at = bytes_.empty() ? 0 : TakeNumber(script) * 7 % bytes_.size();
        Overwrite(script, bytes_, at);
      }
    }
  }

  // Fills a page with nodes from its end, as LMDB does.
  void AppendLeaf(const std::vector<std::string>& values) {
    Pad(0);
    std::string page(kPage, '\0');
    std::size_t upper = kPage;
    std::vector<std::uint16_t> slots;
    for (const std::string& value : values) {
      std::string node;
      Append(node, lmdb::NodeHeader{static_cast<std::uint16_t>(value.size()), 0, 0, 0});
      node += value;
      node.resize(node.size() + node.size() % 2);
      if (upper < sizeof(lmdb::PageHeader) + 2 * values.size() + node.size()) continue;
      upper -= node.size();
      page.replace(upper, node.size(), node);
      slots.push_back(static_cast<std::uint16_t>(upper));
    }
    std::string start;
    const std::size_t lower = sizeof(lmdb::PageHeader) + 2 * slots.size();
    Append(start,
           lmdb::PageHeader{bytes_.size() / kPage, 0, lmdb::kLeafPage,
                            static_cast<std::uint16_t>(lower), static_cast<std::uint16_t>(upper)});
    for (const std::uint16_t slot : slots) Append(start, slot);
    bytes_ += page.replace(0, start.size(), start);
  }

  std::string Seal(std::uint8_t table, std::uint64_t sequence, std::string_view payload,
                   std::string_view key = "key") {
    std::string record;
    kCodec.Seal(RecordKind::kMessage, kv::TableId{table}, key, sequence, payload, record);
    sealed_.insert(record);
    return last_ = record;
  }

  const std::string& Bytes() const { return bytes_; }
  bool IsSealed(const std::string& record) const { return sealed_.contains(record); }

 private:
  // Two tables with records, some of them on overflow pages, some deleted.
  static const File& Database() {
    static const File database = [] {
      File made(false);
      made.bytes_ = MakeLmdbFile([&](Lmdb& writer) {
        for (std::uint64_t part = 0; part < 3; ++part) {
          writer.Write([&](MDB_txn* transaction, MDB_dbi table) {
            for (std::uint64_t i = part; i < 24; i += 2) {
              const std::string key = Key8(i);
              const std::string payload(i % 6 == 0 ? 9'000 : i * 20, 'p');
              const std::string record =
                  made.Seal(static_cast<std::uint8_t>(table), part + 1, payload, key);
              Lmdb::Put(transaction, table, key, record);
            }
          });
        }
      });
      return made;
    }();
    return database;
  }

  std::string SealNext(const RecordCodec& codec, std::string_view& script) {
    const std::uint8_t table = TakeByte(script) % 12;
    const std::uint8_t sequence = TakeByte(script);
    const std::string_view key = TakeBytes(script, sequence % 24);
    const std::string_view payload = TakeBytes(script, TakeByte(script));
    if (&codec == &kCodec) {
      return Seal(table == table::kFolders.index ? 0 : table, sequence, payload, key);
    }
    std::string forged;
    codec.Seal(RecordKind::kMessage, kv::TableId{table}, key, sequence, payload, forged);
    return forged;
  }

  void BeginPage(std::string_view& script) {
    Pad(0);
    const std::uint8_t how = TakeByte(script);
    lmdb::PageHeader header{};
    header.number = bytes_.size() / kPage + how / 128;
    header.flags = static_cast<std::uint16_t>(1 << how % 4);
    header.lower = TakeNumber(script);
    header.upper = TakeNumber(script);
    if (how % 16 < 8) header.upper %= 2;
    Append(bytes_, header);
  }

  // Up to `offset` of a page.
  void Pad(std::size_t offset) {
    while (bytes_.size() % kPage != offset) bytes_.push_back('\0');
  }

  std::string bytes_;
  std::string last_;
  std::set<std::string> sealed_;
};

void Run(std::string_view input) {
  File file(TakeByte(input) % 2 != 0);
  while (!input.empty() && file.Bytes().size() < kFileBytesMax) file.Run(input);
  // Of no transaction that could be too young.
  file.AppendLeaf({file.Seal(table::kFolders.index, 0, "last of all")});
  file.AppendLeaf({});

  static MemoryFile place;
  place.Replace(file.Bytes());
  const auto opened = kv::LmdbPageFile::Open(place.Path());
  BOBBIN_CHECK(opened.has_value());
  const Result<SalvageScan> scan = ScanForRecords(*opened, kCodec);
  BOBBIN_CHECK(scan.has_value());
  BOBBIN_CHECK(scan->records.size() + scan->stale + scan->uncommitted <= scan->found);
  std::set<std::pair<std::uint64_t, std::uint64_t>> places;
  bool has_last = false;
  for (const FoundRecord& record : scan->records) {
    BOBBIN_CHECK(record.offset + record.bytes <= file.Bytes().size());
    const std::string bytes = file.Bytes().substr(record.offset, record.bytes);
    BOBBIN_CHECK(file.IsSealed(bytes));
    const auto stray = kCodec.OpenStray(bytes);
    BOBBIN_CHECK(stray && stray->key == record.Key() && stray->table.index == record.table &&
                 stray->sequence == record.sequence);
    places.emplace(record.offset, record.offset + record.bytes);
    has_last = has_last || record.table == table::kFolders.index;
  }
  std::uint64_t end = 0;
  for (const auto& [first, last] : places) {
    BOBBIN_CHECK(first >= end);
    end = last;
  }
  // What is known to be deleted is left out: behind the last page of a database nothing is in use.
  BOBBIN_CHECK(has_last || scan->knows_free_pages);
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  bobbin::fuzz::Run(bobbin::fuzz::Input(data, bytes));
  return 0;
}

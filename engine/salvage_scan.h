// The first half of salvage: every whole record in a data.mdb, proved by its checksum, which the
// text of a mail cannot have (engine/record.h). Each page is looked at for itself, no meta or
// branch page is needed: a leaf says where its records are, a run of overflow pages begins with
// one, and in a page that says nothing sensible, or has a gap between its nodes, they are found by
// their magic bytes.
//
// A page that the disk cannot read (EIO) counts as one of zeros.
//
// What is found may be stale: LMDB leaves the bytes of deleted and replaced rows on free pages.
// Where a meta page and the list of free pages are whole, they tell what is stale; otherwise nobody
// can, and only the newest record of each row is known. So it is with what magic bytes alone show
// on a page in use: it may lie in its free space.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kv/lmdb_page_file.h"
#include "engine/record.h"

namespace bobbin {

struct FoundRecord {
  static constexpr std::size_t kKeyBytesMax = 20;

  std::uint64_t offset = 0;
  std::uint64_t sequence = 0;
  std::uint32_t bytes = 0;
  bool is_on_free_page = false;
  bool is_doubtful = false;  // Of a page in use, but maybe of its free space.
  std::uint8_t table = 0;
  std::uint8_t key_bytes = 0;
  std::array<char, kKeyBytesMax> key{};

  std::string_view Key() const { return {key.data(), key_bytes}; }
};

// The row that leads from its name to a store: it tells the name where the store's record is lost.
struct FoundName {
  std::string key;
  std::string value;
  std::uint64_t sequence = 0;
  bool is_on_free_page = false;
};

struct SalvageScan {
  // Of each row that cannot be made anew from others, its newest record; by table and key. Of the
  // index, intervals of deleted messages where nothing else tells what is deleted, and those that
  // were committed only.
  std::vector<FoundRecord> records;
  std::vector<FoundName> store_names;  // Older copies first.
  std::uint64_t found = 0;             // Whole records, stale ones too.
  std::uint64_t stale = 0;             // Replaced by newer ones, or deleted.
  std::uint64_t uncommitted = 0;       // Of a transaction after the last.
  // Of what lies on free pages nothing but intervals is among the records.
  bool knows_free_pages = false;
  // Nothing deleted is among the records: a meta page and the list of free pages told, and none is
  // doubtful.
  bool is_proven = false;
  // Where the disk could not read: offsets of pieces of kv::lmdb::kPageBytesMin.
  std::set<std::uint64_t> unreadable;
};

using ScanProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Errors are those of reading the file.
Result<SalvageScan> ScanForRecords(const kv::LmdbPageFile& file, const RecordCodec& codec,
                                   const ScanProgress& progress = {});

// Into `value`. False when the disk cannot read it a second time; `unreadable` says where, too.
Result<bool> ReadFound(const kv::LmdbPageFile& file, const FoundRecord& found,
                       std::set<std::uint64_t>& unreadable, std::string& value);

}  // namespace bobbin

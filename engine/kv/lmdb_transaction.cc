#include "engine/kv/lmdb_transaction.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "engine/check.h"
#include "engine/kv/lmdb_error.h"
#include "engine/kv/lmdb_pages.h"
#include "engine/kv/size_limits.h"

namespace bobbin::kv {
namespace {

constexpr std::size_t kLongValueBytes = 16'384;
constexpr std::size_t kReadAheadBytes = std::size_t{1} << 20;

MDB_val ToValue(Bytes bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }

Bytes ToBytes(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

const LmdbTable& TableAt(const std::vector<LmdbTable>& tables, TableId id) {
  BOBBIN_CHECK(id.index < tables.size());
  return tables[id.index];
}

// Built only when it is needed: every operation has a name, few fail.
Error TableError(int code, std::string_view what, const LmdbTable& table) {
  return LmdbError(code, std::string(what) + " table " + table.name);
}

// A page of a tree is read alone; a long value would wait for each of its pages so. Values that
// were written one after the other mostly lie so, too: what follows is asked for with them.
void ReadAhead(const MDB_val& value) {
  if (value.mv_size < kLongValueBytes) return;
  static const auto page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(value.mv_data);
  void* const page = reinterpret_cast<void*>(address / page_bytes * page_bytes);
  unsigned char is_in_memory = 0;
  if (mincore(page, 1, &is_in_memory) != 0 || (is_in_memory & 1U) != 0) return;
  (void)madvise(page, kReadAheadBytes, MADV_WILLNEED);
}

Result<std::optional<Bytes>> GetFrom(MDB_txn* transaction, const LmdbTable& table, Bytes key) {
  RETURN_IF_ERROR(CheckKey(key));
  MDB_val key_value = ToValue(key);
  MDB_val value;
  const int code = mdb_get(transaction, table.handle, &key_value, &value);
  if (code == MDB_NOTFOUND) return std::optional<Bytes>();
  if (code != MDB_SUCCESS) return tl::unexpected<Error>(TableError(code, "reading", table));
  ReadAhead(value);
  return std::optional<Bytes>(ToBytes(value));
}

bool IsNameOfTable(const std::vector<LmdbTable>& tables, Bytes key) {
  return std::any_of(tables.begin(), tables.end(),
                     [key](const LmdbTable& table) { return table.name == key; });
}

Result<void> ScanCursor(MDB_cursor* cursor, const std::vector<LmdbTable>& tables, TableId id,
                        const KeyRange& range, const ReadTransaction::Visitor& visit) {
  const LmdbTable& table = TableAt(tables, id);
  const bool is_main = table.name == kMainTableName;
  MDB_val key = ToValue(range.begin);
  MDB_val value;
  // LMDB takes no empty key, not even to look for what comes after it.
  int code = mdb_cursor_get(cursor, &key, &value, range.begin.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (code == MDB_SUCCESS) {
    if (!range.end.empty() && ToBytes(key) >= range.end) return {};
    ReadAhead(value);
    const bool is_row = !is_main || !IsNameOfTable(tables, ToBytes(key));
    if (is_row && !visit(ToBytes(key), ToBytes(value))) return {};
    code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  if (code == MDB_NOTFOUND) return {};
  return tl::unexpected<Error>(TableError(code, "scanning", table));
}

Result<void> ScanIn(MDB_txn* transaction, const std::vector<LmdbTable>& tables, TableId id,
                    const KeyRange& range, const ReadTransaction::Visitor& visit) {
  const LmdbTable& table = TableAt(tables, id);
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(transaction, table.handle, &cursor); code != MDB_SUCCESS) {
    return tl::unexpected<Error>(TableError(code, "scanning", table));
  }
  Result<void> scanned = ScanCursor(cursor, tables, id, range, visit);
  mdb_cursor_close(cursor);
  return scanned;
}

std::optional<std::uint64_t> CountIn(MDB_txn* transaction, const std::vector<LmdbTable>& tables,
                                     TableId id) {
  const LmdbTable& table = TableAt(tables, id);
  MDB_stat stat{};
  if (mdb_stat(transaction, table.handle, &stat) != MDB_SUCCESS) return {};
  return stat.ms_entries - (table.name == kMainTableName ? tables.size() - 1 : 0);
}

}  // namespace

Result<std::optional<Bytes>> LmdbReadTransaction::Get(TableId table, Bytes key) {
  return GetFrom(transaction_, TableAt(tables_, table), key);
}

Result<void> LmdbReadTransaction::Scan(TableId table, const KeyRange& range, const Visitor& visit) {
  return ScanIn(transaction_, tables_, table, range, visit);
}

// LMDB does not say where it has mapped the file; the system does.
std::uint64_t LmdbReadTransaction::PageOf(Bytes value) const {
  MDB_stat stat{};
  BOBBIN_CHECK(mdb_env_stat(mdb_txn_env(transaction_), &stat) == MDB_SUCCESS);
  const auto address = reinterpret_cast<std::uintptr_t>(value.data());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::uint64_t offset = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %*s %" SCNx64, &begin, &end,
                    &offset) == 3 &&
        address >= begin && address < end) {
      return (offset + (address - begin)) / stat.ms_psize;
    }
  }
  return 0;
}

std::uint64_t LmdbReadTransaction::Sequence() const { return mdb_txn_id(transaction_); }

std::optional<std::uint64_t> LmdbReadTransaction::EntryCount(TableId table) {
  return CountIn(transaction_, tables_, table);
}

LmdbWriteTransaction::~LmdbWriteTransaction() {
  for (MDB_cursor* cursor : cursors_) {
    if (cursor != nullptr) mdb_cursor_close(cursor);
  }
}

Result<std::optional<Bytes>> LmdbWriteTransaction::Get(TableId table, Bytes key) {
  return GetFrom(transaction_, TableAt(tables_, table), key);
}

Result<void> LmdbWriteTransaction::Scan(TableId table, const KeyRange& range,
                                        const Visitor& visit) {
  return ScanIn(transaction_, tables_, table, range, visit);
}

std::uint64_t LmdbWriteTransaction::Sequence() const { return mdb_txn_id(transaction_); }

Result<MDB_cursor*> LmdbWriteTransaction::CursorOf(TableId id) {
  const LmdbTable& table = TableAt(tables_, id);
  MDB_cursor*& cursor = cursors_[id.index];
  if (cursor != nullptr) return cursor;
  const int code = mdb_cursor_open(transaction_, table.handle, &cursor);
  if (code == MDB_SUCCESS) return cursor;
  return tl::unexpected<Error>(TableError(code, "writing", table));
}

Result<void> LmdbWriteTransaction::Put(TableId id, Bytes key, Bytes value) {
  return Replace(id, key, value, {});
}

Result<void> LmdbWriteTransaction::Erase(TableId id, Bytes key) { return Remove(id, key, {}); }

Result<void> LmdbWriteTransaction::Replace(TableId id, Bytes key, Bytes value,
                                           const FormerVisitor& former) {
  RETURN_IF_ERROR(CheckKey(key));
  RETURN_IF_ERROR(CheckValue(value));
  ASSIGN_OR_RETURN(MDB_cursor* const cursor, CursorOf(id));
  MDB_val key_value = ToValue(key);
  MDB_val data = ToValue(value);
  // Appending fills pages to the end instead of splitting them in halves. LMDB compares
  // with the last key itself and answers MDB_KEYEXIST, untouched, if this one is not above it.
  int code = mdb_cursor_put(cursor, &key_value, &data, MDB_APPEND);
  if (code == MDB_KEYEXIST) {
    code = MDB_NOTFOUND;
    key_value = ToValue(key);
    // The cursor stays in the page, where the put then looks first.
    if (former) code = mdb_cursor_get(cursor, &key_value, &data, MDB_SET);
    if (code == MDB_SUCCESS) former(ToBytes(data));
    if (code == MDB_SUCCESS || code == MDB_NOTFOUND) {
      key_value = ToValue(key);
      data = ToValue(value);
      code = mdb_cursor_put(cursor, &key_value, &data, 0);
    }
  }
  if (code == MDB_SUCCESS) return {};
  return tl::unexpected<Error>(TableError(code, "writing", TableAt(tables_, id)));
}

Result<void> LmdbWriteTransaction::Remove(TableId id, Bytes key, const FormerVisitor& former) {
  RETURN_IF_ERROR(CheckKey(key));
  ASSIGN_OR_RETURN(MDB_cursor* const cursor, CursorOf(id));
  MDB_val key_value = ToValue(key);
  MDB_val data;
  int code = mdb_cursor_get(cursor, &key_value, &data, MDB_SET);
  if (code == MDB_NOTFOUND) return {};
  if (code == MDB_SUCCESS) {
    if (former) former(ToBytes(data));
    code = mdb_cursor_del(cursor, 0);
  }
  if (code == MDB_SUCCESS) return {};
  return tl::unexpected<Error>(TableError(code, "erasing from", TableAt(tables_, id)));
}

std::optional<std::uint64_t> LmdbWriteTransaction::EntryCount(TableId id) {
  return CountIn(transaction_, tables_, id);
}

}  // namespace bobbin::kv

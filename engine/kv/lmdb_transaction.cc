#include "engine/kv/lmdb_transaction.h"

#include <algorithm>

#include "engine/check.h"
#include "engine/kv/lmdb_error.h"
#include "engine/kv/size_limits.h"

namespace bobbin::kv {
namespace {

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

Result<std::optional<Bytes>> GetFrom(MDB_txn* transaction, const LmdbTable& table, Bytes key) {
  RETURN_IF_ERROR(CheckKey(key));
  MDB_val key_value = ToValue(key);
  MDB_val value;
  const int code = mdb_get(transaction, table.handle, &key_value, &value);
  if (code == MDB_NOTFOUND) return std::optional<Bytes>();
  if (code != MDB_SUCCESS) return tl::unexpected<Error>(TableError(code, "reading", table));
  return std::optional<Bytes>(ToBytes(value));
}

Result<void> ScanCursor(MDB_cursor* cursor, const LmdbTable& table, const KeyRange& range,
                        const ReadTransaction::Visitor& visit) {
  MDB_val key = ToValue(range.begin);
  MDB_val value;
  // LMDB takes no empty key, not even to look for what comes after it.
  int code = mdb_cursor_get(cursor, &key, &value, range.begin.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (code == MDB_SUCCESS) {
    if (!range.end.empty() && ToBytes(key) >= range.end) return {};
    if (!visit(ToBytes(key), ToBytes(value))) return {};
    code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  if (code == MDB_NOTFOUND) return {};
  return tl::unexpected<Error>(TableError(code, "scanning", table));
}

Result<void> ScanIn(MDB_txn* transaction, const LmdbTable& table, const KeyRange& range,
                    const ReadTransaction::Visitor& visit) {
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(transaction, table.handle, &cursor); code != MDB_SUCCESS) {
    return tl::unexpected<Error>(TableError(code, "scanning", table));
  }
  Result<void> scanned = ScanCursor(cursor, table, range, visit);
  mdb_cursor_close(cursor);
  return scanned;
}

}  // namespace

Result<std::optional<Bytes>> LmdbReadTransaction::Get(TableId table, Bytes key) {
  return GetFrom(transaction_, TableAt(tables_, table), key);
}

Result<void> LmdbReadTransaction::Scan(TableId table, const KeyRange& range, const Visitor& visit) {
  return ScanIn(transaction_, TableAt(tables_, table), range, visit);
}

std::uint64_t LmdbReadTransaction::Sequence() const { return mdb_txn_id(transaction_); }

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
  return ScanIn(transaction_, TableAt(tables_, table), range, visit);
}

std::uint64_t LmdbWriteTransaction::Sequence() const { return mdb_txn_id(transaction_); }

Result<void> LmdbWriteTransaction::Put(TableId id, Bytes key, Bytes value) {
  const LmdbTable& table = TableAt(tables_, id);
  RETURN_IF_ERROR(CheckKey(key));
  RETURN_IF_ERROR(CheckValue(value));
  MDB_cursor*& cursor = cursors_[id.index];
  if (cursor == nullptr) {
    const int code = mdb_cursor_open(transaction_, table.handle, &cursor);
    if (code != MDB_SUCCESS) return tl::unexpected<Error>(TableError(code, "writing", table));
  }
  MDB_val key_value = ToValue(key);
  MDB_val data = ToValue(value);
  // Appending fills pages to the end instead of splitting them in halves. LMDB compares
  // with the last key itself and answers MDB_KEYEXIST, untouched, if this one is not above it.
  int code = mdb_cursor_put(cursor, &key_value, &data, MDB_APPEND);
  if (code == MDB_KEYEXIST) {
    key_value = ToValue(key);
    data = ToValue(value);
    code = mdb_cursor_put(cursor, &key_value, &data, 0);
  }
  if (code != MDB_SUCCESS) return tl::unexpected<Error>(TableError(code, "writing", table));
  return {};
}

Result<void> LmdbWriteTransaction::Erase(TableId id, Bytes key) {
  const LmdbTable& table = TableAt(tables_, id);
  RETURN_IF_ERROR(CheckKey(key));
  MDB_val key_value = ToValue(key);
  const int code = mdb_del(transaction_, table.handle, &key_value, nullptr);
  if (code == MDB_SUCCESS || code == MDB_NOTFOUND) return {};
  return tl::unexpected<Error>(TableError(code, "erasing from", table));
}

}  // namespace bobbin::kv

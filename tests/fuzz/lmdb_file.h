// LMDB itself on a MemoryFile, without what Bobbin puts around it. Any answer of LMDB that is not
// the one wanted ends the process.
#pragma once

#include <lmdb.h>

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "engine/kv/lmdb_pages.h"
#include "tests/fuzz/memory_file.h"

namespace bobbin::fuzz {

class Lmdb {
 public:
  static constexpr std::array kTables{"bodies", "queue"};
  using Rows = std::map<std::string, std::string>;  // Table and key, and value.

  static void Check(int code) { BOBBIN_CHECK(code == MDB_SUCCESS); }
  static MDB_val ValueOf(std::string_view bytes) {
    return {bytes.size(), const_cast<char*>(bytes.data())};  // LMDB only reads it.
  }
  static std::string_view BytesOf(const MDB_val& value) {
    return {static_cast<const char*>(value.mv_data), value.mv_size};
  }
  static void Put(MDB_txn* transaction, MDB_dbi table, std::string_view name,
                  std::string_view bytes) {
    MDB_val key = ValueOf(name);
    MDB_val value = ValueOf(bytes);
    Check(mdb_put(transaction, table, &key, &value, 0));
  }

  explicit Lmdb(const MemoryFile& file) {
    Check(mdb_env_create(&environment_));
    Check(mdb_env_set_maxdbs(environment_, kTables.size()));
    Check(mdb_env_set_mapsize(environment_, std::size_t{64} << 20));
    Check(mdb_env_open(environment_, file.Path().c_str(), MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC,
                       0600));
  }
  ~Lmdb() { mdb_env_close(environment_); }
  Lmdb(const Lmdb&) = delete;
  Lmdb& operator=(const Lmdb&) = delete;

  // Empty when a table has another name now.
  Rows Read() {
    MDB_txn* transaction = nullptr;
    Check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction));
    Rows rows;
    bool all = true;
    for (const char* name : kTables) {
      MDB_dbi table = 0;
      const int opened = mdb_dbi_open(transaction, name, 0, &table);
      BOBBIN_CHECK(opened == MDB_SUCCESS || opened == MDB_NOTFOUND);
      all = all && opened == MDB_SUCCESS;
      if (opened == MDB_SUCCESS) Read(transaction, table, name, rows);
    }
    mdb_txn_abort(transaction);
    if (!all) rows.clear();
    return rows;
  }

  template <class Change>
  void Write(const Change& change) {
    MDB_txn* transaction = nullptr;
    Check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    for (const char* name : kTables) {
      MDB_dbi table = 0;
      Check(mdb_dbi_open(transaction, name, MDB_CREATE, &table));
      change(transaction, table);
    }
    Check(mdb_txn_commit(transaction));
  }

 private:
  static void Read(MDB_txn* transaction, MDB_dbi table, std::string_view name, Rows& rows) {
    MDB_cursor* cursor = nullptr;
    Check(mdb_cursor_open(transaction, table, &cursor));
    MDB_val key{};
    MDB_val value{};
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
      MDB_val found{};
      Check(mdb_get(transaction, table, &key, &found));
      BOBBIN_CHECK(found.mv_data == value.mv_data && found.mv_size == value.mv_size);
      rows[std::string(name) + " " + std::string(BytesOf(key))] = BytesOf(value);
    }
    BOBBIN_CHECK(code == MDB_NOTFOUND);
    mdb_cursor_close(cursor);
  }

  MDB_env* environment_ = nullptr;
};

// The data.mdb that LMDB makes when `write` has it write.
template <class Write>
std::string MakeLmdbFile(const Write& write) {
  MemoryFile file;
  {
    Lmdb database(file);
    write(database);
  }
  std::string bytes = file.Content();
  // LMDB notes in the file that it was made without a directory of its own. Bobbin's never are.
  for (const std::size_t meta : {0U, 4096U}) {
    const std::size_t flags =
        meta + sizeof(kv::lmdb::PageHeader) + offsetof(kv::lmdb::Meta, free_pages.flags);
    bytes[flags] = kv::lmdb::kIntegerKeys;
    bytes[flags + 1] = 0;
  }
  return bytes;
}

}  // namespace bobbin::fuzz

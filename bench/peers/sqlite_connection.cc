#include "bench/peers/sqlite_connection.h"

#include <utility>

#include "engine/check.h"

namespace bobbin::bench {
namespace {

using kv::Bytes;
using kv::TableId;

// A null pointer would bind NULL instead of an empty blob.
int Bind(sqlite3_stmt* statement, int index, Bytes bytes) {
  return sqlite3_bind_blob(statement, index, bytes.empty() ? "" : bytes.data(),
                           static_cast<int>(bytes.size()), SQLITE_STATIC);
}

Bytes Column(sqlite3_stmt* statement, int index) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, index));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement, index))};
}

}  // namespace

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(
    const std::filesystem::path& file, const std::vector<std::string>& tables, SqliteUse use) {
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection());
  RETURN_IF_ERROR(connection->Check(
      sqlite3_open_v2(file.c_str(), &connection->db_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr)));
  RETURN_IF_ERROR(connection->Execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=2147418112;"));
  if (use == SqliteUse::kWrite) {
    RETURN_IF_ERROR(
        connection->Execute("PRAGMA cache_size=-262144; PRAGMA wal_autocheckpoint=16384;"));
    RETURN_IF_ERROR(connection->CreateTables(tables));
  }
  RETURN_IF_ERROR(connection->PrepareAll(tables));
  return connection;
}

SqliteConnection::~SqliteConnection() {
  // Lets statements be finalized later, as the members they are.
  sqlite3_close_v2(db_);
}

Result<void> SqliteConnection::Check(int code) {
  if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return {};
  return Fail(ErrorCode::kDiskError, std::string("SQLite: ") + sqlite3_errmsg(db_));
}

Result<void> SqliteConnection::Execute(const char* sql) {
  return Check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr));
}

Result<void> SqliteConnection::CreateTables(const std::vector<std::string>& tables) {
  RETURN_IF_ERROR(Execute(
      "CREATE TABLE IF NOT EXISTS kv_sequence (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);"
      "INSERT OR IGNORE INTO kv_sequence VALUES (1, 0);"));
  for (const std::string& table : tables) {
    const std::string sql = "CREATE TABLE IF NOT EXISTS \"" + table +
                            "\" (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID";
    RETURN_IF_ERROR(Execute(sql.c_str()));
  }
  return {};
}

Result<void> SqliteConnection::PrepareAll(const std::vector<std::string>& tables) {
  for (const std::string& name : tables) {
    Table table;
    table.name = "\"" + name + "\"";
    ASSIGN_OR_RETURN(table.get, Prepare("SELECT v FROM " + table.name + " WHERE k = ?1"));
    ASSIGN_OR_RETURN(table.put,
                     Prepare("INSERT OR REPLACE INTO " + table.name + " VALUES (?1, ?2)"));
    ASSIGN_OR_RETURN(table.erase, Prepare("DELETE FROM " + table.name + " WHERE k = ?1"));
    tables_.push_back(std::move(table));
  }
  ASSIGN_OR_RETURN(begin_read_, Prepare("BEGIN"));
  ASSIGN_OR_RETURN(begin_write_, Prepare("BEGIN IMMEDIATE"));
  ASSIGN_OR_RETURN(commit_, Prepare("COMMIT"));
  ASSIGN_OR_RETURN(rollback_, Prepare("ROLLBACK"));
  ASSIGN_OR_RETURN(get_sequence_, Prepare("SELECT number FROM kv_sequence WHERE id = 1"));
  ASSIGN_OR_RETURN(set_sequence_, Prepare("UPDATE kv_sequence SET number = ?1 WHERE id = 1"));
  return {};
}

Result<SqliteConnection::Statement> SqliteConnection::Prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  RETURN_IF_ERROR(Check(
      sqlite3_prepare_v3(db_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr)));
  return Statement(statement);
}

SqliteConnection::Table& SqliteConnection::At(TableId table) {
  BOBBIN_CHECK(table.index < tables_.size());
  return tables_[table.index];
}

Result<void> SqliteConnection::Run(sqlite3_stmt* statement) {
  Result<void> ran = Check(sqlite3_step(statement));
  sqlite3_reset(statement);
  return ran;
}

Result<std::optional<Bytes>> SqliteConnection::Get(TableId id, Bytes key) {
  sqlite3_stmt* const statement = At(id).get.get();
  RETURN_IF_ERROR(Check(Bind(statement, 1, key)));
  const int code = sqlite3_step(statement);
  Result<void> stepped = Check(code);
  std::optional<Bytes> value;
  if (code == SQLITE_ROW) value = values_.emplace_back(Column(statement, 0));
  sqlite3_reset(statement);
  RETURN_IF_ERROR(std::move(stepped));
  return value;
}

Result<void> SqliteConnection::Scan(TableId id, const kv::KeyRange& range,
                                    const kv::ReadTransaction::Visitor& visit) {
  Table& table = At(id);
  Statement statement;
  if (table.idle_scans.empty()) {
    // The upper bound is compared here, which serves scans without one, too.
    ASSIGN_OR_RETURN(statement,
                     Prepare("SELECT k, v FROM " + table.name + " WHERE k >= ?1 ORDER BY k"));
  } else {
    statement = std::move(table.idle_scans.back());
    table.idle_scans.pop_back();
  }
  RETURN_IF_ERROR(Check(Bind(statement.get(), 1, range.begin)));
  int code = SQLITE_DONE;
  while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) {
    const Bytes key = Column(statement.get(), 0);
    if (!range.end.empty() && key >= range.end) break;
    if (!visit(key, Column(statement.get(), 1))) break;
  }
  Result<void> scanned = Check(code);
  sqlite3_reset(statement.get());
  table.idle_scans.push_back(std::move(statement));
  return scanned;
}

Result<void> SqliteConnection::Put(TableId id, Bytes key, Bytes value) {
  sqlite3_stmt* const statement = At(id).put.get();
  RETURN_IF_ERROR(Check(Bind(statement, 1, key)));
  RETURN_IF_ERROR(Check(Bind(statement, 2, value)));
  return Run(statement);
}

Result<void> SqliteConnection::Erase(TableId id, Bytes key) {
  sqlite3_stmt* const statement = At(id).erase.get();
  RETURN_IF_ERROR(Check(Bind(statement, 1, key)));
  return Run(statement);
}

Result<void> SqliteConnection::QuickCheck() {
  ASSIGN_OR_RETURN(const Statement check, Prepare("PRAGMA quick_check(1)"));
  RETURN_IF_ERROR(Check(sqlite3_step(check.get())));
  const Bytes found = Column(check.get(), 0);
  if (found == "ok") return {};
  return Fail(ErrorCode::kCorruptData, "SQLite: " + std::string(found));
}

Result<std::uint64_t> SqliteConnection::Sequence() {
  const int code = sqlite3_step(get_sequence_.get());
  Result<void> stepped = Check(code);
  const auto sequence = static_cast<std::uint64_t>(sqlite3_column_int64(get_sequence_.get(), 0));
  sqlite3_reset(get_sequence_.get());
  RETURN_IF_ERROR(std::move(stepped));
  return sequence;
}

Result<void> SqliteConnection::SetSequence(std::uint64_t sequence) {
  RETURN_IF_ERROR(
      Check(sqlite3_bind_int64(set_sequence_.get(), 1, static_cast<sqlite3_int64>(sequence))));
  return Run(set_sequence_.get());
}

}  // namespace bobbin::bench

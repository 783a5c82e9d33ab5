// One SQLite connection with the statements a kv transaction needs, prepared once.
//
// Threads  One at a time.
#pragma once

#include <sqlite3.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/kv/kv_engine.h"

namespace bobbin::bench {

enum class SqliteUse : std::uint8_t { kWrite, kRead };

class SqliteConnection {
 public:
  static Result<std::unique_ptr<SqliteConnection>> Open(const std::filesystem::path& file,
                                                        const std::vector<std::string>& tables,
                                                        SqliteUse use);
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  ~SqliteConnection();

  Result<void> BeginRead() { return Run(begin_read_.get()); }
  Result<void> BeginWrite() { return Run(begin_write_.get()); }
  Result<void> Commit() { return Run(commit_.get()); }
  Result<void> Rollback() { return Run(rollback_.get()); }

  // The value is copied and lives until Forget.
  Result<std::optional<kv::Bytes>> Get(kv::TableId table, kv::Bytes key);
  Result<void> Scan(kv::TableId table, const kv::KeyRange& range,
                    const kv::ReadTransaction::Visitor& visit);
  Result<void> Put(kv::TableId table, kv::Bytes key, kv::Bytes value);
  Result<void> Erase(kv::TableId table, kv::Bytes key);
  void Forget() { values_.clear(); }

  // SQLite's own check of every page: kCorruptData with the first thing it found.
  Result<void> QuickCheck();

  Result<std::uint64_t> Sequence();
  Result<void> SetSequence(std::uint64_t sequence);

 private:
  struct CloseStatement {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;
  struct Table {
    std::string name;
    Statement get;
    Statement put;
    Statement erase;
    std::vector<Statement> idle_scans;  // More than one when scans are nested.
  };

  SqliteConnection() = default;
  Result<void> Execute(const char* sql);
  Result<void> CreateTables(const std::vector<std::string>& tables);
  Result<void> PrepareAll(const std::vector<std::string>& tables);
  Result<Statement> Prepare(const std::string& sql);
  Result<void> Check(int code);
  // Runs a statement that returns no row.
  Result<void> Run(sqlite3_stmt* statement);
  Table& At(kv::TableId table);

  sqlite3* db_ = nullptr;
  std::vector<Table> tables_;
  Statement begin_read_;
  Statement begin_write_;
  Statement commit_;
  Statement rollback_;
  Statement get_sequence_;
  Statement set_sequence_;
  std::deque<std::string> values_;
};

}  // namespace bobbin::bench

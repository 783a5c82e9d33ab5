#include "bench/peers/sqlite_engine.h"

#include <mutex>
#include <utility>

#include "bench/peers/sqlite_connection.h"
#include "engine/check.h"
#include "engine/kv/commit_group.h"
#include "engine/kv/size_limits.h"

namespace bobbin::bench {
namespace {

using kv::Bytes;
using kv::KeyRange;
using kv::TableId;

constexpr const char* kFileName = "store.sqlite";

class SqliteReadTransaction final : public kv::ReadTransaction {
 public:
  explicit SqliteReadTransaction(SqliteConnection& connection) : connection_(connection) {}

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    return connection_.Get(table, key);
  }
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override {
    return connection_.Scan(table, range, visit);
  }
  std::uint64_t Sequence() const override {
    const Result<std::uint64_t> sequence = connection_.Sequence();
    BOBBIN_CHECK(sequence.has_value());
    return *sequence;
  }

 private:
  SqliteConnection& connection_;
};

class SqliteWriteTransaction final : public kv::WriteTransaction {
 public:
  SqliteWriteTransaction(SqliteConnection& connection, std::uint64_t sequence)
      : connection_(connection), sequence_(sequence) {}

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    return connection_.Get(table, key);
  }
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override {
    return connection_.Scan(table, range, visit);
  }
  std::uint64_t Sequence() const override { return sequence_; }

  Result<void> Put(TableId table, Bytes key, Bytes value) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    RETURN_IF_ERROR(kv::CheckValue(value));
    connection_.Forget();
    return connection_.Put(table, key, value);
  }
  Result<void> Erase(TableId table, Bytes key) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    connection_.Forget();
    return connection_.Erase(table, key);
  }

 private:
  SqliteConnection& connection_;
  const std::uint64_t sequence_;
};

class SqliteBackend final : public kv::CommitBackend {
 public:
  SqliteBackend(std::unique_ptr<SqliteConnection> connection, std::uint64_t sequence)
      : connection_(std::move(connection)), sequence_(sequence) {}

  Result<void> CheckSpace() override { return {}; }
  Result<kv::WriteTransaction*> Begin() override {
    RETURN_IF_ERROR(connection_->BeginWrite());
    return &transaction_.emplace(*connection_, sequence_ + 1);
  }
  Result<void> Commit() override {
    RETURN_IF_ERROR(connection_->SetSequence(sequence_ + 1));
    RETURN_IF_ERROR(connection_->Commit());
    ++sequence_;
    connection_->Forget();
    return {};
  }
  void Abort() override {
    // Some errors have rolled it back already; then there is nothing to roll back.
    (void)connection_->Rollback();
    connection_->Forget();
  }

 private:
  std::unique_ptr<SqliteConnection> connection_;
  std::uint64_t sequence_;
  std::optional<SqliteWriteTransaction> transaction_;
};

class SqliteEngine final : public kv::GroupedEngine {
 public:
  SqliteEngine(std::filesystem::path file, std::vector<std::string> tables,
               std::unique_ptr<SqliteConnection> writer, std::uint64_t sequence)
      : file_(std::move(file)),
        tables_(std::move(tables)),
        backend_(std::move(writer), sequence),
        group_(std::make_unique<kv::CommitGroup>(backend_)) {}

  Result<void> View(const kv::ReadFunction& read) override {
    RETURN_IF_ERROR(group_->CheckMayView());
    ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> connection, TakeReader());
    RETURN_IF_ERROR(connection->BeginRead());
    SqliteReadTransaction transaction(*connection);
    Result<void> viewed = group_->RunView(read, transaction);
    RETURN_IF_ERROR(connection->Commit());
    connection->Forget();
    const std::lock_guard lock(mutex_);
    idle_readers_.push_back(std::move(connection));
    return viewed;
  }
  kv::CommitGroup& group() const override { return *group_; }

 private:
  Result<std::unique_ptr<SqliteConnection>> TakeReader() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_readers_.empty()) {
        std::unique_ptr<SqliteConnection> connection = std::move(idle_readers_.back());
        idle_readers_.pop_back();
        return connection;
      }
    }
    return SqliteConnection::Open(file_, tables_, SqliteUse::kRead);
  }

  const std::filesystem::path file_;
  const std::vector<std::string> tables_;
  SqliteBackend backend_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<SqliteConnection>> idle_readers_;
  std::unique_ptr<kv::CommitGroup> group_;
};

}  // namespace

Result<std::shared_ptr<kv::Engine>> OpenSqliteEngine(const std::filesystem::path& directory,
                                                     const std::vector<std::string>& tables) {
  const std::filesystem::path file = directory / kFileName;
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> writer,
                   SqliteConnection::Open(file, tables, SqliteUse::kWrite));
  ASSIGN_OR_RETURN(const std::uint64_t sequence, writer->Sequence());
  return std::make_shared<SqliteEngine>(file, tables, std::move(writer), sequence);
}

Result<std::function<Result<void>()>> PrepareSqliteVerification(
    const std::filesystem::path& directory, const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(std::shared_ptr<SqliteConnection> connection,
                   SqliteConnection::Open(directory / kFileName, tables, SqliteUse::kRead));
  return [connection] { return connection->QuickCheck(); };
}

}  // namespace bobbin::bench

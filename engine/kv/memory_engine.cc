#include "engine/kv/memory_engine.h"

#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "engine/check.h"
#include "engine/kv/commit_group.h"
#include "engine/kv/size_limits.h"

namespace bobbin::kv {
namespace {

using Table = std::map<std::string, std::string, std::less<>>;

// Never changed once it is published. Tables that a transaction did not touch are
// shared with the snapshot before it.
struct Snapshot {
  std::uint64_t sequence = 0;
  std::vector<std::shared_ptr<const Table>> tables;
};

const Table& TableAt(const Snapshot& snapshot, TableId id) {
  BOBBIN_CHECK(id.index < snapshot.tables.size());
  return *snapshot.tables[id.index];
}

Result<std::optional<Bytes>> GetFrom(const Table& table, Bytes key) {
  RETURN_IF_ERROR(CheckKey(key));
  const auto found = table.find(key);
  if (found == table.end()) return std::optional<Bytes>();
  return std::optional<Bytes>(found->second);
}

Result<void> ScanIn(const Table& table, const KeyRange& range,
                    const ReadTransaction::Visitor& visit) {
  for (auto row = table.lower_bound(range.begin); row != table.end(); ++row) {
    if (!range.end.empty() && row->first >= range.end) break;
    if (!visit(row->first, row->second)) break;
  }
  return {};
}

class MemoryReadTransaction final : public ReadTransaction {
 public:
  explicit MemoryReadTransaction(const Snapshot& snapshot) : snapshot_(snapshot) {}

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override {
    return GetFrom(TableAt(snapshot_, table), key);
  }
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override {
    return ScanIn(TableAt(snapshot_, table), range, visit);
  }
  std::uint64_t Sequence() const override { return snapshot_.sequence; }

 private:
  const Snapshot& snapshot_;
};

class MemoryWriteTransaction final : public WriteTransaction {
 public:
  explicit MemoryWriteTransaction(const Snapshot& before)
      : snapshot_(std::make_shared<Snapshot>(before)), copies_(before.tables.size()) {
    ++snapshot_->sequence;
  }

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override {
    return GetFrom(TableAt(*snapshot_, table), key);
  }
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override {
    return ScanIn(TableAt(*snapshot_, table), range, visit);
  }
  std::uint64_t Sequence() const override { return snapshot_->sequence; }

  Result<void> Put(TableId table, Bytes key, Bytes value) override {
    RETURN_IF_ERROR(CheckKey(key));
    RETURN_IF_ERROR(CheckValue(value));
    Writable(table).insert_or_assign(std::string(key), std::string(value));
    return {};
  }
  Result<void> Erase(TableId table, Bytes key) override {
    RETURN_IF_ERROR(CheckKey(key));
    Table& rows = Writable(table);
    if (const auto found = rows.find(key); found != rows.end()) rows.erase(found);
    return {};
  }

  std::shared_ptr<const Snapshot> Written() const { return snapshot_; }

 private:
  Table& Writable(TableId id) {
    if (const Table& shared = TableAt(*snapshot_, id); !copies_[id.index]) {
      copies_[id.index] = std::make_shared<Table>(shared);
      snapshot_->tables[id.index] = copies_[id.index];
    }
    return *copies_[id.index];
  }

  std::shared_ptr<Snapshot> snapshot_;
  std::vector<std::shared_ptr<Table>> copies_;  // Of the tables written to.
};

class MemoryBackend final : public CommitBackend {
 public:
  explicit MemoryBackend(std::size_t table_count) {
    Snapshot empty;
    empty.tables.assign(table_count, std::make_shared<const Table>());
    current_ = std::make_shared<const Snapshot>(std::move(empty));
  }

  std::shared_ptr<const Snapshot> Current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

  Result<void> CheckSpace() override { return {}; }
  Result<WriteTransaction*> Begin() override {
    return &transaction_.emplace(*current_);  // Only this thread ever changes it.
  }
  Result<void> Commit() override {
    std::shared_ptr<const Snapshot> next = transaction_->Written();
    transaction_.reset();
    const std::lock_guard lock(mutex_);
    current_.swap(next);
    return {};
  }
  void Abort() override { transaction_.reset(); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> current_;
  std::optional<MemoryWriteTransaction> transaction_;
};

class MemoryEngine final : public GroupedEngine {
 public:
  explicit MemoryEngine(std::size_t table_count)
      : backend_(table_count), group_(std::make_unique<CommitGroup>(backend_)) {}

  Result<void> View(const ReadFunction& read) override {
    RETURN_IF_ERROR(group_->CheckMayView());
    const std::shared_ptr<const Snapshot> snapshot = backend_.Current();
    MemoryReadTransaction transaction(*snapshot);
    return group_->RunView(read, transaction);
  }

  CommitGroup& group() const override { return *group_; }

 private:
  MemoryBackend backend_;
  std::unique_ptr<CommitGroup> group_;
};

}  // namespace

std::shared_ptr<Engine> NewMemoryEngine(const std::vector<std::string>& tables) {
  return std::make_shared<MemoryEngine>(tables.size());
}

}  // namespace bobbin::kv

#include "bench/peers/rocksdb_engine.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include <cstring>
#include <deque>
#include <utility>

#include "engine/check.h"
#include "engine/kv/commit_group.h"
#include "engine/kv/size_limits.h"

namespace bobbin::bench {
namespace {

using kv::Bytes;
using kv::KeyRange;
using kv::TableId;
using rocksdb::ColumnFamilyHandle;

// In RocksDB's default column family, which holds no table.
constexpr std::string_view kSequenceKey = "sequence";

// RocksDB takes no null pointer, not even for nothing.
rocksdb::Slice ToSlice(Bytes bytes) {
  return bytes.empty() ? rocksdb::Slice() : rocksdb::Slice(bytes.data(), bytes.size());
}
Bytes ToBytes(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Result<void> ToResult(const rocksdb::Status& status) {
  if (status.ok()) return {};
  return Fail(ErrorCode::kDiskError, "RocksDB: " + status.ToString());
}

// An open database and its column families; index 0 is the default one, a table's is one more
// than its TableId.
struct Handles {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<ColumnFamilyHandle*> families;

  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    for (ColumnFamilyHandle* family : families) db->DestroyColumnFamilyHandle(family);
  }

  ColumnFamilyHandle* Family(TableId table) const {
    BOBBIN_CHECK(table.index + std::size_t{1} < families.size());
    return families[table.index + std::size_t{1}];
  }
};

Result<void> ScanWith(rocksdb::Iterator& rows, const KeyRange& range,
                      const kv::ReadTransaction::Visitor& visit) {
  for (rows.Seek(ToSlice(range.begin)); rows.Valid(); rows.Next()) {
    if (!range.end.empty() && ToBytes(rows.key()) >= range.end) break;
    if (!visit(ToBytes(rows.key()), ToBytes(rows.value()))) break;
  }
  return ToResult(rows.status());
}

// Values that were handed out, where they stay until the transaction allows otherwise.
using Pinned = std::deque<rocksdb::PinnableSlice>;

Result<std::optional<Bytes>> Found(const rocksdb::Status& status, Pinned& pinned) {
  if (status.IsNotFound()) {
    pinned.pop_back();
    return std::optional<Bytes>();
  }
  RETURN_IF_ERROR(ToResult(status));
  return std::optional<Bytes>(ToBytes(pinned.back()));
}

Result<std::uint64_t> ReadSequence(const Handles& handles, const rocksdb::ReadOptions& options) {
  std::string value;
  const rocksdb::Status status =
      handles.db->Get(options, handles.families[0], ToSlice(kSequenceKey), &value);
  std::uint64_t sequence = 0;
  if (status.IsNotFound()) return sequence;
  RETURN_IF_ERROR(ToResult(status));
  BOBBIN_CHECK(value.size() == sizeof(sequence));
  std::memcpy(&sequence, value.data(), sizeof(sequence));
  return sequence;
}

class RocksdbReadTransaction final : public kv::ReadTransaction {
 public:
  explicit RocksdbReadTransaction(const Handles& handles)
      : handles_(handles), snapshot_(handles.db->GetSnapshot()) {
    options_.snapshot = snapshot_;
  }
  RocksdbReadTransaction(const RocksdbReadTransaction&) = delete;
  RocksdbReadTransaction& operator=(const RocksdbReadTransaction&) = delete;
  ~RocksdbReadTransaction() override { handles_.db->ReleaseSnapshot(snapshot_); }

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    pinned_.emplace_back();
    return Found(handles_.db->Get(options_, handles_.Family(table), ToSlice(key), &pinned_.back()),
                 pinned_);
  }
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override {
    rocksdb::ReadOptions options = options_;
    const rocksdb::Slice end = ToSlice(range.end);
    if (!range.end.empty()) options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> rows(
        handles_.db->NewIterator(options, handles_.Family(table)));
    return ScanWith(*rows, range, visit);
  }
  std::uint64_t Sequence() const override {
    const Result<std::uint64_t> sequence = ReadSequence(handles_, options_);
    BOBBIN_CHECK(sequence.has_value());
    return *sequence;
  }

 private:
  const Handles& handles_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions options_;
  Pinned pinned_;
};

// One at a time, by the group's one thread: what it reads below its own batch is the newest state.
class RocksdbWriteTransaction final : public kv::WriteTransaction {
 public:
  RocksdbWriteTransaction(const Handles& handles, std::uint64_t sequence)
      : handles_(handles), sequence_(sequence) {}

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    pinned_.emplace_back();
    return Found(batch_.GetFromBatchAndDB(handles_.db.get(), rocksdb::ReadOptions(),
                                          handles_.Family(table), ToSlice(key), &pinned_.back()),
                 pinned_);
  }
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override {
    rocksdb::ReadOptions options;
    const rocksdb::Slice end = ToSlice(range.end);
    if (!range.end.empty()) options.iterate_upper_bound = &end;
    ColumnFamilyHandle* const family = handles_.Family(table);
    const std::unique_ptr<rocksdb::Iterator> rows(
        batch_.NewIteratorWithBase(family, handles_.db->NewIterator(options, family), &options));
    return ScanWith(*rows, range, visit);
  }
  std::uint64_t Sequence() const override { return sequence_; }

  Result<void> Put(TableId table, Bytes key, Bytes value) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    RETURN_IF_ERROR(kv::CheckValue(value));
    pinned_.clear();
    return ToResult(batch_.Put(handles_.Family(table), ToSlice(key), ToSlice(value)));
  }
  Result<void> Erase(TableId table, Bytes key) override {
    RETURN_IF_ERROR(kv::CheckKey(key));
    pinned_.clear();
    return ToResult(batch_.Delete(handles_.Family(table), ToSlice(key)));
  }

  Result<void> Commit() {
    const std::string_view value(reinterpret_cast<const char*>(&sequence_), sizeof(sequence_));
    RETURN_IF_ERROR(
        ToResult(batch_.Put(handles_.families[0], ToSlice(kSequenceKey), ToSlice(value))));
    rocksdb::WriteOptions options;
    options.sync = true;
    return ToResult(handles_.db->Write(options, batch_.GetWriteBatch()));
  }

 private:
  const Handles& handles_;
  const std::uint64_t sequence_;
  rocksdb::WriteBatchWithIndex batch_{rocksdb::BytewiseComparator(), 0, true};
  Pinned pinned_;
};

class RocksdbBackend final : public kv::CommitBackend {
 public:
  RocksdbBackend(const Handles& handles, std::uint64_t sequence)
      : handles_(handles), sequence_(sequence) {}

  Result<void> CheckSpace() override { return {}; }
  Result<kv::WriteTransaction*> Begin() override {
    return &transaction_.emplace(handles_, sequence_ + 1);
  }
  Result<void> Commit() override {
    Result<void> committed = transaction_->Commit();
    transaction_.reset();
    if (committed) ++sequence_;
    return committed;
  }
  void Abort() override { transaction_.reset(); }

 private:
  const Handles& handles_;
  std::uint64_t sequence_;
  std::optional<RocksdbWriteTransaction> transaction_;
};

class RocksdbEngine final : public kv::GroupedEngine {
 public:
  RocksdbEngine(std::unique_ptr<Handles> handles, std::uint64_t sequence)
      : handles_(std::move(handles)),
        backend_(*handles_, sequence),
        group_(std::make_unique<kv::CommitGroup>(backend_)) {}

  Result<void> View(const kv::ReadFunction& read) override {
    RETURN_IF_ERROR(group_->CheckMayView());
    RocksdbReadTransaction transaction(*handles_);
    return group_->RunView(read, transaction);
  }
  kv::CommitGroup& group() const override { return *group_; }

 private:
  std::unique_ptr<Handles> handles_;
  RocksdbBackend backend_;
  std::unique_ptr<kv::CommitGroup> group_;
};

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.db_write_buffer_size = std::size_t{256} << 20;
  options.max_total_wal_size = std::uint64_t{1} << 30;
  options.bytes_per_sync = std::uint64_t{1} << 20;
  options.info_log_level = rocksdb::InfoLogLevel::ERROR_LEVEL;
  return options;
}

rocksdb::ColumnFamilyOptions TableOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(std::size_t{256} << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = std::size_t{64} << 20;
  options.max_write_buffer_number = 4;
  options.compression = rocksdb::kNoCompression;
  options.level_compaction_dynamic_level_bytes = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // A queue is deleted from its front: without this every look at the front walks the deletions.
  options.table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(1'000, 500));
  return options;
}

Result<std::unique_ptr<Handles>> OpenHandles(const std::filesystem::path& directory,
                                             const std::vector<std::string>& tables) {
  const rocksdb::ColumnFamilyOptions table_options = TableOptions();
  std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, table_options}};
  for (const std::string& name : tables) families.emplace_back(name, table_options);
  auto handles = std::make_unique<Handles>();
  rocksdb::DB* db = nullptr;
  RETURN_IF_ERROR(ToResult(
      rocksdb::DB::Open(DatabaseOptions(), directory.string(), families, &handles->families, &db)));
  handles->db.reset(db);
  return handles;
}

}  // namespace

Result<std::shared_ptr<kv::Engine>> OpenRocksdbEngine(const std::filesystem::path& directory,
                                                      const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(std::unique_ptr<Handles> handles, OpenHandles(directory, tables));
  ASSIGN_OR_RETURN(const std::uint64_t sequence, ReadSequence(*handles, rocksdb::ReadOptions()));
  return std::make_shared<RocksdbEngine>(std::move(handles), sequence);
}

Result<std::function<Result<void>()>> PrepareRocksdbVerification(
    const std::filesystem::path& directory, const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(std::unique_ptr<Handles> handles, OpenHandles(directory, tables));
  return [handles = std::shared_ptr<Handles>(std::move(handles))] {
    return ToResult(handles->db->VerifyChecksum());
  };
}

}  // namespace bobbin::bench

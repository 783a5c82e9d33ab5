// kv transactions on top of an MDB_txn that somebody else begins and ends.
#pragma once

#include <lmdb.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/kv/kv_engine.h"

namespace bobbin::kv {

// A table's name, and its handle in the environment. Index = TableId.
struct LmdbTable {
  std::string name;
  MDB_dbi handle = 0;
};

class LmdbReadTransaction final : public ReadTransaction {
 public:
  LmdbReadTransaction(MDB_txn* transaction, const std::vector<LmdbTable>& tables)
      : transaction_(transaction), tables_(tables) {}

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override;
  std::uint64_t PageOf(Bytes value) const override;
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override;
  std::uint64_t Sequence() const override;
  std::optional<std::uint64_t> EntryCount(TableId table) override;

 private:
  MDB_txn* transaction_;
  const std::vector<LmdbTable>& tables_;
};

// Must be destroyed before its MDB_txn ends.
class LmdbWriteTransaction final : public WriteTransaction {
 public:
  LmdbWriteTransaction(MDB_txn* transaction, const std::vector<LmdbTable>& tables)
      : transaction_(transaction), tables_(tables), cursors_(tables.size(), nullptr) {}
  ~LmdbWriteTransaction() override;
  LmdbWriteTransaction(const LmdbWriteTransaction&) = delete;
  LmdbWriteTransaction& operator=(const LmdbWriteTransaction&) = delete;

  Result<std::optional<Bytes>> Get(TableId table, Bytes key) override;
  Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) override;
  std::uint64_t Sequence() const override;
  Result<void> Put(TableId table, Bytes key, Bytes value) override;
  Result<void> Erase(TableId table, Bytes key) override;
  Result<void> Replace(TableId table, Bytes key, Bytes value, const FormerVisitor& former) override;
  Result<void> Remove(TableId table, Bytes key, const FormerVisitor& former) override;
  std::optional<std::uint64_t> EntryCount(TableId table) override;

 private:
  Result<MDB_cursor*> CursorOf(TableId table);

  MDB_txn* transaction_;
  const std::vector<LmdbTable>& tables_;
  std::vector<MDB_cursor*> cursors_;  // For writing, opened with the first write.
};

}  // namespace bobbin::kv

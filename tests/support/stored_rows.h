// The rows of a database as they are stored, for tests that damage them behind its back.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/check.h"
#include "engine/keyspace.h"
#include "engine/kv/kv_engine.h"
#include "tests/support/matchers.h"

namespace bobbin {

struct StoredRow {
  kv::TableId table;
  std::string key;
  std::string value;
};

inline std::vector<StoredRow> AllRows(kv::Engine& engine) {
  std::vector<StoredRow> rows;
  Must(engine.View([&](kv::ReadTransaction& transaction) -> Result<void> {
    rows.clear();
    for (std::size_t i = 0; i < table::kNames.size(); ++i) {
      const kv::TableId table{static_cast<std::uint8_t>(i)};
      RETURN_IF_ERROR(transaction.Scan(table, {}, [&](kv::Bytes key, kv::Bytes value) {
        rows.push_back({table, std::string(key), std::string(value)});
        return true;
      }));
    }
    return {};
  }));
  return rows;
}

inline std::optional<StoredRow> FindRow(kv::Engine& engine, kv::TableId table,
                                        std::string_view key) {
  for (const StoredRow& row : AllRows(engine)) {
    if (row.table == table && row.key == key) return row;
  }
  return std::nullopt;
}

inline void PutRow(kv::Engine& engine, const StoredRow& row, std::string_view value) {
  Must(engine
           .Update([&](kv::WriteTransaction& transaction) {
             return transaction.Put(row.table, row.key, value);
           })
           .ToResult());
}
inline void PutRow(kv::Engine& engine, const StoredRow& row) { PutRow(engine, row, row.value); }

inline void EraseRow(kv::Engine& engine, const StoredRow& row) {
  Must(engine
           .Update([&](kv::WriteTransaction& transaction) {
             return transaction.Erase(row.table, row.key);
           })
           .ToResult());
}

inline std::string Flipped(std::string value, std::size_t at) {
  value[at] = static_cast<char>(value[at] ^ 0x10);
  return value;
}

// One bit of it is another.
inline StoredRow Damaged(StoredRow row) {
  row.value = Flipped(std::move(row.value), row.value.size() / 2);
  return row;
}

}  // namespace bobbin

// What both kv tests need: short ways to say "put this" and "what is there" to an engine.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/kv/kv_engine.h"
#include "engine/kv/lmdb_engine.h"

namespace bobbin::kv::test {

inline constexpr TableId kQueue{0};
inline constexpr TableId kBodies{1};

inline LmdbOptions TwoTables() {
  LmdbOptions options;
  options.tables = {"queue", "bodies"};
  return options;
}

inline Result<void> CreateEmpty(const std::filesystem::path& directory) {
  return CreateLmdbEnvironment(directory, TwoTables(),
                               [](WriteTransaction&) { return Result<void>(); });
}

inline UpdateFunction PutRow(std::string key, std::string value, TableId table = kQueue) {
  return [key = std::move(key), value = std::move(value), table](WriteTransaction& transaction) {
    return transaction.Put(table, key, value);
  };
}

inline std::optional<std::string> Read(Engine& engine, Bytes key, TableId table = kQueue) {
  std::optional<std::string> value;
  const Result<void> viewed = engine.View([&](ReadTransaction& transaction) -> Result<void> {
    ASSIGN_OR_RETURN(const std::optional<Bytes> found, transaction.Get(table, key));
    value.reset();
    if (found) value.emplace(*found);
    return {};
  });
  EXPECT_TRUE(viewed) << ToString(viewed.error());
  return value;
}

inline std::vector<std::string> Keys(ReadTransaction& transaction, TableId table,
                                     const KeyRange& range = {}) {
  std::vector<std::string> keys;
  const Result<void> scanned = transaction.Scan(table, range, [&](Bytes key, Bytes) {
    keys.emplace_back(key);
    return true;
  });
  EXPECT_TRUE(scanned) << ToString(scanned.error());
  return keys;
}

inline std::vector<std::string> Keys(Engine& engine, TableId table = kQueue,
                                     const KeyRange& range = {}) {
  std::vector<std::string> keys;
  const Result<void> viewed = engine.View([&](ReadTransaction& transaction) -> Result<void> {
    keys = Keys(transaction, table, range);
    return {};
  });
  EXPECT_TRUE(viewed) << ToString(viewed.error());
  return keys;
}

inline ErrorCode CodeOf(CommitOutcome outcome) {
  const Result<void> result = std::move(outcome).ToResult();
  EXPECT_FALSE(result);
  return result ? ErrorCode{} : result.error().code;
}

}  // namespace bobbin::kv::test

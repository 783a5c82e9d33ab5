// A message store on one of the engines that are compared, in a directory of its own.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "engine/database.h"

namespace bobbin::bench {

enum class EngineKind { kLmdb, kRocksdb, kSqlite };

inline constexpr std::array kAllEngines{EngineKind::kLmdb, EngineKind::kRocksdb,
                                        EngineKind::kSqlite};

std::string_view Name(EngineKind engine);  // "lmdb", "rocksdb", "sqlite".

// A measurement that cannot go on has no result worth printing: says why and ends the program.
[[noreturn]] void StopOn(const Error& error);

template <class T>
T Require(Result<T> result) {
  if (!result) StopOn(result.error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

class StoreUnderTest {
 public:
  // Opens what is in `directory`, making it when there is nothing. LMDB is opened as the programs
  // open it; the peers run below the same message store.
  StoreUnderTest(EngineKind engine, const std::filesystem::path& directory);
  StoreUnderTest(const StoreUnderTest&) = delete;
  StoreUnderTest& operator=(const StoreUnderTest&) = delete;
  ~StoreUnderTest();

  bobbin::Database& Database() { return *database_; }
  MessageStore& Store() { return *store_; }

 private:
  std::optional<bobbin::Database> database_;
  std::optional<MessageStore> store_;
};

// Removed with everything in it at the end.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::filesystem::path& parent);
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  const std::filesystem::path& Path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace bobbin::bench

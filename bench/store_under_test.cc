#include "bench/store_under_test.h"

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "bench/peers/rocksdb_engine.h"
#include "bench/peers/sqlite_engine.h"
#include "engine/lock_table.h"

namespace bobbin::bench {
namespace {

namespace fs = std::filesystem;

constexpr long kOwnersHere = 2;  // The Database and the MessageStore.

Result<Database> OpenDatabase(EngineKind engine, const fs::path& directory) {
  std::error_code error;
  if (engine == EngineKind::kLmdb) {
    if (!fs::exists(directory, error)) RETURN_IF_ERROR(Database::Create(directory));
    return Database::Open(directory);
  }
  fs::create_directories(directory, error);
  if (error) return Fail(ErrorCode::kDiskError, directory.string() + ": " + error.message());
  const auto open = engine == EngineKind::kRocksdb ? OpenRocksdbEngine : OpenSqliteEngine;
  ASSIGN_OR_RETURN(std::shared_ptr<kv::Engine> peer, open(directory, Database::TableNames()));
  return Database::OpenOn(std::move(peer));
}

}  // namespace

std::string_view Name(EngineKind engine) {
  switch (engine) {
    case EngineKind::kLmdb:
      return "lmdb";
    case EngineKind::kRocksdb:
      return "rocksdb";
    case EngineKind::kSqlite:
      return "sqlite";
  }
  return "";
}

void StopOn(const Error& error) {
  std::fprintf(stderr, "bobbin_bench: %s\n", ToString(error).c_str());
  std::_Exit(EXIT_FAILURE);
}

StoreUnderTest::StoreUnderTest(EngineKind engine, const fs::path& directory)
    : database_(Require(OpenDatabase(engine, directory))),
      store_(Require(database_->OpenOrCreateMessageStore("bench@bobbin.test"))) {}

StoreUnderTest::~StoreUnderTest() {
  // The completion of the last message may still be letting go. If it were the last owner, the
  // store would be closed behind our back, and RocksDB must be closed before it is opened again.
  while (database_->State().use_count() > kOwnersHere) std::this_thread::yield();
  const DatabaseId id = database_->Id();
  store_.reset();
  database_.reset();
  RemoveVolatileState(id);
}

TemporaryDirectory::TemporaryDirectory(const fs::path& parent) {
  std::string pattern = (parent / "bobbin-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    StopOn({ErrorCode::kDiskError, "cannot create a directory in " + parent.string() +
                                       ": choose another with --directory"});
  }
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace bobbin::bench

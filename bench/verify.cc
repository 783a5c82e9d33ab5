// How long does it take to find out whether a store is sound, or to find what is left of one that
// is not? Of the same mail, out of the page cache.
#include "bench/peers/rocksdb_engine.h"
#include "bench/peers/sqlite_engine.h"
#include "bench/question.h"
#include "engine/database_state.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_file_check.h"
#include "engine/kv/lmdb_page_walk.h"
#include "engine/salvage_scan.h"

namespace bobbin::bench {
namespace {

using Verification = std::function<Result<void>()>;

// What an unclean stop makes the next start do.
Result<void> WalkPages(const kv::LmdbPageFile& file, const RecordCodec& codec) {
  ASSIGN_OR_RETURN(const kv::LmdbMetaPages metas, kv::CheckLmdbFile(file));
  kv::PageWalkOptions options;
  options.row_is_right = RowIsRight(codec);
  ASSIGN_OR_RETURN(const kv::PageWalkReport report,
                   kv::WalkLmdbPages(file, metas.Newest(), options));
  if (report.IsClean()) return {};
  return Fail(ErrorCode::kCorruptStore, report.findings.front().detail);
}

// What salvage does first.
Result<void> ScanPages(const kv::LmdbPageFile& file, const RecordCodec& codec) {
  ASSIGN_OR_RETURN(const SalvageScan scan, ScanForRecords(file, codec));
  if (scan.found > 0) return {};
  return Fail(ErrorCode::kCorruptStore, "no record was found");
}

Result<Verification> Prepare(EngineKind engine, const std::filesystem::path& directory,
                             decltype(WalkPages)* of_lmdb) {
  if (engine == EngineKind::kRocksdb) {
    return PrepareRocksdbVerification(directory, Database::TableNames());
  }
  if (engine == EngineKind::kSqlite) {
    return PrepareSqliteVerification(directory, Database::TableNames());
  }
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(directory));
  ASSIGN_OR_RETURN(kv::LmdbPageFile opened, kv::LmdbPageFile::Open(directory / "data.mdb"));
  return [of_lmdb, codec = RecordCodec(identity.record_key),
          file = std::make_shared<kv::LmdbPageFile>(std::move(opened))] {
    return of_lmdb(*file, codec);
  };
}

std::uint64_t BytesIn(const std::filesystem::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

Measured Verify(Bench& bench, EngineKind engine, decltype(WalkPages)* of_lmdb) {
  const FilledStores::Filled& filled = bench.filled.Get(engine, bench.sizes.queued);
  const Verification verify = Require(Prepare(engine, filled.directory, of_lmdb));
  Require(verify());  // Into the page cache.
  Measured measured =
      MeasureCallers(1, 1, [&](std::size_t /*caller*/, std::uint64_t /*i*/) { Require(verify()); });
  measured.operations = filled.messages;
  measured.bytes = BytesIn(filled.directory);
  measured.load_seconds = filled.load_seconds;
  return measured;
}

}  // namespace

std::vector<Question> VerifyQuestions() {
  return {
      {"check the structure of the large queue", "message",
       [](Bench& bench, EngineKind engine) { return Verify(bench, engine, WalkPages); }},
      {"find the large queue's records in raw pages", "message",
       [](Bench& bench, EngineKind engine) { return Verify(bench, engine, ScanPages); }},
  };
}

}  // namespace bobbin::bench

#include "engine/backup.h"

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/database.h"
#include "engine/database_directory.h"
#include "engine/database_state.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_sequence.h"
#include "engine/message_rows.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
// More than any database gives out between a backup and its restoration: 100,000 a second for
// four months, 1,000 a second for 34 years.
constexpr std::uint64_t kCounterJump = std::uint64_t{1} << 40;
constexpr std::string_view kMayHaveBeenSent = "restored from a backup: may have been sent since";

// A new environment in `directory`, equal to `source`.
Result<CopyReport> CopyInto(kv::Engine& source, const fs::path& directory, const RecordCodec& codec,
                            std::chrono::seconds age_max, const CopyProgress& progress) {
  RETURN_IF_ERROR(kv::CreateLmdbEnvironment(directory, DatabaseTables(),
                                            [](kv::WriteTransaction&) { return Result<void>(); }));
  ASSIGN_OR_RETURN(const std::shared_ptr<kv::Engine> target,
                   kv::OpenLmdbEngine(directory, DatabaseTables()));
  TableCopy copy(codec, Losses::kReport, progress);
  RETURN_IF_ERROR(copy.CopyInSlices(source, *target));
  RETURN_IF_ERROR(copy.MakeEqual(source, *target, age_max, kNoLimit));
  return copy.Report();
}

Result<void> CheckIsBackupOf(const fs::path& target, const Identity& identity) {
  ASSIGN_OR_RETURN(const Identity copied, ReadIdentityFile(target, kBackupIdentityFileName));
  if (copied.database == identity.database && copied.record_key == identity.record_key) return {};
  return Fail(ErrorCode::kInvalidParameter,
              target.string() + " is a backup of another database: choose another path");
}

// The guard against duplicates, in a database that nobody has opened yet.
class QueueGuard {
 public:
  QueueGuard(kv::Engine& engine, const RecordCodec& codec, Time now, RestoreReport& report)
      : engine_(engine), codec_(codec), now_(now), report_(report) {}

  Result<void> HoldAll() {
    RETURN_IF_ERROR(Update(
        [&](RowWriter& rows, RestoreReport& counted) { return HoldQuarantined(rows, counted); }));
    for (std::string begin;;) {
      std::vector<Queued> queued;
      RETURN_IF_ERROR(ReadPiece(begin, queued));
      if (queued.empty()) break;
      begin = QueueKey(queued.back().store, queued.back().sequence) + '\0';
      RETURN_IF_ERROR(Update([&](RowWriter& rows, RestoreReport& counted) -> Result<void> {
        for (const Queued& row : queued) {
          RETURN_IF_ERROR(PassDamaged(Hold(rows, row, counted), counted));
        }
        return {};
      }));
    }
    return Update([&](RowWriter& rows, RestoreReport& counted) { return HoldDue(rows, counted); });
  }

 private:
  static constexpr std::size_t kPieceMessages = 64;

  struct Queued {
    StoreId store;
    std::uint64_t sequence = 0;
  };

  Result<void> ReadPiece(const std::string& begin, std::vector<Queued>& queued) {
    return engine_.View([&](kv::ReadTransaction& raw) {
      RowReader rows(codec_, raw);
      return rows.Scan(table::kQueue, begin, {},
                       [&](std::string_view key, std::string_view) -> Result<bool> {
                         ASSIGN_OR_RETURN(const std::uint64_t store, KeyNumber8(key, 0));
                         ASSIGN_OR_RETURN(const std::uint64_t sequence, KeyNumber8(key, 8));
                         queued.push_back({StoreId{store}, sequence});
                         return queued.size() < kPieceMessages;
                       });
    });
  }

  Result<void> Update(
      const std::function<Result<void>(RowWriter& rows, RestoreReport& counted)>& step) {
    RestoreReport counted;
    RETURN_IF_ERROR(engine_
                        .Update([&](kv::WriteTransaction& raw) -> Result<void> {
                          counted = report_;
                          RowWriter rows(codec_, raw);
                          return step(rows, counted);
                        })
                        .ToResult());
    report_ = std::move(counted);
    return {};
  }

  // Damaged rows of the message itself keep it from being sent; those of the queue: HoldDue.
  static Result<void> PassDamaged(Result<void> result, RestoreReport& counted) {
    if (result || result.error().code != ErrorCode::kCorruptData) return result;
    counted.damaged.push_back(std::move(result).error());
    return {};
  }

  Result<void> Hold(RowWriter& rows, const Queued& queued, RestoreReport& counted) const {
    ++counted.queued;
    ASSIGN_OR_RETURN(const auto row, rows.QueueRow(queued.store, queued.sequence));
    if (!row) return {};  // Nobody else has it open: it was there a moment ago.
    MessageRecord place;  // All that Reschedule looks at.
    place.store = queued.store;
    place.queue_sequence = queued.sequence;
    RETURN_IF_ERROR(Reschedule(rows, place, row->due, DueLane::kHeld));
    ++counted.held;
    return Doubt(rows, row->message, counted);
  }

  Result<void> Doubt(RowWriter& rows, MessageId message, RestoreReport& counted) const {
    ASSIGN_OR_RETURN(const std::uint64_t recipients,
                     DoubtRecipients(rows, message, now_, kMayHaveBeenSent));
    counted.recipients_in_doubt += recipients;
    return {};
  }

  // As Hold: what is in quarantine may be released into the queue.
  Result<void> HoldQuarantined(RowWriter& rows, RestoreReport& counted) const {
    std::vector<std::string> keys;
    RETURN_IF_ERROR(rows.Scan(table::kIndex, "q", "r", [&](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return Result<bool>(true);
    }));
    for (const std::string& key : keys) {
      RETURN_IF_ERROR(PassDamaged(HoldQuarantinedRow(rows, key, counted), counted));
    }
    return {};
  }

  Result<void> HoldQuarantinedRow(RowWriter& rows, const std::string& key,
                                  RestoreReport& counted) const {
    ASSIGN_OR_RETURN(const std::uint64_t message, KeyNumber8(key, 1));
    if (message == 0) return {};  // A row of `due` by itself.
    ASSIGN_OR_RETURN(std::optional<QuarantineRecord> record, rows.Quarantined(MessageId{message}));
    if (!record) return {};
    record->lane = DueLane::kHeld;
    RETURN_IF_ERROR(rows.PutQuarantine(key, *record));
    return Doubt(rows, MessageId{message}, counted);
  }

  // What still is due has no queue row that can be read: the spooler would make one, and send.
  Result<void> HoldDue(RowWriter& rows, RestoreReport& counted) const {
    std::vector<std::string> keys;
    RETURN_IF_ERROR(rows.Scan(table::kDue, EncodeDueKey({DueLane::kScheduled, Time::min(), 0}),
                              EncodeDueKey({DueLane::kHeld, Time::min(), 0}),
                              [&](std::string_view key, std::string_view) {
                                keys.emplace_back(key);
                                return Result<bool>(true);
                              }));
    for (const std::string& key : keys) {
      RETURN_IF_ERROR(PassDamaged(HoldDueRow(rows, key, counted), counted));
    }
    return {};
  }

  Result<void> HoldDueRow(RowWriter& rows, const std::string& key, RestoreReport& counted) const {
    ASSIGN_OR_RETURN(DueKey due, DecodeDueKey(key));
    ASSIGN_OR_RETURN(const std::optional<DueRecord> row, rows.DueRow(due));
    if (!row) return {};
    RETURN_IF_ERROR(rows.Erase(table::kDue, key));
    due.lane = DueLane::kHeld;
    RETURN_IF_ERROR(rows.PutDueRow(due, *row));
    RETURN_IF_ERROR(
        rows.PutQueueRow(row->store, due.sequence, {row->message, now_, due.lane, due.time}));
    ++counted.held;
    return Doubt(rows, row->message, counted);
  }

  kv::Engine& engine_;
  const RecordCodec& codec_;
  const Time now_;
  RestoreReport& report_;
};

Result<void> JumpCounters(kv::Engine& engine, const RecordCodec& codec) {
  return engine
      .Update([&](kv::WriteTransaction& raw) -> Result<void> {
        RowWriter rows(codec, raw);
        ASSIGN_OR_RETURN(CountersRecord counters, rows.Counters());
        counters.next_object += kCounterJump;
        counters.next_queue_sequence += kCounterJump;
        return rows.PutCounters(counters);
      })
      .ToResult();
}

Result<void> RestoreIn(const fs::path& backup, const fs::path& directory,
                       const RestoreOptions& options, RestoreReport& report) {
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(backup, kBackupIdentityFileName));
  if (identity.format > Database::kFormat) {
    return Fail(ErrorCode::kVersion, backup.string() + " was made by a newer Bobbin");
  }
  const RecordCodec codec(identity.record_key);
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<kv::Engine> source,
                     kv::OpenLmdbEngine(backup, DatabaseTables()));
    ASSIGN_OR_RETURN(CopyReport copied,
                     CopyInto(*source, directory, codec, std::chrono::hours(24), options.progress));
    report.records = copied.records;
    report.damaged = std::move(copied.damaged);
    RETURN_IF_ERROR(kv::SetLmdbSequence(directory, copied.sequence_max + kCounterJump));
  }
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<kv::Engine> engine,
                     kv::OpenLmdbEngine(directory, DatabaseTables()));
    RETURN_IF_ERROR(JumpCounters(*engine, codec));
    if (!options.nothing_sent_since) {
      RETURN_IF_ERROR(QueueGuard(*engine, codec, SystemClock().Now(), report).HoldAll());
    }
  }
  return WriteIdentityFile(directory, identity);
}

}  // namespace

Result<BackupReport> BackUp(const Database& database, const fs::path& path, const fs::path& target,
                            const BackupOptions& options) {
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(path));
  ASSIGN_OR_RETURN(const std::shared_ptr<kv::Engine> source,
                   kv::OpenLmdbEngine(path, DatabaseTables()));
  const RecordCodec& codec = database.State()->codec;
  BackupReport report;
  const auto fill = [&](const fs::path& aside) -> Result<void> {
    ASSIGN_OR_RETURN(report.copy,
                     CopyInto(*source, aside, codec, options.age_max, options.progress));
    return WriteIdentityFile(aside, identity, kBackupIdentityFileName);
  };
  if (!options.incremental) {
    RETURN_IF_ERROR(CreateDatabaseDirectory(target, fill));
    return report;
  }
  const DirectoryTurn turn(target);
  RETURN_IF_ERROR(CheckIsBackupOf(target, identity));
  RETURN_IF_ERROR(turn.Take("backup"));
  RETURN_IF_ERROR(FlushNamesAbove(target));
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<kv::Engine> copied,
                     kv::OpenLmdbEngine(target, DatabaseTables()));
    TableCopy copy(codec, Losses::kRefuse, options.progress);
    const Result<void> done =
        copy.MakeEqual(*source, *copied, options.age_max, options.increment_bytes_max);
    report.copy = copy.Report();
    report.incremental = true;
    if (done) return report;
    if (done.error().code != ErrorCode::kTooBig) return tl::unexpected<Error>(done.error());
  }
  report.incremental = false;
  RETURN_IF_ERROR(ReplaceDatabaseDirectory(target, fill));
  return report;
}

Result<RestoreReport> Restore(const fs::path& backup, const fs::path& path,
                              const RestoreOptions& options) {
  RestoreReport report;
  RETURN_IF_ERROR(CreateDatabaseDirectory(
      path, [&](const fs::path& aside) { return RestoreIn(backup, aside, options, report); }));
  return report;
}

}  // namespace bobbin

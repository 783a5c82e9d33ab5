#include "engine/database.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/database_directory.h"
#include "engine/database_state.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_engine.h"
#include "engine/kv/lmdb_pages.h"
#include "engine/message_object.h"
#include "engine/store_check.h"
#include "engine/utf8.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;

static_assert(table::kNames[table::kMain.index] == kv::kMainTableName);

Result<void> WriteFirstRows(RowWriter& rows, const DatabaseId& id, Time now) {
  RETURN_IF_ERROR(rows.PutRoot({Database::kFormat, id, now}));
  return rows.PutCounters({});
}

Result<void> CheckRoot(DatabaseState& state) {
  return state.View([&](RowReader& rows) -> Result<void> {
    Result<std::optional<RootRecord>> root = rows.Root();
    if (!root && root.error().code == ErrorCode::kCorruptData) {
      return Fail(ErrorCode::kNotADatabase, "the root record is damaged: " + root.error().detail);
    }
    if (!root) return tl::unexpected<Error>(std::move(root).error());
    if (!*root) return Fail(ErrorCode::kNotADatabase, "the root record is missing");
    if ((*root)->format > Database::kFormat) {
      return Fail(ErrorCode::kVersion,
                  fmt::format("the database has format {}, this Bobbin reads up to {}",
                              (*root)->format, Database::kFormat));
    }
    if ((*root)->database != state.id) {
      return Fail(ErrorCode::kNotADatabase, "data.mdb and identity are of different databases");
    }
    const Result<std::optional<TableTotals>> totals = rows.Totals();
    if (totals && !*totals) {
      return Fail(ErrorCode::kNotADatabase,
                  "the totals of the tables are missing; it belongs to a version before the first "
                  "release");
    }
    if (!totals && totals.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(totals.error());
    }
    return {};
  });
}

Result<void> CreateIn(const fs::path& directory) {
  Identity identity;
  identity.format = Database::kFormat;
  FillRandom(identity.database.bytes.data(), identity.database.bytes.size());
  FillRandom(identity.record_key.data(), identity.record_key.size());
  RETURN_IF_ERROR(WriteIdentityFile(directory, identity));
  kv::LmdbOptions options = DatabaseTables();
  options.free_bytes_min = 0;
  const RecordCodec codec(identity.record_key);
  return kv::CreateLmdbEnvironment(directory, options, [&](kv::WriteTransaction& raw) {
    RowWriter rows(codec, raw);
    return WriteFirstRows(rows, identity.database, SystemClock().Now());
  });
}

std::vector<FolderId> DrawFolders(DatabaseState& state, std::size_t count, Result<void>& outcome) {
  std::vector<FolderId> ids;
  while (ids.size() < count && outcome) {
    Result<std::uint64_t> id = state.DrawObjectId();
    if (id) {
      ids.push_back(FolderId{*id});
    } else {
      outcome = tl::unexpected<Error>(std::move(id).error());
    }
  }
  return ids;
}

struct FolderPlan {
  FolderId id;
  FolderId parent;
  std::string_view name;
  std::uint32_t folder_count;
};

Result<void> WriteFolders(RowWriter& rows, StoreId store, const StandardFolders& folders,
                          Time now) {
  const FolderPlan plans[] = {
      {folders.root, folders.root, "Root", 1},
      {folders.ipm_subtree, folders.root, "Top of Information Store", 5},
      {folders.inbox, folders.ipm_subtree, "Inbox", 0},
      {folders.outbox, folders.ipm_subtree, "Outbox", 0},
      {folders.sent_items, folders.ipm_subtree, "Sent Items", 0},
      {folders.deleted_items, folders.ipm_subtree, "Deleted Items", 0},
      {folders.drafts, folders.ipm_subtree, "Drafts", 0},
  };
  for (const FolderPlan& plan : plans) {
    FolderRecord folder;
    folder.store = store;
    folder.parent = plan.parent;
    folder.name = std::string(plan.name);
    folder.folder_count = plan.folder_count;
    folder.created = now;
    RETURN_IF_ERROR(rows.PutFolder(plan.id, folder));
    if (plan.id != plan.parent) RETURN_IF_ERROR(rows.PutSubfolderRow(plan.parent, plan.id));
  }
  return {};
}

}  // namespace

std::function<bool(const kv::PageWalkOptions::Row&)> RowIsRight(const RecordCodec& record_codec) {
  return [codec = record_codec](const kv::PageWalkOptions::Row& row) {
    const auto name = std::find(table::kNames.begin(), table::kNames.end(), row.table);
    const kv::TableId table{static_cast<std::uint8_t>(name - table::kNames.begin())};
    return RecordCodec::NamesRow(table, row.key, row.value) ||
           (row.whole && !codec.OpenStray(row.value));
  };
}

std::vector<std::string> Database::TableNames() {
  return {table::kNames.begin(), table::kNames.end()};
}

Result<void> Database::Create(const fs::path& path) {
  return CreateDatabaseDirectory(path, CreateIn);
}

Result<Database> Database::Open(const fs::path& path, const DatabaseOptions& options) {
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(path));
  if (identity.format > kFormat) {
    return Fail(ErrorCode::kVersion,
                fmt::format("{} has format {}, this Bobbin reads up to {}: use a newer Bobbin",
                            path.string(), identity.format, kFormat));
  }
  kv::LmdbOptions lmdb_options = DatabaseTables();
  lmdb_options.free_bytes_min = options.free_bytes_min;
  lmdb_options.walk.row_is_right = RowIsRight(RecordCodec(identity.record_key));
  lmdb_options.walk.progress = options.walk_progress;
  lmdb_options.walk.every_page = options.walk_every_page;
  lmdb_options.walked = options.walked;
  ASSIGN_OR_RETURN(VolatileState shared, OpenVolatileState(identity.database));
  lmdb_options.shared = shared.lmdb;
  ASSIGN_OR_RETURN(std::shared_ptr<kv::Engine> engine, kv::OpenLmdbEngine(path, lmdb_options));
  RETURN_IF_ERROR(FlushNamesAbove(path));
  auto state = std::make_shared<DatabaseState>(identity.database, identity.record_key,
                                               std::move(engine), std::move(shared), options.clock);
  RETURN_IF_ERROR(CheckRoot(*state));
  return Database(std::move(state));
}

Result<Database> Database::OpenOn(std::shared_ptr<kv::Engine> engine,
                                  const DatabaseOptions& options) {
  const RecordKey record_key{};
  const RecordCodec codec(record_key);
  DatabaseId id;
  FillRandom(id.bytes.data(), id.bytes.size());
  RETURN_IF_ERROR(engine
                      ->Update([&](kv::WriteTransaction& raw) -> Result<void> {
                        RowWriter rows(codec, raw);
                        ASSIGN_OR_RETURN(const auto root, rows.Root());
                        if (!root) return WriteFirstRows(rows, id, SystemClock().Now());
                        id = root->database;
                        return {};
                      })
                      .ToResult());
  ASSIGN_OR_RETURN(VolatileState shared, OpenVolatileState(id));
  return Database(std::make_shared<DatabaseState>(id, record_key, std::move(engine),
                                                  std::move(shared), options.clock));
}

const DatabaseId& Database::Id() const { return state_->id; }

Result<MessageStore> Database::CreateMessageStore(std::string_view name) {
  if (name.empty() || name.size() > kStoreNameBytesMax || !IsUtf8(name)) {
    return Fail(ErrorCode::kInvalidParameter, "a store name is 1 to 255 bytes of UTF-8");
  }
  Result<void> drawn;
  const std::vector<FolderId> ids = DrawFolders(*state_, 8, drawn);
  if (!drawn) return tl::unexpected<Error>(std::move(drawn).error());
  const StoreId store{ids[7].value};
  const StandardFolders folders{ids[0], ids[1], ids[2], ids[3], ids[4], ids[5], ids[6]};
  const Time now = state_->clock->Now();
  RETURN_IF_ERROR(state_->Update([&](RowWriter& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto taken, rows.StoreNamed(name));
    if (taken) return Fail(ErrorCode::kCollision, "there is a store of that name");
    RETURN_IF_ERROR(rows.PutStore(store, {std::string(name), folders, now, false}));
    RETURN_IF_ERROR(rows.PutStoreName(name, store));
    return WriteFolders(rows, store, folders, now);
  }));
  return MessageStore(state_, store, std::string(name), folders);
}

Result<MessageStore> Database::OpenMessageStore(std::string_view name) const {
  std::optional<StoreId> id;
  std::optional<StoreRecord> record;
  RETURN_IF_ERROR(state_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(id, rows.StoreNamed(name));
    if (!id) return Fail(ErrorCode::kNotFound, "there is no store " + std::string(name));
    ASSIGN_OR_RETURN(record, rows.Store(*id));
    if (!record) return Fail(ErrorCode::kCorruptData, "table meta: a store record is missing");
    return {};
  }));
  return MessageStore(state_, *id, record->name, record->folders);
}

Result<MessageStore> Database::OpenMessageStore(StoreId id) const {
  std::optional<StoreRecord> record;
  RETURN_IF_ERROR(state_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(record, rows.Store(id));
    if (record) return {};
    return Fail(ErrorCode::kNotFound, "there is no store " + std::to_string(id.value));
  }));
  return MessageStore(state_, id, record->name, record->folders);
}

Result<MessageStore> Database::OpenOrCreateMessageStore(std::string_view name) {
  for (;;) {
    Result<MessageStore> opened = OpenMessageStore(name);
    if (opened || opened.error().code != ErrorCode::kNotFound) return opened;
    Result<MessageStore> created = CreateMessageStore(name);
    // Another process may have created it between the two.
    if (created || created.error().code != ErrorCode::kCollision) return created;
  }
}

Result<std::vector<MessageStoreInfo>> Database::ListMessageStores() const {
  std::vector<MessageStoreInfo> stores;
  RETURN_IF_ERROR(state_->View([&](RowReader& rows) {
    stores.clear();
    return rows.Scan(table::kMeta, "S", "T",
                     [&](std::string_view key, std::string_view value) -> Result<bool> {
                       ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
                       ASSIGN_OR_RETURN(StoreRecord record, rows.DecodeStore(key, value));
                       stores.push_back({StoreId{id}, std::move(record.name), record.folders});
                       return true;
                     });
  }));
  return stores;
}

Result<SpoolerSession> Database::OpenSpoolerSession() {
  ASSIGN_OR_RETURN(const LockSession session, state_->shared.locks->OpenSession());
  return SpoolerSession(state_, session);
}

AddressBook Database::GetAddressBook() const { return AddressBook(state_); }

OutgoingQueue Database::GetOutgoingQueue() const { return {state_, std::nullopt}; }

Quarantine Database::GetQuarantine() const { return Quarantine(state_); }

Result<Message> Database::OpenMessageForOperator(MessageId id) const {
  std::shared_ptr<MessageObject> object;
  RETURN_IF_ERROR(state_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto record, rows.Message(id));
    if (!record) return Fail(ErrorCode::kNotFound, "there is no message " + ToQueueId(id));
    ASSIGN_OR_RETURN(object, LoadMessageObject(state_, rows, id, *record));
    return {};
  }));
  object->access = AccessLevel::kReadOnly;
  return Message(std::move(object));
}

Result<bool> Database::MayHaveExisted(MessageId id) const {
  bool drawn = false;
  RETURN_IF_ERROR(state_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const CountersRecord counters, rows.Counters());
    drawn = id.value != 0 && id.value < counters.next_object;
    return {};
  }));
  return drawn;
}

Result<void> Database::AbortSubmit(MessageId id) {
  return AbortSubmitIn(*state_, id, std::nullopt);
}

Result<void> Database::DeleteMessage(MessageId id) { return DeleteMessageIn(*state_, id); }

Result<DatabaseStatistics> Database::Statistics() const {
  DatabaseStatistics statistics;
  if (const Result<kv::LmdbStatistics> lmdb = kv::GetLmdbStatistics(state_->Engine())) {
    statistics.file_bytes = lmdb->file_bytes;
    statistics.used_bytes = lmdb->used_bytes;
    statistics.free_bytes = lmdb->free_bytes;
    statistics.disk_free_bytes = lmdb->disk_free_bytes;
    statistics.commits = lmdb->commits;
    statistics.updates = lmdb->closures;
    statistics.readers = lmdb->readers;
  }
  statistics.locks = state_->shared.locks->Count();
  ASSIGN_OR_RETURN(statistics.queued, GetOutgoingQueue().Count());
  ASSIGN_OR_RETURN(const auto stores, ListMessageStores());
  statistics.stores = stores.size();
  ASSIGN_OR_RETURN(const ScrubEnd scrub, LastScrub());
  statistics.last_scrub = scrub.time;
  statistics.last_scrub_findings = scrub.findings;
  RETURN_IF_ERROR(state_->View([&](RowReader& rows) -> Result<void> {
    statistics.held = 0;
    statistics.quarantined = 0;
    RETURN_IF_ERROR(
        rows.Scan(table::kIndex, "q", "r", [&](std::string_view, std::string_view) -> Result<bool> {
          ++statistics.quarantined;
          return true;
        }));
    return rows.Scan(table::kDue, EncodeDueKey({DueLane::kHeld, Time{}, 0}), {},
                     [&](std::string_view, std::string_view) -> Result<bool> {
                       ++statistics.held;
                       return true;
                     });
  }));
  return statistics;
}

Result<std::uint64_t> Database::FreeBytes() const {
  ASSIGN_OR_RETURN(const kv::LmdbStatistics lmdb, kv::GetLmdbStatistics(state_->Engine()));
  return lmdb.WritableBytes();
}

Result<std::uint64_t> Database::CollectAbandonedBodies() {
  return bobbin::CollectAbandonedBodies(*state_);
}

Result<ScrubReport> Database::Scrub(const ScrubOptions& options) const {
  return bobbin::Scrub(*state_, options);
}

Result<ScrubEnd> Database::LastScrub() const {
  ScrubEnd last;
  RETURN_IF_ERROR(state_->View([&](RowReader& rows) -> Result<void> {
    last = {};
    const Result<std::optional<ScrubRecord>> scrub = rows.LastScrub();
    if (!scrub && scrub.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(scrub.error());
    }
    if (scrub && *scrub) last = {(*scrub)->ended, (*scrub)->findings};
    return {};
  }));
  return last;
}

Result<CheckReport> Database::CheckStore(const CheckOptions& options) const {
  return bobbin::CheckStore(*state_, options);
}

}  // namespace bobbin

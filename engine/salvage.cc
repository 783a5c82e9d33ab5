#include "engine/salvage.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "engine/attachment.h"
#include "engine/content_rows.h"
#include "engine/database.h"
#include "engine/database_directory.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_engine.h"
#include "engine/message_rows.h"
#include "engine/salvage_deleted.h"
#include "engine/salvage_export.h"
#include "engine/salvage_folders.h"
#include "engine/salvage_scan.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBatchBytes = std::size_t{4} << 20;
constexpr std::size_t kBatchMessages = 256;
// What the lost counters may have given away beyond what was found.
constexpr std::uint64_t kCounterSlack = 1'000'000;
constexpr std::string_view kExportDirectory = "salvaged";
constexpr std::string_view kMayHaveBeenSent =
    "salvaged without proof that this is the last state: may have been sent";

// What a message is made of, beside its rows of recipients and attachments.
struct Parts {
  std::vector<std::uint64_t> bodies;
  std::vector<std::uint64_t> embedded;
};

// What one transaction did; it counts only once that is committed.
struct Batch {
  std::vector<SalvagedMessage> messages;
  std::vector<std::uint64_t> bodies;  // One entry per reference.
  std::vector<std::uint64_t> exported_bodies;
  std::vector<std::uint64_t> embedded;
  std::vector<std::pair<FolderId, bool>> placed;  // And whether it is unread.
};

class Rebuild {
 public:
  Rebuild(const fs::path& directory, const Identity& identity, SalvageScan scan,
          const SalvageOptions& options)
      : directory_(directory),
        identity_(identity),
        codec_(identity.record_key),
        scan_(std::move(scan)),
        options_(options) {
    report_.records = scan_.found;
    report_.stale = scan_.stale;
    report_.uncommitted = scan_.uncommitted;
    report_.is_proven = scan_.is_proven;
  }

  Result<SalvageReport> Run(const kv::LmdbPageFile& source) {
    RETURN_IF_ERROR(Create());
    RETURN_IF_ERROR(Update([&](RowWriter& rows) { return deleted_.Load(source, rows, scan_); }));
    RETURN_IF_ERROR(LoadRows(source));
    RETURN_IF_ERROR(MendCounters());
    RETURN_IF_ERROR(Update(
        [&](RowWriter& rows) { return folders_.Load(rows, next_object_, scan_.store_names); }));
    RETURN_IF_ERROR(Update([&](RowWriter& rows) { return MendNames(rows); }));
    RETURN_IF_ERROR(
        ForEachBatch(table::kMessages, [&](RowWriter& rows, std::string_view key, Batch& batch) {
          return MendMessage(rows, key, batch);
        }));
    RETURN_IF_ERROR(DropOrphans());
    RETURN_IF_ERROR(ForEachBatch(table::kBodies, [&](RowWriter& rows, std::string_view key,
                                                     Batch&) { return MendBody(rows, key); }));
    RETURN_IF_ERROR(Update([&](RowWriter& rows) -> Result<void> {
      RETURN_IF_ERROR(folders_.Put(rows));
      ASSIGN_OR_RETURN(CountersRecord counters, rows.Counters());
      counters.next_object = folders_.NextObject();
      return rows.PutCounters(counters);
    }));
    report_.deleted = deleted_.Messages();
    report_.unreadable_pages = scan_.unreadable.size();
    engine_.reset();
    return report_;
  }

 private:
  using Write = std::function<Result<void>(RowWriter&)>;
  Result<void> Update(const Write& write) {
    return engine_
        ->Update([&](kv::WriteTransaction& raw) {
          RowWriter rows(codec_, raw);
          return write(rows);
        })
        .ToResult();
  }

  Result<void> Create() {
    RETURN_IF_ERROR(WriteIdentityFile(directory_, identity_));
    RETURN_IF_ERROR(MakeDirectory(directory_ / kExportDirectory));
    kv::LmdbOptions options = DatabaseTables();
    options.free_bytes_min = 0;
    RETURN_IF_ERROR(kv::CreateLmdbEnvironment(directory_, options, [&](kv::WriteTransaction& raw) {
      RowWriter rows(codec_, raw);
      return rows.PutRoot({identity_.format, identity_.database, SystemClock().Now()});
    }));
    ASSIGN_OR_RETURN(engine_, kv::OpenLmdbEngine(directory_, options));
    return {};
  }

  // Sealed anew: a record carries the number of the transaction that wrote it, and those begin
  // again here.
  Result<void> LoadRows(const kv::LmdbPageFile& source) {
    const std::vector<FoundRecord>& records = scan_.records;
    for (std::size_t begin = 0; begin < records.size();) {
      std::size_t end = begin;
      for (std::size_t bytes = 0; end < records.size() && bytes < kBatchBytes; ++end) {
        bytes += records[end].bytes;
      }
      RETURN_IF_ERROR(Update([&](RowWriter& rows) -> Result<void> {
        for (std::size_t i = begin; i < end; ++i) {
          RETURN_IF_ERROR(LoadRow(source, records[i], rows));
        }
        return {};
      }));
      begin = end;
      if (options_.progress) options_.progress(begin, records.size());
    }
    return {};
  }

  Result<void> LoadRow(const kv::LmdbPageFile& source, const FoundRecord& found, RowWriter& rows) {
    ASSIGN_OR_RETURN(const bool is_there, ReadFound(source, found, scan_.unreadable, value_));
    if (!is_there) return {};  // As if it had not been found.
    const auto record = codec_.OpenStray(value_);
    if (!record || record->key != found.Key()) {
      return Fail(ErrorCode::kDiskError, "the source changed while it was read");
    }
    ASSIGN_OR_RETURN(const bool is_deleted, deleted_.IsOfDeleted(rows, found, value_));
    if (is_deleted) return {};
    return rows.PutStray(*record);
  }

  Result<void> MendCounters() {
    std::uint64_t last_object = 0;
    std::uint64_t last_sequence = 0;
    for (const FoundRecord& record : scan_.records) {
      const bool is_meta = record.table == table::kMeta.index;
      if (is_meta && record.Key()[0] != 'S' && record.Key()[0] != 'L') continue;
      const Result<std::uint64_t> number = KeyNumber8(record.Key(), is_meta ? 1 : 0);
      if (number) last_object = std::max(last_object, *number);
      if (record.table != table::kQueue.index) continue;
      if (const Result<std::uint64_t> sequence = KeyNumber8(record.Key(), 8)) {
        last_sequence = std::max(last_sequence, *sequence);
      }
    }
    scan_.records = {};
    return Update([&](RowWriter& rows) -> Result<void> {
      const Result<CountersRecord> found = rows.Counters();
      // Stale ones may be lower than they were.
      const std::uint64_t slack = found && scan_.is_proven ? 0 : kCounterSlack;
      CountersRecord counters = found.value_or(CountersRecord{});
      counters.next_object = std::max(counters.next_object, last_object + 1) + slack;
      counters.next_queue_sequence =
          std::max(counters.next_queue_sequence, last_sequence + 1) + slack;
      next_object_ = counters.next_object;
      return rows.PutCounters(counters);
    });
  }

  // Names lead to stores, lists and properties; all are told by what they name.
  Result<void> MendNames(RowWriter& rows) {
    std::vector<std::string> keys;
    RETURN_IF_ERROR(rows.Scan(table::kMeta, "L", "Q",
                              [&](std::string_view key, std::string_view) -> Result<bool> {
                                keys.emplace_back(key);
                                return true;
                              }));
    ASSIGN_OR_RETURN(CountersRecord counters, rows.Counters());
    for (const std::string& key : keys) {
      if (key[0] == 'P' && key.size() == 3) {
        const auto id = static_cast<std::uint16_t>(static_cast<std::uint8_t>(key[1]) << 8 |
                                                   static_cast<std::uint8_t>(key[2]));
        ASSIGN_OR_RETURN(const auto name, rows.PropertyNameOf(id));
        if (name) RETURN_IF_ERROR(rows.PutPropertyName(id, *name));
        counters.next_named_property =
            std::max<std::uint32_t>(counters.next_named_property, id + 1);
      } else if (key[0] == 'L') {
        ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
        ASSIGN_OR_RETURN(auto list, rows.DistributionList(ListId{id}));
        if (!list) continue;
        ASSIGN_OR_RETURN(const RecipientTable members, RecipientsAsFarAsTheyGo(rows, id));
        list->member_count = static_cast<std::uint32_t>(members.size());
        RETURN_IF_ERROR(rows.PutDistributionList(ListId{id}, *list));
        RETURN_IF_ERROR(rows.PutListName(list->name, ListId{id}));
        lists_.insert(id);
      }
    }
    return rows.PutCounters(counters);
  }

  // Runs `mend` for every key of a table that there is at the time, some in each transaction.
  using Mend = std::function<Result<void>(RowWriter&, std::string_view key, Batch&)>;
  Result<void> ForEachBatch(kv::TableId table, const Mend& mend) {
    std::string begin;
    for (;;) {
      Batch batch;
      std::vector<std::string> keys;
      RETURN_IF_ERROR(Update([&](RowWriter& rows) -> Result<void> {
        batch = {};
        keys.clear();
        RETURN_IF_ERROR(rows.Scan(table, begin, {},
                                  [&](std::string_view key, std::string_view) -> Result<bool> {
                                    keys.emplace_back(key);
                                    return keys.size() < kBatchMessages;
                                  }));
        for (const std::string& key : keys) RETURN_IF_ERROR(mend(rows, key, batch));
        return {};
      }));
      if (keys.empty()) return {};
      begin = keys.back() + '\0';
      Count(batch);
    }
  }

  void Count(const Batch& batch) {
    for (const std::uint64_t body : batch.bodies) ++references_[body];
    embedded_.insert(batch.embedded.begin(), batch.embedded.end());
    exported_bodies_.insert(batch.exported_bodies.begin(), batch.exported_bodies.end());
    for (const auto& [folder, unread] : batch.placed) folders_.Count(folder, unread);
    for (const SalvagedMessage& message : batch.messages) {
      CountIn(report_, message);
      CountIn(report_.stores[message.store], message);
      told_.insert(message.id.value);
      if (options_.message) options_.message(message);
    }
  }

  static void CountIn(SalvagedMessages& counts, const SalvagedMessage& message) {
    std::uint64_t& count = message.fate == SalvageFate::kWhole     ? counts.whole
                           : message.fate == SalvageFate::kMoved   ? counts.moved
                           : message.fate == SalvageFate::kDamaged ? counts.damaged
                                                                   : counts.lost;
    ++count;
    if (message.queued) ++counts.queued;
    if (message.held) ++counts.held;
  }

  Result<void> MendMessage(RowWriter& rows, std::string_view key, Batch& batch) {
    ASSIGN_OR_RETURN(const std::uint64_t number, KeyNumber8(key, 0));
    const MessageId id{number};
    Result<std::optional<MessageRecord>> record = rows.Message(id);
    if (!record) return ExportAndErase(rows, id, {}, "its record is malformed", batch);
    if (!*record || (*record)->embedded_in.value != 0) return {};
    Parts parts;
    std::string missing = Missing(rows, id, **record, parts, 0);
    if (missing.empty() && !StateOf(**record)) missing = "its marks contradict each other";
    if (!missing.empty()) return ExportAndErase(rows, id, **record, missing, batch);
    batch.bodies.insert(batch.bodies.end(), parts.bodies.begin(), parts.bodies.end());
    batch.embedded.insert(batch.embedded.end(), parts.embedded.begin(), parts.embedded.end());
    return Place(rows, id, **record, batch);
  }

  // Empty when everything that the record names is there.
  std::string Missing(RowReader& rows, MessageId id, const MessageRecord& record, Parts& parts,
                      int depth) {
    const Result<RecipientTable> recipients = rows.Recipients(id);
    if (!recipients || recipients->size() != record.recipient_count) {
      return "not all of its recipients were found";
    }
    if (record.content_body == 0 && record.content_inline.size() != record.content_bytes) {
      return "its content was not found";
    }
    if (record.content_body != 0 && !IsWhole(rows, record.content_body, record.content_bytes)) {
      return "its content is not whole";
    }
    if (record.content_body != 0) parts.bodies.push_back(record.content_body);
    if (!AreWhole(rows, record.streams, parts)) return "a long property is not whole";
    const auto attachments = rows.Attachments(id);
    if (!attachments || attachments->size() != record.attachment_count) {
      return "not all of its attachments were found";
    }
    for (const auto& [number, attachment] : *attachments) {
      if (!AreWhole(rows, attachment.streams, parts)) return "an attachment is not whole";
      if (attachment.embedded.value == 0) continue;
      const auto inner = rows.Message(attachment.embedded);
      if (!inner || !*inner || (*inner)->embedded_in != id || depth == kEmbeddedDepthMax ||
          !Missing(rows, attachment.embedded, **inner, parts, depth + 1).empty()) {
        return "a message in it is not whole";
      }
      parts.embedded.push_back(attachment.embedded.value);
    }
    return {};
  }

  bool AreWhole(RowReader& rows, const StreamRecords& streams, Parts& parts) {
    for (const StreamRecord& stream : streams) {
      if (!IsWhole(rows, stream.body, stream.bytes)) return false;
      parts.bodies.push_back(stream.body);
    }
    return true;
  }

  bool IsWhole(RowReader& rows, std::uint64_t body, std::uint64_t bytes) {
    const Result<std::optional<BodyRecord>> head = rows.BodyHead(body);
    if (!head || !*head || (*head)->bytes != bytes) return false;
    const auto [at, is_new] = whole_bodies_.try_emplace(body, false);
    if (!is_new) return at->second;
    std::uint64_t found = 0;
    std::uint32_t next = 1;
    const Result<void> scanned = rows.Scan(
        table::kBodies, BodyKey(body, 1), Key8(body + 1),
        [&](std::string_view key, std::string_view value) -> Result<bool> {
          ASSIGN_OR_RETURN(const std::string_view piece, rows.DecodeBodyChunk(key, value));
          ASSIGN_OR_RETURN(const std::uint32_t chunk, KeyNumber4(key, 8));
          if (chunk != next++) return false;
          found += piece.size();
          return true;
        });
    return at->second = scanned && found == bytes && next == (*head)->chunk_count + 1;
  }

  Result<void> Place(RowWriter& rows, MessageId id, MessageRecord record, Batch& batch) {
    SalvagedMessage told{id, folders_.StoreName(record.store), SalvageFate::kWhole, false, false,
                         {}};
    if (!folders_.Has(record.store, record.folder)) {
      told.fate = SalvageFate::kMoved;
      told.detail = "its folder was lost: it is in Lost and Found";
      record.folder = folders_.LostAndFound(record.store);
      RETURN_IF_ERROR(rows.PutMessage(id, record));
    } else if (folders_.IsMadeAnew(record.store)) {
      told.fate = SalvageFate::kMoved;
      told.detail = "its store was lost: it is in one that takes its place";
    }
    RETURN_IF_ERROR(rows.PutContentsRow(record.folder, id));
    batch.placed.emplace_back(record.folder, (record.message_flags & kMsgFlagRead) == 0);
    if (record.IsSubmitted()) RETURN_IF_ERROR(Queue(rows, id, record, told));
    batch.messages.push_back(std::move(told));
    return {};
  }

  Result<void> Queue(RowWriter& rows, MessageId id, const MessageRecord& record,
                     SalvagedMessage& told) {
    const Result<std::optional<QueueRecord>> found =
        rows.QueueRow(record.store, record.queue_sequence);
    const bool has_row = found && *found && (*found)->message == id;
    const Time now = SystemClock().Now();
    QueueRecord row = has_row ? **found : QueueRecord{id, now, DueLane::kHeld, now};
    if (!scan_.is_proven) {
      row.lane = DueLane::kHeld;
      RETURN_IF_ERROR(DoubtRecipients(rows, id, now, kMayHaveBeenSent));
    }
    if (!has_row) told.detail += "its place in the queue was lost: it is held";
    told.queued = true;
    told.held = row.lane == DueLane::kHeld;
    RETURN_IF_ERROR(rows.PutQueueRow(record.store, record.queue_sequence, row));
    return rows.PutDueRow({row.lane, row.due, record.queue_sequence}, {record.store, id});
  }

  Result<void> ExportAndErase(RowWriter& rows, MessageId id, const MessageRecord& record,
                              const std::string& missing, Batch& batch) {
    const std::string name = ToQueueId(id) + ".eml";
    MessageRemains remains{missing, folders_.StoreName(record.store), record, {}};
    ASSIGN_OR_RETURN(remains.recipients, RecipientsAsFarAsTheyGo(rows, id.value));
    RETURN_IF_ERROR(ExportRemains(directory_ / kExportDirectory / name, rows, remains));
    if (record.content_body != 0) batch.exported_bodies.push_back(record.content_body);
    for (const StreamRecord& stream : record.streams) batch.exported_bodies.push_back(stream.body);
    for (const kv::TableId table : {table::kRecipients, table::kAttachments}) {
      RETURN_IF_ERROR(ErasePrefix(rows, table, id.value));
    }
    batch.messages.push_back(
        {id, remains.store, SalvageFate::kDamaged, false, false,
         missing + "; the rest is in " + std::string(kExportDirectory) + "/" + name});
    return rows.EraseMessage(id);
  }

  // Rows of messages that are not there, and embedded messages that nobody holds.
  Result<void> DropOrphans() {
    RETURN_IF_ERROR(ForEachBatch(
        table::kMessages, [&](RowWriter& rows, std::string_view key, Batch& batch) -> Result<void> {
          ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
          ASSIGN_OR_RETURN(const auto record, rows.Message(MessageId{id}));
          if (!record || record->embedded_in.value == 0 || embedded_.contains(id)) return {};
          return ExportAndErase(rows, MessageId{id}, *record, "the message around it is not whole",
                                batch);
        }));
    for (const kv::TableId table : {table::kRecipients, table::kAttachments}) {
      RETURN_IF_ERROR(ForEachBatch(
          table, [&](RowWriter& rows, std::string_view key, Batch& batch) -> Result<void> {
            ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
            if (lists_.contains(id)) return {};
            return DropIfOrphan(rows, table, key, MessageId{id}, batch);
          }));
    }
    return ForEachBatch(table::kQueue,
                        [&](RowWriter& rows, std::string_view key, Batch& batch) -> Result<void> {
                          ASSIGN_OR_RETURN(const std::uint64_t store, KeyNumber8(key, 0));
                          ASSIGN_OR_RETURN(const std::uint64_t sequence, KeyNumber8(key, 8));
                          const auto row = rows.QueueRow(StoreId{store}, sequence);
                          if (!row || !*row) return rows.Erase(table::kQueue, key);
                          ASSIGN_OR_RETURN(const auto record, rows.Message((*row)->message));
                          if (!record)
                            return DropIfOrphan(rows, table::kQueue, key, (*row)->message, batch);
                          if (record->store.value == store && record->queue_sequence == sequence)
                            return {};
                          return rows.Erase(table::kQueue, key);
                        });
  }

  Result<void> DropIfOrphan(RowWriter& rows, kv::TableId table, std::string_view key, MessageId id,
                            Batch& batch) {
    ASSIGN_OR_RETURN(const auto record, rows.Message(id));
    if (record) return {};
    const bool is_told =
        told_.contains(id.value) ||
        std::any_of(batch.messages.begin(), batch.messages.end(),
                    [&](const SalvagedMessage& message) { return message.id == id; });
    if (!is_told) {
      const std::string name = ToQueueId(id) + ".eml";
      MessageRemains remains{"the message itself is lost", {}, {}, {}};
      ASSIGN_OR_RETURN(remains.recipients, RecipientsAsFarAsTheyGo(rows, id.value));
      RETURN_IF_ERROR(ExportRemains(directory_ / kExportDirectory / name, rows, remains));
      batch.messages.push_back({id,
                                {},
                                SalvageFate::kLost,
                                false,
                                false,
                                "only rows that name it were found; what they say is in " +
                                    std::string(kExportDirectory) + "/" + name});
    }
    return rows.Erase(table, key);
  }

  Result<void> MendBody(RowWriter& rows, std::string_view key) {
    ASSIGN_OR_RETURN(const std::uint64_t body, KeyNumber8(key, 0));
    ASSIGN_OR_RETURN(const std::uint32_t chunk, KeyNumber4(key, 8));
    const auto references = references_.find(body);
    if (references == references_.end()) {
      const bool is_known = exported_bodies_.contains(body) || deleted_.Bodies().contains(body);
      if (!is_known && dropped_bodies_.insert(body).second) {
        ++report_.bodies;
        RETURN_IF_ERROR(WriteExport(
            directory_ / kExportDirectory / ("content-" + std::to_string(body) + ".eml"),
            ContentAsFarAsItGoes(rows, body)));
      }
      return rows.Erase(table::kBodies, key);
    }
    if (chunk != 0) return {};
    ASSIGN_OR_RETURN(auto head, rows.BodyHead(body));
    head->references = references->second;
    return rows.PutBodyHead(body, *head);
  }

  const fs::path directory_;
  const Identity identity_;
  const RecordCodec codec_;
  SalvageScan scan_;
  const SalvageOptions& options_;
  std::shared_ptr<kv::Engine> engine_;
  std::uint64_t next_object_ = 1;
  SalvageFolders folders_;
  SalvageDeleted deleted_;
  std::unordered_set<std::uint64_t> lists_;
  std::unordered_map<std::uint64_t, bool> whole_bodies_;
  std::unordered_map<std::uint64_t, std::uint32_t> references_;  // Of bodies.
  std::unordered_set<std::uint64_t> exported_bodies_;
  std::unordered_set<std::uint64_t> dropped_bodies_;
  std::unordered_set<std::uint64_t> embedded_;
  std::unordered_set<std::uint64_t> told_;
  std::string value_;
  SalvageReport report_;
};

}  // namespace

Result<SalvageReport> Salvage(const fs::path& source, const fs::path& target,
                              const SalvageOptions& options) {
  SalvageReport report;
  RETURN_IF_ERROR(CreateDatabaseDirectory(target, [&](const fs::path& aside) -> Result<void> {
    ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(source));
    ASSIGN_OR_RETURN(const kv::LmdbPageFile file, kv::LmdbPageFile::Open(source / "data.mdb"));
    const RecordCodec codec(identity.record_key);
    ASSIGN_OR_RETURN(SalvageScan scan, ScanForRecords(file, codec, options.progress));
    ASSIGN_OR_RETURN(report, Rebuild(aside, identity, std::move(scan), options).Run(file));
    return FlushExports(aside / kExportDirectory);
  }));
  return report;
}

}  // namespace bobbin

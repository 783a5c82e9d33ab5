#include "engine/store_check.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "engine/database_state.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

void FindRowCount(CheckReport& report, std::size_t table, std::uint64_t is,
                  std::uint64_t should_be) {
  report.findings.push_back({std::string(table::kNames[table]), "",
                             "it has " + std::to_string(is) + " rows, and " +
                                 std::to_string(should_be) +
                                 " were committed: restore a backup, or salvage what is there"});
}

// What one walk over all tables collects. Every record is opened once by the walk of its table;
// cross-references are looked up where they point.
class Check {
 public:
  Check(RowReader& rows, const CheckOptions& options, CheckReport& report)
      : rows_(rows), options_(options), report_(report) {}

  Result<void> Run() {
    RETURN_IF_ERROR(WalkMeta());
    RETURN_IF_ERROR(WalkFolders());
    RETURN_IF_ERROR(WalkMessages());
    RETURN_IF_ERROR(WalkRecipients());
    RETURN_IF_ERROR(WalkAttachments());
    RETURN_IF_ERROR(WalkQueue());
    RETURN_IF_ERROR(WalkDue());
    RETURN_IF_ERROR(WalkIndex());
    RETURN_IF_ERROR(WalkBodies());
    CompareFolders();
    RETURN_IF_ERROR(CheckDeleted());
    return CompareTotals();
  }

 private:
  struct FolderCounts {
    std::uint32_t contents = 0;
    std::uint32_t unread = 0;
    std::uint32_t folders = 0;
  };
  using Visit = RowReader::KeyVisitor;

  void Find(std::string_view table_name, std::string key, std::string detail) {
    report_.findings.push_back({std::string(table_name), std::move(key), std::move(detail)});
  }
  void FindMessage(std::string_view table_name, MessageId id, std::string detail) {
    Find(table_name, ToQueueId(id), std::move(detail));
  }

  // A record that does not open is a finding, and the walk goes on; a read error ends it.
  Result<void> Walk(kv::TableId table, const Visit& visit) {
    return rows_.Scan(table, {}, {},
                      [&](std::string_view key, std::string_view value) -> Result<bool> {
                        if (++report_.records % 4'096 == 0 && options_.progress) {
                          options_.progress(report_.records);
                        }
                        totals_[table.index].Add(value);
                        Result<bool> more = visit(key, value);
                        if (more || more.error().code != ErrorCode::kCorruptData) return more;
                        has_damaged_[table.index] = true;
                        Find(table::kNames[table.index], ToHex(key),
                             more.error().detail + "; kept as it is: export what refers to it");
                        return true;
                      });
  }

  // As the record says, or nothing when it is damaged: its own walk reports that.
  template <class T>
  Result<std::optional<T>> Look(Result<std::optional<T>> row) {
    if (!row && row.error().code == ErrorCode::kCorruptData) return std::optional<T>();
    return row;
  }

  // The two rows that are there once. Without counters, what they bound cannot be checked.
  Result<void> CheckOnlyRows() {
    const Result<std::optional<RootRecord>> root = rows_.Root();
    if (root && !*root) Find("meta", ToHex(kRootKey), "the root row is missing");
    if (!root && root.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(root.error());
    }
    if (!root) Find("meta", ToHex(kRootKey), root.error().detail);
    const Result<CountersRecord> counters = rows_.Counters();
    if (!counters && counters.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(counters.error());
    }
    constexpr auto kNoBound = std::numeric_limits<std::uint64_t>::max();
    counters_ = counters ? *counters : CountersRecord{kNoBound, kNoBound, {}, 0xFFFFFFFFU};
    if (!counters) Find("meta", ToHex(kCountersKey), counters.error().detail);
    return {};
  }

  Result<void> WalkMeta() {
    RETURN_IF_ERROR(CheckOnlyRows());
    return Walk(table::kMeta, [&](std::string_view key, std::string_view value) -> Result<bool> {
      if (key[0] == 'S') {
        ASSIGN_OR_RETURN(const StoreRecord store, rows_.DecodeStore(key, value));
        ASSIGN_OR_RETURN(const auto named, Look(rows_.StoreNamed(store.name)));
        ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
        if (!named || named->value != id) {
          Find("meta", ToHex(key), "the name row of store " + store.name + " does not lead to it");
        }
      } else if (key[0] == 'L') {
        ASSIGN_OR_RETURN(const ListRecord list, rows_.DecodeList(key, value));
        ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
        ASSIGN_OR_RETURN(const auto named, Look(rows_.ListNamed(list.name)));
        if (!named || named->value != id) {
          Find("meta", ToHex(key), "the name row of list " + list.name + " does not lead to it");
        }
        list_members_[id] = list.member_count;
      } else if (key[0] == 'N' || key[0] == 'M') {
        RETURN_IF_ERROR(rows_.DecodeReference(table::kMeta, key, value));
      } else if (key[0] == 'P') {
        RETURN_IF_ERROR(ComparePropertyName(key));
      } else if (key[0] == 'Q') {
        ASSIGN_OR_RETURN(const std::uint64_t id, rows_.DecodeReference(table::kMeta, key, value));
        ASSIGN_OR_RETURN(const auto name,
                         Look(rows_.PropertyNameOf(static_cast<std::uint16_t>(id))));
        if (!name || PropertyNameKey(*name) != key) {
          Find("meta", ToHex(key), "the named property it leads to has another name");
        }
      }
      return true;
    });
  }

  Result<void> ComparePropertyName(std::string_view key) {
    if (key.size() != 3) return Fail(ErrorCode::kCorruptData, "malformed key");
    const auto id = static_cast<std::uint16_t>(static_cast<std::uint8_t>(key[1]) << 8 |
                                               static_cast<std::uint8_t>(key[2]));
    ASSIGN_OR_RETURN(const auto name, rows_.PropertyNameOf(id));
    if (!name) return Fail(ErrorCode::kCorruptData, "malformed key");
    ASSIGN_OR_RETURN(const auto named, Look(rows_.PropertyNamed(*name)));
    if (!named || *named != id) {
      Find("meta", ToHex(key), "the name of this named property does not lead to it");
    }
    if (id >= counters_.next_named_property) {
      Find("meta", ToHex(key), "its identifier is beyond the counter");
    }
    return {};
  }

  Result<void> WalkFolders() {
    return Walk(table::kFolders, [&](std::string_view key, std::string_view value) -> Result<bool> {
      ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
      ASSIGN_OR_RETURN(FolderRecord folder, rows_.DecodeFolder(key, value));
      if (folder.parent.value != id) ++expected_[folder.parent.value].folders;
      folders_.emplace(id, std::move(folder));
      return true;
    });
  }

  Result<void> WalkMessages() {
    return Walk(table::kMessages,
                [&](std::string_view key, std::string_view value) -> Result<bool> {
                  ++report_.messages;
                  ASSIGN_OR_RETURN(const std::uint64_t number, KeyNumber8(key, 0));
                  const MessageId id{number};
                  damaged_messages_.push_back(number);  // Until it has opened.
                  ASSIGN_OR_RETURN(const MessageRecord record, rows_.DecodeMessage(key, value));
                  damaged_messages_.pop_back();
                  if (number >= counters_.next_object) {
                    FindMessage("messages", id, "its identifier is beyond the counter");
                  }
                  CountBodies(record.streams);
                  if (record.content_body != 0) ++body_references_[record.content_body];
                  if (record.attachment_count != 0) {
                    attachment_counts_[number] = record.attachment_count;
                  }
                  if (record.embedded_in.value != 0) {
                    embedded_[number] = record.embedded_in.value;
                  } else {
                    RETURN_IF_ERROR(CheckPlace(id, record));
                  }
                  RETURN_IF_ERROR(CheckSubmission(id, record));
                  return CheckRecipients(id, record);
                });
  }

  Result<void> CheckPlace(MessageId id, const MessageRecord& record) {
    FolderCounts& counts = expected_[record.folder.value];
    ++counts.contents;
    if ((record.message_flags & kMsgFlagRead) == 0) ++counts.unread;
    if (!folders_.contains(record.folder.value)) {
      FindMessage("messages", id, "its folder does not exist");
    }
    ASSIGN_OR_RETURN(const bool listed, HasContentsRow(record.folder, id));
    if (!listed) FindMessage("messages", id, "its folder's contents do not list it");
    return {};
  }

  void CountBodies(const StreamRecords& streams) {
    for (const StreamRecord& stream : streams) ++body_references_[stream.body];
  }

  Result<void> WalkAttachments() {
    RETURN_IF_ERROR(Walk(
        table::kAttachments, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ASSIGN_OR_RETURN(const std::uint64_t message, KeyNumber8(key, 0));
          const Result<AttachmentRecord> opened = rows_.DecodeAttachment(key, value);
          if (!opened) {
            all_attachments_open_ = false;
            return tl::unexpected<Error>(opened.error());
          }
          const AttachmentRecord& record = *opened;
          CountBodies(record.streams);
          const auto count = attachment_counts_.find(message);
          if (count == attachment_counts_.end() || count->second == 0) {
            Find("attachments", ToHex(key), "its message does not have as many attachments");
          } else {
            --count->second;
          }
          if (record.embedded.value == 0) return true;
          const auto embedded = embedded_.find(record.embedded.value);
          if (embedded == embedded_.end() || embedded->second != message) {
            Find("attachments", ToHex(key), "the message embedded in it is not there");
          } else {
            embedded_.erase(embedded);
          }
          return true;
        }));
    if (!all_attachments_open_ || !damaged_messages_.empty()) return {};
    for (const auto& [message, missing] : attachment_counts_) {
      if (missing != 0) FindMessage("attachments", MessageId{message}, "attachments are missing");
    }
    for (const auto& [message, outer] : embedded_) {
      FindMessage("messages", MessageId{message}, "no attachment holds this embedded message");
    }
    return {};
  }

  Result<bool> HasContentsRow(FolderId folder, MessageId id) {
    bool found = false;
    const std::string key = ContentsKey(folder, id);
    RETURN_IF_ERROR(rows_.Scan(table::kIndex, key, key + '\0',
                               [&](std::string_view, std::string_view) -> Result<bool> {
                                 found = true;
                                 return false;
                               }));
    return found;
  }

  Result<void> CheckSubmission(MessageId id, const MessageRecord& record) {
    if (const Result<SubmissionState> state = StateOf(record); !state) {
      FindMessage("messages", id, state.error().detail);
    }
    if (!record.IsSubmitted()) return {};
    ASSIGN_OR_RETURN(const auto row, Look(rows_.QueueRow(record.store, record.queue_sequence)));
    if (!row || row->message != id) {
      FindMessage("queue", id, "the message is submitted and has no queue row");
    }
    return {};
  }

  Result<bool> CheckRecipients(MessageId id, const MessageRecord& record) {
    Result<RecipientTable> rows = rows_.Recipients(id);
    if (!rows) {  // Named by the walk of the recipients.
      if (rows.error().code == ErrorCode::kCorruptData) return true;
      return tl::unexpected<Error>(std::move(rows).error());
    }
    if (rows->size() != record.recipient_count) {
      FindMessage("recipients", id,
                  "it should have " + std::to_string(record.recipient_count) + " rows and has " +
                      std::to_string(rows->size()));
    }
    for (const RecipientRow& row : *rows) {
      const bool settled = row.delivery.state >= RecipientState::kDelivered;
      if (settled && !row.delivery.responsibility) {
        FindMessage(
            "recipients", id,
            "row " + std::to_string(row.id.value) + " is settled but its responsibility is FALSE");
      }
    }
    return true;
  }

  Result<void> WalkRecipients() {
    RETURN_IF_ERROR(WalkRecipientRows());
    for (const auto& [list, missing] : list_members_) {
      if (missing != 0) {
        Find("recipients", ToHex(Key8(list)), "a list does not have as many members as it says");
      }
    }
    return {};
  }

  Result<void> WalkRecipientRows() {
    return Walk(table::kRecipients,
                [&](std::string_view key, std::string_view value) -> Result<bool> {
                  ASSIGN_OR_RETURN(const std::uint64_t message, KeyNumber8(key, 0));
                  RETURN_IF_ERROR(rows_.DecodeRecipient(key, value));
                  if (const auto list = list_members_.find(message); list != list_members_.end()) {
                    --list->second;
                    return true;
                  }
                  if (message == last_recipient_message_) return true;
                  last_recipient_message_ = message;
                  ASSIGN_OR_RETURN(const bool exists, MessageExists(MessageId{message}));
                  if (!exists) {
                    FindMessage("recipients", MessageId{message}, "the message does not exist");
                  }
                  return true;
                });
  }

  Result<bool> MessageExists(MessageId id) {
    const Result<std::optional<MessageRecord>> record = rows_.Message(id);
    if (record) return record->has_value();
    if (record.error().code == ErrorCode::kCorruptData) return true;
    return tl::unexpected<Error>(record.error());
  }

  Result<void> WalkQueue() {
    return Walk(table::kQueue, [&](std::string_view key, std::string_view value) -> Result<bool> {
      ++report_.queued;
      ASSIGN_OR_RETURN(const std::uint64_t store, KeyNumber8(key, 0));
      ASSIGN_OR_RETURN(const std::uint64_t sequence, KeyNumber8(key, 8));
      ASSIGN_OR_RETURN(const QueueRecord row, rows_.DecodeQueueRow(key, value));
      if (sequence >= counters_.next_queue_sequence) {
        FindMessage("queue", row.message, "its sequence is beyond the counter");
      }
      ASSIGN_OR_RETURN(const auto record, Look(rows_.Message(row.message)));
      const bool agrees = record && record->IsSubmitted() && record->store.value == store &&
                          record->queue_sequence == sequence;
      if (!agrees && !IsDamaged(row.message)) {
        FindMessage("queue", row.message, "the row names a message that is not so queued");
      }
      ASSIGN_OR_RETURN(const auto due, Look(rows_.DueRow({row.lane, row.due, sequence})));
      if (!due || due->message != row.message) {
        FindMessage("due", row.message, "the queued message has no row in the due index");
      }
      return true;
    });
  }

  Result<void> WalkDue() {
    return Walk(table::kDue, [&](std::string_view key, std::string_view value) -> Result<bool> {
      ASSIGN_OR_RETURN(const DueKey due, DecodeDueKey(key));
      ASSIGN_OR_RETURN(const DueRecord row, rows_.DecodeDueRow(key, value));
      ASSIGN_OR_RETURN(const auto queued, Look(rows_.QueueRow(row.store, due.sequence)));
      if (!queued || queued->message != row.message || queued->lane != due.lane ||
          queued->due != due.time) {
        FindMessage("due", row.message, "the row does not agree with the queue");
      }
      return true;
    });
  }

  Result<void> WalkIndex() {
    return Walk(table::kIndex, [&](std::string_view key, std::string_view value) -> Result<bool> {
      ASSIGN_OR_RETURN(const std::uint64_t target,
                       rows_.DecodeReference(table::kIndex, key, value));
      if (key[0] == 't') {
        ASSIGN_OR_RETURN(const std::uint64_t first, KeyNumber8(key, 1));
        deleted_.push_back({~first, target});
        return true;
      }
      if (key[0] == 'w') {
        written_ahead_.push_back(target);
        return true;
      }
      ASSIGN_OR_RETURN(const std::uint64_t container, KeyNumber8(key, 1));
      if (key[0] == 'f') {
        const auto child = folders_.find(target);
        if (child == folders_.end() || child->second.parent.value != container) {
          Find("index", ToHex(key), "the row names a folder that is not there");
        }
        ++listed_folders_[container];
        return true;
      }
      ASSIGN_OR_RETURN(const auto record, Look(rows_.Message(MessageId{target})));
      if ((!record || record->folder.value != container) && !IsDamaged(MessageId{target})) {
        FindMessage("index", MessageId{target}, "a folder lists it that it is not in");
      }
      return true;
    });
  }

  Result<void> WalkBodies() {
    BodyRecord head;
    std::uint64_t body = 0;
    std::uint64_t bytes = 0;
    std::uint32_t chunks = 0;
    const auto end_body = [&] {
      if (body != 0 && (bytes != head.bytes || chunks != head.chunk_count)) {
        Find("bodies", ToHex(Key8(body)), "the content is not complete");
      }
    };
    RETURN_IF_ERROR(
        Walk(table::kBodies, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
          ASSIGN_OR_RETURN(const std::uint32_t chunk, KeyNumber4(key, 8));
          if (chunk == 0) {
            end_body();
            body = 0;
            ASSIGN_OR_RETURN(head, rows_.DecodeBodyHead(key, value));
            body = id;
            bytes = chunks = 0;
            CompareReferences(id, head);
            return true;
          }
          if (options_.contents) RETURN_IF_ERROR(rows_.DecodeBodyChunk(key, value));
          bytes += value.size() - std::min(value.size(), kRecordOverheadBytes + key.size());
          ++chunks;
          if (id != body) Find("bodies", ToHex(key), "a chunk without its head");
          return true;
        }));
    end_body();
    for (const auto& [id, references] : body_references_) {
      Find("bodies", ToHex(Key8(id)), "a message's content is missing");
    }
    return {};
  }

  void CompareReferences(std::uint64_t id, const BodyRecord& head) {
    ++report_.bodies;
    const auto at = body_references_.find(id);
    const std::uint32_t references = at == body_references_.end() ? 0 : at->second;
    if (at != body_references_.end()) body_references_.erase(at);
    const bool ahead =
        std::find(written_ahead_.begin(), written_ahead_.end(), id) != written_ahead_.end();
    if (head.references == 0 && ahead) ++report_.abandoned_bodies;
    const bool right = head.references == references && (references > 0) != ahead;
    if (!right && damaged_messages_.empty() && all_attachments_open_) {
      Find("bodies", ToHex(Key8(id)),
           "its reference count is " + std::to_string(head.references) + ", messages naming it " +
               std::to_string(references));
    }
  }

  bool IsDamaged(MessageId id) const {
    return std::binary_search(damaged_messages_.begin(), damaged_messages_.end(), id.value);
  }

  void CompareFolders() {
    // A damaged message is in no count, so counts can only be compared when there is none.
    if (!damaged_messages_.empty()) return;
    for (const auto& [id, folder] : folders_) {
      const FolderCounts& counts = expected_[id];
      if (counts.contents != folder.content_count || counts.unread != folder.content_unread ||
          counts.folders != folder.folder_count || listed_folders_[id] != folder.folder_count) {
        Find("folders", ToHex(Key8(id)),
             "the counters of folder " + folder.name + " do not agree with its contents");
      }
    }
  }

  Result<bool> HasMessage(std::uint64_t first, std::uint64_t last) {
    bool found = false;
    RETURN_IF_ERROR(rows_.Scan(table::kMessages, Key8(first), Key8(last + 1),
                               [&](std::string_view, std::string_view) -> Result<bool> {
                                 found = true;
                                 return false;
                               }));
    return found;
  }

  Result<void> CheckDeleted() {
    std::uint64_t above = counters_.next_object;  // The next interval must end below it.
    for (const DeletedMessages& deleted : deleted_) {
      const std::string key = ToHex(DeletedKey(deleted.first));
      if (deleted.first > deleted.last || deleted.last >= above) {
        Find("index", key, "it is no interval of deleted messages below the next one");
      } else {
        ASSIGN_OR_RETURN(const bool has_living, HasMessage(deleted.first, deleted.last));
        if (has_living) {
          Find("index", key,
               "a message is there that it says is deleted: export it, a salvage would leave it "
               "out");
        }
        const bool is_last = above == counters_.next_object;
        ASSIGN_OR_RETURN(const bool is_apart, HasMessage(deleted.last + 1, above - 1));
        if (!is_last && !is_apart) {
          Find("index", key, "no message lives between these deleted ones and the next");
        }
      }
      above = deleted.first;
    }
    return {};
  }

  Result<void> CompareTotals() {
    const Result<std::optional<TableTotals>> totals = rows_.Totals();
    if (!totals && totals.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(totals.error());
    }
    if (!totals || !*totals) {
      Find("main", ToHex(kTotalsKey), totals ? "the totals row is missing" : totals.error().detail);
      return {};
    }
    for (std::size_t i = 0; i < totals_.size(); ++i) {
      const TableTotal& is = totals_[i];
      const TableTotal& should_be = (**totals)[i];
      if (is.rows != should_be.rows) {
        FindRowCount(report_, i, is.rows, should_be.rows);
      } else if (is.checksums != should_be.checksums && !has_damaged_[i]) {
        Find(table::kNames[i], {},
             "rows of it are not those last committed: an older state of a page may be back; "
             "restore a backup, or salvage what is there");
      }
    }
    return {};
  }

  RowReader& rows_;
  const CheckOptions& options_;
  CheckReport& report_;
  CountersRecord counters_;
  TableTotals totals_{};
  std::array<bool, std::tuple_size_v<TableTotals>> has_damaged_{};
  std::vector<DeletedMessages> deleted_;  // The highest first, as the keys are.
  std::unordered_map<std::uint64_t, FolderRecord> folders_;
  std::unordered_map<std::uint64_t, FolderCounts> expected_;
  std::unordered_map<std::uint64_t, std::uint32_t> listed_folders_;  // Rows 'f' of the index.
  std::unordered_map<std::uint64_t, std::uint32_t> body_references_;
  std::unordered_map<std::uint64_t, std::uint32_t> attachment_counts_;  // Not yet met, by message.
  std::unordered_map<std::uint64_t, std::uint64_t> embedded_;  // Message to the one around it.
  bool all_attachments_open_ = true;
  std::unordered_map<std::uint64_t, std::uint32_t> list_members_;  // Not yet met, by list.
  std::vector<std::uint64_t> damaged_messages_;  // Ascending, as the walk finds them.
  std::vector<std::uint64_t> written_ahead_;
  std::uint64_t last_recipient_message_ = 0;
};

}  // namespace

Result<CheckReport> CheckStore(DatabaseState& database, const CheckOptions& options) {
  CheckReport report;
  RETURN_IF_ERROR(database.View([&](RowReader& rows) {
    report = CheckReport{};
    return Check(rows, options, report).Run();
  }));
  return report;
}

Result<CheckReport> CompareRowCounts(DatabaseState& database) {
  CheckReport report;
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    report = CheckReport{};
    const Result<std::optional<TableTotals>> totals = rows.Totals();
    if (!totals && totals.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(totals.error());
    }
    if (!totals) report.findings.push_back({"main", ToHex(kTotalsKey), totals.error().detail});
    for (std::size_t i = 0; totals && *totals && i < (*totals)->size(); ++i) {
      const std::uint64_t should_be = (**totals)[i].rows;
      const std::uint64_t is =
          rows.RowCount(kv::TableId{static_cast<std::uint8_t>(i)}).value_or(should_be);
      if (is != should_be) FindRowCount(report, i, is, should_be);
    }
    return {};
  }));
  return report;
}

}  // namespace bobbin

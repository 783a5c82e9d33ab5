#include "engine/store_check.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "engine/database_state.h"
#include "engine/folder_check.h"
#include "engine/message_parts.h"
#include "engine/submission.h"
#include "engine/totals_check.h"

namespace bobbin {
// What one walk over all tables collects; cross-references are looked up where they point.
class StoreCheck::Walk {
 public:
  enum class Extent : std::uint8_t { kOneSnapshot, kPieces };

  Walk(const CheckOptions& options, CheckReport& report, Extent extent)
      : options_(options), report_(report), in_pieces_(extent == Extent::kPieces) {}

  // In one snapshot: all of it. In pieces: from where the last one ended.
  Result<Piece> Run(RowReader& rows, std::uint64_t bytes_max,
                    const std::function<bool()>& must_end) {
    using Step = Result<void> (Walk::*)();
    static constexpr Step kSteps[] = {
        &Walk::WalkMeta,       &Walk::WalkFolders,     &Walk::WalkMessages,
        &Walk::WalkRecipients, &Walk::WalkAttachments, &Walk::WalkQueue,
        &Walk::WalkDue,        &Walk::WalkIndex,       &Walk::WalkBodies};
    reader_ = &rows;
    must_end_ = &must_end;
    bytes_max_ = bytes_max;
    piece_ = {0, rows.Sequence(), false};
    RETURN_IF_ERROR(parts_.ReadQuarantine(rows));
    RETURN_IF_ERROR(ReadCounters());
    if (in_pieces_ && end_.empty()) end_ = Key8(counters_.next_object);
    for (; step_ < std::size(kSteps); ++step_) {
      is_full_ = false;
      RETURN_IF_ERROR((this->*kSteps[step_])());
      if (is_full_) return piece_;
      begin_.clear();
    }
    if (!in_pieces_) {
      // A damaged message is in no count, so counts can only be compared when there is none.
      if (damaged_messages_.empty()) folders_.Compare(report_);
      RETURN_IF_ERROR(totals_.Compare(rows, counters_.next_object, report_));
    }
    piece_.is_last = true;
    return piece_;
  }

 private:
  RowReader& Rows() const { return *reader_; }

  using Visit = RowReader::KeyVisitor;

  void Find(std::string_view table_name, std::string key, std::string detail,
            MessageId message = {}, std::string_view advice = kSalvageAdvice) {
    report_.findings.push_back({std::string(table_name), std::move(key), std::move(detail), message,
                                0, std::string(advice) + parts_.WhereItIs(message.value)});
  }
  void FindMessage(std::string_view table_name, MessageId id, std::string detail) {
    Find(table_name, ToQueueId(id), std::move(detail), id);
  }

  // A record that does not open is a finding, and the walk goes on; a read error ends it.
  Result<void> WalkTable(kv::TableId table, const Visit& visit) {
    return Rows().Scan(
        table, begin_, table == table::kBodies ? std::string_view(end_) : std::string_view(),
        [&](std::string_view key, std::string_view value) -> Result<bool> {
          if (in_pieces_ && piece_.bytes > 0 && (piece_.bytes >= bytes_max_ || (*must_end_)())) {
            begin_ = key;
            is_full_ = true;
            return false;
          }
          piece_.bytes += key.size() + value.size();
          totals_.Add(table, value);
          if (++report_.records % 4'096 == 0 && options_.progress) {
            options_.progress(report_.records);
          }
          const std::size_t known = report_.findings.size();
          Result<bool> more = visit(key, value);
          if (!more && more.error().code == ErrorCode::kCorruptData) {
            totals_.AddDamaged(table);
            Find(table::kNames[table.index], ToHex(key), more.error().detail,
                 parts_.MessageOf(table, key), "kept as it is: export what refers to it");
            more = true;
          }
          for (std::size_t i = known; i < report_.findings.size(); ++i) {
            if (report_.findings[i].page == 0) report_.findings[i].page = Rows().PageOf(value);
          }
          return more;
        });
  }

  // As the record says, or nothing when it is damaged: its own walk reports that.
  template <class T>
  Result<std::optional<T>> Look(Result<std::optional<T>> row) {
    if (!row && row.error().code == ErrorCode::kCorruptData) return std::optional<T>();
    return row;
  }

  Result<void> CheckOnlyRows() {
    const Result<std::optional<RootRecord>> root = Rows().Root();
    if (root && !*root) Find("meta", ToHex(kRootKey), "the root row is missing");
    if (!root && root.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(root.error());
    }
    if (!root) Find("meta", ToHex(kRootKey), root.error().detail);
    if (const Result<CountersRecord> counters = Rows().Counters(); !counters) {
      Find("meta", ToHex(kCountersKey), counters.error().detail);
    }
    if (!in_pieces_) return {};  // Else they are compared, too, and that says it.
    const auto totals = Rows().Totals();
    if (!totals && totals.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(totals.error());
    }
    if (!totals) Find("main", ToHex(kTotalsKey), totals.error().detail);
    return {};
  }

  Result<void> ReadCounters() {
    const Result<CountersRecord> counters = Rows().Counters();
    if (!counters && counters.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(counters.error());
    }
    constexpr auto kNoBound = std::numeric_limits<std::uint64_t>::max();
    counters_ = counters ? *counters : CountersRecord{kNoBound, kNoBound, {}, 0xFFFFFFFFU};
    return {};
  }

  Result<void> WalkMeta() {
    if (begin_.empty()) RETURN_IF_ERROR(CheckOnlyRows());
    return WalkTable(
        table::kMeta, [&](std::string_view key, std::string_view value) -> Result<bool> {
          if (key[0] == 'S') {
            ASSIGN_OR_RETURN(const StoreRecord store, Rows().DecodeStore(key, value));
            ASSIGN_OR_RETURN(const auto named, Look(Rows().StoreNamed(store.name)));
            ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
            if (!named || named->value != id) {
              Find("meta", ToHex(key),
                   "the name row of store " + store.name + " does not lead to it");
            }
          } else if (key[0] == 'L') {
            ASSIGN_OR_RETURN(const ListRecord list, Rows().DecodeList(key, value));
            ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
            ASSIGN_OR_RETURN(const auto named, Look(Rows().ListNamed(list.name)));
            if (!named || named->value != id) {
              Find("meta", ToHex(key),
                   "the name row of list " + list.name + " does not lead to it");
            }
            if (!in_pieces_) list_members_[id] = list.member_count;
          } else if (key[0] == 'N' || key[0] == 'M') {
            RETURN_IF_ERROR(Rows().DecodeReference(table::kMeta, key, value));
          } else if (key[0] == 'Z') {
            RETURN_IF_ERROR(Rows().LastScrub());
          } else if (key[0] == 'P') {
            RETURN_IF_ERROR(ComparePropertyName(key));
          } else if (key[0] == 'Q') {
            ASSIGN_OR_RETURN(const std::uint64_t id,
                             Rows().DecodeReference(table::kMeta, key, value));
            ASSIGN_OR_RETURN(const auto name,
                             Look(Rows().PropertyNameOf(static_cast<std::uint16_t>(id))));
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
    ASSIGN_OR_RETURN(const auto name, Rows().PropertyNameOf(id));
    if (!name) return Fail(ErrorCode::kCorruptData, "malformed key");
    ASSIGN_OR_RETURN(const auto named, Look(Rows().PropertyNamed(*name)));
    if (!named || *named != id) {
      Find("meta", ToHex(key), "the name of this named property does not lead to it");
    }
    if (id >= counters_.next_named_property) {
      Find("meta", ToHex(key), "its identifier is beyond the counter");
    }
    return {};
  }

  Result<void> WalkFolders() {
    return WalkTable(table::kFolders,
                     [&](std::string_view key, std::string_view value) -> Result<bool> {
                       ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
                       ASSIGN_OR_RETURN(FolderRecord folder, Rows().DecodeFolder(key, value));
                       if (in_pieces_) return true;
                       folders_.Add(FolderId{id}, std::move(folder));
                       return true;
                     });
  }

  Result<void> WalkMessages() {
    return WalkTable(
        table::kMessages, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ++report_.messages;
          ASSIGN_OR_RETURN(const std::uint64_t number, KeyNumber8(key, 0));
          const MessageId id{number};
          damaged_messages_.push_back(number);  // Until it has opened.
          ASSIGN_OR_RETURN(const MessageRecord record, Rows().DecodeMessage(key, value));
          damaged_messages_.pop_back();
          if (number >= counters_.next_object) {
            FindMessage("messages", id, "its identifier is beyond the counter");
          }
          const bool is_to_be_sent = record.IsSubmitted() || record.embedded_in.value != 0;
          if (record.IsSubmitted()) parts_.AddQueued(number, record.queue_sequence);
          if (record.embedded_in.value != 0) parts_.AddEmbedded(number, record.embedded_in.value);
          CountBodies(record.streams, is_to_be_sent ? number : 0);
          CountBody(record.content_body, is_to_be_sent ? number : 0);
          if (record.attachment_count != 0 && !in_pieces_) {
            attachment_counts_[number] = record.attachment_count;
          }
          if (record.embedded_in.value != 0) {
            if (!in_pieces_) embedded_[number] = record.embedded_in.value;
          } else {
            RETURN_IF_ERROR(CheckPlace(id, record));
          }
          RETURN_IF_ERROR(CheckSubmission(id, record));
          return CheckRecipients(id, record);
        });
  }

  Result<void> CheckPlace(MessageId id, const MessageRecord& record) {
    if (!in_pieces_) folders_.AddMessage(record);
    ASSIGN_OR_RETURN(const bool has_folder, FolderExists(record.folder));
    if (!has_folder) {
      FindMessage("messages", id, "its folder does not exist");
    }
    ASSIGN_OR_RETURN(const bool listed, HasContentsRow(record.folder, id));
    if (!listed) FindMessage("messages", id, "its folder's contents do not list it");
    return {};
  }

  // A damaged one exists, too: its own walk reports it.
  template <class T>
  Result<bool> Exists(const Result<std::optional<T>>& row) {
    if (row) return row->has_value();
    if (row.error().code == ErrorCode::kCorruptData) return true;
    return tl::unexpected<Error>(row.error());
  }
  Result<bool> FolderExists(FolderId id) {
    if (!in_pieces_) return folders_.Has(id);
    return Exists(Rows().Folder(id));
  }

  // `owner`: the message that cannot be sent without it; 0: none.
  void CountBody(std::uint64_t body, std::uint64_t owner) {
    if (body == 0) return;
    if (!in_pieces_) ++body_references_[body];
    if (owner != 0) parts_.AddBody(body, owner);
  }
  void CountBodies(const StreamRecords& streams, std::uint64_t owner) {
    for (const StreamRecord& stream : streams) CountBody(stream.body, owner);
  }

  Result<void> WalkAttachments() {
    RETURN_IF_ERROR(WalkTable(
        table::kAttachments, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ASSIGN_OR_RETURN(const std::uint64_t message, KeyNumber8(key, 0));
          const Result<AttachmentRecord> opened = Rows().DecodeAttachment(key, value);
          if (!opened) {
            all_attachments_open_ = false;
            return tl::unexpected<Error>(opened.error());
          }
          const AttachmentRecord& record = *opened;
          CountBodies(record.streams, message);
          if (in_pieces_) return true;
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
    if (in_pieces_ || !all_attachments_open_ || !damaged_messages_.empty()) return {};
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
    RETURN_IF_ERROR(Rows().Scan(table::kIndex, key, key + '\0',
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
    ASSIGN_OR_RETURN(const auto row, Look(Rows().QueueRow(record.store, record.queue_sequence)));
    const bool is_queued = row && row->message == id;
    if (!is_queued && !parts_.IsQuarantined(id.value)) {
      FindMessage("queue", id, "the message is submitted and has no queue row");
    }
    if (is_queued && parts_.IsQuarantined(id.value)) {
      FindMessage("queue", id, "it is in the queue, too");
    }
    return {};
  }

  Result<bool> CheckRecipients(MessageId id, const MessageRecord& record) {
    Result<RecipientTable> rows = Rows().Recipients(id);
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
    return WalkTable(
        table::kRecipients, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ASSIGN_OR_RETURN(const std::uint64_t message, KeyNumber8(key, 0));
          RETURN_IF_ERROR(Rows().DecodeRecipient(key, value));
          if (const auto list = list_members_.find(message); list != list_members_.end()) {
            --list->second;
            return true;
          }
          if (message == last_recipient_message_) return true;
          last_recipient_message_ = message;
          ASSIGN_OR_RETURN(const bool exists, Exists(Rows().Message(MessageId{message})));
          ASSIGN_OR_RETURN(const bool is_list, Exists(Rows().DistributionList(ListId{message})));
          if (!exists && !is_list) {
            FindMessage("recipients", MessageId{message}, "the message does not exist");
          }
          return true;
        });
  }

  Result<void> WalkQueue() {
    return WalkTable(
        table::kQueue, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ++report_.queued;
          ASSIGN_OR_RETURN(const std::uint64_t store, KeyNumber8(key, 0));
          ASSIGN_OR_RETURN(const std::uint64_t sequence, KeyNumber8(key, 8));
          ASSIGN_OR_RETURN(const QueueRecord row, Rows().DecodeQueueRow(key, value));
          if (sequence >= counters_.next_queue_sequence) {
            FindMessage("queue", row.message, "its sequence is beyond the counter");
          }
          ASSIGN_OR_RETURN(const auto record, Look(Rows().Message(row.message)));
          const bool agrees = record && record->IsSubmitted() && record->store.value == store &&
                              record->queue_sequence == sequence;
          if (!agrees && !IsDamaged(row.message)) {
            FindMessage("queue", row.message, "the row names a message that is not so queued");
          }
          ASSIGN_OR_RETURN(const auto due, Look(Rows().DueRow({row.lane, row.due, sequence})));
          if (!due || due->message != row.message) {
            FindMessage("due", row.message, "the queued message has no row in the due index");
          }
          return true;
        });
  }

  Result<void> WalkDue() {
    return WalkTable(
        table::kDue, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ASSIGN_OR_RETURN(const DueKey due, DecodeDueKey(key));
          ASSIGN_OR_RETURN(const DueRecord row, Rows().DecodeDueRow(key, value));
          ASSIGN_OR_RETURN(const auto queued, Look(Rows().QueueRow(row.store, due.sequence)));
          if (!queued || queued->message != row.message || queued->lane != due.lane ||
              queued->due != due.time) {
            FindMessage("due", row.message, "the row does not agree with the queue");
          }
          return true;
        });
  }

  Result<void> WalkIndex() {
    return WalkTable(
        table::kIndex, [&](std::string_view key, std::string_view value) -> Result<bool> {
          if (key[0] == 'q') {
            ++report_.quarantined;
            RETURN_IF_ERROR(Rows().DecodeQuarantine(key, value));
            return true;
          }
          ASSIGN_OR_RETURN(const std::uint64_t target,
                           Rows().DecodeReference(table::kIndex, key, value));
          if (key[0] == 't') {
            ASSIGN_OR_RETURN(const std::uint64_t first, KeyNumber8(key, 1));
            if (!in_pieces_) totals_.AddDeleted({~first, target});
            return true;
          }
          if (key[0] == 'w') {
            if (!in_pieces_) written_ahead_.push_back(target);
            return true;
          }
          ASSIGN_OR_RETURN(const std::uint64_t container, KeyNumber8(key, 1));
          if (key[0] == 'f' && in_pieces_) {
            ASSIGN_OR_RETURN(const bool exists, FolderExists(FolderId{target}));
            if (!exists) Find("index", ToHex(key), "the row names a folder that is not there");
            return true;
          }
          if (key[0] == 'f') {
            if (!folders_.AddListed(FolderId{container}, FolderId{target})) {
              Find("index", ToHex(key), "the row names a folder that is not there");
            }
            return true;
          }
          ASSIGN_OR_RETURN(const auto record, Look(Rows().Message(MessageId{target})));
          if ((!record || record->folder.value != container) && !IsDamaged(MessageId{target})) {
            FindMessage("index", MessageId{target}, "a folder lists it that it is not in");
          }
          return true;
        });
  }

  // The body whose rows are being walked; `id` 0: none.
  struct BodySeen {
    std::uint64_t id = 0;
    BodyRecord head;
    std::uint64_t page = 0;
    std::uint64_t bytes = 0;
    std::uint32_t chunks = 0;
  };

  void EndBody() {
    if (body_.id != 0 &&
        (body_.bytes != body_.head.bytes || body_.chunks != body_.head.chunk_count)) {
      Find("bodies", ToHex(Key8(body_.id)), "the content is not complete",
           parts_.MessageOf(table::kBodies, Key8(body_.id)));
      report_.findings.back().page = body_.page;
    }
    body_.id = 0;
  }

  // Between two pieces a body may have been erased, or written on.
  Result<void> ResumeBody() {
    if (body_.id == 0) return {};
    ASSIGN_OR_RETURN(const auto head, Look(Rows().BodyHead(body_.id)));
    if (head) {
      body_.head = *head;
    } else {
      body_.id = 0;
    }
    return {};
  }

  Result<void> WalkBodies() {
    if (in_pieces_) RETURN_IF_ERROR(ResumeBody());
    RETURN_IF_ERROR(WalkTable(
        table::kBodies, [&](std::string_view key, std::string_view value) -> Result<bool> {
          ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
          ASSIGN_OR_RETURN(const std::uint32_t chunk, KeyNumber4(key, 8));
          if (chunk == 0) {
            EndBody();
            last_head_ = id;
            ASSIGN_OR_RETURN(const BodyRecord head, Rows().DecodeBodyHead(key, value));
            body_ = {id, head, Rows().PageOf(value), 0, 0};
            CompareReferences(id, head);
            return true;
          }
          if (options_.contents) RETURN_IF_ERROR(Rows().DecodeBodyChunk(key, value));
          body_.bytes += value.size() - std::min(value.size(), kRecordOverheadBytes + key.size());
          ++body_.chunks;
          if (id != body_.id && !(in_pieces_ && id == last_head_)) {
            Find("bodies", ToHex(key), "a chunk without its head",
                 parts_.MessageOf(table::kBodies, key));
          }
          return true;
        }));
    if (is_full_) return {};
    EndBody();
    for (const auto& [id, references] : body_references_) {
      Find("bodies", ToHex(Key8(id)), "a message's content is missing",
           parts_.MessageOf(table::kBodies, Key8(id)));
    }
    return {};
  }

  void CompareReferences(std::uint64_t id, const BodyRecord& head) {
    ++report_.bodies;
    if (in_pieces_) return;
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

  RowReader* reader_ = nullptr;
  const CheckOptions& options_;
  CheckReport& report_;
  const bool in_pieces_;
  std::size_t step_ = 0;
  std::string begin_;  // The first key of the step that was not looked at.
  std::string end_;    // Of bodies: later ones are not chased.
  bool is_full_ = false;
  Piece piece_;
  std::uint64_t bytes_max_ = 0;
  const std::function<bool()>* must_end_ = nullptr;
  BodySeen body_;
  std::uint64_t last_head_ = 0;
  MessageParts parts_;
  CountersRecord counters_;
  FolderCheck folders_;
  std::unordered_map<std::uint64_t, std::uint32_t> body_references_;
  std::unordered_map<std::uint64_t, std::uint32_t> attachment_counts_;  // Not yet met, by message.
  std::unordered_map<std::uint64_t, std::uint64_t> embedded_;  // Message to the one around it.
  bool all_attachments_open_ = true;
  std::unordered_map<std::uint64_t, std::uint32_t> list_members_;  // Not yet met, by list.
  std::vector<std::uint64_t> damaged_messages_;  // Ascending, as the walk finds them.
  std::vector<std::uint64_t> written_ahead_;
  std::uint64_t last_recipient_message_ = 0;
  TotalsCheck totals_;
};

StoreCheck::StoreCheck(DatabaseState& database, CheckOptions options)
    : database_(database),
      options_(std::move(options)),
      walk_(std::make_unique<Walk>(options_, report_, Walk::Extent::kPieces)) {}
StoreCheck::~StoreCheck() = default;

Result<StoreCheck::Piece> StoreCheck::Next(std::uint64_t bytes_max,
                                           const std::function<bool()>& must_end) {
  Piece piece;
  RETURN_IF_ERROR(database_.View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(piece, walk_->Run(rows, bytes_max, must_end));
    return {};
  }));
  return piece;
}

Result<CheckReport> StoreCheck::InOneSnapshot(DatabaseState& database,
                                              const CheckOptions& options) {
  CheckReport report;
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    report = CheckReport{};
    RETURN_IF_ERROR(Walk(options, report, Walk::Extent::kOneSnapshot).Run(rows, 0, {}));
    return {};
  }));
  return report;
}

Result<CheckReport> CheckStore(DatabaseState& database, const CheckOptions& options) {
  return StoreCheck::InOneSnapshot(database, options);
}

}  // namespace bobbin

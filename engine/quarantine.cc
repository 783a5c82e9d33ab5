#include "engine/quarantine.h"

#include <algorithm>
#include <utility>

#include "engine/attachment.h"
#include "engine/content_rows.h"
#include "engine/database_state.h"
#include "engine/message_verification.h"
#include "engine/salvage_export.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

bool IsDamage(const Error& error) { return error.code == ErrorCode::kCorruptData; }

// Where a queued message is in the queue, of whatever still says so.
struct Place {
  StoreId store;
  std::uint64_t sequence = 0;
  QueueRecord row;
  bool has_queue_row = false;  // A whole one, of this message.
  bool has_due_row = false;

  DueKey Due() const { return {row.lane, row.due, sequence}; }
};

// A row that opens and is the wanted one; a damaged or wrong one is none.
template <class T, class IsWanted>
Result<std::optional<T>> Wanted(Result<std::optional<T>> row, const IsWanted& is_wanted) {
  if (!row && !IsDamage(row.error())) return row;
  if (!row || !*row || !is_wanted(**row)) return std::optional<T>();
  return row;
}

class Finder {
 public:
  Finder(RowReader& rows, MessageId id) : rows_(rows), id_(id) {}

  // `record`: null when it does not open or is not there.
  Result<std::optional<Place>> Find(const MessageRecord* record,
                                    const std::optional<QueuePlace>& known, Time now) {
    Place place;
    if (known) {
      place.store = known->store;
      place.sequence = known->sequence;
    } else if (record != nullptr) {
      place.store = record->store;
      place.sequence = record->queue_sequence;
    } else {
      ASSIGN_OR_RETURN(const bool found, SearchQueue(place));
      if (!found) return std::optional<Place>();
    }
    ASSIGN_OR_RETURN(const auto row,
                     Wanted(rows_.QueueRow(place.store, place.sequence),
                            [&](const QueueRecord& queued) { return queued.message == id_; }));
    if (row) {
      place.row = *row;
      place.has_queue_row = true;
    } else {
      place.row = {id_, now, DueLane::kHeld, now};
      if (record != nullptr) {
        place.row.submit_time =
            FromFileTime(record->properties.NumberOr(pr::kClientSubmitTime, ToFileTime(now)));
        place.row.due = place.row.submit_time;
      }
      if (known) {
        place.row.lane = DueLane::kScheduled;
        place.row.due = known->due;
      } else {
        RETURN_IF_ERROR(SearchDue(place));
      }
    }
    ASSIGN_OR_RETURN(const auto due, Wanted(rows_.DueRow(place.Due()), [&](const DueRecord& found) {
                       return found.message == id_;
                     }));
    place.has_due_row = due.has_value();
    return std::optional(place);
  }

 private:
  Result<bool> SearchQueue(Place& place) {
    bool found = false;
    RETURN_IF_ERROR(rows_.Scan(table::kQueue, {}, {},
                               [&](std::string_view key, std::string_view value) -> Result<bool> {
                                 const Result<QueueRecord> row = rows_.DecodeQueueRow(key, value);
                                 if (!row || row->message != id_) return true;
                                 ASSIGN_OR_RETURN(place.store.value, KeyNumber8(key, 0));
                                 ASSIGN_OR_RETURN(place.sequence, KeyNumber8(key, 8));
                                 found = true;
                                 return false;
                               }));
    return found;
  }

  Result<void> SearchDue(Place& place) {
    return rows_.Scan(table::kDue, {}, {},
                      [&](std::string_view key, std::string_view value) -> Result<bool> {
                        const Result<DueKey> due = DecodeDueKey(key);
                        const Result<DueRecord> row = rows_.DecodeDueRow(key, value);
                        if (!due || !row || row->message != id_) return true;
                        place.row.lane = due->lane;
                        place.row.due = due->time;
                        return false;
                      });
  }

  RowReader& rows_;
  const MessageId id_;
};

struct Judgement {
  SetAsideOutcome outcome = SetAsideOutcome::kNotQueued;
  Place place;
  Damage damage;
  bool is_submitted = true;
  bool has_damaged_row = false;  // In quarantine; nobody can read where it was in the queue.
};

Result<Judgement> Judge(RowReader& rows, MessageId id, const std::optional<QueuePlace>& known,
                        const Error* seen, const DueKey* stray, Time now) {
  Judgement judgement;
  const Result<std::optional<QuarantineRecord>> moved = rows.Quarantined(id);
  if (!moved && !IsDamage(moved.error())) return tl::unexpected<Error>(moved.error());
  judgement.has_damaged_row = !moved;
  if (moved && *moved) return judgement;
  Result<std::optional<MessageRecord>> found = rows.Message(id);
  if (!found && !IsDamage(found.error())) return tl::unexpected<Error>(found.error());
  const MessageRecord* record = found && *found ? &**found : nullptr;
  ASSIGN_OR_RETURN(const auto place, Finder(rows, id).Find(record, known, now));
  if (!place) return judgement;
  judgement.place = *place;
  const bool is_here =
      place->has_queue_row || place->has_due_row || stray != nullptr || judgement.has_damaged_row;
  judgement.is_submitted =
      record == nullptr || (record->IsSubmitted() && record->store == place->store &&
                            record->queue_sequence == place->sequence);
  if (!judgement.is_submitted) {
    judgement.damage = {"queue", QueueKey(place->store, place->sequence),
                        "message " + ToQueueId(id) + " is not so queued"};
    judgement.outcome = is_here ? SetAsideOutcome::kMended : SetAsideOutcome::kNotQueued;
    return judgement;
  }
  if (record == nullptr && !is_here) return judgement;
  ASSIGN_OR_RETURN(const std::optional<Damage> damage, FirstDamage(rows, id));
  if (damage) {
    judgement.damage = *damage;
    judgement.outcome = SetAsideOutcome::kQuarantined;
  } else if (judgement.has_damaged_row) {
    judgement.damage = {"index", QuarantineKey(id), moved.error().detail};
    judgement.outcome = SetAsideOutcome::kMended;
  } else if (!place->has_queue_row || !place->has_due_row || stray != nullptr) {
    const bool of_queue = !place->has_queue_row;
    judgement.damage = {
        of_queue ? "queue" : "due",
        of_queue ? QueueKey(place->store, place->sequence) : EncodeDueKey(place->Due()),
        seen != nullptr ? seen->detail
        : of_queue      ? "its queue row is damaged or missing"
                        : "its due row is damaged or missing"};
    judgement.outcome = SetAsideOutcome::kMended;
  } else if (seen != nullptr) {
    judgement.damage = {{}, {}, seen->detail};
    judgement.outcome = SetAsideOutcome::kQuarantined;
  } else {
    judgement.outcome = SetAsideOutcome::kWhole;
  }
  return judgement;
}

// Whether there is anything of the message in the queue still, and as it was judged.
Result<bool> IsStill(RowReader& rows, MessageId id, const Judgement& judgement) {
  ASSIGN_OR_RETURN(const auto moved,
                   Wanted(rows.Quarantined(id), [](const auto&) { return true; }));
  if (moved) return false;
  const Result<std::optional<MessageRecord>> record = rows.Message(id);
  if (!record && !IsDamage(record.error())) return tl::unexpected<Error>(record.error());
  if (!record || !*record) return true;
  const bool is_submitted = (*record)->IsSubmitted() && (*record)->store == judgement.place.store &&
                            (*record)->queue_sequence == judgement.place.sequence;
  return is_submitted == judgement.is_submitted;
}

// An operator may have given the message another place in the due index since it was looked at.
Result<Place> PlaceNow(RowReader& rows, MessageId id, Place place) {
  ASSIGN_OR_RETURN(const auto row,
                   Wanted(rows.QueueRow(place.store, place.sequence),
                          [&](const QueueRecord& queued) { return queued.message == id; }));
  if (row) place.row = *row;
  return place;
}

QuarantinedMessage View(MessageId id, const QuarantineRecord& record) {
  return {
      id,           record.damaged_table,  ToHex(record.damaged_key), record.detail, record.time,
      record.store, record.queue_sequence, record.submit_time,        record.lane,   record.due};
}

tl::unexpected<Error> NotInQuarantine(MessageId id) {
  return Fail(ErrorCode::kNotFound, "message " + ToQueueId(id) + " is not in quarantine");
}

Result<QuarantineRecord> MustBeQuarantined(RowReader& rows, MessageId id) {
  ASSIGN_OR_RETURN(auto record, rows.Quarantined(id));
  if (!record) return NotInQuarantine(id);
  return *std::move(record);
}

// The same where the row itself may be damaged: then it says no more than that.
Result<QuarantineRecord> MustBeInQuarantine(RowReader& rows, MessageId id) {
  Result<QuarantineRecord> record = MustBeQuarantined(rows, id);
  if (record || !IsDamage(record.error())) return record;
  QuarantineRecord damaged;
  damaged.detail = record.error().detail;
  if (const auto message = rows.Message(id); message && *message) damaged.store = (*message)->store;
  return damaged;
}

// --- Delete ---

// As far as its record leads: what is damaged leads nowhere.
void EraseContent(RowWriter& rows, std::uint64_t body, Result<void>& outcome) {
  Result<void> dropped = DropContentReference(rows, body);
  if (!dropped && !IsDamage(dropped.error())) outcome = std::move(dropped);
}

Result<void> EraseWhatIsThere(RowWriter& rows, MessageId id, int depth) {
  Result<void> outcome;
  const Result<std::optional<MessageRecord>> record = rows.Message(id);
  if (record && *record) {
    EraseContent(rows, (*record)->content_body, outcome);
    for (const StreamRecord& stream : (*record)->streams) EraseContent(rows, stream.body, outcome);
  }
  std::vector<AttachmentRecord> attachments;
  RETURN_IF_ERROR(rows.Scan(table::kAttachments, Key8(id.value), Key8(id.value + 1),
                            [&](std::string_view key, std::string_view value) -> Result<bool> {
                              Result<AttachmentRecord> one = rows.DecodeAttachment(key, value);
                              if (one) attachments.push_back(*std::move(one));
                              return true;
                            }));
  for (const AttachmentRecord& attachment : attachments) {
    for (const StreamRecord& stream : attachment.streams) EraseContent(rows, stream.body, outcome);
    if (attachment.embedded.value != 0 && depth < kEmbeddedDepthMax) {
      RETURN_IF_ERROR(EraseWhatIsThere(rows, attachment.embedded, depth + 1));
    }
  }
  RETURN_IF_ERROR(outcome);
  RETURN_IF_ERROR(ErasePrefix(rows, table::kRecipients, id.value));
  RETURN_IF_ERROR(ErasePrefix(rows, table::kAttachments, id.value));
  return rows.EraseMessage(id);
}

// The folder that lists the message, when its record does not say.
Result<std::optional<FolderId>> FolderListing(RowReader& rows, MessageId id) {
  std::optional<FolderId> folder;
  RETURN_IF_ERROR(rows.Scan(table::kIndex, "c", "d",
                            [&](std::string_view key, std::string_view) -> Result<bool> {
                              ASSIGN_OR_RETURN(const std::uint64_t message, KeyNumber8(key, 9));
                              if (message != id.value) return true;
                              ASSIGN_OR_RETURN(const std::uint64_t found, KeyNumber8(key, 1));
                              folder = FolderId{found};
                              return false;
                            }));
  return folder;
}

// Nobody knows whether the message counted as read, so its folder is counted anew.
Result<void> Recount(RowWriter& rows, FolderId id) {
  ASSIGN_OR_RETURN(auto folder, Wanted(rows.Folder(id), [](const auto&) { return true; }));
  if (!folder) return {};
  folder->content_count = 0;
  folder->content_unread = 0;
  RETURN_IF_ERROR(rows.Scan(
      table::kIndex, TaggedKey8('c', id.value), TaggedKey8('c', id.value + 1),
      [&](std::string_view key, std::string_view) -> Result<bool> {
        ASSIGN_OR_RETURN(const std::uint64_t message, KeyNumber8(key, 9));
        ++folder->content_count;
        const Result<std::optional<MessageRecord>> record = rows.Message(MessageId{message});
        const bool is_read = record && *record && ((*record)->message_flags & kMsgFlagRead) != 0;
        if (!is_read) ++folder->content_unread;
        return true;
      }));
  return rows.PutFolder(id, *folder);
}

}  // namespace

Result<SetAside> SetAsideDamaged(DatabaseState& database, MessageId id,
                                 const std::optional<QueuePlace>& known, const Error* seen,
                                 const DueKey* stray) {
  const Time now = database.clock->Now();
  Judgement judgement;
  // Reading all of the content keeps no writer waiting: the transaction below only moves rows.
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(judgement, Judge(rows, id, known, seen, stray, now));
    return {};
  }));
  SetAside result{judgement.outcome, id, judgement.damage.detail};
  if (judgement.outcome == SetAsideOutcome::kNotQueued ||
      judgement.outcome == SetAsideOutcome::kWhole) {
    return result;
  }
  RETURN_IF_ERROR(database.Update(
      [&](RowWriter& rows) -> Result<void> {
        result.outcome = SetAsideOutcome::kNotQueued;
        ASSIGN_OR_RETURN(const bool is_still, IsStill(rows, id, judgement));
        if (!is_still) return {};
        ASSIGN_OR_RETURN(const Place place, PlaceNow(rows, id, judgement.place));
        result.outcome = judgement.outcome;
        if (stray != nullptr) RETURN_IF_ERROR(rows.Erase(table::kDue, EncodeDueKey(*stray)));
        if (judgement.has_damaged_row) {
          RETURN_IF_ERROR(rows.Erase(table::kIndex, QuarantineKey(id)));
        }
        const auto note = [&](ChangeKind kind) {
          rows.Note(Change::QueueRow(kind, place.store, id, place.sequence));
        };
        if (judgement.outcome == SetAsideOutcome::kMended && judgement.is_submitted) {
          note(judgement.has_damaged_row ? ChangeKind::kQueueRowAdded
                                         : ChangeKind::kQueueRowModified);
          RETURN_IF_ERROR(rows.PutQueueRow(place.store, place.sequence, place.row));
          return rows.PutDueRow(place.Due(), {place.store, id});
        }
        note(ChangeKind::kQueueRowDeleted);
        RETURN_IF_ERROR(rows.Erase(table::kDue, EncodeDueKey(place.Due())));
        RETURN_IF_ERROR(rows.Erase(table::kQueue, QueueKey(place.store, place.sequence)));
        if (judgement.outcome != SetAsideOutcome::kQuarantined) return {};
        const Damage& damage = judgement.damage;
        return rows.PutQuarantine(QuarantineKey(id), {damage.table,
                                                      damage.key,
                                                      damage.detail,
                                                      now,
                                                      place.store,
                                                      place.sequence,
                                                      place.row.submit_time,
                                                      place.row.lane,
                                                      place.row.due,
                                                      {}});
      },
      kv::SpaceUse::kMayUseReserve));
  return result;
}

Result<std::optional<MessageId>> MessageOfDueRow(DatabaseState& database, const DueKey& key) {
  std::optional<MessageId> message;
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    message.reset();
    RETURN_IF_ERROR(rows.Scan(table::kQueue, {}, {},
                              [&](std::string_view at, std::string_view value) -> Result<bool> {
                                ASSIGN_OR_RETURN(const std::uint64_t sequence, KeyNumber8(at, 8));
                                if (sequence != key.sequence) return true;
                                const auto row = rows.DecodeQueueRow(at, value);
                                if (row) message = row->message;
                                return !message;
                              }));
    if (message) return {};
    return rows.Scan(table::kMessages, {}, {},
                     [&](std::string_view at, std::string_view value) -> Result<bool> {
                       const Result<MessageRecord> record = rows.DecodeMessage(at, value);
                       if (!record || record->queue_sequence != key.sequence) return true;
                       ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(at, 0));
                       message = MessageId{id};
                       return false;
                     });
  }));
  return message;
}

Result<bool> QuarantineDueRow(DatabaseState& database, const DueKey& due) {
  const std::string key = EncodeDueKey(due);
  bool moved = false;
  RETURN_IF_ERROR(database.Update(
      [&](RowWriter& rows) -> Result<void> {
        moved = false;
        QuarantineRecord record;
        RETURN_IF_ERROR(rows.Scan(table::kDue, key, key + '\0',
                                  [&](std::string_view, std::string_view value) -> Result<bool> {
                                    const Result<DueRecord> row = rows.DecodeDueRow(key, value);
                                    moved = !row && IsDamage(row.error());
                                    if (!moved) return false;
                                    record.detail = row.error().detail;
                                    record.row = value;
                                    return false;
                                  }));
        if (!moved) return {};
        record.damaged_table = "due";
        record.damaged_key = key;
        record.time = database.clock->Now();
        record.queue_sequence = due.sequence;
        record.lane = due.lane;
        record.due = due.time;
        RETURN_IF_ERROR(rows.Erase(table::kDue, key));
        return rows.PutQuarantine(QuarantinedRowKey(due.sequence), record);
      },
      kv::SpaceUse::kMayUseReserve));
  return moved;
}

Result<void> CheckNotQuarantined(RowReader& rows, MessageId id) {
  ASSIGN_OR_RETURN(const auto record, rows.Quarantined(id));
  if (!record) return {};
  return Fail(ErrorCode::kNotInQueue,
              "message " + ToQueueId(id) + " is in quarantine, because it is damaged: " +
                  record->detail + "; see bobbin quarantine show " + ToQueueId(id));
}

Result<std::vector<QuarantinedMessage>> Quarantine::Messages(std::vector<Error>* damaged) const {
  std::vector<QuarantinedMessage> messages;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) {
    messages.clear();
    return rows.Scan(table::kIndex, "q", "r",
                     [&](std::string_view key, std::string_view value) -> Result<bool> {
                       ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
                       const Result<QuarantineRecord> record = rows.DecodeQuarantine(key, value);
                       if (record) {
                         messages.push_back(View(MessageId{id}, *record));
                       } else if (damaged == nullptr || !IsDamage(record.error())) {
                         return tl::unexpected<Error>(record.error());
                       } else {
                         damaged->push_back(record.error());
                       }
                       return true;
                     });
  }));
  return messages;
}

Result<QuarantinedMessage> Quarantine::Message(MessageId id) const {
  QuarantineRecord record;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(record, MustBeQuarantined(rows, id));
    return {};
  }));
  return View(id, record);
}

Result<std::string> Quarantine::Export(MessageId id) const {
  std::string text;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const QuarantineRecord quarantined, MustBeInQuarantine(rows, id));
    MessageRemains remains{quarantined.detail, {}, {}, {}};
    if (const auto store = rows.Store(quarantined.store); store && *store) {
      remains.store = (*store)->name;
    }
    if (auto record = rows.Message(id); record && *record) remains.record = **std::move(record);
    ASSIGN_OR_RETURN(remains.recipients, RecipientsAsFarAsTheyGo(rows, id.value));
    text = TextOfRemains(rows, remains);
    return {};
  }));
  return text;
}

Result<void> Quarantine::Release(MessageId id) {
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    RETURN_IF_ERROR(MustBeQuarantined(rows, id));
    ASSIGN_OR_RETURN(const std::optional<Damage> damage, FirstDamage(rows, id));
    if (damage) return Fail(ErrorCode::kCorruptData, damage->detail);
    return {};
  }));
  RETURN_IF_ERROR(database_->Update([&](RowWriter& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const QuarantineRecord was, MustBeQuarantined(rows, id));
    ASSIGN_OR_RETURN(const auto record, rows.Message(id));
    if (!record || !record->IsSubmitted() || record->store != was.store ||
        record->queue_sequence != was.queue_sequence) {
      return Fail(ErrorCode::kCorruptData,
                  "message " + ToQueueId(id) + " is not the one that was in the queue");
    }
    RETURN_IF_ERROR(rows.Erase(table::kIndex, QuarantineKey(id)));
    rows.Note(Change::QueueRow(ChangeKind::kQueueRowAdded, was.store, id, was.queue_sequence));
    RETURN_IF_ERROR(
        rows.PutQueueRow(was.store, was.queue_sequence, {id, was.submit_time, was.lane, was.due}));
    return rows.PutDueRow({was.lane, was.due, was.queue_sequence}, {was.store, id});
  }));
  database_->shared.signal->Raise();
  return {};
}

Result<void> Quarantine::Delete(MessageId id) {
  return database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        if (id.value == 0) {  // Rows that no message claims.
          std::vector<std::string> keys;
          RETURN_IF_ERROR(rows.Scan(table::kIndex, QuarantineKey(id), QuarantineKey({1}),
                                    [&](std::string_view key, std::string_view) -> Result<bool> {
                                      keys.emplace_back(key);
                                      return true;
                                    }));
          if (keys.empty()) return NotInQuarantine(id);
          for (const std::string& key : keys) RETURN_IF_ERROR(rows.Erase(table::kIndex, key));
          return {};
        }
        ASSIGN_OR_RETURN(const QuarantineRecord was, MustBeInQuarantine(rows, id));
        ASSIGN_OR_RETURN(const std::optional<FolderId> folder, FolderListing(rows, id));
        RETURN_IF_ERROR(EraseWhatIsThere(rows, id, 0));
        RETURN_IF_ERROR(rows.Erase(table::kIndex, QuarantineKey(id)));
        if (!folder) return {};
        rows.Note({ChangeKind::kMessageDeleted, was.store, id.value, *folder, 0, {}, 0});
        RETURN_IF_ERROR(rows.Erase(table::kIndex, ContentsKey(*folder, id)));
        return Recount(rows, *folder);
      },
      kv::SpaceUse::kMayUseReserve);
}

}  // namespace bobbin

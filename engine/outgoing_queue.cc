#include "engine/outgoing_queue.h"

#include <utility>

#include "engine/adviser.h"
#include "engine/check.h"
#include "engine/database_state.h"
#include "engine/message_rows.h"
#include "engine/quarantine.h"

namespace bobbin {
namespace {

std::string Text(const PropertyList& properties, PropertyTag tag) {
  return std::string(properties.BytesOr(tag, {}));
}

QueueRow MakeRow(const DatabaseState& database, const QueueRecord& queued, std::uint64_t sequence,
                 const MessageRecord& record) {
  const PropertyList& properties = record.properties;
  QueueRow row;
  row.entry_id = database.EntryIdOf(queued.message.value);
  row.message = queued.message;
  row.store = record.store;
  row.sequence = sequence;
  row.client_submit_time = queued.submit_time;
  row.display_to = Text(properties, pr::kDisplayTo);
  row.display_cc = Text(properties, pr::kDisplayCc);
  row.display_bcc = Text(properties, pr::kDisplayBcc);
  row.sender_name = Text(properties, pr::kSenderName);
  row.sender_address = Text(properties, pr::kSenderEmailAddress);
  row.subject = Text(properties, pr::kSubject);
  row.message_flags = record.message_flags;
  row.submit_flags = record.submit_flags;
  const auto holder = database.shared.locks->Holder(queued.message);
  if (holder && holder->IsLock()) row.submit_flags |= kSubmitFlagLocked;
  row.message_bytes = record.content_bytes + properties.ByteCount();
  row.priority = properties.NumberOr(pr::kPriority, 0);
  row.recipient_count = record.recipient_count;
  row.lane = queued.lane;
  row.due = queued.due;
  return row;
}

tl::unexpected<Error> NotQueued(MessageId id) {
  return Fail(ErrorCode::kNotInQueue, "message " + ToQueueId(id) + " is not in the outgoing queue");
}

// Inside SubmitMessage still: not in the queue to anyone (specification 5.1, INLINE).
bool IsServedInline(const DatabaseState& database, MessageId id) {
  const auto holder = database.shared.locks->Holder(id);
  return holder && holder->kind == LockKind::kInline;
}

Result<MessageRecord> QueuedMessage(RowReader& rows, std::optional<StoreId> store, MessageId id) {
  RETURN_IF_ERROR(CheckNotQuarantined(rows, id));
  ASSIGN_OR_RETURN(std::optional<MessageRecord> record, rows.Message(id));
  if (!record || !record->IsSubmitted() || (store && record->store != *store)) {
    return NotQueued(id);
  }
  return *std::move(record);
}

// The row a queue entry stands for, from a snapshot in which both exist.
Result<QueueRow> ReadRow(const DatabaseState& database, RowReader& rows, std::string_view key,
                         std::string_view value) {
  ASSIGN_OR_RETURN(const QueueRecord queued, rows.DecodeQueueRow(key, value));
  ASSIGN_OR_RETURN(const std::uint64_t sequence, KeyNumber8(key, 8));
  ASSIGN_OR_RETURN(const auto record, rows.Message(queued.message));
  if (!record) {
    return Fail(ErrorCode::kCorruptData, "table queue, key " + ToHex(key) + ": message " +
                                             ToQueueId(queued.message) + " does not exist");
  }
  return MakeRow(database, queued, sequence, *record);
}

// Makes the events of one view of the queue out of what is announced.
class QueueAdviser final : public TableAdviser<QueueEvent> {
 public:
  QueueAdviser(DatabaseState& database, std::optional<StoreId> store, QueueSink sink)
      : TableAdviser(std::move(sink)), database_(database), store_(store) {}

  void Add(RowReader& rows, const Change& change) override {
    if (change.kind == ChangeKind::kQueueReload) return AddReload();
    if (!change.IsOfQueueRow() || (store_ && change.store != *store_)) return;
    QueueEvent event;
    event.kind = KindOf(change.kind);
    event.store = change.store;
    event.message = change.Message();
    event.sequence = change.queue_sequence;
    if (event.kind != TableEvent::kRowDeleted) {
      // A row that does not verify is told without what is in it: whoever reads it, is told why.
      if (Result<void> read = Read(rows, event); !read) event.row.reset();
    }
    Push(std::move(event));
  }

 private:
  static TableEvent KindOf(ChangeKind kind) {
    if (kind == ChangeKind::kQueueRowAdded) return TableEvent::kRowAdded;
    return kind == ChangeKind::kQueueRowDeleted ? TableEvent::kRowDeleted
                                                : TableEvent::kRowModified;
  }

  Result<void> Read(RowReader& rows, QueueEvent& event) const {
    ASSIGN_OR_RETURN(const auto queued, rows.QueueRow(event.store, event.sequence));
    if (!queued) return {};
    ASSIGN_OR_RETURN(const auto record, rows.Message(event.message));
    if (!record) return {};
    event.row = MakeRow(database_, *queued, event.sequence, *record);
    if (!store_) return {};
    ASSIGN_OR_RETURN(const auto prior,
                     PredecessorOf(
                         event.sequence, rows, table::kQueue,
                         [&](std::uint64_t sequence) { return QueueKey(event.store, sequence); }, 8,
                         [&](std::string_view key, std::string_view value) -> Result<bool> {
                           ASSIGN_OR_RETURN(const QueueRecord before,
                                            rows.DecodeQueueRow(key, value));
                           return !IsServedInline(database_, before.message);
                         }));
    event.prior_sequence = prior.value_or(0);
    return {};
  }

  DatabaseState& database_;
  const std::optional<StoreId> store_;
};

}  // namespace

PropertyList QueueRow::AsProperties() const {
  std::string instance_key;
  for (int shift = 56; shift >= 0; shift -= 8) {
    instance_key.push_back(static_cast<char>(sequence >> shift));
  }
  return {Property::Number(pr::kClientSubmitTime, ToFileTime(client_submit_time)),
          Property::Bytes(pr::kDisplayTo, display_to),
          Property::Bytes(pr::kDisplayCc, display_cc),
          Property::Bytes(pr::kDisplayBcc, display_bcc),
          Property::Bytes(pr::kEntryId, entry_id.ToBytes()),
          Property::Number(pr::kMessageFlags, message_flags),
          Property::Number(pr::kMessageSize, static_cast<std::int64_t>(message_bytes)),
          Property::Number(pr::kPriority, priority),
          Property::Bytes(pr::kSenderName, sender_name),
          Property::Bytes(pr::kSubject, subject),
          Property::Number(pr::kSubmitFlags, submit_flags),
          Property::Bytes(pr::kInstanceKey, std::move(instance_key))};
}

OutgoingQueue::OutgoingQueue(std::shared_ptr<DatabaseState> database, std::optional<StoreId> store)
    : database_(std::move(database)), store_(store) {}

Result<std::vector<QueueRow>> OutgoingQueue::Rows(std::uint32_t rows_max, std::uint64_t after,
                                                  std::vector<Error>* damaged) const {
  if (after != 0 && !store_) {
    return Fail(ErrorCode::kInvalidParameter, "`after` needs the queue of one store");
  }
  std::vector<QueueRow> result;
  if (rows_max == 0) return Fail(ErrorCode::kInvalidParameter, "no rows asked for");
  const std::string begin = store_ ? QueueKey(*store_, after + 1) : std::string();
  const std::string end = store_ ? Key8(store_->value + 1) : std::string();
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) {
    result.clear();
    return rows.Scan(
        table::kQueue, begin, end,
        [&](std::string_view key, std::string_view value) -> Result<bool> {
          Result<QueueRow> row = ReadRow(*database_, rows, key, value);
          if (row && IsServedInline(*database_, row->message)) return true;
          if (row) {
            result.push_back(*std::move(row));
          } else if (damaged != nullptr && row.error().code == ErrorCode::kCorruptData) {
            damaged->push_back(std::move(row).error());
          } else {
            return tl::unexpected<Error>(std::move(row).error());
          }
          return result.size() < rows_max;
        });
  }));
  return result;
}

Result<QueueRow> OutgoingQueue::Row(MessageId message) const {
  QueueRow result;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const MessageRecord record, QueuedMessage(rows, store_, message));
    if (IsServedInline(*database_, message)) return NotQueued(message);
    ASSIGN_OR_RETURN(const auto queued, rows.QueueRow(record.store, record.queue_sequence));
    if (!queued) {
      return Fail(ErrorCode::kCorruptStore, "the submit flag is set but the queue row is missing");
    }
    result = MakeRow(*database_, *queued, record.queue_sequence, record);
    return {};
  }));
  return result;
}

Result<void> OutgoingQueue::SortTable(std::span<const SortOrder> orders) const {
  if (orders.size() == 1 && orders[0].tag == pr::kClientSubmitTime && !orders[0].descending) {
    return {};
  }
  return Fail(ErrorCode::kTooComplex,
              "the outgoing queue is ordered by ascending PR_CLIENT_SUBMIT_TIME only");
}

Result<std::uint64_t> OutgoingQueue::Count() const {
  std::uint64_t count = 0;
  const std::string begin = store_ ? QueueKey(*store_, 0) : std::string();
  const std::string end = store_ ? Key8(store_->value + 1) : std::string();
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) {
    count = 0;
    return rows.Scan(table::kQueue, begin, end,
                     [&](std::string_view, std::string_view) -> Result<bool> {
                       ++count;
                       return true;
                     });
  }));
  return count;
}

Result<void> OutgoingQueue::Change(MessageId message, DueLane lane, bool now) {
  RETURN_IF_ERROR(database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const MessageRecord record, QueuedMessage(rows, store_, message));
        rows.Note(Change::QueueRow(ChangeKind::kQueueRowModified, record.store, message,
                                   record.queue_sequence));
        ASSIGN_OR_RETURN(const auto queued, rows.QueueRow(record.store, record.queue_sequence));
        if (!queued) {
          return Fail(ErrorCode::kCorruptStore,
                      "the submit flag is set but the queue row is missing");
        }
        ASSIGN_OR_RETURN(RecipientTable recipients, rows.Recipients(message));
        const std::optional<LockHolder> holder = database_->shared.locks->Holder(message);
        const bool is_locked = holder && holder->IsLock();
        for (RecipientRow& row : recipients) {
          if (row.delivery.responsibility || row.delivery.next_attempt == Time{}) continue;
          // Its attempt is under way, since MarkInDoubt has set both and nothing ended it: nobody
          // can have decided yet on what comes of it. One that is locked for another reason - to be
          // held, or for another recipient - can be decided on.
          if (is_locked && row.delivery.state == RecipientState::kInDoubt &&
              row.delivery.next_attempt == row.delivery.last_attempt) {
            continue;
          }
          // Who is in doubt was held for a decision, and this is it (InDoubtPolicy::kHold).
          const bool decided =
              lane == DueLane::kScheduled && row.delivery.state == RecipientState::kInDoubt;
          if (!now && !decided) continue;
          row.delivery.next_attempt = Time{};
          RETURN_IF_ERROR(rows.PutRecipient(message, row));
        }
        return Reschedule(rows, record, now ? database_->clock->Now() : queued->due, lane);
      },
      kv::SpaceUse::kMayUseReserve));
  if (lane == DueLane::kScheduled) database_->shared.signal->Raise();
  return {};
}

Result<void> OutgoingQueue::Hold(MessageId message) {
  return Change(message, DueLane::kHeld, false);
}

Result<void> OutgoingQueue::Release(MessageId message) {
  return Change(message, DueLane::kScheduled, false);
}

Result<void> OutgoingQueue::Retry(MessageId message) {
  return Change(message, DueLane::kScheduled, true);
}

QueueAdvise OutgoingQueue::Advise(QueueSink sink) const {
  return Connect(database_, std::make_unique<QueueAdviser>(*database_, store_, std::move(sink)));
}

}  // namespace bobbin

#include "engine/message_rows.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/content_rows.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

bool IsUnread(const MessageRecord& record) { return (record.message_flags & kMsgFlagRead) == 0; }

// Adds to a folder's counters; the folder must exist and belong to the store.
Result<void> CountInFolder(RowWriter& rows, StoreId store, FolderId id, int contents, int unread) {
  ASSIGN_OR_RETURN(std::optional<FolderRecord> folder, rows.Folder(id));
  if (!folder || folder->store != store) {
    return Fail(ErrorCode::kNotFound, "folder " + std::to_string(id.value) + " does not exist");
  }
  folder->content_count =
      static_cast<std::uint32_t>(static_cast<int>(folder->content_count) + contents);
  folder->content_unread =
      static_cast<std::uint32_t>(static_cast<int>(folder->content_unread) + unread);
  return rows.PutFolder(id, *folder);
}

tl::unexpected<Error> QueueRowMissing(const MessageRecord& record) {
  return Fail(ErrorCode::kCorruptStore,
              "queue row " + std::to_string(record.queue_sequence) + " is missing");
}

}  // namespace

ContentsRow MakeContentsRow(const EntryId& entry_id, const MessageRecord& record) {
  const PropertyList& properties = record.properties;
  return {MessageId{entry_id.Object()},
          entry_id,
          record.message_flags,
          std::string(properties.BytesOr(pr::kSubject, {})),
          std::string(properties.BytesOr(pr::kSenderName, {})),
          record.content_bytes + properties.ByteCount()};
}

Result<std::optional<std::uint64_t>> PredecessorOf(std::uint64_t number, RowReader& rows,
                                                   kv::TableId table, const KeyOfNumber& key_of,
                                                   std::size_t offset,
                                                   const RowReader::KeyVisitor& is_shown) {
  constexpr std::uint64_t kFirstStep = 64;
  constexpr std::uint64_t kGrowth = 16;
  std::optional<std::uint64_t> found;
  std::uint64_t upper = number;
  for (std::uint64_t step = kFirstStep; upper > 0 && !found; step *= kGrowth) {
    const std::uint64_t lower = upper - std::min(upper, step);
    RETURN_IF_ERROR(rows.Scan(table, key_of(lower), key_of(upper),
                              [&](std::string_view key, std::string_view value) -> Result<bool> {
                                ASSIGN_OR_RETURN(const bool shown, is_shown(key, value));
                                if (!shown) return true;
                                ASSIGN_OR_RETURN(found, KeyNumber8(key, offset));
                                return true;
                              }));
    upper = lower;
  }
  return found;
}

Result<void> InsertMessage(RowWriter& rows, MessageId id, const MessageRecord& record,
                           SubmissionStep step, const CopiedFrom& from) {
  ASSIGN_OR_RETURN(const SubmissionState to, StateOf(record));
  RETURN_IF_ERROR(CheckStep(SubmissionState::kNew, step, to));
  const bool copied = from.message.value != 0;
  rows.Note({copied ? ChangeKind::kMessageCopied : ChangeKind::kMessageCreated, record.store,
             id.value, record.folder, from.message.value, from.folder, 0});
  RETURN_IF_ERROR(CountInFolder(rows, record.store, record.folder, 1, IsUnread(record) ? 1 : 0));
  RETURN_IF_ERROR(rows.PutContentsRow(record.folder, id));
  return rows.PutMessage(id, record);
}

Result<void> ReplaceMessage(RowWriter& rows, MessageId id, const MessageRecord& before,
                            MessageRecord& record, SubmissionStep step) {
  ASSIGN_OR_RETURN(const SubmissionState from, StateOf(before));
  ASSIGN_OR_RETURN(const SubmissionState to, StateOf(record));
  RETURN_IF_ERROR(CheckStep(from, step, to));
  record.revision = before.revision + 1;
  rows.Note({ChangeKind::kMessageModified, record.store, id.value, record.folder, 0, {}, 0});
  const int unread = (IsUnread(record) ? 1 : 0) - (IsUnread(before) ? 1 : 0);
  if (unread != 0) {
    RETURN_IF_ERROR(CountInFolder(rows, record.store, record.folder, 0, unread));
  }
  return rows.PutMessage(id, record);
}

Result<void> EraseMessage(RowWriter& rows, MessageId id, const MessageRecord& record,
                          SubmissionStep step) {
  ASSIGN_OR_RETURN(const SubmissionState from, StateOf(record));
  RETURN_IF_ERROR(CheckStep(from, step, SubmissionState::kGone));
  rows.Note({ChangeKind::kMessageDeleted, record.store, id.value, record.folder, 0, {}, 0});
  RETURN_IF_ERROR(EraseParts(rows, id, record));
  RETURN_IF_ERROR(CountInFolder(rows, record.store, record.folder, -1, IsUnread(record) ? -1 : 0));
  RETURN_IF_ERROR(rows.Erase(table::kIndex, ContentsKey(record.folder, id)));
  return rows.EraseMessage(id);
}

Result<void> MoveMessage(RowWriter& rows, MessageId id, MessageRecord& record, FolderId to) {
  rows.Note({ChangeKind::kMessageMoved, record.store, id.value, to, id.value, record.folder, 0});
  const int unread = IsUnread(record) ? 1 : 0;
  RETURN_IF_ERROR(CountInFolder(rows, record.store, to, 1, unread));
  RETURN_IF_ERROR(CountInFolder(rows, record.store, record.folder, -1, -unread));
  RETURN_IF_ERROR(rows.Erase(table::kIndex, ContentsKey(record.folder, id)));
  RETURN_IF_ERROR(rows.PutContentsRow(to, id));
  record.folder = to;
  ++record.revision;
  return rows.PutMessage(id, record);
}

Result<void> ReplaceRecipients(RowWriter& rows, MessageId id, const RecipientTable& recipients,
                               bool may_exist) {
  if (may_exist) RETURN_IF_ERROR(ErasePrefix(rows, table::kRecipients, id.value));
  for (const RecipientRow& row : recipients) RETURN_IF_ERROR(rows.PutRecipient(id, row));
  return {};
}

Result<void> Enqueue(RowWriter& rows, MessageId id, MessageRecord& record, Time now,
                     const DatabaseId& database, std::uint32_t submit_flags) {
  ASSIGN_OR_RETURN(CountersRecord counters, rows.Counters());
  // The queue is ordered by submit time, so a clock that steps back must not show in it (Q11).
  const Time submit_time = std::max(now, counters.last_submit_time);
  counters.last_submit_time = submit_time;
  const std::uint64_t sequence = counters.next_queue_sequence++;
  RETURN_IF_ERROR(rows.PutCounters(counters));

  record.message_flags |= kMsgFlagSubmit | kMsgFlagUnsent;
  record.submit_flags = submit_flags;
  if (submit_flags != 0) record.properties.Set(Property::Number(pr::kPreprocess, 1));
  record.queue_sequence = sequence;
  record.properties.Set(Property::Number(pr::kClientSubmitTime, ToFileTime(submit_time)));
  if (record.properties.BytesOr(pr::kInternetMessageId, {}).empty()) {
    record.properties.Set(Property::Bytes(
        pr::kInternetMessageId,
        "<" + ToQueueId(id) + "." +
            ToHex({reinterpret_cast<const char*>(database.bytes.data()), 8}) + "@bobbin.invalid>"));
  }
  rows.Note(Change::QueueRow(ChangeKind::kQueueRowAdded, record.store, id, sequence));
  Time due = submit_time;
  if (const auto deferred = EffectiveDeferredSendTime(record.properties, submit_time)) {
    record.properties.Set(Property::Number(pr::kDeferredSendTime, ToFileTime(*deferred)));
    due = std::max(due, *deferred);
  }
  RETURN_IF_ERROR(
      rows.PutQueueRow(record.store, sequence, {id, submit_time, DueLane::kScheduled, due}));
  return rows.PutDueRow({DueLane::kScheduled, due, sequence}, {record.store, id});
}

Result<void> Dequeue(RowWriter& rows, MessageRecord& record) {
  ASSIGN_OR_RETURN(const auto row, rows.QueueRow(record.store, record.queue_sequence));
  if (!row) return QueueRowMissing(record);
  rows.Note(Change::QueueRow(ChangeKind::kQueueRowDeleted, record.store, row->message,
                             record.queue_sequence));
  RETURN_IF_ERROR(
      rows.Erase(table::kDue, EncodeDueKey({row->lane, row->due, record.queue_sequence})));
  RETURN_IF_ERROR(rows.Erase(table::kQueue, QueueKey(record.store, record.queue_sequence)));
  record.queue_sequence = 0;
  record.submit_flags = 0;
  record.preprocess_attempts = 0;
  record.message_flags &= ~kMsgFlagSubmit;
  record.properties.Erase(pr::kPreprocess);
  return {};
}

Result<std::uint64_t> DoubtRecipients(RowWriter& rows, MessageId id, Time now,
                                      std::string_view why) {
  std::uint64_t doubted = 0;
  ASSIGN_OR_RETURN(RecipientTable recipients, rows.Recipients(id));
  for (RecipientRow& recipient : recipients) {
    if (recipient.delivery.responsibility) continue;
    recipient.delivery.state = RecipientState::kInDoubt;
    // Not epoch, which would be the decision to send again.
    recipient.delivery.next_attempt = now;
    recipient.delivery.last_reply = {0, "", std::string(why)};
    RETURN_IF_ERROR(rows.PutRecipient(id, recipient));
    ++doubted;
  }
  return doubted;
}

Result<void> Reschedule(RowWriter& rows, const MessageRecord& record, Time due,
                        std::optional<DueLane> lane) {
  ASSIGN_OR_RETURN(std::optional<QueueRecord> row,
                   rows.QueueRow(record.store, record.queue_sequence));
  if (!row) return QueueRowMissing(record);
  const DueKey before{row->lane, row->due, record.queue_sequence};
  row->due = due;
  row->lane = lane.value_or(row->lane);
  const DueKey after{row->lane, row->due, record.queue_sequence};
  if (after == before) return {};
  RETURN_IF_ERROR(rows.Erase(table::kDue, EncodeDueKey(before)));
  RETURN_IF_ERROR(rows.PutDueRow(after, {record.store, row->message}));
  return rows.PutQueueRow(record.store, record.queue_sequence, *row);
}

}  // namespace bobbin

#include "engine/spooler_session.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "engine/local_delivery.h"
#include "engine/message_object.h"
#include "engine/report_rows.h"
#include "engine/sent_mail.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

constexpr std::size_t kReplyTextBytesMax = 2'000;

tl::unexpected<Error> NotInQueue(MessageId id) {
  return Fail(ErrorCode::kNotInQueue, "message " + ToQueueId(id) + " is not in the outgoing queue");
}

// The record of a queued message; what the caller's step needs before it may change anything.
Result<MessageRecord> QueuedMessage(RowReader& rows, MessageId id) {
  ASSIGN_OR_RETURN(std::optional<MessageRecord> record, rows.Message(id));
  if (!record || !record->IsSubmitted()) return NotInQueue(id);
  return *std::move(record);
}

Result<MessageId> MessageOf(const DatabaseState& database, const EntryId& id) {
  if (id.Database() != database.id) {
    return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another database");
  }
  return MessageId{id.Object()};
}

Result<void> CheckLockedBy(DatabaseState& database, MessageId id, LockSession session) {
  const auto holder = database.shared.locks->Holder(id);
  if (holder && holder->IsLock() && holder->session == session) return {};
  return Fail(ErrorCode::kNoAccess,
              "message " + ToQueueId(id) + " is not locked by this spooler session");
}

// What is to be told although no transaction makes it, and after which transaction: that the lock
// of a queue row comes or goes, mostly.
struct SeenRow {
  Change change;
  std::uint64_t sequence = 0;
};

SeenRow See(const RowReader& rows, MessageId message, const MessageRecord& record) {
  return {
      Change::QueueRow(ChangeKind::kQueueRowModified, record.store, message, record.queue_sequence),
      rows.Sequence()};
}

void Tell(const DatabaseState& database, const SeenRow& seen) {
  database.AnnounceVolatile(seen.sequence, seen.change);
}

RecipientDelivery WithinLimits(RecipientDelivery delivery) {
  std::string& text = delivery.last_reply.text;
  if (text.size() > kReplyTextBytesMax) text.resize(kReplyTextBytesMax);
  return delivery;
}

// Writes the updates; nothing is written unless all of them may be.
Result<void> UpdateRecipients(RowWriter& rows, MessageId id,
                              const std::vector<RecipientUpdate>& updates) {
  std::vector<RecipientRow> changed;
  changed.reserve(updates.size());
  for (const RecipientUpdate& update : updates) {
    ASSIGN_OR_RETURN(std::optional<RecipientRow> row, rows.Recipient(id, update.row));
    if (!row || row->delivery.responsibility) {
      return Fail(ErrorCode::kInvalidParameter,
                  "recipient row " + std::to_string(update.row.value) +
                      (row ? " has been settled already" : " does not exist"));
    }
    row->delivery = WithinLimits(update.delivery);
    changed.push_back(*std::move(row));
  }
  for (const RecipientRow& row : changed) RETURN_IF_ERROR(rows.PutRecipient(id, row));
  return {};
}

// What is not needed to send the message, but to complete it, or to write the outcome down: an
// outcome that is lost means a second delivery.
Result<void> CheckCompletion(RowReader& rows, const MessageObject& object) {
  ASSIGN_OR_RETURN(const auto folder, rows.Folder(object.record.folder));
  if (!folder) return Fail(ErrorCode::kCorruptData, "table folders: its folder is missing");
  if (object.record.content_body != 0) RETURN_IF_ERROR(rows.BodyHead(object.record.content_body));
  for (const StreamRecord& stream : object.record.streams) {
    RETURN_IF_ERROR(rows.BodyHead(stream.body));
  }
  for (const auto& [number, attachment] : object.attachments) {
    for (const StreamRecord& stream : attachment->record.streams) {
      RETURN_IF_ERROR(rows.BodyHead(stream.body));
    }
  }
  return {};
}

Result<void> DeliverLocally(RowWriter& rows, MessageId id, const MessageRecord& record,
                            const std::vector<RecipientRowId>& wanted, Time now) {
  if (wanted.empty()) return {};
  ASSIGN_OR_RETURN(RecipientTable recipients, rows.Recipients(id));
  return ServeLocalRows(rows, {id, &record, nullptr, now}, recipients, wanted);
}

}  // namespace

SpoolerSession::SpoolerSession(std::shared_ptr<DatabaseState> database, LockSession session)
    : database_(std::move(database)), session_(session) {}
SpoolerSession::SpoolerSession(SpoolerSession&& other) noexcept
    : database_(std::move(other.database_)), session_(std::exchange(other.session_, {})) {}
SpoolerSession& SpoolerSession::operator=(SpoolerSession&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(session_, other.session_);
  return *this;
}
SpoolerSession::~SpoolerSession() {
  if (database_ && session_.value != 0) database_->shared.locks->CloseSession(session_);
}

OutgoingQueue SpoolerSession::GetOutgoingQueue(std::optional<StoreId> store) const {
  return {database_, store};
}

Result<Message> SpoolerSession::OpenMessage(const EntryId& id) const {
  ASSIGN_OR_RETURN(const MessageId message, MessageOf(*database_, id));
  const auto holder = database_->shared.locks->Holder(message);
  if (holder && holder->IsLock() && !(holder->session == session_)) {
    return Fail(ErrorCode::kNoAccess,
                "message " + ToQueueId(message) + " is locked by another spooler session");
  }
  std::shared_ptr<MessageObject> object;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto record, rows.Message(message));
    if (!record || record->embedded_in.value != 0) {
      return Fail(ErrorCode::kNotFound, "there is no message " + ToQueueId(message));
    }
    ASSIGN_OR_RETURN(object, LoadMessageObject(database_, rows, message, *record));
    return {};
  }));
  object->logon = Logon::kSpooler;
  object->session = session_;
  return Message(std::move(object));
}

Result<void> SpoolerSession::SetLockState(Message& message, LockState state) {
  MessageObject& object = *message.object_;
  RETURN_IF_ERROR(object.CheckOpen());
  if (object.database->id != database_->id) {
    return Fail(ErrorCode::kInvalidEntryId, "the message is of another database");
  }
  LockTable& locks = *database_->shared.locks;
  bool acquired = false;
  if (state == LockState::kLocked) {
    ASSIGN_OR_RETURN(acquired, TryLock(object.id));
  } else if (state != LockState::kUnlocked) {
    return Fail(ErrorCode::kInvalidParameter, "neither MSG_LOCKED nor MSG_UNLOCKED");
  } else {
    const auto holder = locks.Holder(object.id);
    if (holder && holder->IsLock() && !(holder->session == session_)) {
      return Fail(ErrorCode::kNoAccess, "the message is locked by another spooler session");
    }
  }
  SeenRow seen;
  // The queue is looked at after the lock is held: an abort that was faster is seen here.
  Result<void> checked = database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const MessageRecord record, QueuedMessage(rows, object.id));
    seen = See(rows, object.id, record);
    ASSIGN_OR_RETURN(const auto row, rows.QueueRow(record.store, record.queue_sequence));
    if (row) return {};
    return Fail(ErrorCode::kCorruptStore, "the submit flag is set but the queue row is missing");
  });
  if (checked && object.HasPendingEdits() && object.access == AccessLevel::kModify) {
    checked = message.SaveChanges(kKeepOpenReadWrite);
    seen.sequence = std::max(seen.sequence, object.record.sequence);
  }
  if (!checked) {
    if (acquired) locks.Unlock(object.id, session_);
    return checked;
  }
  const auto holder = locks.Holder(object.id);
  const bool was_locked = holder && holder->session == session_;
  if (state == LockState::kUnlocked) locks.Unlock(object.id, session_);
  if (acquired || (state == LockState::kUnlocked && was_locked)) {
    Tell(*database_, seen);
  }
  return {};
}

Result<bool> SpoolerSession::TryLock(MessageId message) const {
  LockTable& locks = *database_->shared.locks;
  for (;;) {
    ASSIGN_OR_RETURN(const LockTable::Outcome outcome,
                     locks.TryLock(message, session_, LockKind::kLock));
    if (outcome != LockTable::Outcome::kHeldByOther) {
      return outcome == LockTable::Outcome::kAcquired;
    }
    const auto holder = locks.Holder(message);
    if (holder && holder->IsLock()) return NotInQueue(message);
    // An abort is under way and ends with its transaction: then it is clear who won.
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

Result<std::optional<Message>> SpoolerSession::LockDue(const DueMessage& due) const {
  Result<bool> acquired = TryLock(due.message);
  if (!acquired && acquired.error().code == ErrorCode::kNotInQueue) return std::optional<Message>();
  if (!acquired) return tl::unexpected<Error>(std::move(acquired).error());
  std::shared_ptr<MessageObject> object;
  SeenRow seen;
  Result<void> opened = database_->View([&](RowReader& rows) -> Result<void> {
    // Whoever held the lock before may have moved or finished it since NextDue looked.
    ASSIGN_OR_RETURN(const auto row, rows.DueRow({DueLane::kScheduled, due.due, due.sequence}));
    if (!row) return {};
    ASSIGN_OR_RETURN(const auto record, rows.Message(due.message));
    ASSIGN_OR_RETURN(const auto queued, rows.QueueRow(due.store, due.sequence));
    if (!record || !record->IsSubmitted() || record->store != due.store ||
        record->queue_sequence != due.sequence || !queued || queued->message != due.message) {
      return Fail(ErrorCode::kCorruptData,
                  "message " + ToQueueId(due.message) + " and its rows of the queue do not agree");
    }
    seen = See(rows, due.message, *record);
    ASSIGN_OR_RETURN(object, LoadMessageObject(database_, rows, due.message, *record));
    RETURN_IF_ERROR(CheckCompletion(rows, *object));
    return {};
  });
  if (!opened || !object) {
    database_->shared.locks->Unlock(due.message, session_);
    if (!opened) return tl::unexpected<Error>(std::move(opened).error());
    return std::optional<Message>();
  }
  object->logon = Logon::kSpooler;
  object->session = session_;
  Tell(*database_, seen);
  return std::optional<Message>(Message(std::move(object)));
}

void SpoolerSession::Unlock(const EntryId& id) const {
  const MessageId message{id.Object()};
  LockTable& locks = *database_->shared.locks;
  const auto holder = locks.Holder(message);
  locks.Unlock(message, session_);
  const bool was_locked = holder && holder->session == session_;
  if (!was_locked || !database_->shared.changes->HasReaders()) return;
  SeenRow seen;
  const Result<void> queued = database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const MessageRecord record, QueuedMessage(rows, message));
    seen = See(rows, message, record);
    return {};
  });
  if (queued) Tell(*database_, seen);
}

Result<SetAside> SpoolerSession::LockAndSetAside(MessageId message,
                                                 const std::optional<QueuePlace>& place,
                                                 const Error* error, const DueKey* stray) const {
  const Result<bool> locked = TryLock(message);
  if (!locked && locked.error().code == ErrorCode::kNotInQueue) return SetAside{};
  RETURN_IF_ERROR(locked);
  Result<SetAside> done = bobbin::SetAsideDamaged(*database_, message, place, error, stray);
  database_->shared.locks->Unlock(message, session_);
  return done;
}

Result<SetAside> SpoolerSession::SetAsideDamaged(const DueMessage& due, const Error& error) {
  return LockAndSetAside(due.message, QueuePlace{due.store, due.sequence, due.due}, &error,
                         nullptr);
}

Result<SetAside> SpoolerSession::SetAsideDamaged(MessageId message) {
  return LockAndSetAside(message, std::nullopt, nullptr, nullptr);
}

Result<SetAside> SpoolerSession::SetAsideDamaged(const DueResult::Damaged& row) {
  const DueKey key{DueLane::kScheduled, row.due, row.sequence};
  ASSIGN_OR_RETURN(const std::optional<MessageId> message, MessageOfDueRow(*database_, key));
  if (message) return LockAndSetAside(*message, std::nullopt, &row.error, &key);
  ASSIGN_OR_RETURN(const bool moved, QuarantineDueRow(*database_, key));
  return SetAside{
      moved ? SetAsideOutcome::kQuarantined : SetAsideOutcome::kNotQueued, {}, row.error.detail};
}

Result<bool> SpoolerSession::HoldInDoubt(const DueMessage& due, Time now) {
  bool held = false;
  RETURN_IF_ERROR(database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const MessageRecord record, QueuedMessage(rows, due.message));
        RETURN_IF_ERROR(CheckLockedBy(*database_, due.message, session_));
        // As they are now: a release may have been committed since LockDue looked.
        ASSIGN_OR_RETURN(const RecipientTable recipients, rows.Recipients(due.message));
        held = std::any_of(recipients.begin(), recipients.end(), [&](const RecipientRow& row) {
          return row.delivery.AwaitsDecision() && row.delivery.next_attempt <= now;
        });
        if (!held) return {};
        rows.Note(See(rows, due.message, record).change);
        return Reschedule(rows, record, due.due, DueLane::kHeld);
      },
      kv::SpaceUse::kMayUseReserve));
  return held;
}

Result<FinishResult> SpoolerSession::FinishMessage(const EntryId& id, std::uint32_t flags,
                                                   const SentMailOrder& order) {
  if (flags != 0) return Fail(ErrorCode::kUnknownFlags, "FinishMessage takes no flags");
  ASSIGN_OR_RETURN(const MessageId message, MessageOf(*database_, id));
  FinishResult result = FinishResult::kStillQueued;
  RETURN_IF_ERROR(database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(MessageRecord record, QueuedMessage(rows, message));
        RETURN_IF_ERROR(CheckLockedBy(*database_, message, session_));
        ASSIGN_OR_RETURN(result, FinishInTransaction(rows, message, record, SubmissionStep::kFinish,
                                                     order, database_->id));
        return {};
      },
      kv::SpaceUse::kMayUseReserve));
  database_->shared.locks->Unlock(message, session_);
  return result;
}

Result<DueResult> SpoolerSession::NextDue(Time now, const DueMessage* after) const {
  DueResult result;
  const DueKey first =
      after == nullptr ? DueKey{} : DueKey{DueLane::kScheduled, after->due, after->sequence + 1};
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    result = DueResult{};
    return rows.Scan(table::kDue, EncodeDueKey(first), EncodeDueKey({DueLane::kHeld, Time{}, 0}),
                     [&](std::string_view key, std::string_view value) -> Result<bool> {
                       ASSIGN_OR_RETURN(const DueKey due, DecodeDueKey(key));
                       if (due.time > now) {
                         result.next_due = due.time;
                         return false;
                       }
                       Result<DueRecord> row = rows.DecodeDueRow(key, value);
                       if (!row) {
                         result.damaged.push_back({std::move(row).error(), due.time, due.sequence});
                         return true;
                       }
                       const auto holder = database_->shared.locks->Holder(row->message);
                       if (holder && holder->IsLock()) return true;
                       result.message =
                           DueMessage{database_->EntryIdOf(row->message.value), row->message,
                                      row->store, due.time, due.sequence};
                       return false;
                     });
  }));
  return result;
}

Result<void> SpoolerSession::MarkInDoubt(const EntryId& id, std::span<const RecipientRowId> rows_in,
                                         Time now) {
  ASSIGN_OR_RETURN(const MessageId message, MessageOf(*database_, id));
  return database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const MessageRecord record, QueuedMessage(rows, message));
        RETURN_IF_ERROR(CheckLockedBy(*database_, message, session_));
        std::vector<RecipientUpdate> updates;
        for (const RecipientRowId row_id : rows_in) {
          ASSIGN_OR_RETURN(std::optional<RecipientRow> row, rows.Recipient(message, row_id));
          RecipientUpdate update{row_id, row ? row->delivery : RecipientDelivery{}};
          update.delivery.state = RecipientState::kInDoubt;
          update.delivery.last_attempt = now;
          update.delivery.next_attempt = now;
          ++update.delivery.attempts;
          updates.push_back(std::move(update));
        }
        return UpdateRecipients(rows, message, updates);
      },
      kv::SpaceUse::kMayUseReserve);
}

Result<Message> SpoolerSession::CreateMessage(StoreId store, FolderId folder) const {
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto found, rows.Folder(folder));
    if (found && found->store == store) return {};
    return Fail(ErrorCode::kNotFound, "there is no folder " + std::to_string(folder.value));
  }));
  ASSIGN_OR_RETURN(auto object, NewMessageObject(database_, store, folder));
  object->record.message_flags = kMsgFlagUnmodified;
  object->logon = Logon::kSpooler;
  object->session = session_;
  return Message(std::move(object));
}

Result<void> SpoolerSession::NotifyNewMail(const EntryId& id) const {
  ASSIGN_OR_RETURN(const MessageId message, MessageOf(*database_, id));
  SeenRow seen;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto record, rows.Message(message));
    if (!record || record->embedded_in.value != 0) {
      return Fail(ErrorCode::kNotFound, "there is no message " + ToQueueId(message));
    }
    seen.change = {ChangeKind::kNewMail, record->store, message.value, record->folder, 0, {}, 0};
    seen.sequence = rows.Sequence();
    return {};
  }));
  Tell(*database_, seen);
  return {};
}

Result<void> SpoolerSession::PublishTransports(const TransportProfile& profile) const {
  return database_->shared.transports->Publish(session_, profile);
}

Result<std::uint32_t> SpoolerSession::BeginPreprocessing(const EntryId& id) {
  ASSIGN_OR_RETURN(const MessageId message, MessageOf(*database_, id));
  std::uint32_t attempts = 0;
  RETURN_IF_ERROR(database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const MessageRecord before, QueuedMessage(rows, message));
        RETURN_IF_ERROR(CheckLockedBy(*database_, message, session_));
        if ((before.submit_flags & kSubmitFlagPreprocess) == 0 &&
            before.properties.FlagOr(pr::kPreprocess, false)) {
          return Fail(ErrorCode::kNotInQueue,
                      "message " + ToQueueId(message) + " has been preprocessed");
        }
        MessageRecord record = before;
        record.submit_flags |= kSubmitFlagPreprocess;
        record.properties.Set(Property::Number(pr::kPreprocess, 1));
        attempts = ++record.preprocess_attempts;
        return ReplaceMessage(rows, message, before, record, SubmissionStep::kPreprocess);
      },
      kv::SpaceUse::kMayUseReserve));
  return attempts;
}

Result<FinishResult> SpoolerSession::CommitAttempt(const EntryId& id, const Attempt& attempt) {
  ASSIGN_OR_RETURN(const MessageId message, MessageOf(*database_, id));
  ASSIGN_OR_RETURN(const std::vector<DrawnReport> reports,
                   DrawReports(*database_, attempt.reports));
  FinishResult result = FinishResult::kStillQueued;
  SeenRow seen;
  RETURN_IF_ERROR(database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        result = FinishResult::kStillQueued;
        ASSIGN_OR_RETURN(MessageRecord record, QueuedMessage(rows, message));
        RETURN_IF_ERROR(CheckLockedBy(*database_, message, session_));
        RETURN_IF_ERROR(UpdateRecipients(rows, message, attempt.updates));
        RETURN_IF_ERROR(DeliverLocally(rows, message, record, attempt.deliver_locally,
                                       database_->clock->Now()));
        for (const DrawnReport& report : reports) {
          RETURN_IF_ERROR(CreateReport(rows, *database_, {message, record}, report));
        }
        ASSIGN_OR_RETURN(const RecipientTable recipients, rows.Recipients(message));
        const bool all_settled =
            std::all_of(recipients.begin(), recipients.end(),
                        [](const RecipientRow& row) { return row.delivery.responsibility; });
        if (!all_settled || !attempt.finish) {
          seen = See(rows, message, record);
          return Reschedule(rows, record, attempt.next_due, std::nullopt);
        }
        for (const Property& property : attempt.missing_sender) record.properties.Set(property);
        ASSIGN_OR_RETURN(result, FinishInTransaction(rows, message, record, SubmissionStep::kFinish,
                                                     attempt.order, database_->id));
        return {};
      },
      kv::SpaceUse::kMayUseReserve));
  const bool is_queued = result == FinishResult::kStillQueued;
  if (!is_queued || !attempt.keep_locked) database_->shared.locks->Unlock(message, session_);
  // Not before the lock is gone: whoever is told looks at the row, and sees it unlocked.
  if (is_queued) Tell(*database_, seen);
  return result;
}

Result<void> SpoolerSession::CommitOutcomes(const EntryId& id,
                                            std::span<const RecipientRow> recipients) {
  ASSIGN_OR_RETURN(const MessageId message, MessageOf(*database_, id));
  const auto is_damage = [](const auto& result) {
    return !result && result.error().code == ErrorCode::kCorruptData;
  };
  return database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        const Result<std::optional<MessageRecord>> record = rows.Message(message);
        if (!is_damage(record)) RETURN_IF_ERROR(record);
        if (record && *record && !(*record)->IsSubmitted()) return NotInQueue(message);
        RETURN_IF_ERROR(CheckLockedBy(*database_, message, session_));
        for (const RecipientRow& given : recipients) {
          Result<std::optional<RecipientRow>> stored = rows.Recipient(message, given.id);
          if (!is_damage(stored)) RETURN_IF_ERROR(stored);
          const bool is_whole = stored && *stored;
          if (is_whole && (*stored)->delivery.responsibility) continue;
          RecipientRow row = is_whole ? **std::move(stored) : given;
          row.delivery = WithinLimits(given.delivery);
          RETURN_IF_ERROR(rows.PutRecipient(message, row));
        }
        return {};
      },
      kv::SpaceUse::kMayUseReserve);
}

std::uint32_t SpoolerSession::SignalCount() const { return database_->shared.signal->Current(); }

void SpoolerSession::WaitForSignal(std::uint32_t seen, std::chrono::milliseconds timeout) const {
  database_->shared.signal->Wait(seen, timeout);
}

void SpoolerSession::Wake() const { database_->shared.signal->Raise(); }

}  // namespace bobbin

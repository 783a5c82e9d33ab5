#include "engine/message_store.h"

#include <algorithm>
#include <utility>

#include "engine/content_rows.h"
#include "engine/database_state.h"
#include "engine/message_object.h"
#include "engine/quarantine.h"
#include "engine/read_flag.h"
#include "engine/submission.h"
#include "engine/utf8.h"

namespace bobbin {
namespace {

constexpr std::size_t kFolderNameBytesMax = 255;

// How many rows one transaction of a bulk operation touches: bounds its size.
constexpr std::size_t kBulkRowsMax = 64;

tl::unexpected<Error> NoFolder(FolderId id) {
  return Fail(ErrorCode::kNotFound, "there is no folder " + std::to_string(id.value));
}

Result<FolderRecord> FolderOf(RowReader& rows, StoreId store, FolderId id) {
  ASSIGN_OR_RETURN(std::optional<FolderRecord> folder, rows.Folder(id));
  if (!folder || folder->store != store) return NoFolder(id);
  return *std::move(folder);
}

// The access a client gets on a message (specification 4.1), or why not.
Result<AccessLevel> ClientAccess(std::uint32_t flags, bool submitted, bool locked) {
  const bool best = (flags & kMapiBestAccess) != 0;
  const bool modify = (flags & kMapiModify) != 0;
  if (!submitted) return best || modify ? AccessLevel::kModify : AccessLevel::kReadOnly;
  if (modify && !best) {
    return Fail(ErrorCode::kSubmitted, "the message is in the outgoing queue: AbortSubmit first");
  }
  if (locked) return Fail(ErrorCode::kNoAccess, "the spooler has locked the message");
  return AccessLevel::kReadOnly;
}

FolderInfo MakeInfo(const DatabaseState& database, FolderId id, const FolderRecord& folder) {
  return {id,
          database.EntryIdOf(id.value),
          folder.parent,
          folder.name,
          folder.content_count,
          folder.content_unread,
          folder.folder_count,
          folder.created};
}

bool IsStandard(const StandardFolders& folders, FolderId id) {
  return id == folders.root || id == folders.ipm_subtree || id == folders.inbox ||
         id == folders.outbox || id == folders.sent_items || id == folders.deleted_items ||
         id == folders.drafts;
}

// A message that a delete or move may take: in `folder`, and not submitted.
Result<std::optional<MessageRecord>> Movable(RowReader& rows, FolderId folder, MessageId id) {
  ASSIGN_OR_RETURN(std::optional<MessageRecord> record, rows.Message(id));
  if (!record || record->folder != folder || record->IsSubmitted()) {
    return std::optional<MessageRecord>();
  }
  return record;
}

Result<void> DeleteMessage(RowWriter& rows, DatabaseState& database, MessageId id,
                           const MessageRecord& record) {
  RETURN_IF_ERROR(ReportDeletedUnread(rows, database, record));
  return EraseMessage(rows, id, record, SubmissionStep::kDelete);
}

}  // namespace

MessageStore::MessageStore(std::shared_ptr<DatabaseState> database, StoreId id, std::string name,
                           StandardFolders folders)
    : database_(std::move(database)), id_(id), name_(std::move(name)), folders_(folders) {}

EntryId MessageStore::EntryIdOf(std::uint64_t object) const { return database_->EntryIdOf(object); }

Result<void> MessageStore::SetTightlyCoupled(bool coupled) {
  return database_->Update([&](RowWriter& rows) -> Result<void> {
    ASSIGN_OR_RETURN(std::optional<StoreRecord> store, rows.Store(id_));
    if (!store) return Fail(ErrorCode::kCorruptData, "table meta: the store's record is missing");
    store->tightly_coupled = coupled;
    return rows.PutStore(id_, *store);
  });
}

Result<bool> MessageStore::IsTightlyCoupled() const {
  bool coupled = false;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const std::optional<StoreRecord> store, rows.Store(id_));
    if (!store) return Fail(ErrorCode::kCorruptData, "table meta: the store's record is missing");
    coupled = store->tightly_coupled;
    return {};
  }));
  return coupled;
}

MessageBodyWriter MessageStore::NewContent() const { return MessageBodyWriter(database_); }

Result<Message> MessageStore::CreateMessage(FolderId folder) {
  if (!IsStandard(folders_, folder)) {  // Those cannot be deleted, so they need no look.
    RETURN_IF_ERROR(GetFolder(folder));
  }
  ASSIGN_OR_RETURN(auto object, NewMessageObject(database_, id_, folder));
  object->record.message_flags = kMsgFlagRead | kMsgFlagUnsent | kMsgFlagUnmodified;
  return Message(std::move(object));
}

Result<std::variant<FolderInfo, Message>> MessageStore::OpenEntry(const std::optional<EntryId>& id,
                                                                  std::uint32_t flags) const {
  if ((flags & ~(kMapiModify | kMapiBestAccess | kMapiDeferredErrors)) != 0) {
    return Fail(ErrorCode::kUnknownFlags, "undefined OpenEntry flags");
  }
  using Entry = std::variant<FolderInfo, Message>;
  if (!id) {
    ASSIGN_OR_RETURN(FolderInfo root, GetFolder(folders_.root));
    return Entry(std::move(root));
  }
  if (id->Database() != database_->id) {
    return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another database");
  }
  const MessageId message{id->Object()};
  std::shared_ptr<MessageObject> object;
  std::optional<FolderInfo> folder_info;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto record, rows.Message(message));
    if (!record) {
      ASSIGN_OR_RETURN(const auto folder, rows.Folder(FolderId{id->Object()}));
      if (!folder) return Fail(ErrorCode::kNotFound, "no object has this entry identifier");
      if (folder->store != id_) {
        return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another store");
      }
      folder_info = MakeInfo(*database_, FolderId{id->Object()}, *folder);
      return {};
    }
    if (record->store != id_) {
      return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another store");
    }
    if (record->embedded_in.value != 0) {
      return Fail(ErrorCode::kNotFound, "an embedded message is opened through its attachment");
    }
    const auto holder = database_->shared.locks->Holder(message);
    const bool locked = holder && holder->IsLock();
    ASSIGN_OR_RETURN(const AccessLevel access, ClientAccess(flags, record->IsSubmitted(), locked));
    ASSIGN_OR_RETURN(object, LoadMessageObject(database_, rows, message, *record));
    object->access = access;
    return {};
  }));
  if (folder_info) return Entry(*std::move(folder_info));
  return Entry(Message(std::move(object)));
}

Result<Message> MessageStore::OpenMessage(const EntryId& id, std::uint32_t flags) const {
  ASSIGN_OR_RETURN(auto entry, OpenEntry(id, flags));
  if (auto* message = std::get_if<Message>(&entry)) return std::move(*message);
  return Fail(ErrorCode::kInvalidEntryId, "the entry identifier names a folder");
}

Result<void> AbortSubmitIn(DatabaseState& database, MessageId message,
                           std::optional<StoreId> only_store) {
  // Read first: a locked message answers kUnableToAbort only if it is queued at all.
  const auto queued = [&](RowReader& rows) -> Result<MessageRecord> {
    RETURN_IF_ERROR(CheckNotQuarantined(rows, message));
    ASSIGN_OR_RETURN(std::optional<MessageRecord> record, rows.Message(message));
    if (!record || record->embedded_in.value != 0) {
      return Fail(ErrorCode::kNotFound, "there is no message " + ToQueueId(message));
    }
    if (only_store && record->store != *only_store) {
      return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another store");
    }
    if (!record->IsSubmitted()) {
      return Fail(ErrorCode::kNotInQueue,
                  "message " + ToQueueId(message) + " is not in the outgoing queue");
    }
    return *std::move(record);
  };
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    RETURN_IF_ERROR(queued(rows));
    return {};
  }));
  ASSIGN_OR_RETURN(const DatabaseState::Reservation reservation, database.Reserve(message));
  return database.Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const MessageRecord before, queued(rows));
        MessageRecord record = before;
        RETURN_IF_ERROR(Dequeue(rows, record));
        record.message_flags |= kMsgFlagUnsent;
        return ReplaceMessage(rows, message, before, record, SubmissionStep::kAbort);
      },
      kv::SpaceUse::kMayUseReserve);
}

Result<void> DeleteMessageIn(DatabaseState& database, MessageId message) {
  return database.Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const std::optional<MessageRecord> record, rows.Message(message));
        if (!record || record->embedded_in.value != 0) {
          return Fail(ErrorCode::kNotFound, "there is no message " + ToQueueId(message));
        }
        if (record->IsSubmitted()) {
          return Fail(ErrorCode::kSubmitted, "message " + ToQueueId(message) +
                                                 " is in the outgoing queue: abort it first");
        }
        return DeleteMessage(rows, database, message, *record);
      },
      kv::SpaceUse::kMayUseReserve);
}

Result<void> MessageStore::AbortSubmit(const EntryId& id, std::uint32_t flags) {
  if (flags != 0) return Fail(ErrorCode::kUnknownFlags, "AbortSubmit takes no flags");
  if (id.Database() != database_->id) {
    return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another database");
  }
  return AbortSubmitIn(*database_, MessageId{id.Object()}, id_);
}

Result<Completion> MessageStore::DeleteMessages(FolderId folder,
                                                std::span<const MessageId> messages) {
  RETURN_IF_ERROR(GetFolder(folder));
  Completion completion = Completion::kComplete;
  for (std::size_t first = 0; first < messages.size(); first += kBulkRowsMax) {
    const auto part = messages.subspan(first, std::min(kBulkRowsMax, messages.size() - first));
    ASSIGN_OR_RETURN(const Completion part_completion, DeleteFrom(folder, part));
    if (part_completion == Completion::kPartial) completion = Completion::kPartial;
  }
  return completion;
}

Result<Completion> MessageStore::DeleteFrom(FolderId folder, std::span<const MessageId> messages) {
  bool partial = false;
  RETURN_IF_ERROR(database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        partial = false;
        for (const MessageId id : messages) {
          ASSIGN_OR_RETURN(const auto record, Movable(rows, folder, id));
          if (!record) {
            partial = true;
            continue;
          }
          RETURN_IF_ERROR(DeleteMessage(rows, *database_, id, *record));
        }
        return {};
      },
      kv::SpaceUse::kMayUseReserve));
  return partial ? Completion::kPartial : Completion::kComplete;
}

Result<Completion> MessageStore::EmptyFolder(FolderId folder) {
  Completion completion = Completion::kComplete;
  MessageId after;
  for (;;) {
    ASSIGN_OR_RETURN(const auto rows, GetContentsTable(folder, kBulkRowsMax, after));
    if (rows.empty()) return completion;
    after = rows.back().message;
    std::vector<MessageId> ids;
    ids.reserve(rows.size());
    for (const ContentsRow& row : rows) ids.push_back(row.message);
    ASSIGN_OR_RETURN(const Completion part, DeleteFrom(folder, ids));
    if (part == Completion::kPartial) completion = Completion::kPartial;
  }
}

Result<Completion> MessageStore::MoveMessages(FolderId from, std::span<const MessageId> messages,
                                              FolderId to) {
  bool partial = false;
  RETURN_IF_ERROR(database_->Update([&](RowWriter& rows) -> Result<void> {
    partial = false;
    RETURN_IF_ERROR(FolderOf(rows, id_, from));
    RETURN_IF_ERROR(FolderOf(rows, id_, to));
    for (const MessageId id : messages) {
      ASSIGN_OR_RETURN(std::optional<MessageRecord> record, Movable(rows, from, id));
      if (!record) {
        partial = true;
      } else if (from != to) {
        RETURN_IF_ERROR(MoveMessage(rows, id, *record, to));
      }
    }
    return {};
  }));
  return partial ? Completion::kPartial : Completion::kComplete;
}

Result<Completion> MessageStore::CopyMessages(FolderId from, std::span<const MessageId> messages,
                                              FolderId to, std::vector<MessageId>* copies) {
  std::vector<MessageId> ids(messages.size());
  for (MessageId& id : ids) {
    ASSIGN_OR_RETURN(id.value, database_->DrawObjectId());
  }
  std::vector<MessageId> made;
  RETURN_IF_ERROR(database_->Update([&](RowWriter& rows) -> Result<void> {
    made.clear();
    RETURN_IF_ERROR(FolderOf(rows, id_, from));
    RETURN_IF_ERROR(FolderOf(rows, id_, to));
    for (std::size_t i = 0; i < messages.size(); ++i) {
      ASSIGN_OR_RETURN(std::optional<MessageRecord> record, rows.Message(messages[i]));
      if (!record || record->folder != from) continue;
      if (record->IsSubmitted()) {  // The copy is a draft.
        record->message_flags &= ~kMsgFlagSubmit;
        record->message_flags |= kMsgFlagUnsent;
        record->queue_sequence = 0;
        record->submit_flags = 0;
        record->preprocess_attempts = 0;
        record->properties.Erase(pr::kPreprocess);
      }
      record->folder = to;
      RETURN_IF_ERROR(CopyParts(rows, messages[i], *record, ids[i]));
      ASSIGN_OR_RETURN(const RecipientTable recipients, rows.Recipients(messages[i]));
      RETURN_IF_ERROR(ReplaceRecipients(rows, ids[i], recipients, false));
      RETURN_IF_ERROR(
          InsertMessage(rows, ids[i], *record, SubmissionStep::kSave, {messages[i], from}));
      made.push_back(ids[i]);
    }
    return {};
  }));
  const bool complete = made.size() == messages.size();
  if (copies != nullptr) *copies = std::move(made);
  return complete ? Completion::kComplete : Completion::kPartial;
}

Result<FolderId> MessageStore::CreateFolder(FolderId parent, std::string_view name) {
  if (name.empty() || name.size() > kFolderNameBytesMax || !IsUtf8(name)) {
    return Fail(ErrorCode::kInvalidParameter, "a folder name is 1 to 255 bytes of UTF-8");
  }
  ASSIGN_OR_RETURN(const std::uint64_t id, database_->DrawObjectId());
  RETURN_IF_ERROR(database_->Update([&](RowWriter& rows) -> Result<void> {
    ASSIGN_OR_RETURN(FolderRecord above, FolderOf(rows, id_, parent));
    bool taken = false;
    RETURN_IF_ERROR(rows.Scan(table::kIndex, SubfolderKey(parent, {}),
                              SubfolderKey({parent.value + 1}, {}),
                              [&](std::string_view key, std::string_view) -> Result<bool> {
                                ASSIGN_OR_RETURN(const std::uint64_t child, KeyNumber8(key, 9));
                                ASSIGN_OR_RETURN(const auto folder, rows.Folder(FolderId{child}));
                                taken = folder && folder->name == name;
                                return !taken;
                              }));
    if (taken) return Fail(ErrorCode::kCollision, "the folder exists already");
    FolderRecord folder;
    folder.store = id_;
    folder.parent = parent;
    folder.name = std::string(name);
    folder.created = database_->clock->Now();
    ++above.folder_count;
    RETURN_IF_ERROR(rows.PutFolder(parent, above));
    RETURN_IF_ERROR(rows.PutFolder(FolderId{id}, folder));
    rows.Note({ChangeKind::kFolderCreated, id_, id, parent, 0, {}, 0});
    return rows.PutSubfolderRow(parent, FolderId{id});
  }));
  return FolderId{id};
}

Result<void> MessageStore::DeleteFolder(FolderId id) {
  if (IsStandard(folders_, id)) return Fail(ErrorCode::kNoAccess, "a standard folder stays");
  return database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const FolderRecord folder, FolderOf(rows, id_, id));
        if (folder.content_count != 0 || folder.folder_count != 0) {
          return Fail(ErrorCode::kNoAccess, "the folder is not empty");
        }
        ASSIGN_OR_RETURN(FolderRecord above, FolderOf(rows, id_, folder.parent));
        --above.folder_count;
        rows.Note({ChangeKind::kFolderDeleted, id_, id.value, folder.parent, 0, {}, 0});
        RETURN_IF_ERROR(rows.PutFolder(folder.parent, above));
        RETURN_IF_ERROR(rows.Erase(table::kIndex, SubfolderKey(folder.parent, id)));
        return rows.Erase(table::kFolders, FolderKey(id));
      },
      kv::SpaceUse::kMayUseReserve);
}

Result<FolderInfo> MessageStore::GetFolder(FolderId id) const {
  FolderInfo info;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const FolderRecord folder, FolderOf(rows, id_, id));
    info = MakeInfo(*database_, id, folder);
    return {};
  }));
  return info;
}

Result<std::vector<FolderInfo>> MessageStore::GetFolders(FolderId parent) const {
  std::vector<FolderInfo> folders;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    folders.clear();
    RETURN_IF_ERROR(FolderOf(rows, id_, parent));
    return rows.Scan(table::kIndex, SubfolderKey(parent, {}), SubfolderKey({parent.value + 1}, {}),
                     [&](std::string_view key, std::string_view) -> Result<bool> {
                       ASSIGN_OR_RETURN(const std::uint64_t child, KeyNumber8(key, 9));
                       ASSIGN_OR_RETURN(const FolderRecord folder,
                                        FolderOf(rows, id_, FolderId{child}));
                       folders.push_back(MakeInfo(*database_, FolderId{child}, folder));
                       return true;
                     });
  }));
  return folders;
}

Result<std::vector<ContentsRow>> MessageStore::GetContentsTable(FolderId folder,
                                                                std::uint32_t rows_max,
                                                                MessageId after) const {
  if (rows_max == 0) return Fail(ErrorCode::kInvalidParameter, "no rows asked for");
  std::vector<ContentsRow> result;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    result.clear();
    RETURN_IF_ERROR(FolderOf(rows, id_, folder));
    return rows.Scan(table::kIndex, ContentsKey(folder, {after.value + 1}),
                     ContentsKey({folder.value + 1}, {}),
                     [&](std::string_view key, std::string_view) -> Result<bool> {
                       ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 9));
                       ASSIGN_OR_RETURN(const auto record, rows.Message(MessageId{id}));
                       if (!record) {
                         return Fail(ErrorCode::kCorruptData, "table index, key " + ToHex(key) +
                                                                  ": the message does not exist");
                       }
                       result.push_back(MakeContentsRow(database_->EntryIdOf(id), *record));
                       return result.size() < rows_max;
                     });
  }));
  return result;
}

}  // namespace bobbin

// MessageStore: one mailbox, and the client's half of MAPI submission (IMsgStore and
// IMAPIFolder through a client logon).
//
//          SubmitMessage           SetLockState(kLocked)
//   unsent -------------> queued ------------------------> locked
//      ^                  |    ^                           |    |
//      '-- AbortSubmit ---'    '- SetLockState(kUnlocked) -'    | FinishMessage
//                                                               v
//                                     sent: kept in sent mail, or deleted
//
// Clients take the steps on the left. Those on the right exist only on SpoolerSession
// (engine/spooler_session.h), so the compiler keeps the rule that clients never lock or finish
// a message (C8).
//
// Durability  Each step is one transaction: after a crash it has happened whole or not at all,
//             and once a call has returned success it survives power loss.
// Threads     Any number may share one MessageStore.
// Processes   Any number may open the same store.
// Ownership   Keeps the database open. What it returns owns its own bytes.
// Errors      Those listed mean that nothing changed. Every function may also return
//             kCorruptData, kDiskError, kNotEnoughDisk, kStoreFailed (engine/kv/kv_engine.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/entry_id.h"
#include "engine/folder.h"
#include "engine/message.h"
#include "engine/notification.h"
#include "engine/result.h"

namespace bobbin {

struct DatabaseState;

// What happened to a folder's contents table (engine/notification.h).
struct ContentsEvent {
  TableEvent kind = TableEvent::kReload;
  FolderId folder;
  MessageId message;  // PR_INSTANCE_KEY of the row.
  // kRowAdded, kRowModified: the row as it is when this is told; empty when it is gone by then, and
  // its kRowDeleted follows.
  std::optional<ContentsRow> row{};
  std::optional<MessageId> prior{};  // With the row: the one before it; empty when it is the first.
  std::optional<Error> error{};      // kError
};
using ContentsSink = std::function<void(const ContentsEvent&)>;

// StoreLogoff takes those of the first group and returns those of the second.
inline constexpr std::uint32_t kLogoffNoWait = 0x1;
inline constexpr std::uint32_t kLogoffOrderly = 0x2;
inline constexpr std::uint32_t kLogoffPurge = 0x4;
inline constexpr std::uint32_t kLogoffAbort = 0x8;
inline constexpr std::uint32_t kLogoffQuiet = 0x10;
inline constexpr std::uint32_t kLogoffComplete = 0x10000;
inline constexpr std::uint32_t kLogoffInbound = 0x20000;
inline constexpr std::uint32_t kLogoffOutbound = 0x40000;
inline constexpr std::uint32_t kLogoffOutboundQueue = 0x80000;

class MessageStore {
 public:
  MessageStore(std::shared_ptr<DatabaseState> database, StoreId id, std::string name,
               StandardFolders folders);

  StoreId Id() const { return id_; }
  const std::string& Name() const { return name_; }
  const StandardFolders& Folders() const { return folders_; }
  EntryId EntryIdOf(std::uint64_t object) const;

  // --- Messages ---

  // MAPI: IMAPIFolder::CreateMessage. Nothing is stored before the first save.
  //   kNotFound  no such folder in this store
  Result<Message> CreateMessage(FolderId folder);

  // MAPI: IMsgStore::OpenEntry with 0, kMapiModify, kMapiBestAccess (specification 4.1). An
  // absent id opens the root folder.
  //   kInvalidEntryId  of another database or store, or malformed
  //   kNotFound        no such object
  //   kSubmitted       kMapiModify on a queued message, locked or not (C1)
  //   kNoAccess        the message is locked (C4, C5)
  //   kUnknownFlags
  Result<std::variant<FolderInfo, Message>> OpenEntry(const std::optional<EntryId>& id,
                                                      std::uint32_t flags) const;
  // OpenEntry for what must be a message.
  //   kInvalidEntryId  it is a folder
  Result<Message> OpenMessage(const EntryId& id, std::uint32_t flags) const;

  // Whether messages submitted in this store are handed to recipients that are stores of the same
  // database inside SubmitMessage, without the spooler (specification 6; PR_OWN_STORE_ENTRYID's
  // declaration). A store is created uncoupled. Durable; counts from the next submission on.
  Result<void> SetTightlyCoupled(bool coupled);
  Result<bool> IsTightlyCoupled() const;

  // A writer for content, to be given to Message::SetContent.
  MessageBodyWriter NewContent() const;

  // MAPI: IMsgStore::AbortSubmit. Takes the message back out of the queue: a draft again, in its
  // folder, everything else as it is.
  //   kInvalidEntryId, kNotFound
  //   kNotInQueue      never submitted, sent, or aborted already (C52)
  //   kUnableToAbort   the spooler has locked it (C51)
  //   kUnknownFlags    `flags` is not 0 (C56)
  Result<void> AbortSubmit(const EntryId& id, std::uint32_t flags = 0);

  // MAPI: IMAPIFolder::DeleteMessages, EmptyFolder, CopyMessages (move or copy). Submitted messages
  // are left where they are by deletes and moves (kPartial); copies of them are unsubmitted drafts
  // with the same search key (C58, C59, C63). Messages that are not there are left out (kPartial).
  //   kNotFound  no such folder
  Result<Completion> DeleteMessages(FolderId folder, std::span<const MessageId> messages);
  Result<Completion> EmptyFolder(FolderId folder);
  Result<Completion> CopyMessages(FolderId from, std::span<const MessageId> messages, FolderId to,
                                  std::vector<MessageId>* copies = nullptr);
  Result<Completion> MoveMessages(FolderId from, std::span<const MessageId> messages, FolderId to);

  // MAPI: IMAPIFolder::SetReadFlags, flags as Message::SetReadFlag; no messages given: all of the
  // folder. Submitted ones are left out (kPartial).
  Result<Completion> SetReadFlags(FolderId folder, std::span<const MessageId> messages,
                                  std::uint32_t flags = 0);

  // --- Folders ---

  //   kCollision  the parent has a folder of that name (compared byte for byte)
  //   kNotFound   no such parent
  //   kInvalidParameter  empty, over 255 bytes, or not UTF-8
  Result<FolderId> CreateFolder(FolderId parent, std::string_view name);
  //   kNotFound
  //   kNoAccess   one of the standard folders, or it still holds messages or folders
  Result<void> DeleteFolder(FolderId folder);
  Result<FolderInfo> GetFolder(FolderId folder) const;
  Result<std::vector<FolderInfo>> GetFolders(FolderId parent) const;
  // Ascending message id, after `after`, at most `rows_max`.
  Result<std::vector<ContentsRow>> GetContentsTable(FolderId folder, std::uint32_t rows_max,
                                                    MessageId after = {}) const;

  // --- Notifications ---

  // MAPI: IMsgStore::Advise. `id` absent: every object of the store. A folder: it, and the messages
  // and folders in it, those that come and go included, and new mail if it is the receive folder. A
  // message: it. `mask`: kFnev... of objects, kFnevNewMail, kFnevCriticalError. The counts of a
  // folder change with its messages, which is not told again as a change of the folder.
  //   kInvalidEntryId, kNotFound
  //   kInvalidParameter  no event at all, or kFnevTableModified, which tables are asked for
  //   kUnknownFlags      an event that no store has
  Result<AdviseConnection> Advise(const std::optional<EntryId>& id, std::uint32_t mask,
                                  NotificationSink sink) const;
  // MAPI: IMAPITable::Advise(fnevTableModified) on the contents table of `folder`.
  //   kNotFound
  Result<AdviseConnection> AdviseContentsTable(FolderId folder, ContentsSink sink) const;

  // MAPI: IMsgStore::StoreLogoff, before the last object of this store is let go. The transports
  // run with the spooler, in a process of its own as a rule, and go on with what is queued whether
  // this store is open or not: so nothing queued is lost, and nobody needs to wait. Hence
  //   0, kLogoffOrderly            what is being sent is finished by the spooler: complete at once
  //   kLogoffNoWait, kLogoffPurge  the spooler is woken to send what is ready, too
  //   kLogoffAbort, kLogoffQuiet   refused, by leaving kLogoffComplete out, while a message of this
  //                                store is being sent: that cannot be stopped from here
  // Returns kLogoffComplete, and kLogoffOutbound when a message of this store is being sent,
  // kLogoffOutboundQueue when one is queued. Never kLogoffInbound: what arrives is there at once.
  // After a complete logoff the store must be opened anew to use it; this is left to the caller.
  //   kUnknownFlags
  Result<std::uint32_t> StoreLogoff(std::uint32_t flags) const;

 private:
  Result<Completion> DeleteFrom(FolderId folder, std::span<const MessageId> messages);

  std::shared_ptr<DatabaseState> database_;
  StoreId id_;
  std::string name_;
  StandardFolders folders_;
};

}  // namespace bobbin

// SpoolerSession: the spooler's logon (MAPI: IMSProvider::SpoolerLogon): what only the spooler may
// do to submitted messages.
//
//   NextDue -> OpenMessage, SetLockState(kLocked) -> [transports] -> CommitAttempt
//                                                                     | all TRUE: finished, or
//                                                                     | queued again, due later
//
// Durability  Locks are volatile (engine/lock_table.h) and die with this object or its process.
//             All other steps are one durable transaction each.
// Threads     Any number may call; but locking twice in one session succeeds (C9), so each worker
//             has a session of its own.
// Processes   Any number of sessions, here and elsewhere.
// Errors      As listed; nothing changed. Also kCorruptData, kDiskError, kStoreFailed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/attempt.h"
#include "engine/lock_table.h"
#include "engine/message.h"
#include "engine/outgoing_queue.h"
#include "engine/quarantine.h"
#include "engine/recipient_table.h"
#include "engine/transport_profile.h"

namespace bobbin {

struct DatabaseState;

enum class LockState : std::uint32_t { kUnlocked = 0, kLocked = 1 };

struct DueMessage {
  EntryId entry_id;
  MessageId message;
  StoreId store;
  Time due{};
  std::uint64_t sequence = 0;  // In the queue.
};

struct DueResult {
  std::optional<DueMessage> message;  // Due, and locked by nobody.
  std::optional<Time> next_due;       // When there is none: when there will be one.
  struct Damaged {
    Error error;
    Time due{};
    std::uint64_t sequence = 0;
  };
  std::vector<Damaged> damaged;  // Rows stepped over because they do not verify.
};

class SpoolerSession {
 public:
  SpoolerSession(std::shared_ptr<DatabaseState> database, LockSession session);
  SpoolerSession(SpoolerSession&&) noexcept;
  SpoolerSession& operator=(SpoolerSession&&) noexcept;
  ~SpoolerSession();  // Frees its locks.

  // MAPI: IMsgStore::GetOutgoingQueue; no store: of the whole database.
  OutgoingQueue GetOutgoingQueue(std::optional<StoreId> store = std::nullopt) const;

  // MAPI: IMsgStore::OpenEntry through the spooler logon: read/write, queued or not.
  //   kInvalidEntryId, kNotFound
  //   kNoAccess  another session has locked it
  Result<Message> OpenMessage(const EntryId& id) const;

  // MAPI: IMsgStore::SetLockState. Pending edits of `message` are saved first.
  //   kInvalidEntryId    of another database
  //   kInvalidParameter  another value of `state`
  //   kNotInQueue     not submitted, or locked by another session (C10, C11)
  //   kNoAccess       kUnlocked: locked by another session
  //   kCorruptStore   the submit flag is set but the queue does not have it
  Result<void> SetLockState(Message& message, LockState state);

  // MAPI: IMsgStore::FinishedMsg: completion with the sent mail table of specification 4.8. Any
  // result but an error ends the lock.
  //   kInvalidEntryId
  //   kNotInQueue     not queued (also: finished or deleted already)
  //   kNoAccess       not locked by this session
  //   kUnknownFlags   `flags` is not 0
  Result<FinishResult> FinishMessage(const EntryId& id, std::uint32_t flags = 0,
                                     const SentMailOrder& order = {});

  // A new message of the spooler's own: what preprocessors and inbound transports make. Flags
  // UNMODIFIED only. Its SubmitMessage keeps responsibilities that are TRUE (specification 4.5).
  //   kNotFound  no such folder in that store
  Result<Message> CreateMessage(StoreId store, FolderId folder) const;

  // MAPI: IMsgStore::NotifyNewMail, when an inbound transport's message is in its folder, hooks
  // included. Tells kFnevNewMail to those who are advised of the folder it is in, or of the whole
  // store. What a tightly coupled store or the spooler itself delivers (local delivery, reports) is
  // told by its own commit.
  //   kInvalidEntryId, kNotFound
  Result<void> NotifyNewMail(const EntryId& id) const;

  // --- Preprocessing ---

  // Tells every process what the transports of this spooler take (engine/transport_profile.h),
  // until this session ends. Published again, it replaces the former.
  //   kTooBig, kNotEnoughResources
  Result<void> PublishTransports(const TransportProfile& profile) const;

  // Marks, durably, that preprocessing begins, and returns how often it has begun since the message
  // was submitted: more than 1 means that a try before this one was cut short and must be undone
  // first (specification 5.4.7). The second submit ends the count. A message that was queued
  // without preprocessing, because no profile was published then, goes back to PREQ by this.
  //   kNoAccess, kNotInQueue as FinishMessage; kNotInQueue also after the second submit
  Result<std::uint32_t> BeginPreprocessing(const EntryId& id);

  // --- The due index ---

  // The first message that is due at `now` and locked by nobody. Costs the rows it must step
  // over: those locked at the moment. `after`: the first one behind that message.
  Result<DueResult> NextDue(Time now, const DueMessage* after = nullptr) const;

  // Locks what NextDue found and opens it, as one step: empty when somebody else was faster.
  //   kCorruptData  it, its queue row or its folder does not verify or is missing; it is not locked
  Result<std::optional<Message>> LockDue(const DueMessage& due) const;

  // Moves a queued message that does not verify out of the way (engine/quarantine.h), and ends a
  // lock of this session; kNotQueued when another one has it. `error`: damage that was met; without
  // one only what a verification finds counts.
  Result<SetAside> SetAsideDamaged(const DueMessage& due, const Error& error);
  Result<SetAside> SetAsideDamaged(MessageId message);
  // The same for a due row that NextDue stepped over.
  Result<SetAside> SetAsideDamaged(const DueResult::Damaged& row);

  // Holds what LockDue gave for the operator's decision (OutgoingQueue::Release), when a row that
  // is due at `now` is in doubt and nobody has decided. False: somebody has, in time; nothing
  // changed.
  //   kNoAccess, kNotInQueue as FinishMessage
  Result<bool> HoldInDoubt(const DueMessage& due, Time now);

  // Frees the lock without touching the message.
  void Unlock(const EntryId& id) const;

  // Makes the rows kInDoubt, attempts counted, before the point of no return. Their next attempt
  // is `now`; epoch would say that an operator has decided to send again (OutgoingQueue::Release).
  //   kNoAccess, kNotInQueue as FinishMessage
  //   kInvalidParameter  an unknown row, or one that is TRUE already
  Result<void> MarkInDoubt(const EntryId& id, std::span<const RecipientRowId> rows, Time now);

  // Ends an attempt: recipients, reports, queue row and, when all are TRUE, completion, in one
  // transaction. Ends the lock, unless Attempt::keep_locked.
  //   kNoAccess, kNotInQueue, kInvalidParameter as MarkInDoubt
  Result<FinishResult> CommitAttempt(const EntryId& id, const Attempt& attempt);

  // Of an attempt that CommitAttempt refuses because something is damaged or missing, the record of
  // the message, too: what became of its recipients, and nothing else. A row that is TRUE stays as
  // it is; one that is damaged or missing is written as it is given here. The lock stays.
  //   kNoAccess
  //   kNotInQueue  it has left the queue
  Result<void> CommitOutcomes(const EntryId& id, std::span<const RecipientRow> recipients);

  // Waits until something is submitted, released or retried by any process, or `timeout`.
  std::uint32_t SignalCount() const;
  void WaitForSignal(std::uint32_t seen, std::chrono::milliseconds timeout) const;
  void Wake() const;  // Ends all such waits, in every process.

 private:
  Result<SetAside> LockAndSetAside(MessageId message, const std::optional<QueuePlace>& place,
                                   const Error* error, const DueKey* stray) const;
  // True: acquired now; false: it was ours already. kNotInQueue: locked by another session.
  Result<bool> TryLock(MessageId message) const;

  std::shared_ptr<DatabaseState> database_;
  LockSession session_;
};

}  // namespace bobbin

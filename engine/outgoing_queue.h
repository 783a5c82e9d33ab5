// OutgoingQueue: the submitted messages of a database, for whoever looks at or steers them.
//
// A queued message has one row in the queue (in submit order) and one in the due index:
//
//   lane kScheduled  due at a time: now (fresh, released, retried), the next attempt
//                    (waiting), or the deferred send time
//   lane kHeld       held by an operator: never due until released
//
// The lock is not a state of the row: it is read from the lock table (engine/lock_table.h)
// and shown as SUBMITFLAG_LOCKED.
//
// Durability  Hold, Release, Retry: durable when they return success.
// Threads     Any number.   Processes  Any number.
// Errors      kNotInQueue  no such message in the queue
//             kCorruptData, kDiskError, kStoreFailed as everywhere
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/clock.h"
#include "engine/entry_id.h"
#include "engine/notification.h"
#include "engine/property.h"
#include "engine/result.h"

namespace bobbin {

struct DatabaseState;

enum class DueLane : std::uint8_t { kScheduled = 0, kHeld = 1 };  // Persisted.

// The columns of specification 4.7, C42, typed; AsProperties() has them under their tags.
struct QueueRow {
  EntryId entry_id;
  MessageId message;
  StoreId store;
  std::uint64_t sequence = 0;  // PR_INSTANCE_KEY; ascends with every submit.
  Time client_submit_time{};
  std::string display_to;
  std::string display_cc;
  std::string display_bcc;
  std::string sender_name;
  std::string sender_address;
  std::string subject;
  std::uint32_t message_flags = 0;
  std::uint32_t submit_flags = 0;  // With kSubmitFlagLocked while it is locked.
  std::uint64_t message_bytes = 0;
  std::int64_t priority = 0;
  std::uint32_t recipient_count = 0;
  DueLane lane = DueLane::kScheduled;
  Time due{};

  PropertyList AsProperties() const;
};

struct SortOrder {
  PropertyTag tag;
  bool descending = false;
};

// What happened to the queue table (engine/notification.h; C43, C44).
using QueueEventKind = TableEvent;
struct QueueEvent {
  QueueEventKind kind = QueueEventKind::kReload;
  StoreId store;
  MessageId message;
  std::uint64_t sequence = 0;  // PR_INSTANCE_KEY of the row.
  // kRowAdded, kRowModified: the row as it is when this is told; empty when it is gone by then, and
  // its kRowDeleted follows.
  std::optional<QueueRow> row{};
  // With the row, in the queue of one store: PR_INSTANCE_KEY of the row before it, 0 when it is the
  // first. The queue of all stores is not in one order, so no row has a predecessor there.
  std::uint64_t prior_sequence = 0;
  std::optional<Error> error{};  // kError
};
using QueueSink = std::function<void(const QueueEvent&)>;
using QueueAdvise = AdviseConnection;

class OutgoingQueue {
 public:
  // Of one store, or of all stores of the database (no store given).
  OutgoingQueue(std::shared_ptr<DatabaseState> database, std::optional<StoreId> store);

  // Rows in submit order (of several stores: store by store), after `after` (a sequence, 0 =
  // from the start; needs one store), at most `rows_max`. A row whose message does not verify
  // is left out and its error added to `damaged`, when given; else the call fails with it.
  Result<std::vector<QueueRow>> Rows(std::uint32_t rows_max, std::uint64_t after = 0,
                                     std::vector<Error>* damaged = nullptr) const;
  Result<QueueRow> Row(MessageId message) const;
  // MAPI: IMAPITable::SortTable. The queue has one order, ascending PR_CLIENT_SUBMIT_TIME, which
  // Rows keeps; asked for, it is granted (C49).
  //   kTooComplex  any other order; the order stays
  Result<void> SortTable(std::span<const SortOrder> orders) const;
  // Counts by walking the queue: costs what it touches.
  Result<std::uint64_t> Count() const;

  // Operators' steps. They do not stop an attempt that is under way.
  Result<void> Hold(MessageId message);
  // A row that is not held stays where it is. Recipients in doubt are to be sent to again: their
  // next attempt becomes epoch, unless the attempt that left them in doubt is under way still.
  Result<void> Release(MessageId message);
  Result<void> Retry(MessageId message);  // Due now, whatever the schedule says; ends a hold.

  // MAPI: IMAPITable::Advise(fnevTableModified). Tells of the rows of this queue, those of other
  // stores excepted, whatever process changes them: added on submit, deleted on abort and
  // completion, modified by locks, unlocks, attempts, second submits and operators.
  QueueAdvise Advise(QueueSink sink) const;

 private:
  Result<void> Change(MessageId message, DueLane lane, bool now);

  std::shared_ptr<DatabaseState> database_;
  std::optional<StoreId> store_;
};

}  // namespace bobbin

#include "engine/database_state.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

#include "engine/check.h"
#include "engine/commit_announcer.h"

namespace bobbin {
namespace {

// Set while a completion runs on the engine's own thread: the last owner of a database may be
// the very completion, and an engine cannot end the thread it is on.
thread_local bool in_completion = false;

// `write`, with what it noted handed on for the listener below.
Result<void> WriteAndNote(const RecordCodec& codec, const DatabaseState::Write& write,
                          kv::WriteTransaction& transaction) {
  RowWriter rows(codec, transaction);
  RETURN_IF_ERROR(write(rows));
  const std::vector<Change>& changes = rows.Changes();
  transaction.Note(
      {reinterpret_cast<const char*>(changes.data()), changes.size() * sizeof(Change)});
  return {};
}

}  // namespace

DatabaseState::DatabaseState(const DatabaseId& database_id, const RecordKey& record_key,
                             std::shared_ptr<kv::Engine> kv_engine, VolatileState volatile_parts,
                             const Clock* given_clock)
    : id(database_id),
      codec(record_key),
      shared(std::move(volatile_parts)),
      clock(given_clock != nullptr ? given_clock : &system_clock),
      engine_(std::move(kv_engine)) {
  engine_->Listen(std::make_shared<CommitAnnouncer>(shared));
}

DatabaseState::~DatabaseState() {
  if (operation_session_.value != 0) shared.locks->CloseSession(operation_session_);
  if (in_completion) {
    std::thread([engine = std::move(engine_)]() mutable noexcept { engine.reset(); }).detach();
  } else {
    engine_.reset();  // First: it answers what is under way, which uses the other members.
  }
}

Result<void> DatabaseState::View(const Read& read) const {
  return engine_->View([&](kv::ReadTransaction& transaction) {
    RowReader rows(codec, transaction);
    return read(rows);
  });
}

Result<void> DatabaseState::Update(const Write& write, kv::SpaceUse space) {
  return engine_
      ->Update(
          [&](kv::WriteTransaction& transaction) {
            return WriteAndNote(codec, write, transaction);
          },
          space)
      .ToResult();
}

void DatabaseState::UpdateAsync(Write write, std::function<void(Result<void>)> done,
                                kv::SpaceUse space) {
  engine_->UpdateAsync(
      [this, write = std::move(write)](kv::WriteTransaction& transaction) {
        return WriteAndNote(codec, write, transaction);
      },
      [done = std::move(done)](kv::CommitOutcome outcome) mutable {
        in_completion = true;
        done(std::move(outcome).ToResult());
        done = nullptr;  // Releases what it owns while the mark above stands.
        in_completion = false;
      },
      space);
}

Result<std::uint64_t> DatabaseState::DrawObjectId() {
  const std::lock_guard lock(id_mutex_);
  if (next_id_ == end_id_) {
    std::uint64_t first = 0;
    RETURN_IF_ERROR(Update([&](RowWriter& rows) -> Result<void> {
      ASSIGN_OR_RETURN(CountersRecord counters, rows.Counters());
      first = counters.next_object;
      counters.next_object += id_block_;
      return rows.PutCounters(counters);
    }));
    next_id_ = first;
    end_id_ = first + id_block_;
    id_block_ = std::min<std::uint64_t>(id_block_ * 8, 8192);
  }
  return next_id_++;
}

Result<LockSession> DatabaseState::OperationSession() {
  const std::lock_guard lock(session_mutex_);
  if (operation_session_.value == 0) {
    ASSIGN_OR_RETURN(operation_session_, shared.locks->OpenSession());
  }
  return operation_session_;
}

void DatabaseState::AnnounceVolatile(std::uint64_t sequence, const Change& change) const {
  if (!shared.changes->HasReaders()) return;
  shared.changes->AnnounceVolatile(sequence, change);
  shared.changes->Wake();
}

Result<DatabaseState::Reservation> DatabaseState::Reserve(MessageId message) {
  ASSIGN_OR_RETURN(const LockSession session, OperationSession());
  // Reservations last for one transaction, so waiting for one ends.
  for (;;) {
    ASSIGN_OR_RETURN(const LockTable::Outcome outcome,
                     shared.locks->TryLock(message, session, LockKind::kReservation));
    if (outcome == LockTable::Outcome::kAcquired) {
      return Reservation(*shared.locks, message, session);
    }
    const std::optional<LockHolder> holder = shared.locks->Holder(message);
    if (holder && holder->IsLock()) {
      return Fail(ErrorCode::kUnableToAbort, "message " + ToQueueId(message) +
                                                 " is being delivered by process " +
                                                 std::to_string(holder->process_id));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

}  // namespace bobbin

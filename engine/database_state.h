// What the objects of one open database share. Internal to engine/.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/change_feed.h"
#include "engine/clock.h"
#include "engine/kv/kv_engine.h"
#include "engine/kv/lmdb_page_walk.h"
#include "engine/lock_table.h"
#include "engine/record.h"
#include "engine/rows.h"

namespace bobbin {

struct DatabaseState {
  DatabaseState(const DatabaseId& database_id, const RecordKey& record_key,
                std::shared_ptr<kv::Engine> kv_engine, VolatileState volatile_parts,
                const Clock* given_clock);
  DatabaseState(const DatabaseState&) = delete;
  DatabaseState& operator=(const DatabaseState&) = delete;
  ~DatabaseState();

  DatabaseId id;
  RecordCodec codec;
  VolatileState shared;
  SystemClock system_clock;
  const Clock* clock;

  using Read = std::function<Result<void>(RowReader&)>;
  using Write = std::function<Result<void>(RowWriter&)>;
  Result<void> View(const Read& read) const;
  Result<void> Update(const Write& write, kv::SpaceUse space = kv::SpaceUse::kNormal);
  void UpdateAsync(Write write, std::function<void(Result<void>)> done,
                   kv::SpaceUse space = kv::SpaceUse::kNormal);
  kv::Engine& Engine() const { return *engine_; }

  // Identifiers come from blocks that one transaction reserves, so that drawing one costs no
  // commit and a message knows its id before it is stored. Unused ones are lost, never reused.
  Result<std::uint64_t> DrawObjectId();

  // The session of this process for reservations; opened on first use.
  Result<LockSession> OperationSession();

  EntryId EntryIdOf(std::uint64_t object) const { return {id, object}; }

  // Tells those advised of a change that no transaction makes. `sequence`: of a snapshot or
  // transaction that it comes after.
  void AnnounceVolatile(std::uint64_t sequence, const Change& change) const;

  // Takes `message` for the length of one call; waits for other such calls, not for locks.
  //   kUnableToAbort  a spooler session holds the lock
  class Reservation;
  Result<Reservation> Reserve(MessageId message);

 private:
  std::shared_ptr<kv::Engine> engine_;
  std::mutex id_mutex_;
  std::uint64_t next_id_ = 0;
  std::uint64_t end_id_ = 0;
  std::uint64_t id_block_ = 16;
  std::mutex session_mutex_;
  LockSession operation_session_;
};

class DatabaseState::Reservation {
 public:
  Reservation(LockTable& locks, MessageId message, LockSession session)
      : locks_(&locks), message_(message), session_(session) {}
  Reservation(Reservation&& other) noexcept
      : locks_(std::exchange(other.locks_, nullptr)),
        message_(other.message_),
        session_(other.session_) {}
  Reservation& operator=(Reservation&&) = delete;
  ~Reservation() {
    if (locks_ != nullptr) locks_->Unlock(message_, session_);
  }

 private:
  LockTable* locks_;
  MessageId message_;
  LockSession session_;
};

// A whole record in the wrong row means that a key changed: whoever asks for the right one would be
// told that it is not there. A damaged record is its readers' to report, and harms nobody else.
std::function<bool(const kv::PageWalkOptions::Row&)> RowIsRight(const RecordCodec& record_codec);

// AbortSubmit, found by id alone or in one store only (engine/message_store.h has the errors).
Result<void> AbortSubmitIn(DatabaseState& database, MessageId message,
                           std::optional<StoreId> only_store);
// DeleteMessages, found by id alone (engine/database.h has the errors).
Result<void> DeleteMessageIn(DatabaseState& database, MessageId message);

}  // namespace bobbin

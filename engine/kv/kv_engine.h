// The one door between the message store and whatever keeps its bytes.
//
// An Engine is an ordered map from byte strings to byte strings, divided into
// named tables, with serializable and durable transactions. LmdbEngine and
// MemoryEngine implement it; a distributed engine has to fit later, so the
// contract promises only what the weakest of the three can keep:
//
//   Durability  Update returns Committed, and UpdateAsync reports it, only when
//               the writes survive power loss.
//   Outcomes    Committed, Refused (nothing changed) or OutcomeUnknown: told
//               apart by type, because what a caller may do next differs. After
//               the first OutcomeUnknown the engine answers kStoreFailed to
//               everything until it is opened again; the reopened engine shows
//               the whole transaction or none of it.
//   Replay      A closure may be run more than once (its batch failed, or a
//               distributed engine retries). It touches only its transaction
//               and resets what it captured, so that the last run alone counts.
//               It may run on another thread than its caller's.
//   Isolation   A closure sees the writes of every update that was answered
//               before it, and none of an unfinished one. A closure that returns
//               an error leaves no trace and costs its neighbours nothing.
//   Notes       What a closure notes goes with its writes: the commit listener is
//               given the notes of a whole transaction, in the order of its
//               closures, and none of a closure that was refused. (A distributed
//               engine sends them as its own kind of notification.)
//   Sizes       Keys 1..511 bytes, values 0..65,520 bytes. What one closure
//               writes should stay below 8 MiB (kTransactionBytesMax).
//   Lifetime    Bytes handed out belong to the engine. They are valid until the
//               next Put or Erase in the same transaction, or until its end; as
//               an argument of that Put or Erase they must be copied before.
//   Threads     Engine: any number. A transaction: only the thread that was
//               given it. Calling View, Update or UpdateAsync from inside a
//               closure or a completion is a programmer error (UpdateAsync from
//               a completion is allowed: it only queues).
//   Processes   As the implementation says (LmdbEngine: any number, all writing).
//   Errors      kDiskError      a read failed; never reported as an absent key
//               kNotEnoughDisk  refused before anything was written
//               kTooBig         a key or value beyond the limits
//               kStoreFailed    an earlier outcome was unknown
//
// tests/engine/kv/kv_contract_test.cc holds every engine to this page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/kv/commit_outcome.h"
#include "engine/result.h"

namespace bobbin::kv {

inline constexpr std::size_t kKeyBytesMax = 511;
inline constexpr std::size_t kValueBytesMax = 65'520;
inline constexpr std::size_t kTransactionBytesMax = std::size_t{8} << 20;

using Bytes = std::string_view;

// Index into the list of table names the engine was opened with.
struct TableId {
  std::uint8_t index;
  friend bool operator==(TableId, TableId) = default;
};

// Keys k with begin <= k < end, in byte order. An empty `end` means no upper bound.
struct KeyRange {
  Bytes begin;
  Bytes end;
};

class ReadTransaction {
 public:
  virtual ~ReadTransaction() = default;

  // Empty when `key` is absent.
  virtual Result<std::optional<Bytes>> Get(TableId table, Bytes key) = 0;

  // Visits the entries of `range` in ascending key order until `visit` returns
  // false. The visitor may Get and Scan, but must not Put or Erase.
  using Visitor = std::function<bool(Bytes key, Bytes value)>;
  virtual Result<void> Scan(TableId table, const KeyRange& range, const Visitor& visit) = 0;

  // Numbers committed transactions in their order, across processes and
  // restarts. In a View: the last one it can see. In an Update: this one, if it
  // commits; closures committed together share one number.
  virtual std::uint64_t Sequence() const = 0;

  // The page of its file in which a value that Get or Scan has given lies: for reports of damage,
  // and slow. 0: the engine has no pages.
  virtual std::uint64_t PageOf(Bytes) const { return 0; }

  // How many entries `table` has; empty where the engine would have to count them.
  virtual std::optional<std::uint64_t> EntryCount(TableId) { return {}; }
};

class WriteTransaction;

// What the closures of one transaction leave to be done once for all of them.
class LastStep {
 public:
  virtual ~LastStep() = default;
  virtual Result<void> Run(WriteTransaction& transaction) = 0;
};

class WriteTransaction : public ReadTransaction {
 public:
  virtual Result<void> Put(TableId table, Bytes key, Bytes value) = 0;
  virtual Result<void> Erase(TableId table, Bytes key) = 0;  // Absent: succeeds.

  // As Put and Erase. `former` is first given what the key has, if it is there, for the time of
  // the call; the write may still fail.
  using FormerVisitor = std::function<void(Bytes former)>;
  virtual Result<void> Replace(TableId table, Bytes key, Bytes value, const FormerVisitor& former) {
    RETURN_IF_ERROR(ShowFormer(table, key, former));
    return Put(table, key, value);
  }
  virtual Result<void> Remove(TableId table, Bytes key, const FormerVisitor& former) {
    RETURN_IF_ERROR(ShowFormer(table, key, former));
    return Erase(table, key);
  }

  // Run after the last closure, before the commit; its error refuses them all. Null at first. A
  // closure may set it, and change what is there, as soon as it has written.
  std::unique_ptr<LastStep>& AtEnd() { return last_step_; }
  Result<void> RunLastStep() { return last_step_ ? last_step_->Run(*this) : Result<void>(); }

  // Bytes for the commit listener; the engine does not read them.
  void Note(Bytes note) { notes_.append(note); }
  Bytes Notes() const { return notes_; }
  void TruncateNotes(std::size_t bytes) { notes_.resize(bytes); }

 private:
  Result<void> ShowFormer(TableId table, Bytes key, const FormerVisitor& former) {
    ASSIGN_OR_RETURN(const std::optional<Bytes> value, Get(table, key));
    if (value) former(*value);
    return {};
  }

  std::string notes_;
  std::unique_ptr<LastStep> last_step_;
};

// Learns of the transactions that an engine commits. Called on the engine's commit thread, in the
// order of the transactions, and must not block.
class CommitListener {
 public:
  virtual ~CommitListener() = default;

  // Before transaction `sequence` is committed, while no other transaction of any process can be:
  // so what is told here is told in the order of the commits. The transaction may still fail, or
  // its process be killed; then another one will have the same `sequence`.
  virtual void Committing(std::uint64_t sequence, Bytes notes) = 0;

  // After it has been committed, before its updates are answered. Not called when the outcome is
  // unknown.
  virtual void Committed(std::uint64_t sequence, Bytes notes) = 0;
};

// Whether an update may use the disk space kept in reserve. Steps that end work
// or free space (outcomes, aborts, deletes) must still succeed on a disk that is
// too full for new mail.
enum class SpaceUse : std::uint8_t { kNormal, kMayUseReserve };

using ReadFunction = std::function<Result<void>(ReadTransaction&)>;
using UpdateFunction = std::function<Result<void>(WriteTransaction&)>;
using Completion = std::function<void(CommitOutcome)>;

class Engine {
 public:
  virtual ~Engine() = default;

  // Runs `read` against one unchanging snapshot and returns what it returned.
  virtual Result<void> View(const ReadFunction& read) = 0;

  // Runs `write` and commits what it wrote, unless it returns an error.
  virtual CommitOutcome Update(const UpdateFunction& write, SpaceUse space = SpaceUse::kNormal) = 0;

  // As Update, without waiting. `done` is called exactly once, on a thread of
  // the engine, after the outcome is known; it must not block. Destroying the
  // engine first answers everything that is under way.
  virtual void UpdateAsync(UpdateFunction write, Completion done,
                           SpaceUse space = SpaceUse::kNormal) = 0;

  // Takes the place of an earlier listener, from the next transaction on. Null: nobody listens.
  virtual void Listen(std::shared_ptr<CommitListener> listener) = 0;
};

}  // namespace bobbin::kv

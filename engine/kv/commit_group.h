// Group commit: many callers, one flush.
//
// One thread per store runs the closures of Update and UpdateAsync. Closures that
// arrive while a commit is on its way run together in the next transaction, in
// arrival order, and are answered when that one is durable. A single caller never
// waits for company: the thread takes what is there and commits.
//
//   Refusal       A closure that returns an error before it wrote anything is just
//                 passed over. One that fails after writing (or met a failing Put)
//                 ends its batch: the transaction is rolled back, the closures
//                 before it run again and are committed, and it runs once more as
//                 the first of the next transaction. Only there is its error
//                 believed, because there it saw nothing but committed data. What
//                 fails after writing is rare and pays for itself; a nested
//                 transaction for each closure would make all others pay (5.9
//                 against 3.3 microseconds for 7 puts on LMDB).
//   No writes     A batch that wrote nothing is rolled back, which costs no flush.
//   Failure       A failed commit answers OutcomeUnknown to its whole batch, also
//                 to closures that were about to be refused: their error may rest
//                 on a neighbour's writes. Everything later is Refused with
//                 kStoreFailed.
//   Completions   Run on the commit thread, after the commit, with no lock held.
//   Fork          The commit thread does not exist in a forked child: there
//                 everything is Refused with kStoreFailed (a completion is called
//                 on its caller's thread), and destruction touches nothing.
//
// Used by every engine of ours, and by the adapters of bench/peers, so that a
// comparison of stores is not one of grouping.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "engine/kv/commit_fault.h"
#include "engine/kv/kv_engine.h"

namespace bobbin::kv {

// What the group drives, always from its one thread: Begin, closures, then Commit
// or Abort. No call may throw.
class CommitBackend {
 public:
  virtual ~CommitBackend() = default;

  // Asked once per batch. An error is the answer to all SpaceUse::kNormal closures of it.
  virtual Result<void> CheckSpace() = 0;

  // The transaction stays the backend's and lives until Commit or Abort. An error
  // refuses the batch. Put and Erase report kTooBig without harm; after any other
  // error of any operation the group calls Abort.
  virtual Result<WriteTransaction*> Begin() = 0;

  // An error means that the outcome is unknown; the backend is not used again.
  virtual Result<void> Commit() = 0;
  virtual void Abort() = 0;

  // Between batches, once per CommitGroupOptions::upkeep_interval.
  virtual void Upkeep() {}
};

struct CommitGroupOptions {
  std::size_t closures_max = 512;                // Per transaction.
  std::size_t bytes_max = kTransactionBytesMax;  // Put per transaction; the last may exceed it.
  std::chrono::milliseconds upkeep_interval = std::chrono::minutes(1);
};

struct CommitCounts {
  std::uint64_t commits = 0;
  std::uint64_t closures = 0;  // Answered by those commits.
};

class CommitGroup {
 public:
  // `backend` must outlive the group.
  explicit CommitGroup(CommitBackend& backend, const CommitGroupOptions& options = {});

  // Runs and answers everything that is queued. Not from a completion.
  ~CommitGroup();
  CommitGroup(const CommitGroup&) = delete;
  CommitGroup& operator=(const CommitGroup&) = delete;

  // As kv::Engine's; nested use stops the process (engine/kv/transaction_scope.h).
  CommitOutcome Update(const UpdateFunction& write, SpaceUse space);
  void UpdateAsync(UpdateFunction write, Completion done, SpaceUse space);

  // As kv::Engine's.
  void Listen(std::shared_ptr<CommitListener> listener);

  // Comes before every View. The error is what every call gets from now on: an
  // earlier outcome was unknown, or this is a forked child. Stops nested use, too.
  Result<void> CheckMayView() const;

  // Runs `read` marked as a closure of this group.
  Result<void> RunView(const ReadFunction& read, ReadTransaction& transaction) const;

  CommitCounts Counts() const;

  void FailCommit(std::uint64_t commits, CommitFault fault);
  void FailWrite(std::uint64_t writes, ErrorCode code);
  bool FaultPending() const;
  void ClearFaults();

 private:
  class State;
  State* state_;  // Left behind in a forked child: its locks may be held for ever.
};

// An engine whose updates go through a commit group.
class GroupedEngine : public Engine {
 public:
  CommitOutcome Update(const UpdateFunction& write, SpaceUse space) override {
    return group().Update(write, space);
  }
  void UpdateAsync(UpdateFunction write, Completion done, SpaceUse space) override {
    group().UpdateAsync(std::move(write), std::move(done), space);
  }
  void Listen(std::shared_ptr<CommitListener> listener) override {
    group().Listen(std::move(listener));
  }
  virtual CommitGroup& group() const = 0;  // NOLINT(readability-identifier-naming)
};

}  // namespace bobbin::kv

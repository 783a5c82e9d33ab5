// ChangeFeed: the changes of a database on their way from the processes that make them to those
// that have an adviser. Volatile by construction; it never makes a writer wait for a reader.
//
//   commit thread   Announce(S, changes) -> commit of transaction S -> Wake
//   reader          Wait -> View (which shows the last committed sequence, L) -> Read
//
// A transaction is announced *before* it is committed, while LMDB lets no other process commit. So
// announcements are in the order of the commits, and a process killed anywhere loses none: what it
// announced and committed is there to be read, and what it announced and did not commit has a
// sequence above L until the transaction that takes its place is announced, with the same sequence.
// That is what a reader goes by (engine/change_reader.h): it believes what is at most L, drops what
// has been replaced, and knows from a sequence that is missing that it was not told everything.
//
// What changes without a transaction (a lock) is announced as *volatile*, with the sequence of the
// snapshot it was made on: it comes after that transaction.
//
// The feed keeps the last kChangeSlots changes. A reader that is slower is told so, no more.
//
// Durability  None, on purpose.
// Threads     Any number.   Processes  Any number.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/change.h"
#include "engine/lock_table.h"

namespace bobbin {

inline constexpr std::uint32_t kChangeSlots = 8'192;

struct AnnouncedChange {
  std::uint64_t sequence = 0;
  bool is_volatile = false;
  bool is_first = false;  // Of its transaction.
  Change change;
};

class ChangeFeed {
 public:
  virtual ~ChangeFeed() = default;

  // Whether anybody would read what is announced. One load. A process killed with advisers counts
  // until its death is noticed, which is while others announce.
  virtual bool HasReaders() const = 0;

  // A whole transaction, in the order of its changes; no changes: it is announced all the same.
  virtual void Announce(std::uint64_t sequence, std::span<const Change> changes) = 0;
  virtual void AnnounceVolatile(std::uint64_t sequence, const Change& change) = 0;
  virtual void Wake() = 0;  // Every reader, in every process.

  // Readers are counted by session, so that those of a dead process are taken back.
  virtual void AddReader(LockSession session) = 0;
  virtual void RemoveReader(LockSession session) = 0;

  // Where to begin to be told everything announced after this call.
  virtual std::uint64_t Start() const = 0;
  // Appends what was announced from `position` on, and advances it. False: some of it had been
  // overwritten; nothing is appended, and `position` is where the feed ends.
  virtual bool Read(std::uint64_t& position, std::vector<AnnouncedChange>& changes) const = 0;

  // The counter that Wake raises.
  virtual QueueSignal& Signal() = 0;
};

}  // namespace bobbin

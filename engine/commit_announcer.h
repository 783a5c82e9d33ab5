// CommitAnnouncer: what a commit sets going outside of its transaction. It announces the changes to
// whoever is advised of them (engine/change_feed.h), and wakes the spooler when a message has been
// submitted. Internal to engine/.
//
// Whoever commits pays for one load when nobody is advised; never for a reader that is slow.
#pragma once

#include <vector>

#include "engine/change_feed.h"
#include "engine/kv/kv_engine.h"
#include "engine/lock_table.h"

namespace bobbin {

class CommitAnnouncer : public kv::CommitListener {
 public:
  explicit CommitAnnouncer(const VolatileState& shared);

  void Committing(std::uint64_t sequence, kv::Bytes notes) override;
  void Committed(std::uint64_t sequence, kv::Bytes notes) override;

 private:
  std::shared_ptr<ChangeFeed> feed_;
  std::shared_ptr<QueueSignal> queue_;
  std::vector<Change> changes_;  // Of the transaction under way.
};

}  // namespace bobbin

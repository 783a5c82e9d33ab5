#include "engine/commit_announcer.h"

#include <algorithm>
#include <cstring>

namespace bobbin {

CommitAnnouncer::CommitAnnouncer(const VolatileState& shared)
    : feed_(shared.changes), queue_(shared.signal) {}

void CommitAnnouncer::Committing(std::uint64_t sequence, kv::Bytes notes) {
  changes_.resize(notes.size() / sizeof(Change));
  if (!notes.empty()) std::memcpy(changes_.data(), notes.data(), notes.size());
  if (feed_->HasReaders()) feed_->Announce(sequence, changes_);
}

void CommitAnnouncer::Committed(std::uint64_t /*sequence*/, kv::Bytes /*notes*/) {
  const bool submitted = std::any_of(changes_.begin(), changes_.end(), [](const Change& change) {
    return change.kind == ChangeKind::kQueueRowAdded;
  });
  if (submitted) queue_->Raise();
  if (feed_->HasReaders()) feed_->Wake();
}

}  // namespace bobbin

// The change feed in the shared segment. Internal to engine/.
#pragma once

#include <memory>

#include "engine/change_feed.h"
#include "engine/lock_segment.h"

namespace bobbin {

// Under the guard: tells the queue's advisers that locks are gone with the session that held them.
// They see it at their next look, which nobody makes them take now.
void AnnounceLostLocks(LockSegment& segment);

std::shared_ptr<ChangeFeed> ShareChangeFeed(std::shared_ptr<LockSegment> segment,
                                            std::shared_ptr<QueueSignal> signal);

}  // namespace bobbin

// ChangeReader: one reader's place in the change feed. Hands out what has been committed, in order,
// and says when it was not told everything. Internal to engine/.
//
// Threads  One at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/change_feed.h"

namespace bobbin {

class ChangeReader {
 public:
  explicit ChangeReader(std::shared_ptr<ChangeFeed> feed) : feed_(std::move(feed)) {}

  // Begins after transaction `committed`, the last one that a snapshot taken before this call, and
  // after ChangeFeed::AddReader, can see.
  void Start(std::uint64_t committed);

  // Takes what has been announced and is not above `committed`, which is known as in Start. False:
  // some of it is missing, overwritten or never announced; then none of it is handed out.
  bool Look(std::uint64_t committed);

  // The next of what Look has taken; empty when all has been handed out.
  std::optional<Change> Next();
  bool HasNext() const { return next_ < ready_.size(); }

 private:
  void DropReplaced();
  bool IsWhole(std::uint64_t committed) const;

  std::shared_ptr<ChangeFeed> feed_;
  std::uint64_t position_ = 0;
  std::uint64_t last_ = 0;              // The last transaction that has been dealt with.
  std::vector<AnnouncedChange> known_;  // Read from the feed, and not dealt with.
  std::vector<Change> ready_;
  std::size_t next_ = 0;
};

}  // namespace bobbin

#include "engine/change_reader.h"

#include <algorithm>
#include <utility>

namespace bobbin {

void ChangeReader::Start(std::uint64_t committed) {
  position_ = feed_->Start();
  last_ = committed;
  if (!feed_->Read(position_, known_)) return;  // The next Look finds out what is missing.
  DropReplaced();
  std::erase_if(known_, [&](const AnnouncedChange& known) { return known.sequence <= committed; });
}

// Transactions that were announced and not committed give way to those that took their place.
void ChangeReader::DropReplaced() {
  std::vector<AnnouncedChange> kept;
  std::uint64_t highest = 0;
  kept.reserve(known_.size());
  for (const AnnouncedChange& known : known_) {
    if (known.is_first && !known.is_volatile) {
      if (known.sequence <= highest) {
        std::erase_if(kept, [&](const AnnouncedChange& other) {
          return !other.is_volatile && other.sequence >= known.sequence;
        });
      }
      highest = known.sequence;
    }
    kept.push_back(known);
  }
  known_ = std::move(kept);
}

// Whether every transaction after `last_`, up to `committed`, has been announced.
bool ChangeReader::IsWhole(std::uint64_t committed) const {
  std::uint64_t last = last_;
  for (const AnnouncedChange& known : known_) {
    if (!known.is_first || known.is_volatile || known.sequence > committed) continue;
    if (known.sequence != last + 1) return false;
    last = known.sequence;
  }
  return last == committed;
}

bool ChangeReader::Look(std::uint64_t committed) {
  const bool read = feed_->Read(position_, known_);
  if (!read) known_.clear();
  DropReplaced();
  const bool whole = read && IsWhole(committed);
  ready_.clear();
  next_ = 0;
  std::erase_if(known_, [&](const AnnouncedChange& known) {
    if (known.sequence > committed) return false;
    const bool is_told = whole && known.change.kind != ChangeKind::kNone;
    if (is_told) ready_.push_back(known.change);
    return true;
  });
  last_ = committed;
  return whole;
}

std::optional<Change> ChangeReader::Next() {
  if (!HasNext()) return std::nullopt;
  return ready_[next_++];
}

}  // namespace bobbin

#include "engine/shared_change_feed.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace bobbin {
namespace {

// A slot: sequence, kind and marks, then the members of Change in their order.
constexpr std::uint64_t kFirstMark = std::uint64_t{1} << 32;
constexpr std::uint64_t kVolatileMark = std::uint64_t{1} << 33;

// What a transaction has beyond this is told as one kReload, so that one alone can neither fill the
// feed nor be missed by a reader that begins with Start.
constexpr std::size_t kTransactionChangesMax = kChangeSlots / 2;

constexpr std::uint64_t kDeathsLookedForEvery = 256;  // Announcements.

LockSegment::ChangeSlot& SlotAt(LockSegment& segment, std::uint64_t position) {
  return segment.changes[position % kChangeSlots];
}

void WriteSlot(LockSegment::ChangeSlot& slot, const AnnouncedChange& announced) {
  const Change& change = announced.change;
  const std::uint64_t marks = (announced.is_first ? kFirstMark : 0) |
                              (announced.is_volatile ? kVolatileMark : 0) |
                              static_cast<std::uint64_t>(change.kind);
  const std::uint64_t words[] = {announced.sequence,      marks,
                                 change.store.value,      change.object,
                                 change.folder.value,     change.old_object,
                                 change.old_folder.value, change.queue_sequence};
  for (std::size_t i = 0; i < slot.size(); ++i) {
    slot[i].store(words[i], std::memory_order_release);
  }
}

AnnouncedChange ReadSlot(const LockSegment::ChangeSlot& slot) {
  const auto word = [&](std::size_t i) { return slot[i].load(std::memory_order_acquire); };
  const std::uint64_t marks = word(1);
  AnnouncedChange announced;
  announced.sequence = word(0);
  announced.is_first = (marks & kFirstMark) != 0;
  announced.is_volatile = (marks & kVolatileMark) != 0;
  announced.change = {static_cast<ChangeKind>(marks & 0xFFFFFFFFU),
                      StoreId{word(2)},
                      word(3),
                      FolderId{word(4)},
                      word(5),
                      FolderId{word(6)},
                      word(7)};
  return announced;
}

// Under the guard. changes_reserved is raised before a slot is overwritten, so a reader that has
// met one word of it (release and acquire) sees that, too. A killed process leaves it raised: it is
// never lowered, because what that process has overwritten stays overwritten.
void Append(LockSegment& segment, std::uint64_t sequence, bool is_volatile,
            std::span<const Change> changes) {
  const std::uint64_t begin = segment.changes_end.load(std::memory_order_relaxed);
  const std::uint64_t end = begin + changes.size();
  const std::uint64_t reserved = segment.changes_reserved.load(std::memory_order_relaxed);
  segment.changes_reserved.store(std::max(reserved, end), std::memory_order_relaxed);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    WriteSlot(SlotAt(segment, begin + i), {sequence, is_volatile, i == 0, changes[i]});
  }
  segment.changes_end.store(end, std::memory_order_release);
}

class SharedChangeFeed final : public ChangeFeed {
 public:
  SharedChangeFeed(std::shared_ptr<LockSegment> segment, std::shared_ptr<QueueSignal> signal)
      : segment_(std::move(segment)), signal_(std::move(signal)) {}

  bool HasReaders() const override { return segment_->change_readers.load() != 0; }

  void Announce(std::uint64_t sequence, std::span<const Change> changes) override {
    static constexpr Change kNothing{};
    static constexpr Change kTooMuch{ChangeKind::kReload, {}, 0, {}, 0, {}, 0};
    const SegmentGuard guard(*segment_);
    if (++segment_->announcements % kDeathsLookedForEvery == 0) ForgetDeadSessions(*segment_);
    if (changes.empty()) {
      Append(*segment_, sequence, false, {&kNothing, 1});
    } else if (changes.size() > kTransactionChangesMax) {
      Append(*segment_, sequence, false, {&kTooMuch, 1});
    } else {
      Append(*segment_, sequence, false, changes);
    }
  }

  void AnnounceVolatile(std::uint64_t sequence, const Change& change) override {
    const SegmentGuard guard(*segment_);
    Append(*segment_, sequence, true, {&change, 1});
  }

  void Wake() override { signal_->Raise(); }

  void AddReader(LockSession session) override { CountReader(session, 1); }
  void RemoveReader(LockSession session) override { CountReader(session, -1); }

  std::uint64_t Start() const override {
    const std::uint64_t end = segment_->changes_end.load(std::memory_order_acquire);
    return end - std::min<std::uint64_t>(end, kTransactionChangesMax);
  }

  bool Read(std::uint64_t& position, std::vector<AnnouncedChange>& changes) const override {
    const std::uint64_t end = segment_->changes_end.load(std::memory_order_acquire);
    const std::size_t before = changes.size();
    const std::uint64_t begin = std::exchange(position, end);
    if (end - begin > kChangeSlots) return false;
    for (std::uint64_t i = begin; i < end; ++i) changes.push_back(ReadSlot(SlotAt(*segment_, i)));
    const std::uint64_t reserved = segment_->changes_reserved.load(std::memory_order_relaxed);
    if (begin == end || reserved <= begin + kChangeSlots) return true;
    changes.resize(before);
    return false;
  }

  QueueSignal& Signal() override { return *signal_; }

 private:
  void CountReader(LockSession session, int count) {
    const SegmentGuard guard(*segment_);
    LockSegment::Session& counted = segment_->sessions[session.value % kLockSessionsMax];
    if (session.value == 0 || counted.id.load() != session.value) return;
    counted.readers += static_cast<std::uint32_t>(count);
    CountReaders(*segment_);
  }

  std::shared_ptr<LockSegment> segment_;
  std::shared_ptr<QueueSignal> signal_;
};

}  // namespace

void AnnounceLostLocks(LockSegment& segment) {
  static constexpr Change kLostLocks{ChangeKind::kQueueReload, {}, 0, {}, 0, {}, 0};
  if (segment.change_readers.load() != 0) Append(segment, 0, true, {&kLostLocks, 1});
}

std::shared_ptr<ChangeFeed> ShareChangeFeed(std::shared_ptr<LockSegment> segment,
                                            std::shared_ptr<QueueSignal> signal) {
  return std::make_shared<SharedChangeFeed>(std::move(segment), std::move(signal));
}

}  // namespace bobbin

// A clock that stands still until it is told otherwise.
#pragma once

#include <atomic>
#include <chrono>

#include "engine/clock.h"

namespace bobbin {

class ManualClock final : public Clock {
 public:
  Time Now() const override { return Time(std::chrono::nanoseconds(nanoseconds_.load())); }
  void Set(Time time) { nanoseconds_ = time.time_since_epoch().count(); }
  void Advance(std::chrono::nanoseconds by) { nanoseconds_ += by.count(); }  // May be negative.

 private:
  // 2026-01-01 00:00:00 UTC.
  std::atomic<std::int64_t> nanoseconds_{1'767'225'600'000'000'000};
};

}  // namespace bobbin

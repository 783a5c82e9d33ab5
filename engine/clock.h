// Time is handed in, never fetched: what depends on it can be tested and replayed.
//
// Time is std::chrono::system_clock, UTC. MAPI's PT_SYSTIME (100 ns ticks since
// 1601-01-01 UTC) appears only where a property is stored or read.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace bobbin {

using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;  // Any thread. May step backwards, as real clocks do.
};

class SystemClock final : public Clock {
 public:
  Time Now() const override { return std::chrono::system_clock::now(); }
};

// Between 1601-01-01 and 1970-01-01, in units of 100 ns.
inline constexpr std::int64_t kFileTimeOfUnixEpoch = 116'444'736'000'000'000;

inline std::int64_t ToFileTime(Time time) {
  return time.time_since_epoch().count() / 100 + kFileTimeOfUnixEpoch;
}

// Of any number: what Time cannot hold (it reaches from 1677 to 2262) is its first or last moment.
inline Time FromFileTime(std::int64_t ticks) {
  constexpr std::int64_t kReach = std::chrono::nanoseconds::max().count() / 100;
  const std::int64_t held =
      std::clamp(ticks, kFileTimeOfUnixEpoch - kReach, kFileTimeOfUnixEpoch + kReach);
  return Time(std::chrono::nanoseconds((held - kFileTimeOfUnixEpoch) * 100));
}

}  // namespace bobbin

// When to try again: exponential back-off with jitter, and when to give up.
//
// Pure functions of what is stored (attempts, times): a restart changes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "engine/clock.h"

namespace bobbin {

struct RetrySchedule {
  std::chrono::seconds first{60};       // After the first attempt; doubles with each.
  std::chrono::seconds longest{4'000};  // The most between two attempts.
  double jitter = 0.2;                  // +- this share, so that retries spread out.
  std::chrono::seconds expire_after{
      std::chrono::hours(24 * 5)};  // Since submission: then a report.

  // `random`: uniform in [0, 1).
  Time NextAttempt(Time now, std::uint32_t attempts, double random) const;
  bool IsExpired(Time now, Time submitted) const { return now - submitted >= expire_after; }
};

}  // namespace bobbin

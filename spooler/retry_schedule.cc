#include "spooler/retry_schedule.h"

#include <algorithm>
#include <cmath>

namespace bobbin {

Time RetrySchedule::NextAttempt(Time now, std::uint32_t attempts, double random) const {
  const double doublings = attempts > 0 ? static_cast<double>(std::min(attempts - 1, 64U)) : 0;
  const double exponential = static_cast<double>(first.count()) * std::exp2(doublings);
  const double base = std::min(exponential, static_cast<double>(longest.count()));
  const double seconds = base * (1 - jitter + 2 * jitter * random);
  return now + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace bobbin

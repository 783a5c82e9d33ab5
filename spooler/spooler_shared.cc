#include "spooler/spooler_shared.h"

namespace bobbin {

Time SpoolerShared::UnavailableUntil(std::size_t transport) const {
  const std::lock_guard lock(mutex_);
  return transport < transports_.size() ? transports_[transport].unavailable_until : Time{};
}

std::uint32_t SpoolerShared::Failures(std::size_t transport) const {
  const std::lock_guard lock(mutex_);
  return transport < transports_.size() ? transports_[transport].failures : 0;
}

void SpoolerShared::SetUnavailable(std::size_t transport, Time until, std::uint32_t failures) {
  const std::lock_guard lock(mutex_);
  if (transport >= transports_.size()) transports_.resize(transport + 1);
  transports_[transport] = {until, failures};
}

void SpoolerShared::SetAvailable(std::size_t transport) {
  const std::lock_guard lock(mutex_);
  if (transport < transports_.size()) transports_[transport] = {};
}

}  // namespace bobbin

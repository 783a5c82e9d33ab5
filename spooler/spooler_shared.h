// What the spooler workers of one process know together. Volatile: nothing of it is stored.
//
// Threads  Any number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/clock.h"
#include "spooler/deferred_messages.h"

namespace bobbin {

class SpoolerShared {
 public:
  // Until when nothing is offered to a transport, by its place in transport order.
  Time UnavailableUntil(std::size_t transport) const;
  void SetUnavailable(std::size_t transport, Time until, std::uint32_t failures);
  std::uint32_t Failures(std::size_t transport) const;
  void SetAvailable(std::size_t transport);

  DeferredMessages deferred;

 private:
  struct TransportState {
    Time unavailable_until{};
    std::uint32_t failures = 0;
  };
  mutable std::mutex mutex_;
  std::vector<TransportState> transports_;
};

}  // namespace bobbin

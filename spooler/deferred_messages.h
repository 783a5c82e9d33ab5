// DeferredMessages: which messages transports have taken aside (END_DONT_RESEND), for all workers
// of a process. Promises of this session: nothing of it is stored (specification 5.4.8).
//
//   absent --Defer--> held --SentDeferred--> returned --offered again--> absent, or held
//                       |                        `--kNotDeferred--> dropped (C77)
//                       `--aborted: TransportNotify(kCancelDeferred)--> absent
//
// Threads  Any number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "engine/entry_id.h"

namespace bobbin {

class DeferredMessages {
 public:
  // Who deferred: a provider of one worker. Only this worker offers the message to it again.
  using Owner = const void*;

  enum class Turn : std::uint8_t {
    kOrdinary,       // Nothing is known: offer.
    kBeginDeferred,  // Returned by the transport: offer with BEGIN_DEFERRED.
    kWait,           // Held, dropped, or another worker's.
  };

  void Defer(MessageId message, std::size_t transport, Owner owner);
  bool SentDeferred(MessageId message, std::size_t transport, Owner owner);  // False: not held.
  void Drop(MessageId message, std::size_t transport, Owner owner);
  // The offer has begun: what was returned is ordinary again.
  void Offered(MessageId message, std::size_t transport, Owner owner);
  void Forget(MessageId message);
  Turn TurnOf(MessageId message, std::size_t transport, Owner owner) const;

  std::vector<MessageId> HeldBy(Owner owner) const;
  void ForgetOwner(Owner owner);

  // All that is left of the message waits for transports that deferred it: it need not even be
  // looked at, until one of them gives it back.
  void SetAllHeld(MessageId message);
  bool AreAllHeld(MessageId message) const;

 private:
  enum class State : std::uint8_t { kHeld, kReturned, kDropped };
  struct Entry {
    Owner owner;
    State state;
  };
  struct Deferral {
    std::map<std::size_t, Entry> transports;
    bool all_held = false;
  };

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Deferral> messages_;
};

}  // namespace bobbin

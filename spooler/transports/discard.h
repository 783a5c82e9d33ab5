// Discard: takes every message and throws it away. The smallest complete transport provider, to
// start one's own from and to measure everything else with.
#pragma once

#include "spooler/transport_provider.h"

namespace bobbin {

class DiscardTransport final : public TransportProvider {
 public:
  std::string_view Name() const override { return "discard"; }
  std::vector<std::string> AddressTypes() const override { return {}; }
  SubmitResult SubmitMessage(OutboundMessage& message) override;
};

}  // namespace bobbin

// ClientNetworks: addresses and CIDR blocks, for asking whether a client is one of them.
//
// An IPv4 address is the same in its own form and mapped into IPv6 (::ffff:192.0.2.1).
//
// Threads  Any number. Errors  kInvalidParameter: not an address or block; the detail says why.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/result.h"

namespace bobbin::daemon {

class ClientNetworks {
 public:
  // "192.0.2.1", "192.0.2.0/24", "2001:db8::/32"
  static Result<ClientNetworks> Parse(const std::vector<std::string>& networks);

  bool Contains(std::string_view address) const;

 private:
  struct Network {
    std::string bytes;  // 16, IPv4 mapped.
    unsigned prefix_bits = 0;
  };
  std::vector<Network> networks_;
};

}  // namespace bobbin::daemon

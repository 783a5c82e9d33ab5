#include "tools/bobbind/client_networks.h"

#include <arpa/inet.h>

#include <charconv>
#include <optional>

namespace bobbin::daemon {
namespace {

constexpr unsigned kAddressBits = 128;
constexpr unsigned kMappedBits = 96;  // Of ::ffff:0:0/96.

struct Address {
  std::string bytes;  // 16
  bool is_ipv4 = false;
};

std::optional<Address> ParseAddress(std::string_view text) {
  const std::string terminated(text);
  Address address;
  address.bytes.resize(16);
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
  address.bytes = std::string(10, '\0') + "\xFF\xFF" + std::string(4, '\0');
  address.is_ipv4 = true;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data() + 12) == 1) return address;
  return std::nullopt;
}

bool SamePrefix(std::string_view a, std::string_view b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (a.substr(0, whole) != b.substr(0, whole)) return false;
  if (bits % 8 == 0) return true;
  const unsigned shift = 8 - bits % 8;
  return static_cast<unsigned char>(a[whole]) >> shift ==
         static_cast<unsigned char>(b[whole]) >> shift;
}

}  // namespace

Result<ClientNetworks> ClientNetworks::Parse(const std::vector<std::string>& networks) {
  ClientNetworks parsed;
  for (const std::string& text : networks) {
    const std::size_t slash = text.find('/');
    const std::optional<Address> address = ParseAddress(std::string_view(text).substr(0, slash));
    if (!address) {
      return Fail(ErrorCode::kInvalidParameter,
                  "'" + text + "' is not an address; write 192.0.2.1 or 192.0.2.0/24");
    }
    const unsigned offset = address->is_ipv4 ? kMappedBits : 0;
    unsigned bits = kAddressBits - offset;
    if (slash != std::string::npos) {
      const char* end = text.data() + text.size();
      const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
      if (error != std::errc() || stop != end || bits > kAddressBits - offset) {
        return Fail(ErrorCode::kInvalidParameter, "'" + text +
                                                      "' has a bad prefix length; write at most /" +
                                                      std::to_string(kAddressBits - offset));
      }
    }
    parsed.networks_.push_back({address->bytes, bits + offset});
  }
  return parsed;
}

bool ClientNetworks::Contains(std::string_view address) const {
  const std::optional<Address> parsed = ParseAddress(address);
  if (!parsed) return false;
  for (const Network& network : networks_) {
    if (SamePrefix(network.bytes, parsed->bytes, network.prefix_bits)) return true;
  }
  return false;
}

}  // namespace bobbin::daemon

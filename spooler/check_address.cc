#include <algorithm>

#include "spooler/internet_message.h"

namespace bobbin {
namespace {

// RFC 5321 4.5.3.1. A path is the address with its angle brackets.
constexpr std::size_t kLocalPartBytesMax = 64;
constexpr std::size_t kDomainBytesMax = 255;
constexpr std::size_t kPathBytesMax = 256;

bool IsControl(char c) { return (c >= 0 && c < ' ') || c == '\x7F'; }

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Where the quoted string at the start of `address` ends; npos when it does not.
std::size_t QuotedEnd(std::string_view address) {
  for (std::size_t i = 1; i < address.size(); ++i) {
    if (address[i] == '\\') {
      ++i;
    } else if (address[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

// Names and address literals. Underscores occur; bytes over 0x7F are internationalized names.
bool IsDomain(std::string_view domain) {
  if (domain.empty()) return false;
  if (domain.front() == '[') {
    if (domain.size() < 3 || domain.back() != ']') return false;
    return std::all_of(domain.begin() + 1, domain.end() - 1, [](char c) {
      return IsAlphanumeric(c) || c == '.' || c == ':' || c == '-';
    });
  }
  if (domain.front() == '.' || domain.back() == '.') return false;
  if (domain.find("..") != std::string_view::npos) return false;
  return std::all_of(domain.begin(), domain.end(), [](char c) {
    return IsAlphanumeric(c) || c == '.' || c == '-' || c == '_' || c < 0;
  });
}

tl::unexpected<Error> Refuse(const char* why) { return Fail(ErrorCode::kInvalidParameter, why); }

}  // namespace

Result<void> CheckAddress(std::string_view address, bool local_names) {
  if (address.empty()) return Refuse("the address is empty");
  if (address.size() + 2 > kPathBytesMax) return Refuse("the address is longer than 254 octets");
  if (std::any_of(address.begin(), address.end(), IsControl)) {
    return Refuse("the address contains a control character");
  }
  const bool quoted = address.front() == '"';
  std::size_t local_bytes =
      quoted ? QuotedEnd(address) : std::min(address.find('@'), address.size());
  if (local_bytes == std::string_view::npos) return Refuse("the quoted local part does not end");
  const std::string_view local = address.substr(0, local_bytes);
  if (local.empty()) return Refuse("the address has nothing before its @");
  if (local.size() > kLocalPartBytesMax) return Refuse("the local part is longer than 64 octets");
  if (!quoted && local.find_first_of(" <>\"") != std::string_view::npos) {
    return Refuse("spaces, quotes and angle brackets are allowed only in a quoted local part");
  }
  if (local_bytes == address.size()) {
    if (!local_names) return Refuse("the address has no domain");
    return {};
  }
  if (address[local_bytes] != '@') return Refuse("the quoted local part is not followed by @");
  const std::string_view domain = address.substr(local_bytes + 1);
  if (domain.size() > kDomainBytesMax) return Refuse("the domain is longer than 255 octets");
  if (!IsDomain(domain)) return Refuse("the part after @ is not a domain name");
  return {};
}

}  // namespace bobbin

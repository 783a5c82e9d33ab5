#include "tools/bobbind/smtp_path.h"

#include <arpa/inet.h>

#include <algorithm>

#include "spooler/internet_message.h"

namespace bobbin::daemon {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsNonAscii(char c) { return static_cast<unsigned char>(c) >= 0x80; }
bool IsAtomCharacter(char c) {
  return IsAlphanumeric(c) || IsNonAscii(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

// A name of letters, digits, '-', '_' (and UTF-8) in labels of 1 to 63 bytes.
bool IsDomainName(std::string_view domain) {
  if (domain.empty() || domain.size() > 255) return false;
  std::size_t label_bytes = 0;
  for (const char c : domain) {
    if (c == '.') {
      if (label_bytes == 0) return false;
      label_bytes = 0;
      continue;
    }
    if (!IsAlphanumeric(c) && c != '-' && c != '_' && !IsNonAscii(c)) return false;
    if (++label_bytes > 63) return false;
  }
  return label_bytes > 0;
}

// What is between the brackets of an address literal.
bool IsAddressLiteral(std::string_view literal) {
  const std::string text(literal);
  in6_addr address;
  if (inet_pton(AF_INET, text.c_str(), &address) == 1) return true;
  const std::size_t colon = literal.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == literal.size()) return false;
  const std::string_view tag = literal.substr(0, colon);
  if (tag == "IPv6" || tag == "ipv6" || tag == "IPV6") {
    return inet_pton(AF_INET6, text.c_str() + colon + 1, &address) == 1;
  }
  const auto tag_character = [](char c) { return IsAlphanumeric(c) || c == '-'; };
  const auto content_character = [](char c) { return c > ' ' && c < 127 && c != '[' && c != '\\'; };
  return std::all_of(tag.begin(), tag.end(), tag_character) &&
         std::all_of(literal.begin(), literal.end(), content_character);
}

bool IsUtf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    const int length = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4) return false;
    for (int k = 0; k < length; ++k, ++i) {
      if (i >= text.size()) return false;
      const auto next = static_cast<unsigned char>(text[i]);
      // Overlong forms, surrogates and values beyond U+10FFFF show in the second byte.
      const unsigned char lowest = k > 0 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      const unsigned char highest = k > 0 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      if (next < lowest || next > highest) return false;
    }
  }
  return true;
}

// Takes one element off the front of what is left; each reports whether it was there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::string_view Rest() const { return text_; }
  std::size_t Taken(std::string_view from) const { return from.size() - text_.size(); }

  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool TakeDomain() {
    if (Take('[')) {
      const std::size_t end = text_.find(']');
      if (end == std::string_view::npos || !IsAddressLiteral(text_.substr(0, end))) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    const std::size_t end = std::min(text_.find_first_of(">,: "), text_.size());
    if (!IsDomainName(text_.substr(0, end))) return false;
    text_.remove_prefix(end);
    return true;
  }

  bool TakeSourceRoute() {
    while (Take('@')) {
      if (!TakeDomain()) return false;
      if (Take(':')) return true;
      if (!Take(',')) return false;
    }
    return false;
  }

  bool TakeLocalPart() {
    if (!Take('"')) {
      std::size_t length = 0;
      while (length < text_.size() && (IsAtomCharacter(text_[length]) || text_[length] == '.')) {
        ++length;
      }
      text_.remove_prefix(length);
      return length > 0;
    }
    while (!text_.empty()) {
      char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\') {
        if (text_.empty() || IsNonAscii(text_.front())) return false;
        c = text_.front();
        text_.remove_prefix(1);
      }
      if ((c >= 0 && c < ' ') || c == 127) return false;
    }
    return false;
  }

 private:
  std::string_view text_;
};

}  // namespace

Parsed<std::string> ParsePath(std::string_view& text, const PathRules& rules) {
  const auto bad = [&](std::string reason) {
    return Refuse(501, rules.enhanced_code, std::move(reason));
  };
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  Scanner scanner(text);
  if (!scanner.Take('<')) return bad("write the address in angle brackets: <name@example.com>");
  if (scanner.Take('>')) {
    if (!rules.allow_null) return bad("the null path <> cannot receive mail; name a recipient");
    text = scanner.Rest();
    return std::string();
  }
  if (!scanner.Rest().empty() && scanner.Rest().front() == '@' && !scanner.TakeSourceRoute()) {
    return bad("bad source route; leave it out: <name@example.com>");
  }
  const std::string_view mailbox = scanner.Rest();
  if (!scanner.TakeLocalPart()) {
    return bad("bad local part; quote what is not a letter, digit or one of !#$%&'*+-/=?^_`{|}~.");
  }
  if (scanner.Take('@') && !scanner.TakeDomain()) {
    return bad("bad domain; use a host name or an address in square brackets");
  }
  const std::string address(mailbox.substr(0, scanner.Taken(mailbox)));
  if (!scanner.Take('>')) return bad("the address does not end where it should; close it with >");
  if (std::any_of(address.begin(), address.end(), IsNonAscii)) {
    if (!rules.allow_utf8) {
      return Refuse(553, "5.6.7", "address is not ASCII; add SMTPUTF8 to the MAIL command");
    }
    if (!IsUtf8(address)) return bad("the address is not valid UTF-8");
  }
  if (const Result<void> checked = CheckAddress(address, /*local_names=*/true); !checked) {
    return bad(checked.error().detail);
  }
  text = scanner.Rest();
  return address;
}

}  // namespace bobbin::daemon

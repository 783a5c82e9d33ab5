#include "engine/entry_id.h"

#include <algorithm>
#include <string>

namespace bobbin {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kQueueIdDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// -1 for anything else.
int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

char ReadAsQueueIdDigit(char letter) {
  const char upper =
      letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  if (upper == 'I' || upper == 'L') return '1';
  if (upper == 'O') return '0';
  return upper;
}

}  // namespace

Result<EntryId> EntryId::FromBytes(std::string_view bytes) {
  if (bytes.size() != kBytes) {
    return Fail(ErrorCode::kInvalidEntryId, "an entry identifier has " + std::to_string(kBytes) +
                                                " bytes, this one " + std::to_string(bytes.size()));
  }
  EntryId id;
  const std::size_t database_bytes = id.database_.bytes.size();
  std::ranges::transform(bytes.substr(0, database_bytes), id.database_.bytes.begin(),
                         [](char byte) { return static_cast<std::uint8_t>(byte); });
  for (const char byte : bytes.substr(database_bytes)) {
    id.object_ = id.object_ << 8 | static_cast<std::uint8_t>(byte);
  }
  return id;
}

Result<EntryId> EntryId::FromHex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size() && hex.size() == 2 * kBytes; i += 2) {
    const int high = HexValue(hex[i]);
    const int low = HexValue(hex[i + 1]);
    if (high < 0 || low < 0) break;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  if (bytes.size() != kBytes) {
    return Fail(ErrorCode::kInvalidEntryId, "an entry identifier is written as " +
                                                std::to_string(2 * kBytes) + " hexadecimal digits");
  }
  return FromBytes(bytes);
}

std::string EntryId::ToBytes() const {
  std::string bytes(database_.bytes.begin(), database_.bytes.end());
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(object_ >> shift & 0xFF));
  }
  return bytes;
}

std::string EntryId::ToHex() const { return bobbin::ToHex(ToBytes()); }

std::string ToQueueId(MessageId id) {
  std::string text;
  std::uint64_t rest = id.value;
  do {
    text.push_back(kQueueIdDigits[rest % 32]);
    rest /= 32;
  } while (rest != 0);
  std::ranges::reverse(text);
  return text;
}

Result<MessageId> ParseQueueId(std::string_view text) {
  if (text.empty()) return Fail(ErrorCode::kInvalidParameter, "the queue id is empty");
  MessageId id;
  for (const char letter : text) {
    const std::size_t digit = kQueueIdDigits.find(ReadAsQueueIdDigit(letter));
    if (digit == std::string_view::npos) {
      return Fail(ErrorCode::kInvalidParameter,
                  "a queue id has digits and letters without U; this one has the byte 0x" +
                      ToHex(std::string_view(&letter, 1)));
    }
    if (id.value >> 59 != 0) {
      return Fail(ErrorCode::kInvalidParameter, "the queue id is longer than any can be");
    }
    id.value = id.value << 5 | digit;
  }
  return id;
}

std::string ToHex(std::string_view bytes) {
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    const auto value = static_cast<std::uint8_t>(byte);
    hex.push_back(kHexDigits[value >> 4]);
    hex.push_back(kHexDigits[value & 0xF]);
  }
  return hex;
}

}  // namespace bobbin

#include "engine/keyspace.h"

#include <algorithm>

namespace bobbin {
namespace {

void AppendBigEndian(std::string& key, std::uint64_t number, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(number >> shift));
  }
}

std::uint64_t ReadBigEndian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<std::uint8_t>(byte);
  return number;
}

}  // namespace

std::string Key8(std::uint64_t a) {
  std::string key;
  AppendBigEndian(key, a, 8);
  return key;
}

std::string Key84(std::uint64_t a, std::uint32_t b) {
  std::string key;
  AppendBigEndian(key, a, 8);
  AppendBigEndian(key, b, 4);
  return key;
}

std::string Key88(std::uint64_t a, std::uint64_t b) {
  std::string key;
  key.reserve(16);
  AppendBigEndian(key, a, 8);
  AppendBigEndian(key, b, 8);
  return key;
}

std::string TaggedKey8(char tag, std::uint64_t a) {
  std::string key(1, tag);
  AppendBigEndian(key, a, 8);
  return key;
}

std::string TaggedKey88(char tag, std::uint64_t a, std::uint64_t b) {
  std::string key(1, tag);
  key.reserve(17);
  AppendBigEndian(key, a, 8);
  AppendBigEndian(key, b, 8);
  return key;
}

std::string PropertyIdentifierKey(std::uint16_t identifier) {
  std::string key(1, 'P');
  AppendBigEndian(key, identifier, 2);
  return key;
}

std::string PropertyNameKey(const PropertyName& name) {
  std::string key = "Q" + name.set.ToBytes();
  if (const auto* number = std::get_if<std::uint32_t>(&name.name)) {
    key.push_back('\0');
    AppendBigEndian(key, *number, 4);
  } else {
    key.push_back('\1');
    key += std::get<std::string>(name.name);
  }
  return key;
}

std::string EncodeDueKey(const DueKey& key) {
  // Times before 1970 do not occur: they are clamped, so that byte order stays time order.
  const std::int64_t time = std::max<std::int64_t>(key.time.time_since_epoch().count(), 0);
  return TaggedKey88(static_cast<char>(key.lane), static_cast<std::uint64_t>(time), key.sequence);
}

Result<DueKey> DecodeDueKey(std::string_view key) {
  if (key.size() != 17 || static_cast<std::uint8_t>(key[0]) > 1) {
    return Fail(ErrorCode::kCorruptData, "table due, key " + ToHex(key) + ": malformed key");
  }
  return DueKey{
      static_cast<DueLane>(key[0]),
      Time(std::chrono::nanoseconds(static_cast<std::int64_t>(ReadBigEndian(key.substr(1, 8))))),
      ReadBigEndian(key.substr(9, 8))};
}

Result<std::uint64_t> KeyNumber8(std::string_view key, std::size_t offset) {
  if (key.size() < offset + 8) {
    return Fail(ErrorCode::kCorruptData, "key " + ToHex(key) + " is too short");
  }
  return ReadBigEndian(key.substr(offset, 8));
}

Result<std::uint32_t> KeyNumber4(std::string_view key, std::size_t offset) {
  if (key.size() < offset + 4) {
    return Fail(ErrorCode::kCorruptData, "key " + ToHex(key) + " is too short");
  }
  return static_cast<std::uint32_t>(ReadBigEndian(key.substr(offset, 4)));
}

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && static_cast<std::uint8_t>(prefix.back()) == 0xFF) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace bobbin

#include "spooler/one_off_entry_id.h"

#include <glib.h>

#include <memory>

namespace bobbin {
namespace {

constexpr char kHeader[] =
    "\0\0\0\0\x81\x2B\x1F\xA4\xBE\xA3\x10\x19\x9D\x6E\x00\xDD\x01\x0F\x54\x02\0\0";
constexpr std::string_view kHeaderBytes(kHeader, 22);  // Up to the version.
constexpr std::size_t kFlagsAt = 22;
constexpr std::size_t kStringsAt = 24;
constexpr unsigned kUnicode = 0x8000;

struct Free {
  void operator()(char* text) const { g_free(text); }
};

std::optional<std::string> ToUtf8(std::string_view text, const char* charset) {
  gsize bytes = 0;
  const std::unique_ptr<char, Free> converted(g_convert(
      text.data(), static_cast<gssize>(text.size()), "UTF-8", charset, nullptr, &bytes, nullptr));
  if (converted == nullptr) return std::nullopt;
  return std::string(converted.get(), bytes);
}

// Takes a string and its NUL of `width` bytes off the front; empty when there is no NUL.
std::optional<std::string_view> TakeString(std::string_view& bytes, std::size_t width) {
  for (std::size_t at = 0; at + width <= bytes.size(); at += width) {
    if (bytes.substr(at, width).find_first_not_of('\0') != std::string_view::npos) continue;
    const std::string_view text = bytes.substr(0, at);
    bytes.remove_prefix(at + width);
    return text;
  }
  return std::nullopt;
}

}  // namespace

std::optional<OneOffAddress> ParseOneOffEntryId(std::string_view bytes) {
  if (bytes.size() < kStringsAt || !bytes.starts_with(kHeaderBytes)) return std::nullopt;
  const unsigned flags = static_cast<unsigned char>(bytes[kFlagsAt]) |
                         static_cast<unsigned>(static_cast<unsigned char>(bytes[kFlagsAt + 1]))
                             << 8;
  const bool unicode = (flags & kUnicode) != 0;
  bytes.remove_prefix(kStringsAt);
  OneOffAddress address;
  for (std::string* text : {&address.display_name, &address.address_type, &address.address}) {
    const std::optional<std::string_view> raw = TakeString(bytes, unicode ? 2 : 1);
    if (!raw) return std::nullopt;
    const std::optional<std::string> utf8 = ToUtf8(*raw, unicode ? "UTF-16LE" : "WINDOWS-1252");
    if (!utf8) return std::nullopt;
    *text = *utf8;
  }
  return address;
}

}  // namespace bobbin

#include "engine/one_off_entry_id.h"

#include <iconv.h>

#include "engine/ascii.h"

namespace bobbin {
namespace {

constexpr char kHeader[] =
    "\0\0\0\0\x81\x2B\x1F\xA4\xBE\xA3\x10\x19\x9D\x6E\x00\xDD\x01\x0F\x54\x02\0\0";
constexpr std::string_view kHeaderBytes(kHeader, 22);  // Up to the version.
constexpr std::size_t kFlagsAt = 22;
constexpr std::size_t kStringsAt = 24;
constexpr unsigned kUnicode = 0x8000;
constexpr unsigned kNoRichInfo = 0x0001;

constexpr const char* kUtf16 = "UTF-16LE";

std::optional<std::string> Convert(std::string_view text, const char* to, const char* from) {
  const iconv_t converter = iconv_open(to, from);
  if (converter == reinterpret_cast<iconv_t>(-1)) {  // NOLINT(performance-no-int-to-ptr)
    return std::nullopt;
  }
  // A unit of one form is at most three bytes of another.
  std::string converted(text.size() * 3, '\0');
  std::string source(text);
  char* in = source.data();
  char* out = converted.data();
  std::size_t in_left = source.size();
  std::size_t out_left = converted.size();
  const std::size_t failed = iconv(converter, &in, &in_left, &out, &out_left);
  iconv_close(converter);
  if (failed == static_cast<std::size_t>(-1)) return std::nullopt;
  converted.resize(converted.size() - out_left);
  return converted;
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
    const std::optional<std::string> utf8 =
        Convert(*raw, "UTF-8", unicode ? kUtf16 : "WINDOWS-1252");
    if (!utf8) return std::nullopt;
    *text = *utf8;
  }
  return address;
}

std::optional<std::string> MakeOneOffEntryId(const OneOffAddress& address) {
  std::string strings;
  for (const std::string* text : {&address.display_name, &address.address_type, &address.address}) {
    if (text->find('\0') != std::string::npos) return std::nullopt;
    strings.append(*text).push_back('\0');
  }
  unsigned flags = kNoRichInfo;
  if (!IsAscii(strings)) {
    flags |= kUnicode;
    std::optional<std::string> utf16 = Convert(strings, kUtf16, "UTF-8");
    if (!utf16) return std::nullopt;
    strings = *std::move(utf16);
  }
  std::string bytes(kHeaderBytes);
  bytes.push_back(static_cast<char>(flags & 0xFF));
  bytes.push_back(static_cast<char>(flags >> 8));
  return bytes + strings;
}

}  // namespace bobbin

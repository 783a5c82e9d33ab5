#include "spooler/code_page.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "engine/check.h"

namespace bobbin {
namespace {

struct CodePage {
  std::uint32_t number;
  std::string_view charset;
  const char* converter;  // What iconv calls it.
};

// clang-format off
constexpr CodePage kCodePages[] = {
    {437, "ibm437", "IBM437"},              {737, "ibm737", "CP737"},
    {775, "ibm775", "CP775"},               {850, "ibm850", "IBM850"},
    {852, "ibm852", "IBM852"},              {855, "ibm855", "IBM855"},
    {857, "ibm857", "IBM857"},              {862, "ibm862", "IBM862"},
    {866, "ibm866", "IBM866"},              {874, "windows-874", "CP874"},
    {932, "shift_jis", "CP932"},            {936, "gbk", "CP936"},
    {949, "euc-kr", "CP949"},               {950, "big5", "CP950"},
    {1200, "", "UTF-16LE"},                 {1201, "", "UTF-16BE"},
    {1250, "windows-1250", "CP1250"},       {1251, "windows-1251", "CP1251"},
    {1252, "windows-1252", "CP1252"},       {1253, "windows-1253", "CP1253"},
    {1254, "windows-1254", "CP1254"},       {1255, "windows-1255", "CP1255"},
    {1256, "windows-1256", "CP1256"},       {1257, "windows-1257", "CP1257"},
    {1258, "windows-1258", "CP1258"},       {1361, "johab", "JOHAB"},
    {10000, "macintosh", "MACINTOSH"},      {20127, "us-ascii", "CP1252"},
    {20866, "koi8-r", "KOI8-R"},            {20932, "euc-jp", "EUC-JP"},
    {20936, "gb2312", "GB2312"},            {21866, "koi8-u", "KOI8-U"},
    {28591, "iso-8859-1", "ISO-8859-1"},    {28592, "iso-8859-2", "ISO-8859-2"},
    {28593, "iso-8859-3", "ISO-8859-3"},    {28594, "iso-8859-4", "ISO-8859-4"},
    {28595, "iso-8859-5", "ISO-8859-5"},    {28596, "iso-8859-6", "ISO-8859-6"},
    {28597, "iso-8859-7", "ISO-8859-7"},    {28598, "iso-8859-8", "ISO-8859-8"},
    {28599, "iso-8859-9", "ISO-8859-9"},    {28603, "iso-8859-13", "ISO-8859-13"},
    {28605, "iso-8859-15", "ISO-8859-15"},  {38598, "iso-8859-8-i", "ISO-8859-8"},
    {50220, "iso-2022-jp", "ISO-2022-JP-3"}, {50221, "iso-2022-jp", "ISO-2022-JP-3"},
    {50222, "iso-2022-jp", "ISO-2022-JP-3"}, {50225, "iso-2022-kr", "ISO-2022-KR"},
    {51932, "euc-jp", "EUC-JP"},            {51936, "gb2312", "GB2312"},
    {51949, "euc-kr", "EUC-KR"},            {54936, "gb18030", "GB18030"},
    {65000, "utf-7", "UTF-7"},              {65001, "utf-8", "UTF-8"},
};
// clang-format on

struct Language {
  std::uint32_t number;  // The lower 10 bits of a locale.
  std::uint32_t code_page;
};

// Those that do not write in kCodePageWestern.
constexpr Language kLanguages[] = {
    {0x01, 1256}, {0x02, 1251}, {0x05, 1250}, {0x08, 1253}, {0x0D, 1255}, {0x0E, 1250},
    {0x11, 932},  {0x12, 949},  {0x15, 1250}, {0x18, 1250}, {0x19, 1251}, {0x1A, 1250},
    {0x1B, 1250}, {0x1C, 1250}, {0x1E, 874},  {0x1F, 1254}, {0x20, 1256}, {0x22, 1251},
    {0x23, 1251}, {0x24, 1250}, {0x25, 1257}, {0x26, 1257}, {0x27, 1257}, {0x29, 1256},
    {0x2A, 1258}, {0x2F, 1251}};

const CodePage* Find(std::uint32_t number) {
  const auto* at =
      std::lower_bound(std::begin(kCodePages), std::end(kCodePages), number,
                       [](const CodePage& p, std::uint32_t n) { return p.number < n; });
  return at != std::end(kCodePages) && at->number == number ? at : nullptr;
}

iconv_t OpenConverter(std::uint32_t code_page) {
  const CodePage* known = Find(code_page);
  auto* const none = reinterpret_cast<iconv_t>(-1);  // NOLINT(performance-no-int-to-ptr)
  iconv_t converter = known == nullptr ? none : iconv_open("UTF-8", known->converter);
  if (converter == none) converter = iconv_open("UTF-8", "CP1252");
  BOBBIN_CHECK(converter != none);
  return converter;
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::uint32_t CodePageOfLocale(std::uint32_t locale) {
  constexpr std::uint32_t kChinese = 0x04;
  constexpr std::uint32_t kLanguageMask = 0x3FF;
  if ((locale & kLanguageMask) == kChinese) {
    const bool traditional = locale == 0x0404 || locale == 0x0C04 || locale == 0x1404;
    return traditional ? 950 : 936;
  }
  for (const Language& language : kLanguages) {
    if (language.number == (locale & kLanguageMask)) return language.code_page;
  }
  return kCodePageWestern;
}

bool IsKnownCodePage(std::uint32_t code_page) { return Find(code_page) != nullptr; }

std::string_view CharsetOf(std::uint32_t code_page) {
  const CodePage* known = Find(code_page);
  return known == nullptr ? std::string_view() : known->charset;
}

TextDecoder::TextDecoder(std::uint32_t code_page)
    : converter_(OpenConverter(code_page)),
      unit_bytes_(code_page == kCodePageUtf16 || code_page == kCodePageUtf16 + 1 ? 2 : 1) {}

TextDecoder::TextDecoder(TextDecoder&& other) noexcept
    : converter_(std::exchange(other.converter_, nullptr)),
      unit_bytes_(other.unit_bytes_),
      held_(std::move(other.held_)) {}

TextDecoder::~TextDecoder() {
  if (converter_ != nullptr) iconv_close(converter_);
}

void TextDecoder::Append(std::string_view piece, std::string& out) {
  held_.append(piece);
  char* in = held_.data();
  std::size_t left = held_.size();
  while (left > 0) {
    std::array<char, 4096> buffer;
    char* to = buffer.data();
    std::size_t room = buffer.size();
    const std::size_t result = iconv(converter_, &in, &left, &to, &room);
    const int error = errno;
    out.append(buffer.data(), static_cast<std::size_t>(to - buffer.data()));
    if (result != static_cast<std::size_t>(-1) || error == E2BIG) continue;
    if (error == EINVAL) break;  // A character that the next piece completes.
    const std::size_t skipped = std::min(unit_bytes_, left);
    out.append(kReplacement);
    in += skipped;
    left -= skipped;
  }
  held_.erase(0, held_.size() - left);
}

void TextDecoder::Finish(std::string& out) {
  if (!held_.empty()) out.append(kReplacement);
  held_.clear();
  std::array<char, 64> buffer;
  char* to = buffer.data();
  std::size_t room = buffer.size();
  iconv(converter_, nullptr, nullptr, &to, &room);  // Some converters hold a character back.
  out.append(buffer.data(), static_cast<std::size_t>(to - buffer.data()));
}

std::string DecodeText(std::uint32_t code_page, std::string_view bytes) {
  TextDecoder decoder(code_page);
  std::string text;
  decoder.Append(bytes, text);
  decoder.Finish(text);
  return text;
}

}  // namespace bobbin

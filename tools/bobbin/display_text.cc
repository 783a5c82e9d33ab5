#include "tools/bobbin/display_text.h"

#include <fmt/core.h>

#include <array>
#include <chrono>
#include <ctime>
#include <iterator>

namespace bobbin::cli {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
CodePoint Decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (length == 0 || first > 0xF4 || text.size() < length) return {};
  char32_t value = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10FFFF) return {};
  if (value >= 0xD800 && value <= 0xDFFF) return {};
  return {value, length, true};
}

struct Range {
  char32_t first;
  char32_t last;
};

template <std::size_t N>
bool IsIn(const std::array<Range, N>& ranges, char32_t value) {
  for (const Range& range : ranges) {
    if (value >= range.first && value <= range.last) return true;
  }
  return false;
}

// What moves the cursor, starts an escape sequence, ends a line, or reorders its neighbours.
constexpr std::array<Range, 7> kHarmful{{{0x00, 0x1F},
                                         {0x7F, 0x9F},
                                         {0x61C, 0x61C},
                                         {0x200E, 0x200F},
                                         {0x2028, 0x202E},
                                         {0x2066, 0x2069},
                                         {0xFFF9, 0xFFFB}}};

constexpr std::array<Range, 7> kNoWidth{{{0x0300, 0x036F},
                                         {0x0483, 0x0489},
                                         {0x0591, 0x05BD},
                                         {0x200B, 0x200D},
                                         {0x20D0, 0x20FF},
                                         {0xFE00, 0xFE0F},
                                         {0xFEFF, 0xFEFF}}};

constexpr std::array<Range, 12> kWide{{{0x1100, 0x115F},
                                       {0x2E80, 0x303E},
                                       {0x3041, 0x33FF},
                                       {0x3400, 0x4DBF},
                                       {0x4E00, 0xA4CF},
                                       {0xAC00, 0xD7A3},
                                       {0xF900, 0xFAFF},
                                       {0xFE30, 0xFE4F},
                                       {0xFF00, 0xFF60},
                                       {0x1F300, 0x1F64F},
                                       {0x1F900, 0x1F9FF},
                                       {0x20000, 0x3FFFD}}};

std::size_t WidthOf(const CodePoint& point) {
  if (!point.valid) return 1;
  if (IsIn(kNoWidth, point.value)) return 0;
  return IsIn(kWide, point.value) ? 2 : 1;
}

}  // namespace

std::string EscapeForTerminal(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = Decode(text);
    const auto value = static_cast<std::uint32_t>(point.value);
    if (!point.valid) {
      escaped += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[0]));
    } else if (IsIn(kHarmful, point.value)) {
      escaped += value < 0x80 ? fmt::format("\\x{:02x}", value) : fmt::format("\\u{:04x}", value);
    } else {
      escaped += text.substr(0, point.bytes);
    }
    text.remove_prefix(point.bytes);
  }
  return escaped;
}

std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = Decode(text);
    width += WidthOf(point);
    text.remove_prefix(point.bytes);
  }
  return width;
}

std::string CutToWidth(std::string_view text, std::size_t columns) {
  if (DisplayWidth(text) <= columns) return std::string(text);
  std::string cut;
  if (columns == 0) return cut;
  std::size_t left = columns - 1;
  while (!text.empty()) {
    const CodePoint point = Decode(text);
    const std::size_t width = WidthOf(point);
    if (width > left) break;
    left -= width;
    cut += text.substr(0, point.bytes);
    text.remove_prefix(point.bytes);
  }
  return cut + "…";
}

std::string FormatBytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array<std::string_view, 5> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.5 would be printed as "1024".
  while (value >= 1023.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                      : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string FormatRelative(Time time, Time now) {
  using std::chrono::seconds;
  const auto distance = std::chrono::duration_cast<seconds>(time > now ? time - now : now - time);
  const std::int64_t count = distance.count();
  if (count == 0) return "now";
  std::string amount;
  if (count < 120) {
    amount = fmt::format("{} s", count);
  } else if (count < std::int64_t{120} * 60) {
    amount = fmt::format("{} min", count / 60);
  } else if (count < std::int64_t{48} * 3600) {
    amount = fmt::format("{} h", count / 3600);
  } else {
    amount = fmt::format("{} d", count / 86400);
  }
  return time > now ? "in " + amount : amount + " ago";
}

std::string FormatTime(Time time) {
  using std::chrono::duration_cast;
  const auto milliseconds =
      std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  std::int64_t fraction = milliseconds % 1000;
  if (fraction < 0) fraction += 1000;
  const std::time_t whole = (milliseconds - fraction) / 1000;
  std::tm parts{};
  gmtime_r(&whole, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     fraction);
}

}  // namespace bobbin::cli

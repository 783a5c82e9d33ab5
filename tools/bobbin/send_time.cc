#include "tools/bobbin/send_time.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace bobbin::cli {
namespace {

namespace chr = std::chrono;

constexpr int kLastYear = 2200;  // Time ends in 2262.

tl::unexpected<Error> NoTime() {
  return Fail(ErrorCode::kInvalidParameter,
              "this is no time: write 2026-01-31T12:00:00Z, 2026-01-31T12:00:00+01:00, or +2h, "
              "+30m, +1d");
}

tl::unexpected<Error> TooLate() {
  return Fail(ErrorCode::kInvalidParameter, "this is after the year " + std::to_string(kLastYear));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes `digits` digits from the front of `text`.
std::optional<int> TakeNumber(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int number = 0;
  for (const char c : text.substr(0, digits)) {
    if (!IsDigit(c)) return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool TakeOneOf(std::string_view& text, std::string_view characters) {
  if (text.empty() || characters.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// ".25" as nanoseconds; nothing when there is none.
std::optional<chr::nanoseconds> TakeFraction(std::string_view& text) {
  chr::nanoseconds fraction{0};
  if (!TakeOneOf(text, ".")) return fraction;
  if (text.empty() || !IsDigit(text.front())) return std::nullopt;
  for (std::int64_t unit = 100'000'000; !text.empty() && IsDigit(text.front()); unit /= 10) {
    fraction += chr::nanoseconds((text.front() - '0') * unit);
    text.remove_prefix(1);
  }
  return fraction;
}

// "Z" or "+01:00", all that is left of `text`.
std::optional<chr::minutes> TakeOffset(std::string_view& text) {
  if (TakeOneOf(text, "Zz")) return chr::minutes(0);
  const bool west = !text.empty() && text.front() == '-';
  if (!TakeOneOf(text, "+-")) return std::nullopt;
  const auto hours = TakeNumber(text, 2);
  if (!hours || *hours > 23 || !TakeOneOf(text, ":")) return std::nullopt;
  const auto minutes = TakeNumber(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  const chr::minutes offset = chr::hours(*hours) + chr::minutes(*minutes);
  return west ? -offset : offset;
}

std::optional<chr::year_month_day> TakeDate(std::string_view& text) {
  const auto year = TakeNumber(text, 4);
  if (!year || !TakeOneOf(text, "-")) return std::nullopt;
  const auto month = TakeNumber(text, 2);
  if (!month || !TakeOneOf(text, "-")) return std::nullopt;
  const auto day = TakeNumber(text, 2);
  if (!day) return std::nullopt;
  const chr::year_month_day date{chr::year(*year), chr::month(static_cast<unsigned>(*month)),
                                 chr::day(static_cast<unsigned>(*day))};
  return date.ok() ? std::optional(date) : std::nullopt;
}

std::optional<chr::nanoseconds> TakeTimeOfDay(std::string_view& text) {
  const auto hour = TakeNumber(text, 2);
  if (!hour || *hour > 23 || !TakeOneOf(text, ":")) return std::nullopt;
  const auto minute = TakeNumber(text, 2);
  if (!minute || *minute > 59 || !TakeOneOf(text, ":")) return std::nullopt;
  const auto second = TakeNumber(text, 2);
  if (!second || *second > 60) return std::nullopt;  // 60: a leap second.
  const auto fraction = TakeFraction(text);
  if (!fraction) return std::nullopt;
  return chr::hours(*hour) + chr::minutes(*minute) + chr::seconds(*second) + *fraction;
}

Result<Time> ParseTimestamp(std::string_view text) {
  const auto date = TakeDate(text);
  if (!date || !TakeOneOf(text, "Tt ")) return NoTime();
  const auto time_of_day = TakeTimeOfDay(text);
  if (!time_of_day) return NoTime();
  const auto offset = TakeOffset(text);
  if (!offset || !text.empty()) return NoTime();
  if (int(date->year()) > kLastYear) return TooLate();
  if (int(date->year()) < 1970) return Time{};  // Past is past.
  return Time(chr::sys_days(*date)) + *time_of_day - *offset;
}

Result<Time> ParseDistance(std::string_view text, Time now) {
  const Time last{chr::sys_days(chr::year(kLastYear) / chr::December / 31)};
  chr::seconds distance{0};
  do {
    std::int64_t count = 0;
    if (text.empty() || !IsDigit(text.front())) return NoTime();
    for (; !text.empty() && IsDigit(text.front()); text.remove_prefix(1)) {
      count = count * 10 + (text.front() - '0');
      if (count > 10'000'000'000) return TooLate();
    }
    const char unit = text.empty() ? '\0' : text.front();
    if (!TakeOneOf(text, "smhd")) return NoTime();
    const std::int64_t seconds = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 86400;
    distance += chr::seconds(count * seconds);
    if (distance > chr::duration_cast<chr::seconds>(last - now)) return TooLate();
  } while (!text.empty());
  return now + distance;
}

}  // namespace

Result<Time> ParseSendTime(std::string_view text, Time now) {
  if (TakeOneOf(text, "+")) return ParseDistance(text, now);
  return ParseTimestamp(text);
}

}  // namespace bobbin::cli

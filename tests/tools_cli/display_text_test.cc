// Text for people: nothing that came with mail can command a terminal, columns stay aligned.

#include "tools/bobbin/display_text.h"

#include <gmock/gmock.h>

#include <chrono>
#include <string>

namespace bobbin::cli {
namespace {

TEST(EscapeForTerminal, LeavesOrdinaryTextAlone) {
  EXPECT_EQ(EscapeForTerminal("Tea at 5, J\xC3\xBCrgen \xE8\x8C\xB6 \\o/"),
            "Tea at 5, J\xC3\xBCrgen \xE8\x8C\xB6 \\o/");
}

TEST(EscapeForTerminal, LeavesNoControlCharacterAndNothingInvalid) {
  EXPECT_EQ(EscapeForTerminal(std::string("\x1b[2J\0\r\n\t\x7f", 9)),
            "\\x1b[2J\\x00\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(EscapeForTerminal("\xC2\x9B"), "\\u009b") << "C1 control sequence introducer";
  EXPECT_EQ(EscapeForTerminal("\xE2\x80\xAE\xE2\x81\xA6"), "\\u202e\\u2066") << "reordering";
  EXPECT_EQ(EscapeForTerminal("\xFF\xC0\x80\xE2\x82"), "\\xff\\xc0\\x80\\xe2\\x82");
  EXPECT_EQ(EscapeForTerminal("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(EscapeForTerminal("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "over U+10FFFF";
}

TEST(EscapeForTerminal, NoByteSequenceGetsAnythingHarmfulThrough) {
  std::uint32_t state = 1;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (int i = 0; i < 12; ++i) {
      state = state * 1'664'525U + 1'013'904'223U;
      bytes += static_cast<char>(state >> 24);
    }
    const std::string escaped = EscapeForTerminal(bytes);
    for (std::size_t i = 0; i < escaped.size(); ++i) {
      const auto byte = static_cast<unsigned char>(escaped[i]);
      ASSERT_GE(byte, 0x20);
      ASSERT_NE(byte, 0x7F);
      ASSERT_FALSE(byte == 0xC2 && static_cast<unsigned char>(escaped[i + 1]) < 0xA0);
    }
    ASSERT_EQ(EscapeForTerminal(escaped), escaped);
  }
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3U);
  EXPECT_EQ(DisplayWidth("J\xC3\xBCrgen"), 6U);
  EXPECT_EQ(DisplayWidth("u\xCC\x88"), 1U) << "a combining character";
  EXPECT_EQ(DisplayWidth("\xE8\x8C\xB6"), 2U) << "a wide character";
}

TEST(CutToWidth, NeverExceedsTheColumnsOrSplitsACharacter) {
  EXPECT_EQ(CutToWidth("abcdef", 6), "abcdef");
  EXPECT_EQ(CutToWidth("abcdef", 4), "abc…");
  EXPECT_EQ(CutToWidth("\xE8\x8C\xB6\xE8\x8C\xB6\xE8\x8C\xB6", 4), "\xE8\x8C\xB6…");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(FormatBytes, ReadsAsPeopleSayIt) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1434), "1.4 KiB");
  EXPECT_EQ(FormatBytes(23 << 20), "23 MiB");
  EXPECT_EQ(FormatBytes((1U << 20) - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(~std::uint64_t{0}), "16384 PiB");
}

TEST(FormatTime, IsRfc3339InUtc) {
  EXPECT_EQ(FormatTime(Time{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatTime(Time(std::chrono::milliseconds(1'767'225'600'007))),
            "2026-01-01T00:00:00.007Z");
  EXPECT_EQ(FormatTime(Time(std::chrono::milliseconds(-1))), "1969-12-31T23:59:59.999Z");
}

TEST(FormatRelative, SaysHowLongAgoOrFromNow) {
  const Time now{};
  EXPECT_EQ(FormatRelative(now, now), "now");
  EXPECT_EQ(FormatRelative(now - std::chrono::seconds(59), now), "59 s ago");
  EXPECT_EQ(FormatRelative(now + std::chrono::minutes(5), now), "in 5 min");
  EXPECT_EQ(FormatRelative(now - std::chrono::hours(47), now), "47 h ago");
  EXPECT_EQ(FormatRelative(now - std::chrono::hours(48), now), "2 d ago");
}

}  // namespace
}  // namespace bobbin::cli

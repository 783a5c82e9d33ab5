// Replies: codes split from text, and text that is safe to store and show.

#include "spooler/reply_text.h"

#include <gtest/gtest.h>

namespace bobbin {
namespace {

TEST(ReplyText, SplitsCodesFromEveryLine) {
  const Reply reply = ParseReply("550-5.1.1 no such\n550-5.1.1\n550 5.1.1 user");
  EXPECT_EQ(reply.code, 550);
  EXPECT_EQ(reply.enhanced_code, "5.1.1");
  EXPECT_EQ(reply.text, "no such\n\nuser");
}

TEST(ReplyText, TakesOnlyRealEnhancedCodes) {
  EXPECT_EQ(ParseReply("250 2.0.0 ok").enhanced_code, "2.0.0");
  EXPECT_EQ(ParseReply("250 5.123.456").enhanced_code, "5.123.456");
  for (const char* line : {"250 2.0 ok", "250 3.0.0 x", "250 2.1234.0 x", "250 2.0.0.1 x",
                           "250 2.0.0x", "250 192.0.2.1 is you", "250", "250 "}) {
    EXPECT_EQ(ParseReply(line).enhanced_code, "") << line;
  }
  EXPECT_EQ(ParseReply("250 2.0 ok").text, "2.0 ok");
  EXPECT_EQ(ParseReply("250").code, 250);
}

TEST(ReplyText, IsAlwaysValidUtf8WithoutControls) {
  EXPECT_EQ(PrintableText(" a\r\nb\tc\x1b[31m\x7f\r\n"), "a\nb c?[31m?");
  EXPECT_EQ(PrintableText(std::string("n\0l", 3)), "n?l");
  EXPECT_EQ(PrintableText("gr\u00fc\u00df \u20ac \U0001F600"), "gr\u00fc\u00df \u20ac \U0001F600");
  EXPECT_EQ(PrintableText("gr\xfc\xdf"), "gr??");
  EXPECT_EQ(PrintableText("\xc2\x85x\xed\xa0\x80\xc0\xaf\xf5\x80\x80\x80"), "?x?????????");
  EXPECT_EQ(PrintableLine("a\nb", 10), "a b");
}

TEST(ReplyText, IsCutBetweenCharacters) {
  EXPECT_EQ(PrintableText("aaa\u20ac", 5), "aaa");
  EXPECT_EQ(PrintableText("aaa\u20ac", 6), "aaa\u20ac");
  EXPECT_EQ(ParseReply("550 " + std::string(5'000, 'x')).text.size(), kReplyTextBytesMax);
}

}  // namespace
}  // namespace bobbin

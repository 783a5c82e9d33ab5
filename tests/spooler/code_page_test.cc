// Text in Windows code pages, wherever it is cut.
#include "spooler/code_page.h"

#include <gtest/gtest.h>

namespace bobbin {
namespace {

TEST(CodePage, HasTheNameThatMailUses) {
  EXPECT_EQ(CharsetOf(932), "shift_jis");
  EXPECT_EQ(CharsetOf(50220), "iso-2022-jp");
  EXPECT_EQ(CharsetOf(65001), "utf-8");
  EXPECT_EQ(CharsetOf(kCodePageUtf16), "") << "mail cannot carry it";
  EXPECT_EQ(CharsetOf(1), "");
  EXPECT_TRUE(IsKnownCodePage(kCodePageUtf16));
  EXPECT_EQ(CodePageOfLocale(0x0411), 932U);
  EXPECT_EQ(CodePageOfLocale(0x0404), 950U);
  EXPECT_EQ(CodePageOfLocale(0x0804), 936U);
  EXPECT_EQ(CodePageOfLocale(0x0409), 1252U);
}

TEST(CodePage, TextBecomesUtf8WhereverItIsCut) {
  struct Sample {
    std::uint32_t code_page;
    std::string bytes;
    std::string text;
  };
  for (const Sample& sample : {
           Sample{932, "a\x93\xFA\x96\x7Bz", "a\xE6\x97\xA5\xE6\x9C\xACz"},
           Sample{1252, "\x80\xE9", "\xE2\x82\xAC\xC3\xA9"},
           Sample{50220, "\x1B$BF|\x1B(Bz", "\xE6\x97\xA5z"},
           Sample{kCodePageUtf16, std::string("\xE5\x65\x3D\xD8\x00\xDEz\0", 8),
                  "\xE6\x97\xA5\xF0\x9F\x98\x80z"},
           Sample{kCodePageUtf16, std::string("\x00\xD8z\0", 4), "\xEF\xBF\xBDz"},
           Sample{kCodePageUtf8, "\xC3\xA9\xFFz", "\xC3\xA9\xEF\xBF\xBDz"},
           Sample{4711, "\xE9", "\xC3\xA9"},
       }) {
    EXPECT_EQ(DecodeText(sample.code_page, sample.bytes), sample.text) << sample.code_page;
    for (std::size_t cut = 0; cut <= sample.bytes.size(); ++cut) {
      TextDecoder decoder(sample.code_page);
      std::string text;
      decoder.Append(sample.bytes.substr(0, cut), text);
      decoder.Append(sample.bytes.substr(cut), text);
      decoder.Finish(text);
      EXPECT_EQ(text, sample.text) << sample.code_page << " cut at " << cut;
    }
  }
}

TEST(CodePage, ACharacterThatNeverEndsIsReplaced) {
  EXPECT_EQ(DecodeText(932, "a\x93"), "a\xEF\xBF\xBD");
}

}  // namespace
}  // namespace bobbin

// PR_RTF_COMPRESSED: the examples of MS-OXRTFCP, and HTML and text out of RTF (MS-OXRTFEX).
#include <gmock/gmock.h>

#include "spooler/compressed_rtf.h"
#include "spooler/encapsulated_rtf.h"
#include "tests/support/matchers.h"

namespace bobbin {
namespace {

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

const std::string kSimple = FromHex(
    "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232"
    "0af32068656c09002062770"
    "5b06c647d0a800fa0");
const std::string kOverlapping = FromHex(
    "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d01"
    "0eb0");

TEST(CompressedRtf, IsDecompressedAsTheSpecificationShows) {
  EXPECT_EQ(Must(DecompressRtf(kSimple)), "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
  EXPECT_EQ(Must(DecompressRtf(kOverlapping)), "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}");
  EXPECT_EQ(Must(DecompressRtf(FromHex("0f000000030000004d454c4100000000") + "{}x ")), "{}x");
}

TEST(CompressedRtf, OfNoKindOrCutShortIsDamaged) {
  for (std::size_t size = 0; size < kSimple.size(); ++size) {
    EXPECT_THAT(DecompressRtf(kSimple.substr(0, size)), IsError(ErrorCode::kCorruptData)) << size;
  }
  std::string other = kSimple;
  other[8] = 'X';
  EXPECT_THAT(DecompressRtf(other), IsError(ErrorCode::kCorruptData));
}

std::string Html(const std::string& rtf) {
  const auto content = ExtractFromRtf("{\\rtf1\\ansi\\ansicpg1252\\fromhtml1 \\deff0" + rtf + "}");
  EXPECT_TRUE(content && content->is_html);
  return content ? content->text : "";
}

TEST(EncapsulatedRtf, GivesTheHtmlThatIsInIt) {
  EXPECT_EQ(Html("{\\fonttbl{\\f0\\fswiss Arial;}}{\\colortbl;\\red1;}\r\n"
                 "{\\*\\htmltag64 <p>}\\htmlrtf {\\htmlrtf0 a{\\*\\htmltag84 <b>}\\htmlrtf "
                 "{\\b\\htmlrtf0 bold\\htmlrtf }\\htmlrtf0 {\\*\\htmltag92 </b>}\\htmlrtf }"
                 "\\par\\htmlrtf0{\\*\\mhtmltag0 <not>}{\\*\\htmltag72 </p>\\par}"),
            "<p>a<b>bold</b></p>\r\n");
  EXPECT_EQ(Html("{\\*\\htmltag4 \\{\\}\\\\\\'e9}\\'e9\\tab\\~\\ldblquote x\\rdblquote"),
            "{}\\\xC3\xA9\xC3\xA9\t&nbsp;&ldquo;x&rdquo;");
}

TEST(EncapsulatedRtf, ReadsBytesInTheCodePageOfTheFont) {
  EXPECT_EQ(Html("{\\fonttbl{\\f0\\fcharset0 A;}{\\f1\\fcharset128 M;}{\\f2\\fcharset204 C;}}"
                 "\\f1 \\'93\\'fa{\\f2 \\'c4}\\'96\\'7b\\plain\\'e9"),
            "\xE6\x97\xA5\xD0\x94\xE6\x9C\xAC\xC3\xA9");
}

TEST(EncapsulatedRtf, ReadsUnicodeAndSkipsWhatStandsForIt) {
  EXPECT_EQ(Html("\\u26085?\\uc2\\u26412 xx{\\uc0\\u233}y\\u-10179??\\u-8704\\'3f?z"),
            "\xE6\x97\xA5\xE6\x9C\xAC\xC3\xA9y\xF0\x9F\x98\x80z");
}

TEST(EncapsulatedRtf, GivesTheTextThatIsInIt) {
  const auto content = ExtractFromRtf(
      "{\\rtf1\\ansi\\fromtext \\deff0{\\fonttbl{\\f0 Arial;}}\\pard one\\par two\\line\\{3\\}}");
  ASSERT_TRUE(content);
  EXPECT_FALSE(content->is_html);
  EXPECT_EQ(content->text, "one\r\ntwo\r\n{3}");
}

TEST(EncapsulatedRtf, IsNothingWhenItIsRtfOfItsOwn) {
  EXPECT_FALSE(ExtractFromRtf("{\\rtf1\\ansi hello}"));
  EXPECT_FALSE(ExtractFromRtf(""));
}

// No input may make it read outside of it; sanitizer builds say so.
TEST(EncapsulatedRtf, ReadsWhatItCanOfMalformedInput) {
  const std::string good =
      "{\\rtf1\\fromhtml1{\\fonttbl{\\f1\\fcharset128;}}\\f1\\'93\\u-3?{\\*\\htmltag1 <b>}\\bin3 "
      "abc}";
  for (std::size_t size = 0; size <= good.size(); ++size) ExtractFromRtf(good.substr(0, size));
  ExtractFromRtf(std::string(100'000, '{'));
  EXPECT_EQ(Html("}}}}"), "");
  EXPECT_EQ(Html("a\\bin999999999 b"), "a");
  EXPECT_EQ(Html("a\\uc-5\\u99999999999 b\\f99999999999999 c"), "abc");
  EXPECT_EQ(Html("a\\u99999999 b\\f7 c"), "abc");
}

}  // namespace
}  // namespace bobbin

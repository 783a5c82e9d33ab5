// The end of data, dot-stuffing and smuggling, as the table in tools/bobbind/data_decoder.h.
//
// Method: each sequence is decoded whole, cut in two at every byte, and byte by byte; a random
// property compares any cutting of any bytes against a second decoder written down differently.

#include "tools/bobbind/data_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace bobbin::daemon {
namespace {

struct Decoded {
  std::string content;
  std::string rest;
  bool end = false;
  bool lone_dot = false;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

void PrintTo(const Decoded& decoded, std::ostream* out) {
  *out << "content " << testing::PrintToString(decoded.content) << " rest "
       << testing::PrintToString(decoded.rest) << " end " << decoded.end << " lone dot "
       << decoded.lone_dot;
}

Decoded DecodePieces(const std::vector<std::string>& pieces) {
  DataDecoder decoder;
  Decoded decoded;
  for (const std::string& piece : pieces) {
    std::string_view input = piece;
    if (!decoded.end) decoded.end = decoder.Decode(input, decoded.content);
    decoded.rest += input;
  }
  decoded.lone_dot = decoder.HasLoneDot();
  return decoded;
}

// The outcome of `wire`, after it was seen to be the same however it is cut.
Decoded Decode(const std::string& wire) {
  Decoded whole = DecodePieces({wire});
  std::vector<std::string> bytes;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    EXPECT_EQ(DecodePieces({wire.substr(0, i), wire.substr(i)}), whole) << "cut at " << i;
    bytes.push_back(wire.substr(i, 1));
  }
  EXPECT_EQ(DecodePieces(bytes), whole) << "byte by byte";
  return whole;
}

std::string Bytes(const char* text, std::size_t size) { return {text, size}; }
#define BYTES(literal) Bytes(literal, sizeof(literal) - 1)

TEST(DataDecoder, EndsAtCrlfDotCrlfOnlyAndLeavesWhatFollows) {
  EXPECT_EQ(Decode("a\r\n.\r\nQUIT\r\n"), (Decoded{"a\r\n", "QUIT\r\n", true, false}));
  EXPECT_EQ(Decode(".\r\nRSET"), (Decoded{"", "RSET", true, false}));
  EXPECT_EQ(Decode("\r\n.\r\n"), (Decoded{"\r\n", "", true, false}));
  EXPECT_EQ(Decode("a\r\n.\r"), (Decoded{"a\r\n", "", false, false}));
  EXPECT_EQ(Decode("a\r\n\r\n\r\n.\r\n"), (Decoded{"a\r\n\r\n\r\n", "", true, false}));
}

TEST(DataDecoder, DropsTheDotThatWasStuffedAfterCrlf) {
  EXPECT_EQ(Decode("..\r\n.\r\n").content, ".\r\n");
  EXPECT_EQ(Decode("a\r\n..b\r\n...\r\n.\r\n"), (Decoded{"a\r\n.b\r\n..\r\n", "", true, false}));
  EXPECT_EQ(Decode("a\r\n.b\r\n.\r\n"), (Decoded{"a\r\nb\r\n", "", true, false}));
}

TEST(DataDecoder, KeepsBareLineEndsAndNulsAsContent) {
  EXPECT_EQ(Decode(BYTES("a\nb\rc\0d\n\n\r\r\n.\r\n")),
            (Decoded{BYTES("a\nb\rc\0d\n\n\r\r\n"), "", true, false}));
  EXPECT_EQ(Decode("a\n..b\n.c\r.d\r\n.\r\n"), (Decoded{"a\n..b\n.c\r.d\r\n", "", true, false}));
  EXPECT_EQ(Decode("a\n..\nb\r\n.\r\n"), (Decoded{"a\n..\nb\r\n", "", true, false}));
}

TEST(DataDecoder, MarksEveryLoneDotThatIsNotTheEnd) {
  const std::vector<std::string> variants = {
      "\n.\n",
      "\n.\r\n",
      "\n.\r",
      "\r.\r",
      "\r.\n",
      "\r.\r\n",
      "\r\n.\n",
      "\r\n.\r",
      "\r\r\n.\r\r\n",
      "\r\r.\r\r",
      "\n\n.\r\n",
      "\r\n\n.\n\r\n",
      "\n\r.\r\n",
      BYTES("\r\n\0.\r\n"),
      BYTES("\r\n.\0\r\n"),
      BYTES("\n\0.\0\n"),
      BYTES("\r\0\n.\r\n"),
      BYTES("\r\0.\r\n"),
  };
  for (const std::string& variant : variants) {
    SCOPED_TRACE(testing::PrintToString(variant));
    const std::string wire = "text" + variant + "MAIL FROM:<evil@x.test>\r\nmore\r\n.\r\nrest";
    const Decoded decoded = Decode(wire);
    EXPECT_TRUE(decoded.end);
    EXPECT_EQ(decoded.rest, "rest") << "the variant ended the data";
    EXPECT_TRUE(decoded.lone_dot);
  }
  EXPECT_TRUE(Decode(".\nMAIL FROM:<evil@x.test>\r\n.\r\n").lone_dot) << "at the very start";
}

TEST(DataDecoder, TakesNoDotInGoodCompanyForALoneDot) {
  for (const std::string text :
       {"a.\r\n", ".a\n", "a\n.a\n", "a .\n", "\n..\n", ". \n", "\n. \r\n", "...\n", "\r\n..\n"}) {
    SCOPED_TRACE(testing::PrintToString(text));
    EXPECT_FALSE(Decode("x\r\n" + text + "y\r\n.\r\n").lone_dot);
  }
}

// Dot-stuffing as RFC 5321 4.5.2 tells a client to do it.
std::string Stuff(const std::string& content) {
  std::string wire;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const bool line_start = i == 0 || (i >= 2 && content.compare(i - 2, 2, "\r\n") == 0);
    if (line_start && content[i] == '.') wire.push_back('.');
    wire.push_back(content[i]);
  }
  return wire;
}

rc::Gen<std::string> AnyWire() {
  return rc::gen::container<std::string>(rc::gen::element('\r', '\n', '.', 'a', '\0'));
}

std::vector<std::string> Cut(const std::string& wire) {
  std::vector<std::string> pieces;
  for (std::size_t begin = 0; begin < wire.size();) {
    const auto bytes = *rc::gen::inRange<std::size_t>(1, wire.size() - begin + 1);
    pieces.push_back(wire.substr(begin, bytes));
    begin += bytes;
  }
  return pieces;
}

RC_GTEST_PROP(DataDecoder, GivesTheSameForAnyCut, ()) {
  const std::string wire = *AnyWire();
  RC_ASSERT(DecodePieces(Cut(wire)) == DecodePieces({wire}));
}

RC_GTEST_PROP(DataDecoder, ReturnsWhatWasStuffed, ()) {
  const std::string content = *AnyWire() + "\r\n";
  const Decoded decoded = DecodePieces(Cut(Stuff(content) + ".\r\nNOOP\r\n"));
  RC_ASSERT(decoded.end);
  RC_ASSERT(decoded.content == content);
  RC_ASSERT(decoded.rest == "NOOP\r\n");
}

// The rule once more: without NULs, is there CR or LF, a dot, CR or LF, and not the end there?
RC_GTEST_PROP(DataDecoder, AgreesWithTheRuleOnLoneDots, ()) {
  const std::string wire = *AnyWire();
  const Decoded decoded = DecodePieces({wire});
  const std::string taken = wire.substr(0, wire.size() - decoded.rest.size());
  std::string plain = "\r\n";
  std::string nul_before = "0";  // Whether NULs were left out before each byte of `plain`.
  nul_before += '0';
  bool nul = false;
  for (const char c : taken) {
    if (c == '\0') {
      nul = true;
      continue;
    }
    plain += c;
    nul_before += nul ? '1' : '0';
    nul = false;
  }
  bool expected = false;
  for (std::size_t i = 2; i + 1 < plain.size(); ++i) {
    const auto eol = [&](std::size_t at) { return plain[at] == '\r' || plain[at] == '\n'; };
    if (plain[i] != '.' || !eol(i - 1) || !eol(i + 1)) continue;
    const bool exact = plain.compare(i - 2, 2, "\r\n") == 0 && plain.compare(i + 1, 2, "\r\n") == 0;
    const bool clean = nul_before[i - 1] == '0' && nul_before[i] == '0' &&
                       nul_before[i + 1] == '0' && i + 2 < plain.size() && nul_before[i + 2] == '0';
    // CRLF.CR at the very end may still become the end.
    const bool open = plain.compare(i - 2, 2, "\r\n") == 0 && nul_before[i - 1] == '0' &&
                      nul_before[i] == '0' && nul_before[i + 1] == '0' && plain[i + 1] == '\r' &&
                      i + 2 == plain.size() && !nul;
    if (!(exact && clean) && !open) expected = true;
  }
  RC_ASSERT(decoded.lone_dot == expected);
}

}  // namespace
}  // namespace bobbin::daemon

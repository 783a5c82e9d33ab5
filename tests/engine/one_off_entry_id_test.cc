// One-off entry identifiers: what Outlook wrote is read, what is written is what the specification
// draws, and nothing else is read as one.
//
// Method: bytes out of a .msg file that Outlook made, bytes written out by hand, round trips over
// arbitrary text, and every beginning of a good one.

#include "engine/one_off_entry_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace bobbin {

namespace {

using testing::Optional;

// Flags, provider and version.
const std::string kStart(
    "\0\0\0\0\x81\x2B\x1F\xA4\xBE\xA3\x10\x19\x9D\x6E\x00\xDD\x01\x0F\x54\x02\0\0", 22);

std::string Bytes(std::string_view literal) { return kStart + std::string(literal); }

template <std::size_t kSize>
std::string_view View(const char (&literal)[kSize]) {
  return {literal, kSize - 1};
}

TEST(OneOffEntryIdTest, WhatOutlookWroteIsRead) {
  const std::string outlook =
      Bytes(View("\x01\x80"
                 "t\0o\0@\0e\0x\0a\0m\0p\0l\0e\0.\0c\0o\0m\0\0\0"
                 "S\0M\0T\0P\0\0\0"
                 "t\0o\0@\0e\0x\0a\0m\0p\0l\0e\0.\0c\0o\0m\0\0\0"));
  EXPECT_THAT(ParseOneOffEntryId(outlook),
              Optional(OneOffAddress{"to@example.com", "SMTP", "to@example.com"}));
  EXPECT_THAT(ParseOneOffEntryId(Bytes(View("\0\0J\xF6rg\0FAX\0+1 555\0"))),
              Optional(OneOffAddress{"J\u00f6rg", "FAX", "+1 555"}))
      << "8-bit text is Windows' Western";
}

TEST(OneOffEntryIdTest, AsciiIsWrittenIn8BitTextAndTheRestInUtf16) {
  EXPECT_THAT(MakeOneOffEntryId({"Bob", "SMTP", "b@x.test"}),
              Optional(Bytes(View("\x01\0Bob\0SMTP\0b@x.test\0"))));
  EXPECT_THAT(MakeOneOffEntryId({"J\u00f6 \U0001F9F5", "FAX", "5"}),
              Optional(Bytes(View("\x01\x80J\0\xF6\0 \0\x3E\xD8\xF5\xDD\0\0F\0A\0X\0\0\0"
                                  "5\0\0\0"))));
}

TEST(OneOffEntryIdTest, WhatIsNoTextHasNone) {
  for (const std::string& bad : {std::string("\xFF"), std::string("a\0b", 3)}) {
    EXPECT_EQ(MakeOneOffEntryId({bad, "SMTP", "b@x.test"}), std::nullopt);
    EXPECT_EQ(MakeOneOffEntryId({"Bob", bad, "b@x.test"}), std::nullopt);
    EXPECT_EQ(MakeOneOffEntryId({"Bob", "SMTP", bad}), std::nullopt);
  }
}

TEST(OneOffEntryIdTest, NothingElseIsReadAsOne) {
  for (const char* name : {"Bob", "J\u00f6rg"}) {
    const std::string good = MakeOneOffEntryId({name, "SMTP", "b@x.test"}).value();
    for (std::size_t size = 0; size < good.size(); ++size) {
      EXPECT_EQ(ParseOneOffEntryId(good.substr(0, size)), std::nullopt) << size;
    }
    for (std::size_t at = 0; at < kStart.size(); ++at) {
      std::string other = good;
      other[at] ^= 1;
      EXPECT_EQ(ParseOneOffEntryId(other), std::nullopt) << at;
    }
  }
  EXPECT_EQ(ParseOneOffEntryId(Bytes(View("\0\x80\0\xD8\0\0\0\0\0\0"))), std::nullopt)
      << "half of a surrogate pair";
}

RC_GTEST_PROP(OneOffEntryIdTest, RoundTrip, ()) {
  const auto text = [] {
    std::string made;
    for (const int pick : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5))) {
      made +=
          std::vector<std::string>{"a", " ", "\u00f6", "\u6797", "\U0001F9F5"}[std::size_t(pick)];
    }
    return made;
  };
  const OneOffAddress address{text(), text(), text()};
  RC_ASSERT(ParseOneOffEntryId(MakeOneOffEntryId(address).value()).value() == address);
}

}  // namespace
}  // namespace bobbin

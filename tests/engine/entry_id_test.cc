// Identifiers survive every form they are written in, and nothing else is read as one.
//
// Method: round trips over arbitrary values, and one case for each way to be wrong.

#include "engine/entry_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <string>

namespace bobbin {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

EntryId ArbitraryEntryId() {
  DatabaseId database;
  database.bytes = *rc::gen::arbitrary<std::array<std::uint8_t, 16>>();
  return {database, *rc::gen::arbitrary<std::uint64_t>()};
}

// Arbitrary numbers are mostly small; identifiers of every length matter here.
MessageId ArbitraryMessageId() {
  return {*rc::gen::arbitrary<std::uint64_t>() << *rc::gen::inRange(0, 64)};
}

ErrorCode CodeOf(const Result<MessageId>& result) {
  return result ? ErrorCode::kCallFailed : result.error().code;
}

RC_GTEST_PROP(EntryIdTest, BytesRoundTrip, ()) {
  const EntryId id = ArbitraryEntryId();
  const std::string bytes = id.ToBytes();
  RC_ASSERT(bytes.size() == EntryId::kBytes);
  RC_ASSERT(EntryId::FromBytes(bytes).value() == id);
}

RC_GTEST_PROP(EntryIdTest, HexRoundTripInBothCases, ()) {
  const EntryId id = ArbitraryEntryId();
  std::string hex = id.ToHex();
  RC_ASSERT(hex == ToHex(id.ToBytes()));
  RC_ASSERT(EntryId::FromHex(hex).value() == id);
  std::ranges::transform(hex, hex.begin(), [](unsigned char c) { return std::toupper(c); });
  RC_ASSERT(EntryId::FromHex(hex).value() == id);
}

TEST(EntryIdTest, ObjectIsBigEndianBehindTheDatabase) {
  DatabaseId database;
  database.bytes[0] = 0xAB;
  const EntryId id(database, 0x0102030405060708);
  EXPECT_EQ(id.ToHex(),
            "ab000000000000000000000000000000"
            "0102030405060708");
}

TEST(EntryIdTest, OtherLengthsAreInvalid) {
  for (const std::size_t size : {0U, 1U, 23U, 25U, 48U}) {
    const auto result = EntryId::FromBytes(std::string(size, 'a'));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidEntryId);
  }
  for (const std::size_t size : {0U, 1U, 24U, 46U, 47U, 49U, 50U}) {
    const auto result = EntryId::FromHex(std::string(size, 'a'));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidEntryId);
  }
}

TEST(EntryIdTest, OtherCharactersThanHexadecimalDigitsAreInvalid) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string hex(48, '0');
    hex[47] = static_cast<char>(byte);
    EXPECT_EQ(EntryId::FromHex(hex).has_value(), byte < 128 && std::isxdigit(byte)) << byte;
    std::swap(hex[0], hex[47]);
    EXPECT_EQ(EntryId::FromHex(hex).has_value(), byte < 128 && std::isxdigit(byte)) << byte;
  }
}

RC_GTEST_PROP(QueueIdTest, RoundTripsInBothCases, ()) {
  const MessageId id = ArbitraryMessageId();
  std::string text = ToQueueId(id);
  RC_ASSERT(ParseQueueId(text).value() == id);
  RC_ASSERT(text == "0" || text[0] != '0');
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  RC_ASSERT(ParseQueueId(text).value() == id);
}

TEST(QueueIdTest, IsBase32WithoutAmbiguousLetters) {
  EXPECT_EQ(ToQueueId({0}), "0");
  EXPECT_EQ(ToQueueId({31}), "Z");
  EXPECT_EQ(ToQueueId({32}), "10");
  EXPECT_EQ(ToQueueId({kMax}), "FZZZZZZZZZZZZ");
  std::string digits;
  for (std::uint64_t value = 0; value < 32; ++value) digits += ToQueueId({value});
  EXPECT_EQ(digits, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
}

TEST(QueueIdTest, LettersThatLookLikeDigitsAreReadAsThem) {
  for (const std::string text : {"1I", "1i", "1L", "1l", "11", "L1"}) {
    EXPECT_EQ(ParseQueueId(text).value(), MessageId{33}) << text;
  }
  for (const std::string text : {"1O", "1o", "10", "i0", "0010"}) {
    EXPECT_EQ(ParseQueueId(text).value(), MessageId{32}) << text;
  }
}

TEST(QueueIdTest, EmptyIsInvalid) {
  EXPECT_EQ(CodeOf(ParseQueueId("")), ErrorCode::kInvalidParameter);
}

TEST(QueueIdTest, MoreThan64BitsAreInvalid) {
  EXPECT_EQ(ParseQueueId("FZZZZZZZZZZZZ").value(), MessageId{kMax});
  EXPECT_EQ(ParseQueueId("0000FZZZZZZZZZZZZ").value(), MessageId{kMax});
  EXPECT_EQ(CodeOf(ParseQueueId("G000000000000")), ErrorCode::kInvalidParameter);
  EXPECT_EQ(CodeOf(ParseQueueId("FZZZZZZZZZZZZ0")), ErrorCode::kInvalidParameter);
}

TEST(QueueIdTest, CharactersOutsideTheAlphabetAreInvalid) {
  const std::string accepted =
      "0123456789abcdefghijklmnopqrstvwxyzABCDEFGHIJKLMNOPQRSTVWXYZ";  // Neither u nor U.
  for (int byte = 0; byte < 256; ++byte) {
    const char letter = static_cast<char>(byte);
    const auto result = ParseQueueId(std::string{'1', letter});
    EXPECT_EQ(result.has_value(), accepted.find(letter) != std::string::npos) << byte;
    if (!result) {
      EXPECT_EQ(result.error().code, ErrorCode::kInvalidParameter);
    }
  }
}

}  // namespace
}  // namespace bobbin

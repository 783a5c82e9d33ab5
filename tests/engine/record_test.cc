// Sealed records: whatever is not exactly what was sealed is kCorruptData, named by table and key.
//
// Method: a record is damaged in every way a disk, a stray write or a bug could do it, every single
// bit included, and must never open, and never crash.
#include "engine/record.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/support/matchers.h"

namespace bobbin {
namespace {

constexpr kv::TableId kTable{3};
constexpr std::string_view kTableName = "recipients";
const std::string kKey = std::string("\x00\x01key", 5);
const std::vector<std::string> kNamed{"table recipients", "key 00016b6579"};

RecordCodec Codec(std::uint8_t first_byte = 1) {
  RecordKey key{};
  key[0] = first_byte;
  return RecordCodec(key);
}

std::string Sealed(std::string_view payload) {
  std::string value;
  Codec().Seal(RecordKind::kRecipient, kTable, kKey, 42, payload, value);
  return value;
}

Result<OpenedRecord> Open(std::string_view value) {
  return Codec().Open(RecordKind::kRecipient, kTable, kTableName, kKey, value);
}

TEST(Record, OpensAsItWasSealed) {
  for (const std::string& payload : {std::string(), std::string("p"), std::string(60'000, '\0')}) {
    const std::string value = Sealed(payload);
    const OpenedRecord record = Must(Open(value));
    EXPECT_EQ(record.sequence, 42U);
    EXPECT_EQ(record.payload, payload);
    EXPECT_EQ(value.size(), kRecordOverheadBytes + kKey.size() + payload.size());
  }
}

TEST(Record, EverySingleBitFlipIsFound) {
  std::string value = Sealed("a payload of some length, with a NUL \0 inside");
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    const auto mask = static_cast<char>(1 << (bit % 8));
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ mask);
    EXPECT_THAT(Open(value), IsErrorNaming(ErrorCode::kCorruptData, kNamed)) << "bit " << bit;
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ mask);
  }
  EXPECT_THAT(Open(value), IsOk());
}

TEST(Record, EveryTruncationAndEveryExtensionIsFound) {
  const std::string value = Sealed("payload");
  for (std::size_t bytes = 0; bytes < value.size(); ++bytes) {
    EXPECT_THAT(Open(value.substr(0, bytes)), IsErrorNaming(ErrorCode::kCorruptData, kNamed))
        << bytes;
  }
  EXPECT_THAT(Open(value + '\0'), IsErrorNaming(ErrorCode::kCorruptData, kNamed));
  EXPECT_THAT(Open(value + value), IsErrorNaming(ErrorCode::kCorruptData, kNamed));
}

TEST(Record, AnotherRowsTablesOrDatabasesRecordDoesNotOpenHere) {
  const std::string value = Sealed("payload");
  const auto corrupt = IsError(ErrorCode::kCorruptData);
  const RecordCodec codec = Codec();
  EXPECT_THAT(codec.Open(RecordKind::kRecipient, kTable, kTableName, "other", value), corrupt);
  EXPECT_THAT(codec.Open(RecordKind::kRecipient, kv::TableId{4}, "folders", kKey, value), corrupt);
  EXPECT_THAT(codec.Open(RecordKind::kMessage, kTable, kTableName, kKey, value), corrupt);
  EXPECT_THAT(Codec(2).Open(RecordKind::kRecipient, kTable, kTableName, kKey, value), corrupt);
}

// Whoever writes mail does not know the record key: a whole valid record in a message's content,
// sealed with another key, is no record.
TEST(Record, TheChecksumDependsOnTheWholeKey) {
  for (std::size_t i = 0; i < RecordKey().size(); ++i) {
    RecordKey key{};
    key[0] = 1;
    key[i] = static_cast<std::uint8_t>(key[i] ^ 0x80);
    EXPECT_THAT(
        RecordCodec(key).Open(RecordKind::kRecipient, kTable, kTableName, kKey, Sealed("payload")),
        IsError(ErrorCode::kCorruptData))
        << i;
  }
}

}  // namespace
}  // namespace bobbin

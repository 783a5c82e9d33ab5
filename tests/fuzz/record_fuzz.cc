// Records: what was not sealed here never opens, and what was opens as it went in, whatever it
// says.
//
// The first byte chooses the kind of row, the rest is its payload: once as the value itself, once
// sealed, so that what is behind the checksum is reached, too.

#include <string>

#include "engine/keyspace.h"
#include "engine/rows.h"
#include "tests/fuzz/fuzz.h"

namespace bobbin::fuzz {
namespace {

// One value under every key.
class OneValue final : public kv::ReadTransaction {
 public:
  explicit OneValue(kv::Bytes value) : value_(value) {}
  Result<std::optional<kv::Bytes>> Get(kv::TableId, kv::Bytes) override {
    return std::optional<kv::Bytes>(value_);
  }
  Result<void> Scan(kv::TableId, const kv::KeyRange&, const Visitor&) override { return {}; }
  std::uint64_t Sequence() const override { return 1; }

 private:
  kv::Bytes value_;
};

struct Row {
  RecordKind kind;
  kv::TableId table;
  std::string key;
  bool (*decodes)(RowReader& rows, std::string_view key, std::string_view value);
};

template <auto kDecode>
bool Decodes(RowReader& rows, std::string_view key, std::string_view value) {
  const auto decoded = (rows.*kDecode)(key, value);
  if (!decoded) BOBBIN_CHECK(decoded.error().code == ErrorCode::kCorruptData);
  return decoded.has_value();
}

const Row kRows[] = {
    {RecordKind::kMessage, table::kMessages, Key8(7), Decodes<&RowReader::DecodeMessage>},
    {RecordKind::kRecipient, table::kRecipients, Key84(7, 1), Decodes<&RowReader::DecodeRecipient>},
    {RecordKind::kAttachment, table::kAttachments, Key84(7, 1),
     Decodes<&RowReader::DecodeAttachment>},
    {RecordKind::kQueueRow, table::kQueue, Key88(7, 1), Decodes<&RowReader::DecodeQueueRow>},
    {RecordKind::kDueRow, table::kDue, EncodeDueKey({DueLane::kScheduled, Time{}, 1}),
     Decodes<&RowReader::DecodeDueRow>},
    {RecordKind::kFolder, table::kFolders, Key8(7), Decodes<&RowReader::DecodeFolder>},
    {RecordKind::kStore, table::kMeta, TaggedKey8('S', 7), Decodes<&RowReader::DecodeStore>},
    {RecordKind::kDistributionList, table::kMeta, TaggedKey8('L', 7),
     Decodes<&RowReader::DecodeList>},
    {RecordKind::kBodyHead, table::kBodies, Key84(7, 0), Decodes<&RowReader::DecodeBodyHead>},
    {RecordKind::kBodyChunk, table::kBodies, Key84(7, 1), Decodes<&RowReader::DecodeBodyChunk>},
    {RecordKind::kRoot, table::kMeta, "R",
     [](RowReader& rows, std::string_view, std::string_view) { return rows.Root().has_value(); }},
    {RecordKind::kCounters, table::kMeta, "C",
     [](RowReader& rows, std::string_view, std::string_view) {
       return rows.Counters().has_value();
     }},
    {RecordKind::kQuarantine, table::kIndex, TaggedKey8('q', 7),
     Decodes<&RowReader::DecodeQuarantine>},
    {RecordKind::kScrub, table::kMeta, "Z",
     [](RowReader& rows, std::string_view, std::string_view) {
       return rows.LastScrub().has_value();
     }},
    {RecordKind::kPropertyName, table::kMeta, std::string("P\x80\x00", 3),
     [](RowReader& rows, std::string_view, std::string_view) {
       return rows.PropertyNameOf(0x8000).has_value();
     }},
};

void Run(std::string_view input) {
  static const RecordCodec codec(RecordKey{1, 2, 3});
  const Row& row = kRows[TakeByte(input) % std::size(kRows)];
  const std::string_view name = table::kNames[row.table.index];
  std::string sealed;
  // Forged: nobody who does not know the key gets past the checksum, except with a true record.
  if (const auto opened = codec.Open(row.kind, row.table, name, row.key, input)) {
    codec.Seal(row.kind, row.table, row.key, opened->sequence, opened->payload, sealed);
    BOBBIN_CHECK(sealed == input);
  }
  codec.Seal(row.kind, row.table, row.key, 5, input, sealed);
  const auto opened = codec.Open(row.kind, row.table, name, row.key, sealed);
  BOBBIN_CHECK(opened && opened->sequence == 5 && opened->payload == input);
  OneValue transaction(sealed);
  RowReader rows(codec, transaction);
  const bool decodes = row.decodes(rows, row.key, sealed);
  // Under another key it is a record on a stray page.
  BOBBIN_CHECK(!codec.Open(row.kind, row.table, name, row.key + "x", sealed));
  static_cast<void>(decodes);
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  bobbin::fuzz::Run(bobbin::fuzz::Input(data, bytes));
  return 0;
}

#include "engine/record.h"

// Inlined, because most records are small and the call would cost more than the hash. At -Og the
// compiler refuses xxHash's forced inlining.
#define XXH_INLINE_ALL
#ifndef NDEBUG
#define XXH_NO_INLINE_HINTS 1
#endif
#include <fmt/format.h>
#include <xxhash.h>

#include <bit>
#include <cstring>

#include "engine/check.h"
#include "engine/entry_id.h"

namespace bobbin {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as they lie");

constexpr std::uint16_t kMagic = 0xB0BB;  // kRecordMagicBytes

struct Header {
  std::uint16_t magic;
  std::uint8_t format;
  std::uint8_t kind;
  std::uint8_t table;
  std::uint8_t zero;
  std::uint16_t key_bytes;
  std::uint32_t payload_bytes;
  std::uint32_t zero2;
  std::uint64_t sequence;
};
static_assert(sizeof(Header) == kRecordHeaderBytes);

tl::unexpected<Error> Damaged(std::string_view table_name, std::string_view key, std::string what) {
  return Fail(ErrorCode::kCorruptData,
              fmt::format("table {}, key {}: {}", table_name, ToHex(key), what));
}

}  // namespace

std::uint64_t ChecksumOf(std::string_view value) {
  std::uint64_t checksum = 0;
  if (value.size() < sizeof(checksum)) return checksum;
  std::memcpy(&checksum, value.data() + value.size() - sizeof(checksum), sizeof(checksum));
  return checksum;
}

RecordCodec::RecordCodec(const RecordKey& key) {
  // xxHash 0.8.1 fills the buffer from any seed material; the error is for null pointers only.
  const XXH_errorcode code =
      XXH3_generateSecret(secret_.data(), secret_.size(), key.data(), key.size());
  BOBBIN_CHECK(code == XXH_OK);
}

void RecordCodec::Seal(RecordKind kind, kv::TableId table, std::string_view key,
                       std::uint64_t sequence, std::string_view payload, std::string& out) const {
  BOBBIN_CHECK(key.size() <= kv::kKeyBytesMax);
  Header header{};
  header.magic = kMagic;
  header.format = kRecordFormat;
  header.kind = static_cast<std::uint8_t>(kind);
  header.table = table.index;
  header.key_bytes = static_cast<std::uint16_t>(key.size());
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.sequence = sequence;
  out.clear();
  out.reserve(kRecordOverheadBytes + key.size() + payload.size());
  out.append(reinterpret_cast<const char*>(&header), sizeof(header));
  out.append(key).append(payload);
  const std::uint64_t checksum =
      XXH3_64bits_withSecret(out.data(), out.size(), secret_.data(), secret_.size());
  out.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
}

Result<OpenedRecord> RecordCodec::Open(kv::TableId table, std::string_view table_name,
                                       std::string_view key, std::string_view value) const {
  if (value.size() < kRecordOverheadBytes) return Damaged(table_name, key, "record too short");
  std::uint64_t checksum = 0;
  const std::size_t sealed_bytes = value.size() - sizeof(checksum);
  std::memcpy(&checksum, value.data() + sealed_bytes, sizeof(checksum));
  if (checksum !=
      XXH3_64bits_withSecret(value.data(), sealed_bytes, secret_.data(), secret_.size())) {
    return Damaged(table_name, key, "checksum does not match");
  }
  Header header{};
  std::memcpy(&header, value.data(), sizeof(header));
  if (header.magic != kMagic) return Damaged(table_name, key, "not a record");
  if (header.format > kRecordFormat) {
    return Fail(ErrorCode::kVersion, fmt::format("table {}: record format {} is newer than {}",
                                                 table_name, header.format, kRecordFormat));
  }
  if (kRecordHeaderBytes + header.key_bytes + header.payload_bytes != sealed_bytes) {
    return Damaged(table_name, key, "lengths do not match");
  }
  const std::string_view sealed_key = value.substr(kRecordHeaderBytes, header.key_bytes);
  if (header.table != table.index || sealed_key != key) {
    return Damaged(table_name, key, "the record belongs to another row");
  }
  return OpenedRecord{header.sequence,
                      value.substr(kRecordHeaderBytes + header.key_bytes, header.payload_bytes),
                      static_cast<RecordKind>(header.kind)};
}

Result<OpenedRecord> RecordCodec::Open(RecordKind kind, kv::TableId table,
                                       std::string_view table_name, std::string_view key,
                                       std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord record, Open(table, table_name, key, value));
  if (record.kind == kind) return record;
  return Damaged(table_name, key,
                 fmt::format("unexpected kind {}", static_cast<unsigned>(record.kind)));
}

std::optional<std::size_t> RecordCodec::LengthOf(std::string_view start) {
  if (start.size() < sizeof(Header)) return {};
  Header header{};
  std::memcpy(&header, start.data(), sizeof(header));
  if (header.magic != kMagic || header.format > kRecordFormat || header.zero != 0 ||
      header.zero2 != 0 || header.key_bytes > kv::kKeyBytesMax ||
      header.payload_bytes > kv::kValueBytesMax) {
    return {};
  }
  return kRecordOverheadBytes + header.key_bytes + header.payload_bytes;
}

std::optional<StrayRecord> RecordCodec::OpenStray(std::string_view value) const {
  if (value.size() < kRecordOverheadBytes) return {};
  Header header{};
  std::memcpy(&header, value.data(), sizeof(header));
  const std::size_t sealed_bytes = value.size() - sizeof(std::uint64_t);
  if (header.magic != kMagic || header.format > kRecordFormat ||
      kRecordHeaderBytes + header.key_bytes + std::uint64_t{header.payload_bytes} != sealed_bytes) {
    return {};
  }
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, value.data() + sealed_bytes, sizeof(checksum));
  if (checksum !=
      XXH3_64bits_withSecret(value.data(), sealed_bytes, secret_.data(), secret_.size())) {
    return {};
  }
  return StrayRecord{static_cast<RecordKind>(header.kind), kv::TableId{header.table},
                     value.substr(kRecordHeaderBytes, header.key_bytes), header.sequence,
                     value.substr(kRecordHeaderBytes + header.key_bytes, header.payload_bytes)};
}

bool RecordCodec::NamesRow(kv::TableId table, std::string_view key, std::string_view value_start) {
  if (value_start.size() < sizeof(Header) + key.size()) return false;
  Header header{};
  std::memcpy(&header, value_start.data(), sizeof(header));
  return header.table == table.index && header.key_bytes == key.size() &&
         value_start.substr(sizeof(header), key.size()) == key;
}

}  // namespace bobbin

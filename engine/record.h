// Sealed records: the form of every value in every table.
//
//   record   = header key payload checksum
//   header   = magic(2) format(1) kind(1) table(1) zero(1) key-bytes(2)
//              payload-bytes(4) zero(4) sequence(8)              24 bytes, little-endian
//   key      = the row's key in its table, so that a record found on a stray page is known
//   payload  = FlatBuffers (schema/bobbin.fbs) or, in `bodies`, content bytes
//   checksum = XXH3-64 over all of the above (8), with a secret derived from the record key
//
// The record key is random, made with the database and never shown outside it, so that nobody
// can put a valid record into the text of a message.
//
// A record is opened, and verified whole, on every read. A mismatch is kCorruptData with table
// and key in the detail; it is never "not found".
//
// Threads  Any number.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/kv/kv_engine.h"
#include "engine/result.h"

namespace bobbin {

enum class RecordKind : std::uint8_t {  // Persisted; never reused.
  kRoot = 1,
  kCounters = 2,
  kStore = 3,
  kReference = 4,
  kMessage = 5,
  kRecipient = 6,
  kBodyHead = 7,
  kBodyChunk = 8,
  kFolder = 9,
  kQueueRow = 10,
  kDueRow = 11,
  kAttachment = 12,
  kPropertyName = 13,
  kDistributionList = 14,
  kTotals = 15,
  kQuarantine = 16,
  kScrub = 17,
};

inline constexpr std::uint8_t kRecordFormat = 1;
inline constexpr std::string_view kRecordMagicBytes = "\xBB\xB0";  // Every record begins so.
inline constexpr std::size_t kRecordHeaderBytes = 24;
inline constexpr std::size_t kRecordOverheadBytes = kRecordHeaderBytes + 8;

using RecordKey = std::array<std::uint8_t, 32>;

struct OpenedRecord {
  std::uint64_t sequence = 0;  // Of the transaction that wrote it.
  std::string_view payload;    // Inside the value that was opened.
  RecordKind kind{};
};

// A record met outside of its row.
struct StrayRecord {
  RecordKind kind{};
  kv::TableId table{};
  std::string_view key;
  std::uint64_t sequence = 0;
  std::string_view payload;
};

// What a value has where a record has its checksum.
std::uint64_t ChecksumOf(std::string_view value);

class RecordCodec {
 public:
  explicit RecordCodec(const RecordKey& key);

  // Into `out`, replacing what it holds.
  void Seal(RecordKind kind, kv::TableId table, std::string_view key, std::uint64_t sequence,
            std::string_view payload, std::string& out) const;

  //   kCorruptData  anything does not match; `table_name` and the key are in the detail
  //   kVersion      sealed in a newer record format
  Result<OpenedRecord> Open(RecordKind kind, kv::TableId table, std::string_view table_name,
                            std::string_view key, std::string_view value) const;
  // Of whatever kind it is.
  Result<OpenedRecord> Open(kv::TableId table, std::string_view table_name, std::string_view key,
                            std::string_view value) const;

  // How long the record is of which `start` may be the beginning: kRecordHeaderBytes or more of it.
  // Empty when it is not one.
  static std::optional<std::size_t> LengthOf(std::string_view start);

  // What `value` says that it is; empty when it is no whole record of this database.
  std::optional<StrayRecord> OpenStray(std::string_view value) const;

  // Whether a header, that of a damaged record too, is that of a row. The beginning of the value is
  // enough, with the key in it.
  static bool NamesRow(kv::TableId table, std::string_view key, std::string_view value_start);

 private:
  std::array<std::uint8_t, 192> secret_;
};

}  // namespace bobbin

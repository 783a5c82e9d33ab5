// What the rows of the database hold, as plain values. The format: schema/bobbin.fbs.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/folder.h"
#include "engine/keyspace.h"
#include "engine/property.h"
#include "engine/record.h"

namespace bobbin {

// A property whose value is a row group in `bodies`.
struct StreamRecord {
  PropertyTag tag;
  std::uint64_t bytes = 0;
  std::uint64_t body = 0;
};
using StreamRecords = std::vector<StreamRecord>;

struct MessageRecord {
  StoreId store;
  FolderId folder;  // 0 for an embedded message.
  std::uint32_t message_flags = 0;
  std::uint32_t submit_flags = 0;
  std::uint64_t queue_sequence = 0;
  std::uint32_t recipient_count = 0;
  std::uint32_t next_recipient_row = 0;
  bool has_content = false;
  std::uint64_t content_bytes = 0;
  std::uint64_t content_body = 0;
  std::string content_inline;
  PropertyList properties;
  StreamRecords streams;
  std::uint32_t attachment_count = 0;
  std::uint32_t next_attachment = 0;
  MessageId embedded_in;
  std::uint32_t preprocess_attempts = 0;
  // Tell two states of a message apart. The revision is needed beside the sequence, because one
  // transaction may hold several saves.
  std::uint32_t revision = 0;
  std::uint64_t sequence = 0;  // Of the transaction that wrote it.

  bool IsSubmitted() const { return (message_flags & kMsgFlagSubmit) != 0; }
};

struct AttachmentRecord {
  PropertyList properties;
  StreamRecords streams;
  MessageId embedded;  // 0 = it holds no message.
};

// No message from `first` to `last` lives (engine/deleted_messages.cc).
struct DeletedMessages {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

// Of one table. The sums wrap; a record's checksum covers table, key, sequence and payload with the
// database's own key, so no other set of rows has the same but by a chance of one in 2^64.
struct TableTotal {
  std::uint64_t rows = 0;
  std::uint64_t checksums = 0;

  void Add(std::string_view value) {
    ++rows;
    checksums += ChecksumOf(value);
  }
  void Add(const TableTotal& other) {
    rows += other.rows;
    checksums += other.checksums;
  }
  void Subtract(const TableTotal& other) {
    rows -= other.rows;
    checksums -= other.checksums;
  }
  friend bool operator==(const TableTotal&, const TableTotal&) = default;
};
// Of all tables but the one they are kept in.
using TableTotals = std::array<TableTotal, table::kMain.index>;

struct QueueRecord {
  MessageId message;
  Time submit_time{};
  DueLane lane = DueLane::kScheduled;
  Time due{};
};

struct DueRecord {
  StoreId store;
  MessageId message;
};

struct FolderRecord {
  StoreId store;
  FolderId parent;
  std::string name;
  std::uint32_t content_count = 0;
  std::uint32_t content_unread = 0;
  std::uint32_t folder_count = 0;
  Time created{};
};

struct StoreRecord {
  std::string name;
  StandardFolders folders;
  Time created{};
  bool tightly_coupled = false;
};

struct ListRecord {
  std::string name;
  std::uint32_t member_count = 0;
  std::uint32_t next_row = 0;
};

struct BodyRecord {
  std::uint64_t bytes = 0;
  std::uint32_t chunk_count = 0;
  std::uint32_t references = 0;  // 0 = being written by the owner.
  std::int32_t owner_process = 0;
  std::uint64_t owner_start = 0;
};

struct QuarantineRecord {
  std::string damaged_table;
  std::string damaged_key;
  std::string detail;
  Time time{};
  StoreId store;
  std::uint64_t queue_sequence = 0;
  Time submit_time{};
  DueLane lane = DueLane::kScheduled;
  Time due{};
  std::string row;
};

struct ScrubRecord {
  Time ended{};
  std::uint64_t bytes = 0;
  std::uint64_t findings = 0;
};

struct CountersRecord {
  std::uint64_t next_object = 1;
  std::uint64_t next_queue_sequence = 1;
  Time last_submit_time{};
  std::uint32_t next_named_property = 0;  // 0 = none has been given away.
};

struct RootRecord {
  std::uint32_t format = 0;
  DatabaseId database;
  Time created{};
};

}  // namespace bobbin

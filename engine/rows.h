// Typed rows inside one transaction: sealed records in, plain values out, and back.
//
// Every read verifies its record. Absent is empty; damaged is kCorruptData.
//
// Threads, lifetime  As the transaction (engine/kv/kv_engine.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/folder.h"
#include "engine/keyspace.h"
#include "engine/property.h"
#include "engine/recipient_table.h"
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

class RowReader {
 public:
  RowReader(const RecordCodec& codec, kv::ReadTransaction& transaction)
      : codec_(codec), transaction_(transaction) {}
  Result<std::optional<RootRecord>> Root();
  Result<CountersRecord> Counters();
  Result<std::optional<StoreRecord>> Store(StoreId id);
  Result<std::optional<StoreId>> StoreNamed(std::string_view name);
  Result<std::optional<ListRecord>> DistributionList(ListId id);
  Result<std::optional<ListId>> ListNamed(std::string_view name);
  Result<std::optional<PropertyName>> PropertyNameOf(std::uint16_t identifier);
  Result<std::optional<std::uint16_t>> PropertyNamed(const PropertyName& name);
  Result<std::optional<MessageRecord>> Message(MessageId id);
  Result<RecipientTable> Recipients(MessageId id);
  Result<std::optional<RecipientRow>> Recipient(MessageId id, RecipientRowId row);
  Result<std::optional<AttachmentRecord>> Attachment(MessageId id, std::uint32_t number);
  Result<std::map<std::uint32_t, AttachmentRecord>> Attachments(MessageId id);
  Result<std::optional<FolderRecord>> Folder(FolderId id);
  Result<std::optional<QueueRecord>> QueueRow(StoreId store, std::uint64_t sequence);
  Result<std::optional<DueRecord>> DueRow(const DueKey& key);
  Result<std::optional<BodyRecord>> BodyHead(std::uint64_t body);
  // The bytes live as long as the transaction allows.
  Result<std::optional<std::string_view>> BodyChunk(std::uint64_t body, std::uint32_t chunk);

  // In key order until `visit` returns false or an error, also of what it cannot decode.
  using KeyVisitor = std::function<Result<bool>(std::string_view key, std::string_view value)>;
  Result<void> Scan(kv::TableId table, std::string_view begin, std::string_view end,
                    const KeyVisitor& visit);

  Result<QueueRecord> DecodeQueueRow(std::string_view key, std::string_view value) const;
  Result<DueRecord> DecodeDueRow(std::string_view key, std::string_view value) const;
  Result<StoreRecord> DecodeStore(std::string_view key, std::string_view value) const;
  Result<ListRecord> DecodeList(std::string_view key, std::string_view value) const;
  Result<MessageRecord> DecodeMessage(std::string_view key, std::string_view value) const;
  Result<RecipientRow> DecodeRecipient(std::string_view key, std::string_view value) const;
  Result<AttachmentRecord> DecodeAttachment(std::string_view key, std::string_view value) const;
  Result<FolderRecord> DecodeFolder(std::string_view key, std::string_view value) const;
  Result<BodyRecord> DecodeBodyHead(std::string_view key, std::string_view value) const;
  Result<std::uint64_t> DecodeReference(kv::TableId table, std::string_view key,
                                        std::string_view value) const;
  Result<std::string_view> DecodeBodyChunk(std::string_view key, std::string_view value) const;

  std::uint64_t Sequence() const { return transaction_.Sequence(); }

 protected:
  Result<std::optional<std::string_view>> GetPayload(RecordKind kind, kv::TableId table,
                                                     std::string_view key,
                                                     std::uint64_t* sequence = nullptr);
  Result<OpenedRecord> Open(RecordKind kind, kv::TableId table, std::string_view key,
                            std::string_view value) const;

  const RecordCodec& codec_;

 private:
  kv::ReadTransaction& transaction_;
};

class RowWriter : public RowReader {
 public:
  RowWriter(const RecordCodec& codec, kv::WriteTransaction& transaction)
      : RowReader(codec, transaction), transaction_(transaction) {}
  Result<void> PutRoot(const RootRecord& record);
  Result<void> PutCounters(const CountersRecord& record);
  Result<void> PutStore(StoreId id, const StoreRecord& record);
  Result<void> PutStoreName(std::string_view name, StoreId id);
  Result<void> PutDistributionList(ListId id, const ListRecord& record);
  Result<void> PutListName(std::string_view name, ListId id);
  Result<void> PutPropertyName(std::uint16_t identifier, const PropertyName& name);
  Result<void> PutMessage(MessageId id, const MessageRecord& record);
  Result<void> PutRecipient(MessageId id, const RecipientRow& row);
  Result<void> PutAttachment(MessageId id, std::uint32_t number, const AttachmentRecord& record);
  Result<void> PutFolder(FolderId id, const FolderRecord& record);
  Result<void> PutQueueRow(StoreId store, std::uint64_t sequence, const QueueRecord& record);
  Result<void> PutDueRow(const DueKey& key, const DueRecord& record);
  Result<void> PutBodyHead(std::uint64_t body, const BodyRecord& record);
  Result<void> PutBodyChunk(std::uint64_t body, std::uint32_t chunk, std::string_view bytes);
  Result<void> PutContentsRow(FolderId folder, MessageId message);
  Result<void> PutSubfolderRow(FolderId parent, FolderId folder);
  Result<void> PutWrittenAheadRow(std::uint64_t body);
  Result<void> Erase(kv::TableId table, std::string_view key);

 private:
  Result<void> PutIndexRow(std::string_view key, std::uint64_t target);
  Result<void> Put(RecordKind kind, kv::TableId table, std::string_view key,
                   std::string_view payload);

  kv::WriteTransaction& transaction_;
  std::string sealed_;
};

// How many content bytes fit into one row of `bodies`.
inline constexpr std::size_t kBodyChunkBytes = kv::kValueBytesMax - kRecordOverheadBytes - 12;

}  // namespace bobbin

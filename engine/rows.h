// Typed rows inside one transaction: sealed records in, plain values out, and back.
//
// Every read verifies its record. Absent is empty; damaged is kCorruptData. Nothing here knows
// a rule of the submission model (engine/submission.h does).
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

#include "engine/change.h"
#include "engine/recipient_table.h"
#include "engine/record.h"
#include "engine/row_records.h"

namespace bobbin {

class RowReader {
 public:
  RowReader(const RecordCodec& codec, kv::ReadTransaction& transaction)
      : codec_(codec), transaction_(transaction) {}

  Result<std::optional<RootRecord>> Root();
  Result<CountersRecord> Counters();
  Result<std::optional<TableTotals>> Totals();
  Result<std::optional<ScrubRecord>> LastScrub();
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
  Result<std::optional<QuarantineRecord>> Quarantined(MessageId id);
  Result<std::optional<BodyRecord>> BodyHead(std::uint64_t body);
  // The bytes live as long as the transaction allows.
  Result<std::optional<std::string_view>> BodyChunk(std::uint64_t body, std::uint32_t chunk);

  // In key order until `visit` returns false or an error, also of what it cannot decode.
  using KeyVisitor = std::function<Result<bool>(std::string_view key, std::string_view value)>;
  Result<void> Scan(kv::TableId table, std::string_view begin, std::string_view end,
                    const KeyVisitor& visit);

  // Those that begin at `highest_first` or below it, the highest first. Damaged ones are passed.
  using DeletedVisitor = std::function<Result<bool>(const DeletedMessages& deleted)>;
  Result<void> ScanDeleted(std::uint64_t highest_first, const DeletedVisitor& visit);

  Result<QueueRecord> DecodeQueueRow(std::string_view key, std::string_view value) const;
  Result<DueRecord> DecodeDueRow(std::string_view key, std::string_view value) const;
  Result<StoreRecord> DecodeStore(std::string_view key, std::string_view value) const;
  Result<ListRecord> DecodeList(std::string_view key, std::string_view value) const;
  Result<MessageRecord> DecodeMessage(std::string_view key, std::string_view value) const;
  Result<RecipientRow> DecodeRecipient(std::string_view key, std::string_view value) const;
  Result<AttachmentRecord> DecodeAttachment(std::string_view key, std::string_view value) const;
  Result<FolderRecord> DecodeFolder(std::string_view key, std::string_view value) const;
  Result<QuarantineRecord> DecodeQuarantine(std::string_view key, std::string_view value) const;
  Result<BodyRecord> DecodeBodyHead(std::string_view key, std::string_view value) const;
  Result<std::uint64_t> DecodeReference(kv::TableId table, std::string_view key,
                                        std::string_view value) const;
  Result<std::string_view> DecodeBodyChunk(std::string_view key, std::string_view value) const;

  std::uint64_t Sequence() const { return transaction_.Sequence(); }
  std::uint64_t PageOf(std::string_view value) const { return transaction_.PageOf(value); }
  // Empty where the engine would have to count them.
  std::optional<std::uint64_t> RowCount(kv::TableId table) {
    return transaction_.EntryCount(table);
  }

 protected:
  Result<TableTotals> DecodeTotals(std::string_view payload) const;
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
  Result<void> PutLastScrub(const ScrubRecord& record);
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
  Result<void> PutQuarantine(std::string_view key, const QuarantineRecord& record);
  Result<void> PutContentsRow(FolderId folder, MessageId message);
  Result<void> PutSubfolderRow(FolderId parent, FolderId folder);
  Result<void> PutWrittenAheadRow(std::uint64_t body);
  // A row of any table but messages.
  Result<void> Erase(kv::TableId table, std::string_view key);
  // The row alone, not what belongs to it; and remembers that it is deleted.
  Result<void> EraseMessage(MessageId id);
  // A record found elsewhere, sealed anew as one of this transaction.
  Result<void> PutStray(const StrayRecord& record);
  // Nothing but the last step of a transaction does this.
  Result<void> AddToTotals(const TableTotals& change);

  // What the steps of this closure have done, for whoever is advised of it after the commit. A row
  // of the queue that is added and deleted in one transaction has never been there.
  void Note(const Change& change);
  // Nothing is told about `message`'s row of the queue: nobody can see it.
  void ForgetQueueRow(MessageId message);
  const std::vector<Change>& Changes() const { return changes_; }

 private:
  Result<void> PutIndexRow(std::string_view key, std::uint64_t target);
  Result<void> Put(RecordKind kind, kv::TableId table, std::string_view key,
                   std::string_view payload);
  Result<void> PutTotals(const TableTotals& totals);
  Result<void> PutDeleted(const DeletedMessages& deleted);
  // `sealed_`; true when there was no such row.
  Result<bool> PutSealed(kv::TableId table, std::string_view key);
  // True when there was one.
  Result<bool> EraseRow(kv::TableId table, std::string_view key);
  // For one that is stored in the middle of deleted ones.
  Result<void> TakeFromDeleted(MessageId id);
  // Of this transaction so far.
  TableTotals& TotalsChange();

  kv::WriteTransaction& transaction_;
  std::string sealed_;
  std::vector<Change> changes_;
};

// How many content bytes fit into one row of `bodies`.
inline constexpr std::size_t kBodyChunkBytes = kv::kValueBytesMax - kRecordOverheadBytes - 12;

}  // namespace bobbin

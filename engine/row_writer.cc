#include <algorithm>
#include <vector>

#include "engine/check.h"
#include "engine/rows.h"
#include "schema/bobbin_generated.h"

namespace bobbin {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

std::int64_t Count(Time time) { return time.time_since_epoch().count(); }

auto Bytes(FlatBufferBuilder& builder, std::string_view bytes) {
  return bytes.empty() ? Offset<flatbuffers::Vector<std::uint8_t>>()
                       : builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                              bytes.size());
}

auto String(FlatBufferBuilder& builder, std::string_view text) {
  return text.empty() ? Offset<flatbuffers::String>()
                      : builder.CreateString(text.data(), text.size());
}

using PropertyVector = flatbuffers::Vector<Offset<schema::Property>>;

Offset<PropertyVector> Properties(FlatBufferBuilder& builder, const PropertyList& properties) {
  if (properties.Size() == 0) return {};
  std::vector<Offset<schema::Property>> offsets;
  offsets.reserve(properties.Size());
  for (const Property& property : properties) {
    const auto bytes = Bytes(builder, property.bytes);
    offsets.push_back(schema::CreateProperty(builder, property.tag.value, property.number, bytes));
  }
  return builder.CreateVector(offsets);
}

using StreamVector = flatbuffers::Vector<Offset<schema::Stream>>;

Offset<StreamVector> Streams(FlatBufferBuilder& builder, const StreamRecords& streams) {
  if (streams.empty()) return {};
  std::vector<Offset<schema::Stream>> offsets;
  offsets.reserve(streams.size());
  for (const StreamRecord& stream : streams) {
    offsets.push_back(schema::CreateStream(builder, stream.tag.value, stream.bytes, stream.body));
  }
  return builder.CreateVector(offsets);
}

std::string_view Finished(FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

}  // namespace

Result<void> RowWriter::Put(RecordKind kind, kv::TableId table, std::string_view key,
                            std::string_view payload) {
  codec_.Seal(kind, table, key, Sequence(), payload, sealed_);
  ASSIGN_OR_RETURN(const bool is_new, PutSealed(table, key));
  if (!is_new || table != table::kMessages) return {};
  ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
  return TakeFromDeleted(MessageId{id});
}

Result<void> RowWriter::PutStray(const StrayRecord& record) {
  return Put(record.kind, record.table, record.key, record.payload);
}

Result<void> RowWriter::Erase(kv::TableId table, std::string_view key) {
  BOBBIN_CHECK(table != table::kMessages);
  RETURN_IF_ERROR(EraseRow(table, key));
  return {};
}

void RowWriter::Note(const Change& change) {
  if (change.kind == ChangeKind::kQueueRowDeleted) {
    const auto added = std::find_if(changes_.begin(), changes_.end(), [&](const Change& other) {
      return other.kind == ChangeKind::kQueueRowAdded && other.object == change.object;
    });
    if (added != changes_.end()) return ForgetQueueRow(change.Message());
  }
  changes_.push_back(change);
}

void RowWriter::ForgetQueueRow(MessageId message) {
  std::erase_if(changes_, [&](const Change& change) {
    return change.IsOfQueueRow() && change.Message() == message;
  });
}

Result<void> RowWriter::PutRoot(const RootRecord& record) {
  FlatBufferBuilder builder(128);
  const auto id = builder.CreateVector(record.database.bytes.data(), record.database.bytes.size());
  builder.Finish(schema::CreateRoot(builder, record.format, id, Count(record.created)));
  return Put(RecordKind::kRoot, table::kMeta, kRootKey, Finished(builder));
}

Result<void> RowWriter::PutTotals(const TableTotals& totals) {
  FlatBufferBuilder builder(256);
  std::vector<schema::TableTotal> tables;
  for (const TableTotal& total : totals) tables.emplace_back(total.rows, total.checksums);
  const auto vector = builder.CreateVectorOfStructs(tables);
  builder.Finish(schema::CreateTotals(builder, vector));
  return Put(RecordKind::kTotals, table::kMain, kTotalsKey, Finished(builder));
}

Result<void> RowWriter::PutCounters(const CountersRecord& record) {
  FlatBufferBuilder builder(128);
  builder.Finish(schema::CreateCounters(builder, record.next_object, record.next_queue_sequence,
                                        Count(record.last_submit_time),
                                        record.next_named_property));
  return Put(RecordKind::kCounters, table::kMeta, kCountersKey, Finished(builder));
}

Result<void> RowWriter::PutLastScrub(const ScrubRecord& record) {
  FlatBufferBuilder builder(64);
  builder.Finish(schema::CreateScrub(builder, Count(record.ended), record.bytes, record.findings));
  return Put(RecordKind::kScrub, table::kMeta, kScrubKey, Finished(builder));
}

Result<void> RowWriter::PutStore(StoreId id, const StoreRecord& record) {
  FlatBufferBuilder builder(256);
  const auto name = String(builder, record.name);
  const StandardFolders& folders = record.folders;
  builder.Finish(schema::CreateStore(
      builder, name, folders.root.value, folders.ipm_subtree.value, folders.inbox.value,
      folders.outbox.value, folders.sent_items.value, folders.deleted_items.value,
      folders.drafts.value, Count(record.created), 0, record.tightly_coupled));
  return Put(RecordKind::kStore, table::kMeta, StoreKey(id), Finished(builder));
}

Result<void> RowWriter::PutStoreName(std::string_view name, StoreId id) {
  FlatBufferBuilder builder(64);
  builder.Finish(schema::CreateReference(builder, id.value));
  return Put(RecordKind::kReference, table::kMeta, StoreNameKey(name), Finished(builder));
}

Result<void> RowWriter::PutDistributionList(ListId id, const ListRecord& record) {
  FlatBufferBuilder builder(128);
  const auto name = String(builder, record.name);
  builder.Finish(
      schema::CreateDistributionList(builder, name, record.member_count, record.next_row));
  return Put(RecordKind::kDistributionList, table::kMeta, ListKey(id), Finished(builder));
}

Result<void> RowWriter::PutListName(std::string_view name, ListId id) {
  FlatBufferBuilder builder(64);
  builder.Finish(schema::CreateReference(builder, id.value));
  return Put(RecordKind::kReference, table::kMeta, ListNameKey(name), Finished(builder));
}

Result<void> RowWriter::PutPropertyName(std::uint16_t identifier, const PropertyName& name) {
  FlatBufferBuilder builder(128);
  const auto set = Bytes(builder, name.set.ToBytes());
  const auto* text = std::get_if<std::string>(&name.name);
  const auto* number = std::get_if<std::uint32_t>(&name.name);
  const auto string = text == nullptr ? Offset<flatbuffers::String>() : String(builder, *text);
  builder.Finish(schema::CreatePropertyName(builder, set, number == nullptr ? 0 : *number, string));
  RETURN_IF_ERROR(Put(RecordKind::kPropertyName, table::kMeta, PropertyIdentifierKey(identifier),
                      Finished(builder)));
  FlatBufferBuilder reference(64);
  reference.Finish(schema::CreateReference(reference, identifier));
  return Put(RecordKind::kReference, table::kMeta, PropertyNameKey(name), Finished(reference));
}

Result<void> RowWriter::PutMessage(MessageId id, const MessageRecord& record) {
  FlatBufferBuilder builder(1024 + record.content_inline.size());
  const auto content = Bytes(builder, record.content_inline);
  const auto properties = Properties(builder, record.properties);
  const auto streams = Streams(builder, record.streams);
  schema::MessageBuilder message(builder);
  message.add_store(record.store.value);
  message.add_folder(record.folder.value);
  message.add_message_flags(record.message_flags);
  message.add_submit_flags(record.submit_flags);
  message.add_queue_sequence(record.queue_sequence);
  message.add_recipient_count(record.recipient_count);
  message.add_next_recipient_row(record.next_recipient_row);
  message.add_content_bytes(record.content_bytes);
  message.add_content_body(record.content_body);
  if (!content.IsNull()) message.add_content_inline(content);
  if (!properties.IsNull()) message.add_properties(properties);
  message.add_revision(record.revision);
  if (!streams.IsNull()) message.add_streams(streams);
  message.add_has_content(record.has_content);
  message.add_attachment_count(record.attachment_count);
  message.add_next_attachment(record.next_attachment);
  message.add_embedded_in(record.embedded_in.value);
  message.add_preprocess_attempts(record.preprocess_attempts);
  builder.Finish(message.Finish());
  return Put(RecordKind::kMessage, table::kMessages, MessageKey(id), Finished(builder));
}

Result<void> RowWriter::PutRecipient(MessageId id, const RecipientRow& row) {
  FlatBufferBuilder builder(512);
  const RecipientDelivery& delivery = row.delivery;
  const auto properties = Properties(builder, row.properties);
  const auto enhanced_code = String(builder, delivery.last_reply.enhanced_code);
  const auto text = String(builder, delivery.last_reply.text);
  const auto host = String(builder, delivery.remote_host);
  builder.Finish(schema::CreateRecipient(
      builder, properties, delivery.responsibility, static_cast<std::uint8_t>(delivery.state),
      delivery.attempts, Count(delivery.last_attempt), Count(delivery.next_attempt),
      Count(delivery.completed), delivery.last_reply.code, enhanced_code, text, host,
      Count(delivery.delay_reported)));
  return Put(RecordKind::kRecipient, table::kRecipients, RecipientKey(id, row.id),
             Finished(builder));
}

Result<void> RowWriter::PutAttachment(MessageId id, std::uint32_t number,
                                      const AttachmentRecord& record) {
  FlatBufferBuilder builder(512);
  const auto properties = Properties(builder, record.properties);
  const auto streams = Streams(builder, record.streams);
  builder.Finish(schema::CreateAttachment(builder, properties, streams, record.embedded.value));
  return Put(RecordKind::kAttachment, table::kAttachments, AttachmentKey(id, number),
             Finished(builder));
}

Result<void> RowWriter::PutFolder(FolderId id, const FolderRecord& record) {
  FlatBufferBuilder builder(256);
  const auto name = String(builder, record.name);
  builder.Finish(schema::CreateFolder(builder, record.store.value, record.parent.value, name,
                                      record.content_count, record.content_unread,
                                      record.folder_count, Count(record.created)));
  return Put(RecordKind::kFolder, table::kFolders, FolderKey(id), Finished(builder));
}

Result<void> RowWriter::PutQueueRow(StoreId store, std::uint64_t sequence,
                                    const QueueRecord& record) {
  FlatBufferBuilder builder(128);
  builder.Finish(schema::CreateQueueRow(builder, record.message.value, Count(record.submit_time),
                                        static_cast<std::uint8_t>(record.lane), Count(record.due)));
  return Put(RecordKind::kQueueRow, table::kQueue, QueueKey(store, sequence), Finished(builder));
}

Result<void> RowWriter::PutDueRow(const DueKey& key, const DueRecord& record) {
  FlatBufferBuilder builder(64);
  builder.Finish(schema::CreateDueRow(builder, record.store.value, record.message.value));
  return Put(RecordKind::kDueRow, table::kDue, EncodeDueKey(key), Finished(builder));
}

Result<void> RowWriter::PutBodyHead(std::uint64_t body, const BodyRecord& record) {
  FlatBufferBuilder builder(128);
  builder.Finish(schema::CreateBody(builder, record.bytes, record.chunk_count, record.references,
                                    record.owner_process, record.owner_start));
  return Put(RecordKind::kBodyHead, table::kBodies, BodyKey(body, 0), Finished(builder));
}

Result<void> RowWriter::PutBodyChunk(std::uint64_t body, std::uint32_t chunk,
                                     std::string_view bytes) {
  BOBBIN_CHECK(chunk > 0 && bytes.size() <= kBodyChunkBytes);
  return Put(RecordKind::kBodyChunk, table::kBodies, BodyKey(body, chunk), bytes);
}

Result<void> RowWriter::PutIndexRow(std::string_view key, std::uint64_t target) {
  FlatBufferBuilder builder(64);
  builder.Finish(schema::CreateReference(builder, target));
  return Put(RecordKind::kReference, table::kIndex, key, Finished(builder));
}

Result<void> RowWriter::PutQuarantine(std::string_view key, const QuarantineRecord& record) {
  FlatBufferBuilder builder(256);
  const auto damaged_table = String(builder, record.damaged_table);
  const auto damaged_key = Bytes(builder, record.damaged_key);
  const auto detail = String(builder, record.detail);
  const auto row = Bytes(builder, record.row);
  builder.Finish(
      schema::CreateQuarantine(builder, damaged_table, damaged_key, detail, Count(record.time),
                               record.store.value, record.queue_sequence, Count(record.submit_time),
                               static_cast<std::uint8_t>(record.lane), Count(record.due), row));
  return Put(RecordKind::kQuarantine, table::kIndex, key, Finished(builder));
}

Result<void> RowWriter::PutContentsRow(FolderId folder, MessageId message) {
  return PutIndexRow(ContentsKey(folder, message), message.value);
}

Result<void> RowWriter::PutSubfolderRow(FolderId parent, FolderId folder) {
  return PutIndexRow(SubfolderKey(parent, folder), folder.value);
}

Result<void> RowWriter::PutWrittenAheadRow(std::uint64_t body) {
  return PutIndexRow(WrittenAheadKey(body), body);
}

}  // namespace bobbin

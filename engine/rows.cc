#include "engine/rows.h"

#include <vector>

#include "engine/check.h"
#include "schema/bobbin_generated.h"

namespace bobbin {
namespace {

using flatbuffers::Offset;

Time FromCount(std::int64_t count) { return Time(std::chrono::nanoseconds(count)); }

std::string_view Text(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view() : std::string_view(text->c_str(), text->size());
}

std::string Text(const flatbuffers::Vector<std::uint8_t>* bytes) {
  return bytes == nullptr
             ? std::string()
             : std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

using PropertyVector = flatbuffers::Vector<Offset<schema::Property>>;

PropertyList Properties(const PropertyVector* vector) {
  PropertyList properties;
  if (vector == nullptr) return properties;
  for (const schema::Property* property : *vector) {
    properties.Set(
        Property{PropertyTag{property->tag()}, property->number(), Text(property->bytes())});
  }
  return properties;
}

using StreamVector = flatbuffers::Vector<Offset<schema::Stream>>;

StreamRecords Streams(const StreamVector* vector) {
  StreamRecords streams;
  if (vector == nullptr) return streams;
  for (const schema::Stream* stream : *vector) {
    streams.push_back({PropertyTag{stream->tag()}, stream->bytes(), stream->body()});
  }
  return streams;
}

// The payload of a record, checked by FlatBuffers' verifier. It is copied: FlatBuffers wants its
// scalars aligned, and values lie at odd addresses on LMDB's pages.
template <class Table>
class Decoded {
 public:
  explicit Decoded(std::string_view payload)
      : words_((payload.size() + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t) + 1) {
    if (!payload.empty()) std::memcpy(words_.data(), payload.data(), payload.size());
    flatbuffers::Verifier verifier(Data(), payload.size());
    valid_ = verifier.VerifyBuffer<Table>(nullptr);
  }
  bool Valid() const { return valid_; }
  const Table* operator->() const { return flatbuffers::GetRoot<Table>(Data()); }

 private:
  const std::uint8_t* Data() const { return reinterpret_cast<const std::uint8_t*>(words_.data()); }

  std::vector<std::uint64_t> words_;
  bool valid_ = false;
};

tl::unexpected<Error> Malformed(kv::TableId table, std::string_view key) {
  return Fail(ErrorCode::kCorruptData, "table " + std::string(table::kNames[table.index]) +
                                           ", key " + ToHex(key) +
                                           ": the payload is not what its kind says");
}

}  // namespace

Result<OpenedRecord> RowReader::Open(RecordKind kind, kv::TableId table, std::string_view key,
                                     std::string_view value) const {
  return codec_.Open(kind, table, table::kNames[table.index], key, value);
}

Result<std::optional<std::string_view>> RowReader::GetPayload(RecordKind kind, kv::TableId table,
                                                              std::string_view key,
                                                              std::uint64_t* sequence) {
  ASSIGN_OR_RETURN(const std::optional<kv::Bytes> value, transaction_.Get(table, key));
  if (!value) return std::optional<std::string_view>();
  ASSIGN_OR_RETURN(const OpenedRecord record, Open(kind, table, key, *value));
  if (sequence != nullptr) *sequence = record.sequence;
  return std::optional<std::string_view>(record.payload);
}

Result<void> RowReader::Scan(kv::TableId table, std::string_view begin, std::string_view end,
                             const KeyVisitor& visit) {
  std::optional<Error> failed;
  RETURN_IF_ERROR(transaction_.Scan(table, {begin, end}, [&](kv::Bytes key, kv::Bytes value) {
    Result<bool> more = visit(key, value);
    if (!more) {
      failed = std::move(more).error();
      return false;
    }
    return *more;
  }));
  if (failed) return tl::unexpected<Error>(*std::move(failed));
  return {};
}

Result<std::optional<RootRecord>> RowReader::Root() {
  ASSIGN_OR_RETURN(const auto payload, GetPayload(RecordKind::kRoot, table::kMeta, kRootKey));
  if (!payload) return std::optional<RootRecord>();
  const Decoded<schema::Root> root(*payload);
  if (!root.Valid()) return Malformed(table::kMeta, kRootKey);
  RootRecord record;
  record.format = root->format();
  record.created = FromCount(root->created());
  const std::string id = Text(root->database());
  if (id.size() != record.database.bytes.size()) return Malformed(table::kMeta, kRootKey);
  std::memcpy(record.database.bytes.data(), id.data(), id.size());
  return std::optional(record);
}

Result<TableTotals> RowReader::DecodeTotals(std::string_view payload) const {
  const Decoded<schema::Totals> decoded(payload);
  TableTotals totals{};
  if (!decoded.Valid() || decoded->tables() == nullptr ||
      decoded->tables()->size() != totals.size()) {
    return Malformed(table::kMain, kTotalsKey);
  }
  for (std::size_t i = 0; i < totals.size(); ++i) {
    const schema::TableTotal& total = *decoded->tables()->Get(static_cast<unsigned>(i));
    totals[i] = {total.rows(), total.checksums()};
  }
  return totals;
}

Result<CountersRecord> RowReader::Counters() {
  ASSIGN_OR_RETURN(const auto payload,
                   GetPayload(RecordKind::kCounters, table::kMeta, kCountersKey));
  if (!payload) return Fail(ErrorCode::kCorruptData, "table meta: the counters row is missing");
  const Decoded<schema::Counters> counters(*payload);
  if (!counters.Valid()) return Malformed(table::kMeta, kCountersKey);
  return CountersRecord{counters->next_object(), counters->next_queue_sequence(),
                        FromCount(counters->last_submit_time()), counters->next_named_property()};
}

Result<std::optional<ScrubRecord>> RowReader::LastScrub() {
  ASSIGN_OR_RETURN(const auto payload, GetPayload(RecordKind::kScrub, table::kMeta, kScrubKey));
  if (!payload) return std::optional<ScrubRecord>();
  const Decoded<schema::Scrub> scrub(*payload);
  if (!scrub.Valid()) return Malformed(table::kMeta, kScrubKey);
  return std::optional(ScrubRecord{FromCount(scrub->ended()), scrub->bytes(), scrub->findings()});
}

Result<StoreRecord> RowReader::DecodeStore(std::string_view key, std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened, Open(RecordKind::kStore, table::kMeta, key, value));
  const Decoded<schema::Store> store(opened.payload);
  if (!store.Valid()) return Malformed(table::kMeta, key);
  StoreRecord record;
  record.name = std::string(Text(store->name()));
  record.folders = {FolderId{store->root()},       FolderId{store->ipm_subtree()},
                    FolderId{store->inbox()},      FolderId{store->outbox()},
                    FolderId{store->sent_items()}, FolderId{store->deleted_items()},
                    FolderId{store->drafts()}};
  record.created = FromCount(store->created());
  record.tightly_coupled = store->tightly_coupled();
  return record;
}

Result<std::optional<StoreRecord>> RowReader::Store(StoreId id) {
  const std::string key = StoreKey(id);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kMeta, key));
  if (!value) return std::optional<StoreRecord>();
  ASSIGN_OR_RETURN(StoreRecord record, DecodeStore(key, *value));
  return std::optional(std::move(record));
}

Result<std::uint64_t> RowReader::DecodeReference(kv::TableId table, std::string_view key,
                                                 std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened, Open(RecordKind::kReference, table, key, value));
  const Decoded<schema::Reference> reference(opened.payload);
  if (!reference.Valid()) return Malformed(table, key);
  return reference->target();
}

Result<std::optional<StoreId>> RowReader::StoreNamed(std::string_view name) {
  const std::string key = StoreNameKey(name);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kMeta, key));
  if (!value) return std::optional<StoreId>();
  ASSIGN_OR_RETURN(const std::uint64_t id, DecodeReference(table::kMeta, key, *value));
  return std::optional(StoreId{id});
}

Result<ListRecord> RowReader::DecodeList(std::string_view key, std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kDistributionList, table::kMeta, key, value));
  const Decoded<schema::DistributionList> list(opened.payload);
  if (!list.Valid()) return Malformed(table::kMeta, key);
  return ListRecord{std::string(Text(list->name())), list->member_count(), list->next_row()};
}

Result<std::optional<ListRecord>> RowReader::DistributionList(ListId id) {
  const std::string key = ListKey(id);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kMeta, key));
  if (!value) return std::optional<ListRecord>();
  ASSIGN_OR_RETURN(ListRecord record, DecodeList(key, *value));
  return std::optional(std::move(record));
}

Result<std::optional<ListId>> RowReader::ListNamed(std::string_view name) {
  const std::string key = ListNameKey(name);
  if (key.size() > kv::kKeyBytesMax) return std::optional<ListId>();
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kMeta, key));
  if (!value) return std::optional<ListId>();
  ASSIGN_OR_RETURN(const std::uint64_t id, DecodeReference(table::kMeta, key, *value));
  return std::optional(ListId{id});
}

Result<std::optional<PropertyName>> RowReader::PropertyNameOf(std::uint16_t identifier) {
  const std::string key = PropertyIdentifierKey(identifier);
  ASSIGN_OR_RETURN(const auto payload, GetPayload(RecordKind::kPropertyName, table::kMeta, key));
  if (!payload) return std::optional<PropertyName>();
  const Decoded<schema::PropertyName> name(*payload);
  if (!name.Valid()) return Malformed(table::kMeta, key);
  const Result<ClassId> set = ClassId::FromBytes(Text(name->set()));
  if (!set) return Malformed(table::kMeta, key);
  if (name->text() == nullptr) return std::optional(PropertyName{*set, name->number()});
  return std::optional(PropertyName{*set, std::string(Text(name->text()))});
}

Result<std::optional<std::uint16_t>> RowReader::PropertyNamed(const PropertyName& name) {
  const std::string key = PropertyNameKey(name);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kMeta, key));
  if (!value) return std::optional<std::uint16_t>();
  ASSIGN_OR_RETURN(const std::uint64_t id, DecodeReference(table::kMeta, key, *value));
  return std::optional(static_cast<std::uint16_t>(id));
}

Result<MessageRecord> RowReader::DecodeMessage(std::string_view key, std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kMessage, table::kMessages, key, value));
  const Decoded<schema::Message> message(opened.payload);
  if (!message.Valid()) return Malformed(table::kMessages, key);
  MessageRecord record;
  record.store = StoreId{message->store()};
  record.folder = FolderId{message->folder()};
  record.message_flags = message->message_flags();
  record.submit_flags = message->submit_flags();
  record.queue_sequence = message->queue_sequence();
  record.recipient_count = message->recipient_count();
  record.next_recipient_row = message->next_recipient_row();
  record.content_bytes = message->content_bytes();
  record.content_body = message->content_body();
  record.content_inline = Text(message->content_inline());
  record.has_content =
      message->has_content() || record.content_bytes != 0 || record.content_body != 0;
  record.properties = Properties(message->properties());
  record.streams = Streams(message->streams());
  record.attachment_count = message->attachment_count();
  record.next_attachment = message->next_attachment();
  record.embedded_in = MessageId{message->embedded_in()};
  record.preprocess_attempts = message->preprocess_attempts();
  record.revision = message->revision();
  record.sequence = opened.sequence;
  return record;
}

Result<std::optional<MessageRecord>> RowReader::Message(MessageId id) {
  const std::string key = MessageKey(id);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kMessages, key));
  if (!value) return std::optional<MessageRecord>();
  ASSIGN_OR_RETURN(MessageRecord record, DecodeMessage(key, *value));
  return std::optional(std::move(record));
}

Result<RecipientRow> RowReader::DecodeRecipient(std::string_view key,
                                                std::string_view value) const {
  ASSIGN_OR_RETURN(const std::uint32_t row_id, KeyNumber4(key, 8));
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kRecipient, table::kRecipients, key, value));
  const Decoded<schema::Recipient> recipient(opened.payload);
  if (!recipient.Valid() || recipient->state() > 4) return Malformed(table::kRecipients, key);
  RecipientRow row;
  row.id = RecipientRowId{row_id};
  row.properties = Properties(recipient->properties());
  row.delivery.responsibility = recipient->responsibility();
  row.delivery.state = static_cast<RecipientState>(recipient->state());
  row.delivery.attempts = recipient->attempts();
  row.delivery.last_attempt = FromCount(recipient->last_attempt());
  row.delivery.next_attempt = FromCount(recipient->next_attempt());
  row.delivery.completed = FromCount(recipient->completed());
  row.delivery.last_reply = {recipient->reply_code(),
                             std::string(Text(recipient->reply_enhanced_code())),
                             std::string(Text(recipient->reply_text()))};
  row.delivery.remote_host = std::string(Text(recipient->remote_host()));
  row.delivery.delay_reported = FromCount(recipient->delay_reported());
  return row;
}

Result<RecipientTable> RowReader::Recipients(MessageId id) {
  RecipientTable rows;
  RETURN_IF_ERROR(Scan(table::kRecipients, Key8(id.value), Key8(id.value + 1),
                       [&](std::string_view key, std::string_view value) -> Result<bool> {
                         ASSIGN_OR_RETURN(RecipientRow row, DecodeRecipient(key, value));
                         rows.push_back(std::move(row));
                         return true;
                       }));
  return rows;
}

Result<std::optional<RecipientRow>> RowReader::Recipient(MessageId id, RecipientRowId row_id) {
  const std::string key = RecipientKey(id, row_id);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kRecipients, key));
  if (!value) return std::optional<RecipientRow>();
  ASSIGN_OR_RETURN(RecipientRow row, DecodeRecipient(key, *value));
  return std::optional(std::move(row));
}

Result<AttachmentRecord> RowReader::DecodeAttachment(std::string_view key,
                                                     std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kAttachment, table::kAttachments, key, value));
  const Decoded<schema::Attachment> attachment(opened.payload);
  if (!attachment.Valid()) return Malformed(table::kAttachments, key);
  return AttachmentRecord{Properties(attachment->properties()), Streams(attachment->streams()),
                          MessageId{attachment->embedded()}};
}

Result<std::optional<AttachmentRecord>> RowReader::Attachment(MessageId id, std::uint32_t number) {
  const std::string key = AttachmentKey(id, number);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kAttachments, key));
  if (!value) return std::optional<AttachmentRecord>();
  ASSIGN_OR_RETURN(AttachmentRecord record, DecodeAttachment(key, *value));
  return std::optional(std::move(record));
}

Result<std::map<std::uint32_t, AttachmentRecord>> RowReader::Attachments(MessageId id) {
  std::map<std::uint32_t, AttachmentRecord> attachments;
  RETURN_IF_ERROR(Scan(table::kAttachments, Key8(id.value), Key8(id.value + 1),
                       [&](std::string_view key, std::string_view value) -> Result<bool> {
                         ASSIGN_OR_RETURN(const std::uint32_t number, KeyNumber4(key, 8));
                         ASSIGN_OR_RETURN(attachments[number], DecodeAttachment(key, value));
                         return true;
                       }));
  return attachments;
}

Result<FolderRecord> RowReader::DecodeFolder(std::string_view key, std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kFolder, table::kFolders, key, value));
  const Decoded<schema::Folder> folder(opened.payload);
  if (!folder.Valid()) return Malformed(table::kFolders, key);
  return FolderRecord{StoreId{folder->store()},          FolderId{folder->parent()},
                      std::string(Text(folder->name())), folder->content_count(),
                      folder->content_unread(),          folder->folder_count(),
                      FromCount(folder->created())};
}

Result<std::optional<FolderRecord>> RowReader::Folder(FolderId id) {
  const std::string key = FolderKey(id);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kFolders, key));
  if (!value) return std::optional<FolderRecord>();
  ASSIGN_OR_RETURN(FolderRecord record, DecodeFolder(key, *value));
  return std::optional(std::move(record));
}

Result<QueueRecord> RowReader::DecodeQueueRow(std::string_view key, std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kQueueRow, table::kQueue, key, value));
  const Decoded<schema::QueueRow> row(opened.payload);
  if (!row.Valid() || row->due_lane() > 1) return Malformed(table::kQueue, key);
  return QueueRecord{MessageId{row->message()}, FromCount(row->submit_time()),
                     static_cast<DueLane>(row->due_lane()), FromCount(row->due_time())};
}

Result<std::optional<QueueRecord>> RowReader::QueueRow(StoreId store, std::uint64_t sequence) {
  const std::string key = QueueKey(store, sequence);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kQueue, key));
  if (!value) return std::optional<QueueRecord>();
  ASSIGN_OR_RETURN(QueueRecord record, DecodeQueueRow(key, *value));
  return std::optional(record);
}

Result<DueRecord> RowReader::DecodeDueRow(std::string_view key, std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened, Open(RecordKind::kDueRow, table::kDue, key, value));
  const Decoded<schema::DueRow> row(opened.payload);
  if (!row.Valid()) return Malformed(table::kDue, key);
  return DueRecord{StoreId{row->store()}, MessageId{row->message()}};
}

Result<std::optional<DueRecord>> RowReader::DueRow(const DueKey& due) {
  const std::string key = EncodeDueKey(due);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kDue, key));
  if (!value) return std::optional<DueRecord>();
  ASSIGN_OR_RETURN(DueRecord record, DecodeDueRow(key, *value));
  return std::optional(record);
}

Result<QuarantineRecord> RowReader::DecodeQuarantine(std::string_view key,
                                                     std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kQuarantine, table::kIndex, key, value));
  const Decoded<schema::Quarantine> row(opened.payload);
  if (!row.Valid() || row->due_lane() > 1) return Malformed(table::kIndex, key);
  QuarantineRecord record;
  record.damaged_table = std::string(Text(row->damaged_table()));
  record.damaged_key = Text(row->damaged_key());
  record.detail = std::string(Text(row->detail()));
  record.time = FromCount(row->time());
  record.store = StoreId{row->store()};
  record.queue_sequence = row->queue_sequence();
  record.submit_time = FromCount(row->submit_time());
  record.lane = static_cast<DueLane>(row->due_lane());
  record.due = FromCount(row->due_time());
  record.row = Text(row->row());
  return record;
}

Result<std::optional<QuarantineRecord>> RowReader::Quarantined(MessageId id) {
  const std::string key = QuarantineKey(id);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kIndex, key));
  if (!value) return std::optional<QuarantineRecord>();
  ASSIGN_OR_RETURN(QuarantineRecord record, DecodeQuarantine(key, *value));
  return std::optional(std::move(record));
}

Result<BodyRecord> RowReader::DecodeBodyHead(std::string_view key, std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kBodyHead, table::kBodies, key, value));
  const Decoded<schema::Body> body(opened.payload);
  if (!body.Valid()) return Malformed(table::kBodies, key);
  return BodyRecord{body->bytes(), body->chunk_count(), body->references(), body->owner_process(),
                    body->owner_start()};
}

Result<std::optional<BodyRecord>> RowReader::BodyHead(std::uint64_t body) {
  const std::string key = BodyKey(body, 0);
  ASSIGN_OR_RETURN(const auto value, transaction_.Get(table::kBodies, key));
  if (!value) return std::optional<BodyRecord>();
  ASSIGN_OR_RETURN(BodyRecord record, DecodeBodyHead(key, *value));
  return std::optional(record);
}

Result<std::string_view> RowReader::DecodeBodyChunk(std::string_view key,
                                                    std::string_view value) const {
  ASSIGN_OR_RETURN(const OpenedRecord opened,
                   Open(RecordKind::kBodyChunk, table::kBodies, key, value));
  return opened.payload;
}

Result<std::optional<std::string_view>> RowReader::BodyChunk(std::uint64_t body,
                                                             std::uint32_t chunk) {
  return GetPayload(RecordKind::kBodyChunk, table::kBodies, BodyKey(body, chunk));
}

}  // namespace bobbin

#include "engine/message.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "engine/message_object.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

constexpr std::uint32_t kSaveFlags =
    kKeepOpenReadOnly | kKeepOpenReadWrite | kForceSave | kMapiDeferredErrors;
constexpr std::size_t kDisplayNamesBytesMax = 255;  // As stored, for tables.

// Flags a client may write before the first save (specification 2.6); afterwards none.
constexpr std::uint32_t kClientFlags =
    kMsgFlagRead | kMsgFlagUnmodified | kMsgFlagUnsent | kMsgFlagFromMe | kMsgFlagResend;

constexpr PropertyTag kComputedTags[] = {
    pr::kDisplayBcc,     pr::kDisplayCc,    pr::kDisplayTo,        pr::kMessageSize,
    pr::kParentEntryId,  pr::kSubmitFlags,  pr::kHasAttachment,    pr::kNormalizedSubject,
    pr::kPreprocess,     pr::kInstanceKey,  pr::kAccess,           pr::kAccessLevel,
    pr::kRecordKey,      pr::kStoreEntryId, pr::kStoreRecordKey,   pr::kObjectType,
    pr::kEntryId,        pr::kCreationTime, pr::kStoreSupportMask, pr::kLastModificationTime,
    pr::kResponsibility, pr::kRowId};

bool IsComputed(PropertyTag tag) {
  return std::any_of(std::begin(kComputedTags), std::end(kComputedTags),
                     [&](PropertyTag computed) { return computed.Id() == tag.Id(); });
}

bool IsStorableType(PropertyType type) {
  switch (type) {
    case PropertyType::kLong:
    case PropertyType::kBoolean:
    case PropertyType::kInt64:
    case PropertyType::kSystemTime:
    case PropertyType::kString8:
    case PropertyType::kUnicode:
    case PropertyType::kBinary:
      return true;
    default:
      return false;
  }
}

// Why `property` cannot be stored on a message as it is; nothing when it can.
std::optional<ErrorCode> Problem(const MessageObject& object, const Property& property) {
  if (IsComputed(property.tag)) return ErrorCode::kComputed;
  if (!IsStorableType(property.tag.Type())) return ErrorCode::kInvalidType;
  if (property.tag.Id() == pr::kInternetContent.Id()) return ErrorCode::kNotEnoughMemory;
  if (property.tag.Id() == pr::kSentMailEntryId.Id()) {
    const Result<EntryId> id = EntryId::FromBytes(property.bytes);
    if (!id || id->Database() != object.database->id) return ErrorCode::kInvalidEntryId;
  }
  if (property.tag.Id() == pr::kMessageClass.Id()) {
    const bool printable = std::all_of(property.bytes.begin(), property.bytes.end(),
                                       [](char c) { return c >= 32 && c != 127; });
    if (property.bytes.empty() || property.bytes.size() > 255 || property.bytes.back() == '.' ||
        !printable) {
      return ErrorCode::kInvalidParameter;
    }
  }
  return std::nullopt;
}

// PR_MESSAGE_FLAGS: only bits writable at the moment change; a wish for others is a problem.
std::optional<ErrorCode> SetMessageFlags(MessageObject& object, std::uint32_t wished) {
  const std::uint32_t writable = object.stored ? 0 : kClientFlags;
  const std::uint32_t current = object.record.message_flags;
  object.record.message_flags = (current & ~writable) | (wished & writable);
  return ((wished ^ current) & ~writable) != 0 ? std::optional(ErrorCode::kComputed) : std::nullopt;
}

std::uint64_t MessageBytes(const MessageObject& object) {
  std::uint64_t bytes = object.record.properties.ByteCount();
  bytes += object.content ? object.content->bytes : object.record.content_bytes;
  for (const RecipientRow& row : object.recipients) bytes += row.properties.ByteCount();
  return bytes;
}

Property Computed(PropertyTag tag, const EntryId& id) { return Property::Bytes(tag, id.ToBytes()); }

void AddComputed(const MessageObject& object, PropertyList& list) {
  const DatabaseState& database = *object.database;
  const EntryId entry_id = database.EntryIdOf(object.id.value);
  list.Set(Computed(pr::kEntryId, entry_id));
  list.Set(Computed(pr::kRecordKey, entry_id));
  list.Set(Computed(pr::kParentEntryId, database.EntryIdOf(object.record.folder.value)));
  list.Set(Computed(pr::kStoreEntryId, database.EntryIdOf(object.record.store.value)));
  list.Set(Computed(pr::kStoreRecordKey, database.EntryIdOf(object.record.store.value)));
  list.Set(Property::Number(pr::kObjectType, 5));
  list.Set(Property::Number(pr::kAccessLevel, static_cast<std::int64_t>(object.access)));
  list.Set(Property::Number(pr::kMessageFlags, object.record.message_flags));
  list.Set(Property::Number(pr::kMessageSize, static_cast<std::int64_t>(MessageBytes(object))));
  const bool has_attachment = (object.record.message_flags & kMsgFlagHasAttach) != 0;
  list.Set(Property::Number(pr::kHasAttachment, has_attachment ? 1 : 0));
  if (object.record.IsSubmitted()) {
    const auto holder = database.shared.locks->Holder(object.id);
    const bool locked = holder && holder->kind == LockKind::kLock;
    list.Set(Property::Number(pr::kSubmitFlags,
                              object.record.submit_flags | (locked ? kSubmitFlagLocked : 0U)));
  }
  constexpr std::size_t no_limit = static_cast<std::size_t>(-1) / 2;
  const RecipientTable& rows = object.recipients;
  list.Set(Property::Bytes(pr::kDisplayTo, DisplayNames(rows, kRecipientTo, no_limit)));
  list.Set(Property::Bytes(pr::kDisplayCc, DisplayNames(rows, kRecipientCc, no_limit)));
  list.Set(Property::Bytes(pr::kDisplayBcc, DisplayNames(rows, kRecipientBcc, no_limit)));
  if (const Property* subject = list.Find(pr::kSubject)) {
    const std::string text = subject->bytes;
    const SubjectParts parts = SplitSubject(text);
    if (list.Find(pr::kSubjectPrefix) == nullptr) {
      list.Set(Property::Bytes(pr::kSubjectPrefix, std::string(parts.prefix)));
    }
    list.Set(Property::Bytes(pr::kNormalizedSubject, std::string(parts.normalized)));
  }
}

Result<void> CheckRow(const RecipientRow& row) {
  for (const Property& property : row.properties) {
    if (property.tag.Type() == PropertyType::kNull) {
      return Fail(ErrorCode::kInvalidParameter, "a recipient property has type PT_NULL");
    }
  }
  if (row.properties.Find(pr::kRecipientType) == nullptr) {
    return Fail(ErrorCode::kInvalidParameter, "a recipient row has no PR_RECIPIENT_TYPE");
  }
  return {};
}

// TRUE never becomes FALSE while the message is queued: an attempt commits recipients without
// touching the message's record, so an object opened before it does not know (C68).
Result<void> KeepServed(RowReader& rows, MessageId id, RecipientTable& recipients) {
  for (RecipientRow& row : recipients) {
    ASSIGN_OR_RETURN(std::optional<RecipientRow> stored, rows.Recipient(id, row.id));
    if (stored && stored->delivery.responsibility) row.delivery = std::move(stored->delivery);
  }
  return {};
}

// PR_RESPONSIBILITY may be given as a property; it is kept as the typed field.
void NormalizeRow(RecipientRow& row) {
  if (const Property* given = row.properties.Find(pr::kResponsibility)) {
    row.delivery.responsibility = given->number != 0;
    row.properties.Erase(pr::kResponsibility);
  }
  row.properties.Erase(pr::kRowId);
}

}  // namespace

Result<void> MessageObject::CheckOpen() const {
  switch (phase.load()) {
    case Phase::kOpen:
      return {};
    case Phase::kSubmitting:
      return Fail(ErrorCode::kBusy, "the message is being submitted");
    case Phase::kInvalid:
      break;
  }
  return Fail(ErrorCode::kInvalidObject, "the message has been submitted; open it again by its id");
}

Result<void> MessageObject::CheckWritable() const {
  RETURN_IF_ERROR(CheckOpen());
  if (access == AccessLevel::kModify) return {};
  return Fail(ErrorCode::kNoAccess, "the message is open read-only");
}

Result<void> MessageObject::PrepareSave() {
  if (content && content_body_id == 0 && NeedsBodyId(*content)) {
    ASSIGN_OR_RETURN(content_body_id, database->DrawObjectId());
  }
  return {};
}

Result<void> MessageObject::MergeInto(RowWriter& rows, std::uint32_t save_flags,
                                      MessageRecord& saved,
                                      std::optional<MessageRecord>& before) const {
  saved = record;
  before.reset();
  if (stored) {
    ASSIGN_OR_RETURN(before, rows.Message(id));
    if (!before) return Fail(ErrorCode::kObjectDeleted, "the message was deleted");
    const bool force = (save_flags & kForceSave) != 0;
    if (before->IsSubmitted() && logon == Logon::kClient) {
      return Fail(force ? ErrorCode::kSubmitted : ErrorCode::kObjectChanged,
                  "the message was submitted through another object");
    }
    const bool changed = before->sequence != record.sequence || before->revision != record.revision;
    if (changed && !force) {
      return Fail(ErrorCode::kObjectChanged, "the message was saved since it was opened");
    }
    if (changed && before->IsSubmitted()) {
      return Fail(ErrorCode::kSubmitted, "the message in the queue is not the one that was opened");
    }
    // What others may have changed meanwhile and no save owns: place, queue, flags, content.
    saved.folder = before->folder;
    saved.message_flags = before->message_flags;
    saved.submit_flags = before->submit_flags;
    saved.queue_sequence = before->queue_sequence;
    saved.content_bytes = before->content_bytes;
    saved.content_body = before->content_body;
    saved.content_inline = before->content_inline;
  }
  if (content) RETURN_IF_ERROR(AttachContent(rows, saved, *content, content_body_id));

  const Time now = database->clock->Now();
  PropertyList& properties = saved.properties;
  properties.Set(Property::Number(pr::kLastModificationTime, ToFileTime(now)));
  if (!stored) properties.Set(Property::Number(pr::kCreationTime, ToFileTime(now)));
  if (properties.Find(pr::kMessageClass) == nullptr) {
    properties.Set(Property::Bytes(pr::kMessageClass, "IPM"));
  }
  if (stored && logon == Logon::kClient) saved.message_flags &= ~kMsgFlagUnmodified;
  return {};
}

Result<void> MessageObject::WriteRecord(RowWriter& rows, MessageRecord& saved,
                                        const std::optional<MessageRecord>& before) const {
  return before ? ReplaceMessage(rows, id, *before, saved) : InsertMessage(rows, id, saved);
}

void MessageObject::Adopt(MessageRecord saved) {
  record = std::move(saved);
  stored = true;
  edited = false;
  recipients_changed = false;
  content.reset();
  content_body_id = 0;
}

Result<std::unique_ptr<MessageObject>> LoadMessageObject(std::shared_ptr<DatabaseState> database,
                                                         RowReader& rows, MessageId id,
                                                         const MessageRecord& record) {
  auto object = std::make_unique<MessageObject>();
  object->database = std::move(database);
  object->id = id;
  object->stored = true;
  object->record = record;
  ASSIGN_OR_RETURN(object->recipients, rows.Recipients(id));
  if (object->recipients.size() != record.recipient_count) {
    return Fail(ErrorCode::kCorruptData,
                "table recipients: message " + ToQueueId(id) + " should have " +
                    std::to_string(record.recipient_count) + " rows and has " +
                    std::to_string(object->recipients.size()));
  }
  return object;
}

Message::Message(std::unique_ptr<MessageObject> object) : object_(std::move(object)) {}
Message::Message(Message&&) noexcept = default;
Message& Message::operator=(Message&&) noexcept = default;
Message::~Message() = default;

Result<EntryId> Message::Id() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  return object_->database->EntryIdOf(object_->id.value);
}

Result<AccessLevel> Message::Access() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  return object_->access;
}

Result<PropertyList> Message::GetProps() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  PropertyList list = object_->record.properties;
  AddComputed(*object_, list);
  return list;
}

Result<Property> Message::GetProp(PropertyTag tag) const {
  ASSIGN_OR_RETURN(const PropertyList list, GetProps());
  if (const Property* property = list.Find(tag)) return *property;
  return Fail(ErrorCode::kNotFound, "the message does not have this property");
}

Result<std::vector<PropertyProblem>> Message::SetProps(std::span<const Property> properties) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if (properties.empty()) return Fail(ErrorCode::kInvalidParameter, "no property given");
  PropertyList merged = object_->record.properties;
  std::vector<PropertyProblem> problems;
  std::optional<std::uint32_t> flags;
  for (const Property& property : properties) {
    const PropertyType type = property.tag.Type();
    if (type == PropertyType::kObject) {
      return Fail(ErrorCode::kInvalidParameter, "PT_OBJECT cannot be set with SetProps");
    }
    if (type == PropertyType::kNull || type == PropertyType::kError) continue;
    if (property.tag == pr::kMessageFlags) {
      flags = static_cast<std::uint32_t>(property.number);
    } else if (const auto problem = Problem(*object_, property)) {
      problems.push_back({property.tag, *problem});
    } else {
      merged.Set(property);
    }
  }
  if (merged.ByteCount() > kPropertyBytesMax) {
    return Fail(ErrorCode::kNotEnoughMemory,
                "properties take more than " + std::to_string(kPropertyBytesMax) + " bytes");
  }
  if (flags) {
    if (const auto problem = SetMessageFlags(*object_, *flags)) {
      problems.push_back({pr::kMessageFlags, *problem});
    }
  }
  object_->record.properties = std::move(merged);
  object_->edited = true;
  return problems;
}

Result<std::vector<PropertyProblem>> Message::DeleteProps(std::span<const PropertyTag> tags) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if (tags.empty()) return Fail(ErrorCode::kInvalidParameter, "no property given");
  std::vector<PropertyProblem> problems;
  for (const PropertyTag tag : tags) {
    if (IsComputed(tag) || tag.Id() == pr::kMessageFlags.Id()) {
      problems.push_back({tag, ErrorCode::kComputed});
    } else if (object_->record.properties.Find(tag) == nullptr) {
      problems.push_back({tag, ErrorCode::kNotFound});
    } else {
      object_->record.properties.Erase(tag);
    }
  }
  object_->edited = true;
  return problems;
}

Result<void> Message::ModifyRecipients(std::uint32_t flags, std::vector<RecipientRow> rows) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if (flags != kModifyRecipientsReplace && flags != kModifyRecipientsAdd &&
      flags != kModifyRecipientsModify && flags != kModifyRecipientsRemove) {
    return Fail(ErrorCode::kUnknownFlags, "exactly one of ADD, MODIFY, REMOVE, or 0");
  }
  // A row without properties is a null recipient: skipped. REMOVE needs only the row id.
  if (flags != kModifyRecipientsRemove) {
    std::erase_if(rows, [](const RecipientRow& row) { return row.properties.Size() == 0; });
    for (RecipientRow& row : rows) {
      RETURN_IF_ERROR(CheckRow(row));
      NormalizeRow(row);
    }
  }
  RecipientTable table = flags == kModifyRecipientsReplace ? RecipientTable() : object_->recipients;
  std::uint32_t next_row = object_->record.next_recipient_row;
  if (flags == kModifyRecipientsReplace || flags == kModifyRecipientsAdd) {
    for (RecipientRow& row : rows) {
      row.id = RecipientRowId{next_row++};
      table.push_back(std::move(row));
    }
  } else {
    for (RecipientRow& row : rows) {
      const auto at = std::find_if(table.begin(), table.end(),
                                   [&](const RecipientRow& r) { return r.id == row.id; });
      if (at == table.end()) {
        return Fail(ErrorCode::kNotFound, "no recipient row " + std::to_string(row.id.value));
      }
      if (flags == kModifyRecipientsRemove) {
        table.erase(at);
      } else {
        *at = std::move(row);
      }
    }
  }
  if (table.size() > kRecipientCountMax) {
    return Fail(ErrorCode::kTooBig,
                "more than " + std::to_string(kRecipientCountMax) + " recipients");
  }
  object_->recipients = std::move(table);
  object_->record.next_recipient_row = next_row;
  object_->recipients_changed = true;
  return {};
}

Result<RecipientTable> Message::GetRecipientTable() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  return object_->recipients;
}

Result<void> Message::SetContent(MessageBody content) {
  RETURN_IF_ERROR(object_->CheckWritable());
  object_->content = std::move(content);
  object_->content_body_id = 0;
  return {};
}

Result<MessageBodyReader> Message::OpenContent() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  if (object_->content) {
    return MessageBodyReader(object_->database, object_->content->bytes, object_->content->body_id,
                             object_->content->buffered);
  }
  const MessageRecord& record = object_->record;
  if (record.content_bytes == 0 && record.content_body == 0) {
    return Fail(ErrorCode::kNotFound, "the message has no RFC 5322 original");
  }
  return MessageBodyReader(object_->database, record.content_bytes, record.content_body,
                           record.content_inline);
}

Result<void> Message::SaveChanges(std::uint32_t flags) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if ((flags & ~kSaveFlags) != 0) return Fail(ErrorCode::kUnknownFlags, "undefined save flags");
  RETURN_IF_ERROR(object_->PrepareSave());
  MessageObject& object = *object_;
  MessageRecord saved;
  RETURN_IF_ERROR(object.database->Update([&](RowWriter& rows) -> Result<void> {
    std::optional<MessageRecord> before;
    RETURN_IF_ERROR(object.MergeInto(rows, flags, saved, before));
    saved.recipient_count = static_cast<std::uint32_t>(object.recipients.size());
    for (const auto& [tag, type] :
         {std::pair(pr::kDisplayTo, kRecipientTo), std::pair(pr::kDisplayCc, kRecipientCc),
          std::pair(pr::kDisplayBcc, kRecipientBcc)}) {
      saved.properties.Set(
          Property::Bytes(tag, DisplayNames(object.recipients, type, kDisplayNamesBytesMax)));
    }
    // A forced save replaces those somebody else has saved even if this object never changed them.
    if (object.recipients_changed || !before || before->sequence != object.record.sequence) {
      RecipientTable recipients = object.recipients;
      if (before && before->IsSubmitted()) {
        RETURN_IF_ERROR(KeepServed(rows, object.id, recipients));
      }
      RETURN_IF_ERROR(ReplaceRecipients(rows, object.id, recipients, object.stored));
    }
    saved.sequence = rows.Sequence();
    return object.WriteRecord(rows, saved, before);
  }));
  object.Adopt(std::move(saved));
  if ((flags & kKeepOpenReadWrite) == 0) object.access = AccessLevel::kReadOnly;
  return {};
}

}  // namespace bobbin

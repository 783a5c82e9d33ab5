#include "engine/message.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "engine/message_object.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

// Flags a client may write before the first save (specification 2.6); afterwards none.
constexpr std::uint32_t kClientFlags =
    kMsgFlagRead | kMsgFlagUnmodified | kMsgFlagUnsent | kMsgFlagFromMe | kMsgFlagResend;

constexpr PropertyTag kComputedTags[] = {pr::kDisplayBcc,
                                         pr::kDisplayCc,
                                         pr::kDisplayTo,
                                         pr::kMessageSize,
                                         pr::kParentEntryId,
                                         pr::kSubmitFlags,
                                         pr::kHasAttachment,
                                         pr::kNormalizedSubject,
                                         pr::kPreprocess,
                                         pr::kInstanceKey,
                                         pr::kAccess,
                                         pr::kAccessLevel,
                                         pr::kRecordKey,
                                         pr::kStoreEntryId,
                                         pr::kStoreRecordKey,
                                         pr::kObjectType,
                                         pr::kEntryId,
                                         pr::kCreationTime,
                                         pr::kStoreSupportMask,
                                         pr::kLastModificationTime,
                                         pr::kResponsibility,
                                         pr::kRowId,
                                         pr::kMessageRecipients,
                                         pr::kMessageAttachments};

bool IsComputed(PropertyTag tag) {
  return std::any_of(std::begin(kComputedTags), std::end(kComputedTags),
                     [&](PropertyTag computed) { return computed.Id() == tag.Id(); });
}

// What steers a submission is read with its own type; of another it would be stored and obeyed by
// nobody.
constexpr PropertyTag kSteeringTags[] = {
    pr::kMessageFlags,      pr::kMessageClass,      pr::kSentMailEntryId,
    pr::kDeleteAfterSubmit, pr::kDeferredSendTime,  pr::kDeferredSendNumber,
    pr::kDeferredSendUnits, pr::kInternetMessageId, pr::kPriority};

const PropertyTag* FindSteering(PropertyTag tag) {
  const auto at = std::find_if(std::begin(kSteeringTags), std::end(kSteeringTags),
                               [&](PropertyTag steering) { return steering.Id() == tag.Id(); });
  return at == std::end(kSteeringTags) ? nullptr : at;
}

// Why `property` cannot be stored on a message as it is; nothing when it can.
std::optional<ErrorCode> Problem(const MessageObject& object, const Property& property) {
  if (IsComputed(property.tag)) return ErrorCode::kComputed;
  const PropertyTag* steering = FindSteering(property.tag);
  if (steering != nullptr && *steering != property.tag) return ErrorCode::kInvalidType;
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

// The same of a stream. What steers is checked as SetProps checks it, which a stream cannot be.
std::optional<ErrorCode> StreamProblem(const Property& property) {
  if (IsComputed(property.tag)) return ErrorCode::kComputed;
  return FindSteering(property.tag) == nullptr ? std::nullopt
                                               : std::optional(ErrorCode::kInvalidType);
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
  bytes += StreamBytes(object.record.streams, object.stream_edits);
  for (const RecipientRow& row : object.recipients) bytes += row.properties.ByteCount();
  for (const auto& [number, attachment] : object.attachments) {
    bytes += attachment->record.properties.ByteCount() +
             StreamBytes(attachment->record.streams, attachment->stream_edits);
  }
  return bytes;
}

PropertyEdits Edits(MessageObject& object) {
  return {object.record.properties, object.record.streams, object.stream_edits};
}

Property Computed(PropertyTag tag, const EntryId& id) { return Property::Bytes(tag, id.ToBytes()); }

void AddComputed(const MessageObject& object, PropertyList& list) {
  const DatabaseState& database = *object.database;
  const EntryId entry_id = database.EntryIdOf(object.id.value);
  list.Set(Computed(pr::kRecordKey, entry_id));
  if (object.depth == 0) {  // An embedded message is opened through its attachment only.
    list.Set(Computed(pr::kEntryId, entry_id));
    list.Set(Computed(pr::kParentEntryId, database.EntryIdOf(object.record.folder.value)));
  }
  list.Set(Computed(pr::kStoreEntryId, database.EntryIdOf(object.record.store.value)));
  list.Set(Computed(pr::kStoreRecordKey, database.EntryIdOf(object.record.store.value)));
  list.Set(Property::Number(pr::kObjectType, 5));
  list.Set(Property::Number(pr::kAccessLevel, static_cast<std::int64_t>(object.access)));
  list.Set(Property::Number(pr::kMessageFlags, object.record.message_flags));
  list.Set(Property::Number(pr::kMessageSize, static_cast<std::int64_t>(MessageBytes(object))));
  list.Set(Property::Number(pr::kHasAttachment, object.attachments.empty() ? 0 : 1));
  if (object.record.IsSubmitted()) {
    const auto holder = database.shared.locks->Holder(object.id);
    const bool locked = holder && holder->IsLock();
    list.Set(Property::Number(pr::kSubmitFlags,
                              object.record.submit_flags | (locked ? kSubmitFlagLocked : 0U)));
  }
  constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1) / 2;
  const RecipientTable& rows = object.recipients;
  list.Set(Property::Bytes(pr::kDisplayTo, DisplayNames(rows, kRecipientTo, kNoLimit)));
  list.Set(Property::Bytes(pr::kDisplayCc, DisplayNames(rows, kRecipientCc, kNoLimit)));
  list.Set(Property::Bytes(pr::kDisplayBcc, DisplayNames(rows, kRecipientBcc, kNoLimit)));
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
    if (ValueProblem(property)) {
      return Fail(ErrorCode::kInvalidParameter,
                  "a recipient property has a type, or a value, that "
                  "no property has");
    }
  }
  if (row.properties.ByteCount() > Message::kPropertyBytesMax) {
    return Fail(ErrorCode::kTooBig, "the properties of a recipient take more than " +
                                        std::to_string(Message::kPropertyBytesMax) + " bytes");
  }
  if (row.properties.Find(pr::kRecipientType) == nullptr) {
    return Fail(ErrorCode::kInvalidParameter, "a recipient row has no PR_RECIPIENT_TYPE");
  }
  return {};
}

// Properties of type PT_ERROR are those that the row of a table does not have.
void LeaveOutErrors(RecipientRow& row) {
  std::vector<PropertyTag> missing;
  for (const Property& property : row.properties) {
    if (property.tag.SingleType() == PropertyType::kError) missing.push_back(property.tag);
  }
  for (const PropertyTag tag : missing) row.properties.Erase(tag);
}

// PR_RESPONSIBILITY may be given as a property; it is kept as the typed field.
void NormalizeRow(RecipientRow& row) {
  if (const Property* given = row.properties.Find(pr::kResponsibility)) {
    row.delivery.responsibility = given->number != 0;
  }
  row.properties.Erase(pr::kResponsibility);
  row.properties.Erase(pr::kRowId);
}

}  // namespace

Result<void> MessageObject::CheckOpen() const {
  switch (phase.load()) {
    case Phase::kOpen:
      return embedded_in ? embedded_in->CheckOpen() : Result<void>();
    case Phase::kSubmitting:
      return Fail(ErrorCode::kBusy, "the message is being submitted");
    case Phase::kInvalid:
      break;
  }
  return Fail(ErrorCode::kInvalidObject,
              depth == 0 ? "the message has been submitted; open it again by its id"
                         : "the message around this one has been saved; open it again");
}

Result<void> MessageObject::CheckWritable() const {
  RETURN_IF_ERROR(CheckOpen());
  if (access == AccessLevel::kModify) return {};
  return Fail(ErrorCode::kNoAccess, "the message is open read-only");
}

Message::Message(std::shared_ptr<MessageObject> object) : object_(std::move(object)) {}
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
  PropertyList list =
      WithStreams(object_->record.properties, object_->record.streams, object_->stream_edits);
  AddComputed(*object_, list);
  return list;
}

Result<Property> Message::GetProp(PropertyTag tag) const {
  ASSIGN_OR_RETURN(const PropertyList list, GetProps());
  return FindProperty(list, tag);
}

Result<std::vector<PropertyTag>> Message::GetPropList() const {
  ASSIGN_OR_RETURN(const PropertyList list, GetProps());
  return TagsOf(list, object_->record.streams, object_->stream_edits);
}

Result<std::vector<PropertyProblem>> Message::SetProps(std::span<const Property> properties) {
  RETURN_IF_ERROR(object_->CheckWritable());
  std::optional<std::uint32_t> flags;
  std::vector<Property> others;
  for (const Property& property : properties) {
    if (property.tag == pr::kMessageFlags) {
      flags = static_cast<std::uint32_t>(property.number);
    } else {
      others.push_back(property);
    }
  }
  std::vector<PropertyProblem> problems;
  if (!flags || !others.empty()) {
    ASSIGN_OR_RETURN(problems,
                     SetProperties(Edits(*object_), others, [this](const Property& property) {
                       return Problem(*object_, property);
                     }));
  }
  if (flags) {
    if (const auto problem = SetMessageFlags(*object_, *flags)) {
      problems.push_back({pr::kMessageFlags, *problem});
    }
  }
  object_->edited = true;
  return problems;
}

Result<std::vector<PropertyProblem>> Message::DeleteProps(std::span<const PropertyTag> tags) {
  RETURN_IF_ERROR(object_->CheckWritable());
  ASSIGN_OR_RETURN(
      std::vector<PropertyProblem> problems,
      DeleteProperties(
          Edits(*object_), tags, [](const Property& property) -> std::optional<ErrorCode> {
            const bool fixed =
                IsComputed(property.tag) || property.tag.Id() == pr::kMessageFlags.Id();
            return fixed ? std::optional(ErrorCode::kComputed) : std::nullopt;
          }));
  object_->edited = true;
  return problems;
}

Result<void> Message::SetStream(PropertyTag tag, MessageBody content) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if (tag.Id() == pr::kInternetContent.Id()) return SetContent(std::move(content));
  RETURN_IF_ERROR(SetStreamProperty(Edits(*object_), tag, std::move(content), StreamProblem));
  object_->edited = true;
  return {};
}

Result<MessageBodyReader> Message::OpenStream(PropertyTag tag) const {
  RETURN_IF_ERROR(object_->CheckOpen());
  if (tag.Id() == pr::kInternetContent.Id()) return OpenContent();
  ASSIGN_OR_RETURN(MessageBodyReader reader,
                   OpenStreamProperty(object_->database, object_->record.properties,
                                      object_->record.streams, object_->stream_edits, tag));
  reader.CloseWith([object = object_] { return object->CheckOpen(); });
  return reader;
}

Result<void> Message::ModifyRecipients(std::uint32_t flags, std::vector<RecipientRow> rows) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if (flags != kModifyRecipientsReplace && flags != kModifyRecipientsAdd &&
      flags != kModifyRecipientsModify && flags != kModifyRecipientsRemove) {
    return Fail(ErrorCode::kUnknownFlags, "exactly one of ADD, MODIFY, REMOVE, or 0");
  }
  // A row without properties is a null recipient: skipped. REMOVE needs only the row id.
  if (flags != kModifyRecipientsRemove) {
    for (RecipientRow& row : rows) LeaveOutErrors(row);
    std::erase_if(rows, [](const RecipientRow& row) { return row.properties.Size() == 0; });
    for (RecipientRow& row : rows) {
      NormalizeRow(row);
      RETURN_IF_ERROR(CheckRow(row));
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
      if (row.id == kNoRecipientRow) {
        return Fail(ErrorCode::kInvalidParameter, "MODIFY and REMOVE name rows by their PR_ROWID");
      }
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
  return {};
}

Result<MessageBodyReader> Message::OpenContent() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  const MessageRecord& record = object_->record;
  if (!object_->content && !record.has_content) {
    return Fail(ErrorCode::kNotFound, "the message has no RFC 5322 original");
  }
  MessageBodyReader reader =
      object_->content ? MessageBodyReader(object_->database, object_->content->bytes,
                                           object_->content->body_id, object_->content->buffered)
                       : MessageBodyReader(object_->database, record.content_bytes,
                                           record.content_body, record.content_inline);
  reader.CloseWith([object = object_] { return object->CheckOpen(); });
  return reader;
}

}  // namespace bobbin

#include "engine/attachment.h"

#include <algorithm>
#include <utility>

#include "engine/message_object.h"

namespace bobbin {
namespace {

constexpr PropertyTag kComputedTags[] = {pr::kAttachNumber, pr::kAttachSize,  pr::kRecordKey,
                                         pr::kObjectType,   pr::kAccessLevel, pr::kAccess};

std::optional<ErrorCode> Problem(const Property& property) {
  const bool computed = std::any_of(std::begin(kComputedTags), std::end(kComputedTags),
                                    [&](PropertyTag tag) { return tag.Id() == property.tag.Id(); });
  return computed ? std::optional(ErrorCode::kComputed) : std::nullopt;
}

PropertyList Props(const MessageObject& message, std::uint32_t number,
                   const AttachmentState& state) {
  PropertyList list =
      WithStreams(state.record.properties, state.record.streams, state.stream_edits);
  list.Set(Property::Number(pr::kAttachNumber, number));
  list.Set(Property::Number(pr::kObjectType, 7));
  const std::uint64_t bytes =
      state.record.properties.ByteCount() + StreamBytes(state.record.streams, state.stream_edits);
  list.Set(Property::Number(pr::kAttachSize, static_cast<std::int64_t>(bytes)));
  list.Set(Property::Bytes(pr::kRecordKey, AttachmentKey(message.id, number)));
  return list;
}

}  // namespace

Result<void> AttachmentObject::CheckWritable() const {
  RETURN_IF_ERROR(message->CheckWritable());
  if (access == AccessLevel::kModify) return {};
  return Fail(ErrorCode::kNoAccess, "the attachment is open read-only");
}

Attachment::Attachment(std::shared_ptr<AttachmentObject> object) : object_(std::move(object)) {}

Result<std::uint32_t> Attachment::Number() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  return object_->number;
}

Result<PropertyList> Attachment::GetProps() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  PropertyList list = Props(*object_->message, object_->number, object_->state);
  list.Set(Property::Number(pr::kAccessLevel, static_cast<std::int64_t>(object_->access)));
  return list;
}

Result<std::vector<PropertyTag>> Attachment::GetPropList() const {
  ASSIGN_OR_RETURN(const PropertyList list, GetProps());
  return TagsOf(list, object_->state.record.streams, object_->state.stream_edits);
}

Result<Property> Attachment::GetProp(PropertyTag tag) const {
  ASSIGN_OR_RETURN(const PropertyList list, GetProps());
  return FindProperty(list, tag);
}

Result<std::vector<PropertyProblem>> Attachment::SetProps(std::span<const Property> properties) {
  RETURN_IF_ERROR(object_->CheckWritable());
  return SetProperties(object_->Edits(), properties, Problem);
}

Result<std::vector<PropertyProblem>> Attachment::DeleteProps(std::span<const PropertyTag> tags) {
  RETURN_IF_ERROR(object_->CheckWritable());
  return DeleteProperties(object_->Edits(), tags, Problem);
}

Result<void> Attachment::SetStream(PropertyTag tag, MessageBody content) {
  RETURN_IF_ERROR(object_->CheckWritable());
  return SetStreamProperty(object_->Edits(), tag, std::move(content), Problem);
}

Result<MessageBodyReader> Attachment::OpenStream(PropertyTag tag) const {
  RETURN_IF_ERROR(object_->CheckOpen());
  const AttachmentState& state = object_->state;
  ASSIGN_OR_RETURN(MessageBodyReader reader,
                   OpenStreamProperty(object_->message->database, state.record.properties,
                                      state.record.streams, state.stream_edits, tag));
  reader.CloseWith([object = object_] { return object->CheckOpen(); });
  return reader;
}

Result<Message> Attachment::CreateEmbeddedMessage() {
  RETURN_IF_ERROR(object_->CheckWritable());
  const MessageObject& outer = *object_->message;
  if (outer.depth >= kEmbeddedDepthMax) {
    return Fail(ErrorCode::kTooComplex, "messages are embedded in each other at most " +
                                            std::to_string(kEmbeddedDepthMax) + " deep");
  }
  auto embedded = std::make_shared<MessageObject>();
  embedded->database = outer.database;
  ASSIGN_OR_RETURN(embedded->id.value, outer.database->DrawObjectId());
  embedded->logon = outer.logon;
  embedded->record.store = outer.record.store;
  embedded->record.message_flags = kMsgFlagRead | kMsgFlagUnsent | kMsgFlagUnmodified;
  embedded->embedded_in = object_;
  embedded->depth = outer.depth + 1;
  return Message(std::move(embedded));
}

Result<Message> Attachment::OpenEmbeddedMessage() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  const MessageObject& outer = *object_->message;
  const AttachmentState& state = object_->state;
  std::shared_ptr<MessageObject> embedded;
  if (state.embedded) {
    // A copy of its own: what is edited in it counts when it is saved.
    embedded = std::const_pointer_cast<MessageObject>(state.embedded)->Copy();
    embedded->handle.reset();
  } else if (state.record.embedded.value == 0) {
    return Fail(ErrorCode::kNotFound, "the attachment holds no message");
  } else {
    RETURN_IF_ERROR(outer.database->View([&](RowReader& rows) -> Result<void> {
      ASSIGN_OR_RETURN(const auto record, rows.Message(state.record.embedded));
      if (!record) return Fail(ErrorCode::kObjectDeleted, "the message was deleted meanwhile");
      ASSIGN_OR_RETURN(embedded,
                       LoadMessageObject(outer.database, rows, state.record.embedded, *record));
      return {};
    }));
  }
  embedded->logon = outer.logon;
  embedded->session = outer.session;
  embedded->access = object_->CheckWritable() ? AccessLevel::kModify : AccessLevel::kReadOnly;
  embedded->embedded_in = object_;
  embedded->depth = outer.depth + 1;
  return Message(std::move(embedded));
}

Result<void> Attachment::SaveChanges(std::uint32_t flags) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if ((flags & ~(kKeepOpenReadOnly | kKeepOpenReadWrite | kForceSave | kMapiDeferredErrors)) != 0) {
    return Fail(ErrorCode::kUnknownFlags, "undefined save flags");
  }
  MessageObject& message = *object_->message;
  if (object_->number < message.record.next_attachment &&
      !message.attachments.contains(object_->number) &&
      message.attachments_changed.contains(object_->number)) {
    return Fail(ErrorCode::kObjectDeleted, "the attachment was deleted");
  }
  message.attachments[object_->number] = std::make_shared<AttachmentState>(object_->state);
  message.attachments_changed.insert(object_->number);
  if ((flags & kKeepOpenReadWrite) == 0) object_->access = AccessLevel::kReadOnly;
  return {};
}

Result<Attachment> Message::CreateAttachment() {
  RETURN_IF_ERROR(object_->CheckWritable());
  auto attachment = std::make_shared<AttachmentObject>();
  attachment->message = object_;
  attachment->number = object_->record.next_attachment++;
  return Attachment(std::move(attachment));
}

Result<Attachment> Message::OpenAttachment(std::uint32_t number) const {
  RETURN_IF_ERROR(object_->CheckOpen());
  const auto at = object_->attachments.find(number);
  if (at == object_->attachments.end()) {
    return Fail(ErrorCode::kNotFound, "no attachment has number " + std::to_string(number));
  }
  auto attachment = std::make_shared<AttachmentObject>();
  attachment->message = object_;
  attachment->number = number;
  attachment->state = *at->second;
  attachment->access = object_->access;
  return Attachment(std::move(attachment));
}

Result<void> Message::DeleteAttachment(std::uint32_t number) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if (object_->attachments.erase(number) == 0) {
    return Fail(ErrorCode::kNotFound, "no attachment has number " + std::to_string(number));
  }
  object_->attachments_changed.insert(number);
  return {};
}

Result<std::vector<PropertyList>> Message::GetAttachmentTable() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  std::vector<PropertyList> table;
  for (const auto& [number, state] : object_->attachments) {
    table.push_back(Props(*object_, number, *state));
  }
  return table;
}

}  // namespace bobbin

// Message::SaveChanges, and what it shares with SubmitMessage: how an open message becomes rows.
#include <algorithm>
#include <utility>

#include "engine/message_object.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

constexpr std::uint32_t kSaveFlags =
    kKeepOpenReadOnly | kKeepOpenReadWrite | kForceSave | kMapiDeferredErrors;
constexpr std::size_t kDisplayNamesBytesMax = 255;  // As stored, for tables.

// TRUE never becomes FALSE while the message is queued: an attempt commits recipients without
// touching the message's record, so an object opened before it does not know (C68).
Result<void> KeepServed(RowReader& rows, MessageId id, RecipientTable& recipients) {
  for (RecipientRow& row : recipients) {
    ASSIGN_OR_RETURN(std::optional<RecipientRow> stored, rows.Recipient(id, row.id));
    if (stored && stored->delivery.responsibility) row.delivery = std::move(stored->delivery);
  }
  return {};
}

Result<void> SaveEmbedded(RowWriter& rows, MessageId parent, const MessageObject& object,
                          SavedParts& parts) {
  MessageRecord saved;
  std::optional<MessageRecord> before;
  SavedParts own;
  RETURN_IF_ERROR(object.MergeInto(rows, kForceSave, saved, before, own));
  saved.embedded_in = parent;
  RETURN_IF_ERROR(object.WriteRecipients(rows, saved, object.recipients));
  if (before) saved.revision = before->revision + 1;
  parts.closed.insert(parts.closed.end(), own.closed.begin(), own.closed.end());
  parts.closed.push_back(object.handle);
  return rows.PutMessage(object.id, saved);
}

// `state` null: the attachment was deleted.
Result<void> SaveAttachment(RowWriter& rows, const MessageObject& message, std::uint32_t number,
                            const AttachmentState* state, SavedParts& parts) {
  ASSIGN_OR_RETURN(const auto before, rows.Attachment(message.id, number));
  if (state == nullptr) {
    return before ? EraseAttachment(rows, message.id, number, *before) : Result<void>();
  }
  AttachmentRecord saved;
  saved.properties = state->record.properties;
  if (before) saved.streams = before->streams;
  RETURN_IF_ERROR(ApplyStreamEdits(rows, saved.streams, state->stream_edits));
  saved.embedded = state->embedded ? state->embedded->id : state->record.embedded;
  if (before && before->embedded != saved.embedded) {
    RETURN_IF_ERROR(EraseEmbedded(rows, before->embedded));
  }
  if (state->embedded) {
    RETURN_IF_ERROR(SaveEmbedded(rows, message.id, *state->embedded, parts));
  }
  RETURN_IF_ERROR(rows.PutAttachment(message.id, number, saved));
  parts.attachments[number] =
      std::make_shared<AttachmentState>(AttachmentState{std::move(saved), {}, {}});
  return {};
}

// How many attachments are stored: those of another saver, too, when a save was forced.
Result<std::uint32_t> CountAttachments(RowReader& rows, MessageId id) {
  std::uint32_t count = 0;
  RETURN_IF_ERROR(rows.Scan(table::kAttachments, Key8(id.value), Key8(id.value + 1),
                            [&](std::string_view, std::string_view) -> Result<bool> {
                              ++count;
                              return true;
                            }));
  return count;
}

}  // namespace

Result<void> MessageObject::MergeInto(RowWriter& rows, std::uint32_t save_flags,
                                      MessageRecord& saved, std::optional<MessageRecord>& before,
                                      SavedParts& parts) const {
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
    // What others may have changed meanwhile and no save owns: place, queue, flags, content, parts.
    saved.folder = before->folder;
    saved.message_flags = before->message_flags;
    saved.submit_flags = before->submit_flags;
    saved.queue_sequence = before->queue_sequence;
    saved.has_content = before->has_content;
    saved.content_bytes = before->content_bytes;
    saved.content_body = before->content_body;
    saved.content_inline = before->content_inline;
    saved.streams = before->streams;
    saved.attachment_count = before->attachment_count;
    saved.next_attachment = std::max(record.next_attachment, before->next_attachment);
  }
  if (content) RETURN_IF_ERROR(AttachContent(rows, saved, *content));
  RETURN_IF_ERROR(ApplyStreamEdits(rows, saved.streams, stream_edits));
  if (!attachments_changed.empty()) {
    for (const std::uint32_t number : attachments_changed) {
      const auto at = attachments.find(number);
      const AttachmentState* state = at == attachments.end() ? nullptr : at->second.get();
      RETURN_IF_ERROR(SaveAttachment(rows, *this, number, state, parts));
    }
    ASSIGN_OR_RETURN(saved.attachment_count, CountAttachments(rows, id));
  }
  saved.message_flags &= ~kMsgFlagHasAttach;
  if (saved.attachment_count > 0) saved.message_flags |= kMsgFlagHasAttach;

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

void MessageObject::SummarizeRecipients(MessageRecord& saved, const RecipientTable& rows_in) {
  saved.recipient_count = static_cast<std::uint32_t>(rows_in.size());
  for (const RecipientRow& row : rows_in) {
    saved.next_recipient_row = std::max(saved.next_recipient_row, row.id.value + 1);
  }
  for (const auto& [tag, type] :
       {std::pair(pr::kDisplayTo, kRecipientTo), std::pair(pr::kDisplayCc, kRecipientCc),
        std::pair(pr::kDisplayBcc, kRecipientBcc)}) {
    saved.properties.Set(Property::Bytes(tag, DisplayNames(rows_in, type, kDisplayNamesBytesMax)));
  }
}

Result<void> MessageObject::WriteRecipients(RowWriter& rows, MessageRecord& saved,
                                            const RecipientTable& rows_in) const {
  SummarizeRecipients(saved, rows_in);
  return ReplaceRecipients(rows, id, rows_in, stored);
}

Result<void> MessageObject::WriteRecord(RowWriter& rows, MessageRecord& saved,
                                        const std::optional<MessageRecord>& before,
                                        SubmissionStep step) const {
  return before ? ReplaceMessage(rows, id, *before, saved, step)
                : InsertMessage(rows, id, saved, step);
}

void MessageObject::Adopt(MessageRecord saved, const SavedParts& parts) {
  record = std::move(saved);
  stored = true;
  edited = false;
  recipients_changed = false;
  content.reset();
  stream_edits.clear();
  attachments_changed.clear();
  for (const auto& [number, state] : parts.attachments) attachments[number] = state;
  for (const std::weak_ptr<MessageObject>& closed : parts.closed) {
    if (const auto embedded = closed.lock()) embedded->phase = Phase::kInvalid;
  }
}

Result<std::shared_ptr<MessageObject>> LoadMessageObject(std::shared_ptr<DatabaseState> database,
                                                         RowReader& rows, MessageId id,
                                                         const MessageRecord& record) {
  auto object = std::make_shared<MessageObject>();
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
  if (record.attachment_count == 0) return object;
  ASSIGN_OR_RETURN(auto attachments, rows.Attachments(id));
  if (attachments.size() != record.attachment_count) {
    return Fail(ErrorCode::kCorruptData, "table attachments: message " + ToQueueId(id) +
                                             " should have " +
                                             std::to_string(record.attachment_count) +
                                             " rows and has " + std::to_string(attachments.size()));
  }
  for (auto& [number, attachment] : attachments) {
    object->attachments[number] =
        std::make_shared<AttachmentState>(AttachmentState{std::move(attachment), {}, {}});
  }
  return object;
}

Result<std::shared_ptr<MessageObject>> NewMessageObject(std::shared_ptr<DatabaseState> database,
                                                        StoreId store, FolderId folder) {
  auto object = std::make_shared<MessageObject>();
  ASSIGN_OR_RETURN(object->id.value, database->DrawObjectId());
  object->record.store = store;
  object->record.folder = folder;
  object->record.properties.Set(
      Property::Bytes(pr::kSearchKey, MakeMessageSearchKey(database->id, object->id)));
  object->database = std::move(database);
  return object;
}

std::shared_ptr<MessageObject> MessageObject::Copy() {
  auto copy = std::make_shared<MessageObject>();
  copy->database = database;
  copy->id = id;
  copy->logon = logon;
  copy->session = session;
  copy->stored = stored;
  copy->record = record;
  copy->recipients = recipients;
  copy->recipients_changed = recipients_changed;
  copy->content = content;
  copy->stream_edits = stream_edits;
  copy->attachments = attachments;
  copy->attachments_changed = attachments_changed;
  copy->edited = edited;
  copy->depth = depth;
  copy->handle = weak_from_this();
  return copy;
}

Result<void> Message::SaveChanges(std::uint32_t flags) {
  RETURN_IF_ERROR(object_->CheckWritable());
  if ((flags & ~kSaveFlags) != 0) return Fail(ErrorCode::kUnknownFlags, "undefined save flags");
  MessageObject& object = *object_;
  if (object.embedded_in) {
    RETURN_IF_ERROR(object.embedded_in->CheckWritable());
    object.embedded_in->state.embedded = object.Copy();
  } else {
    MessageRecord saved;
    SavedParts parts;
    RETURN_IF_ERROR(object.database->Update([&](RowWriter& rows) -> Result<void> {
      parts = {};
      std::optional<MessageRecord> before;
      RETURN_IF_ERROR(object.MergeInto(rows, flags, saved, before, parts));
      // A forced save replaces those somebody else has saved even if these are as they were.
      if (object.recipients_changed || !before || before->sequence != object.record.sequence) {
        RecipientTable recipients = object.recipients;
        if (before && before->IsSubmitted()) {
          RETURN_IF_ERROR(KeepServed(rows, object.id, recipients));
        }
        RETURN_IF_ERROR(object.WriteRecipients(rows, saved, recipients));
      }
      saved.sequence = rows.Sequence();
      return object.WriteRecord(rows, saved, before, SubmissionStep::kSave);
    }));
    object.Adopt(std::move(saved), parts);
  }
  if ((flags & kKeepOpenReadWrite) == 0) object.access = AccessLevel::kReadOnly;
  return {};
}

}  // namespace bobbin

#include "engine/content_rows.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace bobbin {

Result<void> ErasePrefix(RowWriter& rows, kv::TableId table, std::uint64_t id) {
  std::vector<std::string> keys;
  RETURN_IF_ERROR(rows.Scan(table, Key8(id), Key8(id + 1),
                            [&](std::string_view key, std::string_view) -> Result<bool> {
                              keys.emplace_back(key);
                              return true;
                            }));
  for (const std::string& key : keys) RETURN_IF_ERROR(rows.Erase(table, key));
  return {};
}

Result<std::uint64_t> DrawObjectIdIn(RowWriter& rows) {
  ASSIGN_OR_RETURN(CountersRecord counters, rows.Counters());
  const std::uint64_t id = counters.next_object++;
  RETURN_IF_ERROR(rows.PutCounters(counters));
  return id;
}

namespace {

// Gives the rows that `content` has, or gets now, their first owner; returns their body id.
Result<std::uint64_t> OwnBody(RowWriter& rows, const MessageBody& content) {
  if (content.body_id != 0) {
    ASSIGN_OR_RETURN(std::optional<BodyRecord> head, rows.BodyHead(content.body_id));
    if (!head || head->references != 0) {
      return Fail(ErrorCode::kObjectDeleted, "the content was collected or has an owner already");
    }
    head->references = 1;
    RETURN_IF_ERROR(rows.Erase(table::kIndex, WrittenAheadKey(content.body_id)));
    RETURN_IF_ERROR(rows.PutBodyHead(content.body_id, *head));
    return content.body_id;
  }
  ASSIGN_OR_RETURN(const std::uint64_t body_id, DrawObjectIdIn(rows));
  BodyRecord head;
  head.bytes = content.bytes;
  head.references = 1;
  head.chunk_count =
      static_cast<std::uint32_t>((content.buffered.size() + kBodyChunkBytes - 1) / kBodyChunkBytes);
  RETURN_IF_ERROR(rows.PutBodyHead(body_id, head));
  std::string_view rest = content.buffered;
  for (std::uint32_t chunk = 1; !rest.empty(); ++chunk) {
    const std::string_view piece = rest.substr(0, kBodyChunkBytes);
    RETURN_IF_ERROR(rows.PutBodyChunk(body_id, chunk, piece));
    rest.remove_prefix(piece.size());
  }
  return body_id;
}

}  // namespace

Result<void> AttachContent(RowWriter& rows, MessageRecord& record, const MessageBody& content) {
  RETURN_IF_ERROR(DropContentReference(rows, record.content_body));
  record.has_content = true;
  record.content_bytes = content.bytes;
  record.content_body = 0;
  record.content_inline.clear();
  if (content.body_id == 0 && content.buffered.size() <= kInlineBytesMax) {
    record.content_inline = content.buffered;
    return {};
  }
  ASSIGN_OR_RETURN(record.content_body, OwnBody(rows, content));
  return {};
}

Result<void> AddContentReference(RowWriter& rows, std::uint64_t body) {
  if (body == 0) return {};
  ASSIGN_OR_RETURN(std::optional<BodyRecord> head, rows.BodyHead(body));
  if (!head) return Fail(ErrorCode::kCorruptData, "table bodies: the head of a body is missing");
  ++head->references;
  return rows.PutBodyHead(body, *head);
}

Result<void> DropContentReference(RowWriter& rows, std::uint64_t body) {
  if (body == 0) return {};
  ASSIGN_OR_RETURN(std::optional<BodyRecord> head, rows.BodyHead(body));
  // A message whose content was lost to damage can still be deleted.
  if (!head) return {};
  if (head->references > 1) {
    --head->references;
    return rows.PutBodyHead(body, *head);
  }
  return ErasePrefix(rows, table::kBodies, body);
}

Result<void> ApplyStreamEdits(RowWriter& rows, StreamRecords& streams, const StreamEdits& edits) {
  for (const auto& [tag, content] : edits) {
    const std::uint16_t id = tag.Id();
    const auto at = std::find_if(streams.begin(), streams.end(),
                                 [id](const StreamRecord& s) { return s.tag.Id() == id; });
    if (at != streams.end()) {
      RETURN_IF_ERROR(DropContentReference(rows, at->body));
      streams.erase(at);
    }
    if (!content) continue;
    ASSIGN_OR_RETURN(const std::uint64_t body, OwnBody(rows, *content));
    streams.push_back({tag, content->bytes, body});
  }
  return {};
}

Result<void> EraseEmbedded(RowWriter& rows, MessageId id) {
  if (id.value == 0) return {};
  ASSIGN_OR_RETURN(const std::optional<MessageRecord> record, rows.Message(id));
  if (!record) return {};
  RETURN_IF_ERROR(EraseParts(rows, id, *record));
  return rows.EraseMessage(id);
}

Result<void> EraseAttachment(RowWriter& rows, MessageId message, std::uint32_t number,
                             const AttachmentRecord& record) {
  for (const StreamRecord& stream : record.streams) {
    RETURN_IF_ERROR(DropContentReference(rows, stream.body));
  }
  RETURN_IF_ERROR(EraseEmbedded(rows, record.embedded));
  return rows.Erase(table::kAttachments, AttachmentKey(message, number));
}

Result<void> CopyAttachment(RowWriter& rows, const AttachmentRecord& record, MessageId to,
                            std::uint32_t number) {
  AttachmentRecord copy = record;
  for (const StreamRecord& stream : copy.streams) {
    RETURN_IF_ERROR(AddContentReference(rows, stream.body));
  }
  if (record.embedded.value != 0) {
    ASSIGN_OR_RETURN(std::optional<MessageRecord> embedded, rows.Message(record.embedded));
    if (!embedded)
      return Fail(ErrorCode::kCorruptData, "table messages: an embedded one is missing");
    ASSIGN_OR_RETURN(copy.embedded.value, DrawObjectIdIn(rows));
    embedded->embedded_in = to;
    RETURN_IF_ERROR(CopyParts(rows, record.embedded, *embedded, copy.embedded));
    ASSIGN_OR_RETURN(const RecipientTable recipients, rows.Recipients(record.embedded));
    for (const RecipientRow& row : recipients) {
      RETURN_IF_ERROR(rows.PutRecipient(copy.embedded, row));
    }
    RETURN_IF_ERROR(rows.PutMessage(copy.embedded, *embedded));
  }
  return rows.PutAttachment(to, number, copy);
}

Result<void> EraseParts(RowWriter& rows, MessageId id, const MessageRecord& record) {
  RETURN_IF_ERROR(ErasePrefix(rows, table::kRecipients, id.value));
  RETURN_IF_ERROR(DropContentReference(rows, record.content_body));
  for (const StreamRecord& stream : record.streams) {
    RETURN_IF_ERROR(DropContentReference(rows, stream.body));
  }
  if (record.attachment_count == 0) return {};
  ASSIGN_OR_RETURN(const auto attachments, rows.Attachments(id));
  for (const auto& [number, attachment] : attachments) {
    RETURN_IF_ERROR(EraseAttachment(rows, id, number, attachment));
  }
  return {};
}

Result<void> CopyParts(RowWriter& rows, MessageId from, const MessageRecord& record, MessageId to) {
  RETURN_IF_ERROR(AddContentReference(rows, record.content_body));
  for (const StreamRecord& stream : record.streams) {
    RETURN_IF_ERROR(AddContentReference(rows, stream.body));
  }
  if (record.attachment_count == 0) return {};
  ASSIGN_OR_RETURN(const auto attachments, rows.Attachments(from));
  for (const auto& [number, attachment] : attachments) {
    RETURN_IF_ERROR(CopyAttachment(rows, attachment, to, number));
  }
  return {};
}

}  // namespace bobbin

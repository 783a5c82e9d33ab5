// The steps of one transaction that touch content: the RFC 5322 original of a message, the streams
// of messages and attachments, and attachments with the messages embedded in them. Internal to
// engine/.
//
// All of them run inside a closure that may be run again: they change rows and nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "engine/message_body.h"
#include "engine/rows.h"

namespace bobbin {

// Erases the rows of `table` whose keys begin with `id`.
Result<void> ErasePrefix(RowWriter& rows, kv::TableId table, std::uint64_t id);

// An identifier of the database, drawn inside the transaction. What a caller must know before its
// transaction is drawn with DatabaseState::DrawObjectId.
Result<std::uint64_t> DrawObjectIdIn(RowWriter& rows);

// Makes `content` the content of `record` (not written): inline, in rows written now, or in rows
// written ahead. An earlier content loses a reference.
Result<void> AttachContent(RowWriter& rows, MessageRecord& record, const MessageBody& content);
// A message or stream more, or less, that names the rows of `body`; 0 is nobody's.
Result<void> AddContentReference(RowWriter& rows, std::uint64_t body);
Result<void> DropContentReference(RowWriter& rows, std::uint64_t body);

// What a save does to the streams of its object: a new value, or none.
using StreamEdits = std::map<PropertyTag, std::optional<MessageBody>>;

// Applies `edits` to `streams`, as stored; values become row groups, replaced ones lose a
// reference.
Result<void> ApplyStreamEdits(RowWriter& rows, StreamRecords& streams, const StreamEdits& edits);

// Removes, or copies, an attachment row with all it holds, embedded messages included.
Result<void> EraseAttachment(RowWriter& rows, MessageId message, std::uint32_t number,
                             const AttachmentRecord& record);
Result<void> CopyAttachment(RowWriter& rows, const AttachmentRecord& record, MessageId to,
                            std::uint32_t number);

// What belongs to a message beside its record and its contents row.
Result<void> EraseParts(RowWriter& rows, MessageId id, const MessageRecord& record);
// Its recipients excepted: they are few, and often not copied as they are.
Result<void> CopyParts(RowWriter& rows, MessageId from, const MessageRecord& record, MessageId to);

// Removes a message that is embedded in an attachment; nothing when it is gone.
Result<void> EraseEmbedded(RowWriter& rows, MessageId id);

}  // namespace bobbin

#include "engine/message_verification.h"

#include <utility>

#include "engine/attachment.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

class Verification {
 public:
  explicit Verification(RowReader& rows) : rows_(rows) {}

  Result<std::optional<Damage>> Run(MessageId id) {
    ASSIGN_OR_RETURN(const auto record, CheckMessage(id, 0));
    if (record) {
      RETURN_IF_ERROR(
          Opened(table::kFolders, FolderKey(record->folder), rows_.Folder(record->folder)));
    }
    return std::move(damage_);
  }

 private:
  void Find(kv::TableId table, std::string_view key, std::string detail) {
    if (damage_) return;
    damage_ = {std::string(table::kNames[table.index]), std::string(key), std::move(detail)};
  }

  // Whether the row is there and opens.
  template <class T>
  Result<bool> Opened(kv::TableId table, std::string_view key,
                      const Result<std::optional<T>>& row) {
    if (!row && row.error().code != ErrorCode::kCorruptData) {
      return tl::unexpected<Error>(row.error());
    }
    if (!row) {
      Find(table, key, row.error().detail);
    } else if (!*row) {
      Find(table, key,
           "table " + std::string(table::kNames[table.index]) + ", key " + ToHex(key) +
               ": the record is missing");
    }
    return row && *row;
  }

  // The rows of a message in a table, counted; `decode` opens one.
  template <class Decode>
  Result<void> CheckRows(kv::TableId table, MessageId id, std::uint32_t expected,
                         const Decode& decode) {
    std::uint32_t count = 0;
    RETURN_IF_ERROR(rows_.Scan(table, Key8(id.value), Key8(id.value + 1),
                               [&](std::string_view key, std::string_view value) -> Result<bool> {
                                 ++count;
                                 Result<void> row = decode(key, value);
                                 if (row) return true;
                                 if (row.error().code != ErrorCode::kCorruptData) {
                                   return tl::unexpected<Error>(std::move(row).error());
                                 }
                                 Find(table, key, std::move(row).error().detail);
                                 return false;
                               }));
    if (count != expected) {
      Find(table, Key8(id.value),
           "table " + std::string(table::kNames[table.index]) + ": message " + ToQueueId(id) +
               " should have " + std::to_string(expected) + " rows and has " +
               std::to_string(count));
    }
    return {};
  }

  Result<std::optional<MessageRecord>> CheckMessage(MessageId id, int depth) {
    Result<std::optional<MessageRecord>> found = rows_.Message(id);
    ASSIGN_OR_RETURN(const bool opens, Opened(table::kMessages, MessageKey(id), found));
    if (!opens) return std::optional<MessageRecord>();
    const MessageRecord& record = **found;
    if (const auto state = StateOf(record); !state) {
      Find(table::kMessages, MessageKey(id), state.error().detail);
    }
    RETURN_IF_ERROR(CheckRows(table::kRecipients, id, record.recipient_count,
                              [&](std::string_view key, std::string_view value) -> Result<void> {
                                RETURN_IF_ERROR(rows_.DecodeRecipient(key, value));
                                return {};
                              }));
    if (record.content_body != 0) {
      RETURN_IF_ERROR(CheckBody(record.content_body, record.content_bytes));
    }
    RETURN_IF_ERROR(CheckStreams(record.streams));
    RETURN_IF_ERROR(CheckRows(table::kAttachments, id, record.attachment_count,
                              [&](std::string_view key, std::string_view value) -> Result<void> {
                                ASSIGN_OR_RETURN(const AttachmentRecord attachment,
                                                 rows_.DecodeAttachment(key, value));
                                RETURN_IF_ERROR(CheckStreams(attachment.streams));
                                if (attachment.embedded.value != 0 && depth < kEmbeddedDepthMax) {
                                  RETURN_IF_ERROR(CheckMessage(attachment.embedded, depth + 1));
                                }
                                return {};
                              }));
    return std::move(*found);
  }

  Result<void> CheckStreams(const StreamRecords& streams) {
    for (const StreamRecord& stream : streams) {
      RETURN_IF_ERROR(CheckBody(stream.body, stream.bytes));
    }
    return {};
  }

  Result<void> CheckBody(std::uint64_t body, std::uint64_t bytes) {
    const Result<std::optional<BodyRecord>> head = rows_.BodyHead(body);
    ASSIGN_OR_RETURN(const bool opens, Opened(table::kBodies, BodyKey(body, 0), head));
    if (!opens) return {};
    std::uint64_t found = 0;
    std::uint32_t chunks = 0;
    RETURN_IF_ERROR(rows_.Scan(table::kBodies, BodyKey(body, 1), Key8(body + 1),
                               [&](std::string_view key, std::string_view value) -> Result<bool> {
                                 const auto piece = rows_.DecodeBodyChunk(key, value);
                                 if (!piece && piece.error().code != ErrorCode::kCorruptData) {
                                   return tl::unexpected<Error>(piece.error());
                                 }
                                 if (!piece) Find(table::kBodies, key, piece.error().detail);
                                 found += piece ? piece->size() : 0;
                                 ++chunks;
                                 return piece.has_value();
                               }));
    if (found != bytes || (*head)->bytes != bytes || chunks != (*head)->chunk_count) {
      Find(table::kBodies, BodyKey(body, 0),
           "table bodies, key " + ToHex(BodyKey(body, 0)) + ": the content is not complete");
    }
    return {};
  }

  RowReader& rows_;
  std::optional<Damage> damage_;
};

}  // namespace

Result<std::optional<Damage>> FirstDamage(RowReader& rows, MessageId id) {
  return Verification(rows).Run(id);
}

}  // namespace bobbin

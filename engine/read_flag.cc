#include "engine/read_flag.h"

#include <string>
#include <utility>

#include "engine/content_rows.h"
#include "engine/message.h"
#include "engine/message_object.h"
#include "engine/message_rows.h"
#include "engine/message_store.h"

namespace bobbin {
namespace {

constexpr std::uint32_t kPendingFlags = kMsgFlagReadReceiptPending | kMsgFlagNonReadReceiptPending;
constexpr std::uint32_t kKnownFlags = kSuppressReceipt | kClearReadFlag | kGenerateReceiptOnly |
                                      kClearReadReceiptPending | kClearNonReadReceiptPending |
                                      kMapiDeferredErrors;

enum class ReadReport : std::uint8_t { kRead, kNotRead };

// Submitted from the store of who has read it, to who has sent it. No report on a report, and none
// to the null sender.
Result<void> SubmitReport(RowWriter& rows, const DatabaseState& database,
                          const MessageRecord& original, ReadReport kind) {
  const PropertyList& about = original.properties;
  const std::string message_class(about.BytesOr(pr::kMessageClass, "IPM"));
  const std::string to(about.BytesOr(pr::kSenderEmailAddress, {}));
  if (to.empty() || message_class.starts_with("REPORT.")) return {};
  ASSIGN_OR_RETURN(const auto store, rows.Store(original.store));
  if (!store) return Fail(ErrorCode::kCorruptData, "table meta: the store of a message is missing");
  const Time now = database.clock->Now();
  const bool read = kind == ReadReport::kRead;
  const std::string subject(about.BytesOr(pr::kSubject, {}));
  MessageRecord report;
  report.store = original.store;
  report.folder = store->folders.outbox;
  report.message_flags = kMsgFlagUnmodified;
  report.properties = {
      Property::Bytes(pr::kMessageClass, "REPORT." + message_class + (read ? ".IPNRN" : ".IPNNRN")),
      Property::Bytes(pr::kSubject, (read ? "Read: " : "Not read: ") + subject),
      Property::Bytes(pr::kOriginalSubject, subject),
      Property::Bytes(pr::kBody, "Your message\r\n\r\n  Subject: " + subject +
                                     (read ? "\r\n\r\nhas been read.\r\n"
                                           : "\r\n\r\nwas deleted without being read.\r\n")),
      Property::Number(pr::kReportTime, ToFileTime(now)),
      Property::Number(pr::kCreationTime, ToFileTime(now)),
      Property::Number(pr::kDeleteAfterSubmit, 1),
      Property::Number(pr::kPriority, about.NumberOr(pr::kPriority, 0)),
      Property::Bytes(pr::kSenderName, store->name),
      Property::Bytes(pr::kSenderAddressType, "SMTP"),
      Property::Bytes(pr::kSenderEmailAddress, store->name)};
  for (const PropertyTag tag : {pr::kReportTag, pr::kSearchKey}) {
    if (const Property* copied = about.Find(tag)) report.properties.Set(*copied);
  }
  RecipientRow row = MakeSmtpRecipient(to, kRecipientTo);
  row.id = RecipientRowId{0};
  report.recipient_count = 1;
  report.next_recipient_row = 1;
  report.properties.Set(Property::Bytes(pr::kDisplayTo, to));
  ASSIGN_OR_RETURN(const std::uint64_t number, DrawObjectIdIn(rows));
  const MessageId id{number};
  RETURN_IF_ERROR(Enqueue(rows, id, report, now, database.id));
  RETURN_IF_ERROR(rows.PutRecipient(id, row));
  return InsertMessage(rows, id, report, SubmissionStep::kSubmit);
}

}  // namespace

Result<void> CheckReadFlags(std::uint32_t flags) {
  if ((flags & ~kKnownFlags) != 0) return Fail(ErrorCode::kUnknownFlags, "undefined read flags");
  const bool clear = (flags & kClearReadFlag) != 0;
  if (clear && (flags & (kSuppressReceipt | kGenerateReceiptOnly)) != 0) {
    return Fail(ErrorCode::kInvalidParameter,
                "CLEAR_READ_FLAG goes with neither SUPPRESS_RECEIPT nor GENERATE_RECEIPT_ONLY");
  }
  return {};
}

Result<void> SetReadFlagIn(RowWriter& rows, const DatabaseState& database, MessageId id,
                           MessageRecord& record, std::uint32_t flags) {
  if (record.IsSubmitted()) {
    return Fail(ErrorCode::kSubmitted, "the read flag of a submitted message stays as it is");
  }
  const MessageRecord before = record;
  const bool suppress = (flags & kSuppressReceipt) != 0;
  const bool generate_only = (flags & kGenerateReceiptOnly) != 0;
  const bool was_read = (record.message_flags & kMsgFlagRead) != 0;
  bool send = false;
  if ((flags & kClearReadFlag) != 0) {
    record.message_flags &= ~kMsgFlagRead;
  } else if (suppress && generate_only) {
    record.properties.Set(Property::Number(pr::kReadReceiptRequested, 0));
    record.message_flags &= ~kPendingFlags;
  } else if (generate_only) {
    send = true;
  } else if ((flags & (kClearReadReceiptPending | kClearNonReadReceiptPending)) == 0 && !was_read) {
    record.message_flags |= kMsgFlagRead;
    send = !suppress;
    if (suppress) record.message_flags &= ~kPendingFlags;
  }
  if ((flags & kClearReadReceiptPending) != 0) record.message_flags &= ~kMsgFlagReadReceiptPending;
  if ((flags & kClearNonReadReceiptPending) != 0) {
    record.message_flags &= ~kMsgFlagNonReadReceiptPending;
  }
  if (send && (record.message_flags & kMsgFlagReadReceiptPending) != 0) {
    RETURN_IF_ERROR(SubmitReport(rows, database, record, ReadReport::kRead));
    record.message_flags &= ~kPendingFlags;
  }
  if (record.message_flags == before.message_flags && record.properties == before.properties) {
    return {};
  }
  return ReplaceMessage(rows, id, before, record, SubmissionStep::kSave);
}

Result<void> ReportDeletedUnread(RowWriter& rows, const DatabaseState& database,
                                 const MessageRecord& record) {
  const bool unread = (record.message_flags & kMsgFlagRead) == 0;
  if (!unread || (record.message_flags & kMsgFlagNonReadReceiptPending) == 0) return {};
  return SubmitReport(rows, database, record, ReadReport::kNotRead);
}

Result<void> Message::SetReadFlag(std::uint32_t flags) {
  RETURN_IF_ERROR(object_->CheckOpen());
  RETURN_IF_ERROR(CheckReadFlags(flags));
  MessageObject& object = *object_;
  if (object.depth > 0) return Fail(ErrorCode::kNoSupport, "an embedded message has no read state");
  MessageRecord record;
  bool current = false;
  RETURN_IF_ERROR(object.database->Update([&](RowWriter& rows) -> Result<void> {
    ASSIGN_OR_RETURN(std::optional<MessageRecord> stored, rows.Message(object.id));
    if (!stored) return Fail(ErrorCode::kObjectDeleted, "the message is not stored");
    current =
        stored->sequence == object.record.sequence && stored->revision == object.record.revision;
    record = *std::move(stored);
    RETURN_IF_ERROR(SetReadFlagIn(rows, *object.database, object.id, record, flags));
    if (record.revision != object.record.revision) record.sequence = rows.Sequence();
    return {};
  }));
  object.record.message_flags = record.message_flags;
  if (current) {  // This object has seen all that is stored: it may still save.
    object.record.sequence = record.sequence;
    object.record.revision = record.revision;
  }
  return {};
}

Result<Completion> MessageStore::SetReadFlags(FolderId folder, std::span<const MessageId> messages,
                                              std::uint32_t flags) {
  RETURN_IF_ERROR(CheckReadFlags(flags));
  RETURN_IF_ERROR(GetFolder(folder));
  std::vector<MessageId> ids(messages.begin(), messages.end());
  MessageId after;
  while (messages.empty()) {
    ASSIGN_OR_RETURN(const auto rows, GetContentsTable(folder, 1'000, after));
    if (rows.empty()) break;
    for (const ContentsRow& row : rows) ids.push_back(row.message);
    after = ids.back();
  }
  Completion completion = Completion::kComplete;
  for (const MessageId id : ids) {
    bool skipped = false;
    RETURN_IF_ERROR(database_->Update([&](RowWriter& rows) -> Result<void> {
      ASSIGN_OR_RETURN(std::optional<MessageRecord> record, rows.Message(id));
      skipped = !record || record->folder != folder || record->IsSubmitted();
      if (skipped) return {};
      return SetReadFlagIn(rows, *database_, id, *record, flags);
    }));
    if (skipped) completion = Completion::kPartial;
  }
  return completion;
}

}  // namespace bobbin

#include "engine/local_delivery.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "engine/ascii.h"
#include "engine/content_rows.h"
#include "engine/message_rows.h"

namespace bobbin {
namespace {

constexpr std::string_view kSmtp = "SMTP";

// What concerns only the submission, or only the sender's store (specification 2.2).
constexpr PropertyTag kNotDelivered[] = {
    pr::kSentMailEntryId,    pr::kDeleteAfterSubmit, pr::kDeferredSendTime, pr::kDeferredSendNumber,
    pr::kDeferredSendUnits,  pr::kExpiryNumber,      pr::kExpiryUnits,      pr::kDisplayBcc,
    pr::kProviderSubmitTime, pr::kPreprocess};

bool IsShownToReaders(const RecipientRow& row) {
  const std::int64_t type = row.Type();
  return type != kRecipientBcc && (type & kRecipientP1) == 0;
}

void SetDelivered(RecipientRow& row, Time now) {
  RecipientDelivery& delivery = row.delivery;
  delivery.responsibility = true;
  delivery.state = RecipientState::kDelivered;
  delivery.completed = now;
  delivery.last_attempt = now;
  ++delivery.attempts;
  delivery.last_reply = {0, "2.1.5", "delivered to the message store"};
  delivery.remote_host = "message store";
}

std::string_view HeaderOf(std::string_view content) {
  for (const std::string_view end : {"\r\n\r\n", "\n\n"}) {
    const std::size_t at = content.find(end);
    if (at != std::string_view::npos) content = content.substr(0, at + 2);
  }
  return content;
}

// "bcc" at the start of a line, as field names are written: any case, blanks before the colon.
bool HasBccField(std::string_view header) {
  std::size_t line = 0;
  while (line < header.size()) {
    if (LowerCase(header.substr(line, 3)) == "bcc") {
      std::size_t colon = line + 3;
      while (colon < header.size() && (header[colon] == ' ' || header[colon] == '\t')) ++colon;
      if (colon < header.size() && header[colon] == ':') return true;
    }
    const std::size_t next = header.find('\n', line);
    if (next == std::string_view::npos) break;
    line = next + 1;
  }
  return false;
}

}  // namespace

Result<std::optional<StoreId>> LocalStoreOf(RowReader& rows, const RecipientRow& row) {
  if (row.AddressType() != kSmtp || row.EmailAddress().empty()) return std::optional<StoreId>();
  ASSIGN_OR_RETURN(const auto exact, rows.StoreNamed(row.EmailAddress()));
  if (exact) return exact;
  const std::string lower = LowerCase(row.EmailAddress());
  if (lower == row.EmailAddress()) return std::optional<StoreId>();
  return rows.StoreNamed(lower);
}

Result<bool> MayBeShared(RowReader& rows, const MessageRecord& record) {
  if (!record.has_content) return true;
  if (record.content_body == 0) return !HasBccField(HeaderOf(record.content_inline));
  ASSIGN_OR_RETURN(const auto chunk, rows.BodyChunk(record.content_body, 1));
  if (!chunk) return Fail(ErrorCode::kCorruptData, "table bodies: the first chunk is missing");
  const std::string_view header = HeaderOf(*chunk);
  const bool whole = header.size() < chunk->size() || chunk->size() == record.content_bytes;
  return whole && !HasBccField(header);
}

Result<void> DeliverTo(RowWriter& rows, const LocalDelivery& delivery, StoreId store) {
  ASSIGN_OR_RETURN(const auto target, rows.Store(store));
  if (!target) return Fail(ErrorCode::kCorruptData, "table meta: the record of a store is missing");
  ASSIGN_OR_RETURN(const std::uint64_t number, DrawObjectIdIn(rows));
  const MessageId id{number};
  MessageRecord copy = *delivery.record;
  copy.store = store;
  copy.folder = target->folders.inbox;
  copy.message_flags = kMsgFlagUnmodified | (copy.message_flags & kMsgFlagHasAttach);
  // A wish for a read report is one from now on (specification 4.3).
  if (copy.properties.FlagOr(pr::kReadReceiptRequested, false)) {
    copy.message_flags |= kMsgFlagReadReceiptPending | kMsgFlagNonReadReceiptPending;
  }
  copy.submit_flags = 0;
  copy.queue_sequence = 0;
  copy.revision = 0;
  copy.preprocess_attempts = 0;
  for (const PropertyTag tag : kNotDelivered) copy.properties.Erase(tag);
  copy.properties.Set(Property::Bytes(pr::kDisplayBcc, {}));
  copy.properties.Set(Property::Number(pr::kMessageDeliveryTime, ToFileTime(delivery.now)));
  copy.properties.Set(Property::Number(pr::kCreationTime, ToFileTime(delivery.now)));
  RETURN_IF_ERROR(CopyParts(rows, delivery.message, *delivery.record, id));
  copy.recipient_count = 0;
  for (const RecipientRow& row : *delivery.recipients) {
    if (!IsShownToReaders(row)) continue;
    RecipientRow shown = row;
    shown.delivery = RecipientDelivery{};
    shown.properties.Set(Property::Number(pr::kRecipientType, shown.BaseType()));
    RETURN_IF_ERROR(rows.PutRecipient(id, shown));
    ++copy.recipient_count;
  }
  RETURN_IF_ERROR(InsertMessage(rows, id, copy, SubmissionStep::kSave));
  rows.Note({ChangeKind::kNewMail, store, id.value, copy.folder, 0, {}, 0});
  return {};
}

Result<std::size_t> ServeLocal(RowWriter& rows, LocalDelivery delivery, RecipientTable& recipients,
                               std::size_t limit, std::vector<RecipientRowId>& served) {
  std::size_t left = 0;
  ASSIGN_OR_RETURN(const bool shared, MayBeShared(rows, *delivery.record));
  if (!shared) return left;
  const RecipientTable as_submitted = recipients;
  delivery.recipients = &as_submitted;
  for (RecipientRow& row : recipients) {
    if (row.delivery.responsibility) continue;
    ASSIGN_OR_RETURN(const auto store, LocalStoreOf(rows, row));
    if (!store) continue;
    if (served.size() == limit) {
      ++left;
      continue;
    }
    RETURN_IF_ERROR(DeliverTo(rows, delivery, *store));
    SetDelivered(row, delivery.now);
    served.push_back(row.id);
  }
  return left;
}

Result<void> ServeLocalRows(RowWriter& rows, LocalDelivery delivery, RecipientTable& recipients,
                            const std::vector<RecipientRowId>& wanted) {
  const RecipientTable as_submitted = recipients;
  delivery.recipients = &as_submitted;
  for (const RecipientRowId id : wanted) {
    const auto row = std::find_if(recipients.begin(), recipients.end(),
                                  [&](const RecipientRow& r) { return r.id == id; });
    std::optional<StoreId> store;
    if (row != recipients.end() && !row->delivery.responsibility) {
      ASSIGN_OR_RETURN(store, LocalStoreOf(rows, *row));
    }
    if (!store) {
      return Fail(ErrorCode::kInvalidParameter,
                  "recipient row " + std::to_string(id.value) + " cannot be delivered to a store");
    }
    RETURN_IF_ERROR(DeliverTo(rows, delivery, *store));
    SetDelivered(*row, delivery.now);
    RETURN_IF_ERROR(rows.PutRecipient(delivery.message, *row));
  }
  return {};
}

}  // namespace bobbin

#include "engine/report_rows.h"

#include <algorithm>
#include <utility>

#include "engine/content_rows.h"
#include "engine/message_rows.h"

namespace bobbin {
namespace {

constexpr std::int64_t kNotRendered = -1;  // PR_RENDERING_POSITION of an attachment without place.

bool IsForTransmissionOnly(const RecipientRow& row) { return (row.Type() & kRecipientP1) != 0; }

// The recipients of the original as readers saw them when it was submitted: undelivered, and
// without the rows that only steer a second transmission (MAPI_P1). What is reported about such a
// row is shown on the row it stands for.
RecipientTable RecipientsAtSubmit(const RecipientTable& stored,
                                  const std::vector<ReportedRecipient>& reported) {
  RecipientTable shown;
  for (const RecipientRow& row : stored) {
    if (IsForTransmissionOnly(row)) continue;
    shown.push_back({row.id, row.properties, {}});
  }
  for (const ReportedRecipient& report : reported) {
    const auto about = std::find_if(stored.begin(), stored.end(),
                                    [&](const RecipientRow& row) { return row.id == report.row; });
    if (about == stored.end()) continue;
    const bool is_twin = IsForTransmissionOnly(*about);
    const std::string_view key = about->properties.BytesOr(pr::kSearchKey, {});
    const auto place = std::find_if(shown.begin(), shown.end(), [&](const RecipientRow& row) {
      return is_twin ? row.properties.BytesOr(pr::kSearchKey, {}) == key : row.id == report.row;
    });
    if (place == shown.end()) continue;
    for (const Property& property : report.properties) place->properties.Set(property);
  }
  return shown;
}

// Marks of the submission and of the spooler go; what the client wrote stays.
MessageRecord RecordAtSubmit(const MessageRecord& record, MessageId report,
                             const std::optional<PropertyList>& unprocessed) {
  MessageRecord copy = record;
  copy.folder = {};
  copy.embedded_in = report;
  copy.message_flags &= ~kMsgFlagSubmit;
  copy.submit_flags = 0;
  copy.queue_sequence = 0;
  copy.preprocess_attempts = 0;
  copy.revision = 0;
  copy.properties.Erase(pr::kPreprocess);
  copy.properties.Erase(pr::kProviderSubmitTime);
  if (!unprocessed) return copy;
  for (const Property& property : record.properties) {
    const Property* before = unprocessed->Find(property.tag);
    if (before == nullptr) {
      copy.properties.Erase(property.tag);
    } else if (copy.properties.Find(property.tag) != nullptr) {
      copy.properties.Set(*before);
    }
  }
  return copy;
}

Result<void> AttachOriginal(RowWriter& rows, const ReportedMessage& original,
                            const DrawnReport& drawn, MessageRecord& report) {
  MessageId copy_id;
  ASSIGN_OR_RETURN(copy_id.value, DrawObjectIdIn(rows));
  MessageRecord copy = RecordAtSubmit(original.record, drawn.id, drawn.report->original_properties);
  RETURN_IF_ERROR(CopyParts(rows, original.id, original.record, copy_id));
  ASSIGN_OR_RETURN(const RecipientTable stored, rows.Recipients(original.id));
  const RecipientTable shown = RecipientsAtSubmit(stored, drawn.report->recipients);
  RETURN_IF_ERROR(ReplaceRecipients(rows, copy_id, shown, true));
  copy.recipient_count = static_cast<std::uint32_t>(shown.size());
  RETURN_IF_ERROR(rows.PutMessage(copy_id, copy));

  AttachmentRecord attachment;
  attachment.embedded = copy_id;
  attachment.properties = {
      Property::Number(pr::kAttachMethod, kAttachEmbeddedMessage),
      Property::Number(pr::kRenderingPosition, kNotRendered),
      Property::Bytes(pr::kDisplayName, std::string(copy.properties.BytesOr(pr::kSubject, {})))};
  report.attachment_count = 1;
  report.next_attachment = 1;
  report.message_flags |= kMsgFlagHasAttach;
  return rows.PutAttachment(drawn.id, 0, attachment);
}

// The recipients reported on, as they are now, in the order of their rows.
Result<RecipientTable> ReportedRows(RowWriter& rows, const ReportedMessage& original,
                                    const std::vector<ReportedRecipient>& reported) {
  RecipientTable table;
  for (const ReportedRecipient& report : reported) {
    ASSIGN_OR_RETURN(std::optional<RecipientRow> row, rows.Recipient(original.id, report.row));
    if (!row) continue;
    for (const Property& property : report.properties) row->properties.Set(property);
    table.push_back(*std::move(row));
  }
  return table;
}

RecipientTable Addressee(const std::string& address, Time delivered) {
  if (address.empty()) return {};
  RecipientRow row = MakeSmtpRecipient(address, kRecipientTo);
  row.id = RecipientRowId{0};
  if (delivered != Time{}) {
    row.delivery.responsibility = true;
    row.delivery.state = RecipientState::kDelivered;
    row.delivery.completed = delivered;
  }
  return {std::move(row)};
}

}  // namespace

Result<std::vector<DrawnReport>> DrawReports(DatabaseState& database,
                                             const std::vector<ReportMessage>& reports) {
  std::vector<DrawnReport> drawn;
  for (const ReportMessage& report : reports) {
    DrawnReport one;
    one.report = &report;
    ASSIGN_OR_RETURN(one.id.value, database.DrawObjectId());
    one.content.buffered = report.content;
    one.content.bytes = report.content.size();
    drawn.push_back(std::move(one));
  }
  return drawn;
}

Result<void> CreateReport(RowWriter& rows, const DatabaseState& database,
                          const ReportedMessage& original, const DrawnReport& drawn) {
  const ReportMessage& report = *drawn.report;
  const Time now = database.clock->Now();
  std::optional<StoreId> local = original.record.store;
  if (!report.recipient.empty()) {
    ASSIGN_OR_RETURN(local, rows.StoreNamed(report.recipient));
  }
  MessageRecord record;
  record.store = local.value_or(original.record.store);
  ASSIGN_OR_RETURN(const auto store, rows.Store(record.store));
  if (!store) return Fail(ErrorCode::kCorruptData, "table meta: the store of a message is missing");
  record.folder = local ? store->folders.inbox : store->folders.outbox;
  record.message_flags = kMsgFlagUnmodified;
  record.properties = report.properties;
  record.properties.Set(
      Property::Bytes(pr::kSearchKey, MakeMessageSearchKey(database.id, drawn.id)));
  record.properties.Set(Property::Number(pr::kCreationTime, ToFileTime(now)));
  record.properties.Set(Property::Number(pr::kMessageDeliveryTime, ToFileTime(now)));
  record.properties.Set(Property::Bytes(pr::kDisplayTo, report.recipient));
  RETURN_IF_ERROR(AttachContent(rows, record, drawn.content));

  RecipientTable recipients = Addressee(report.recipient, local ? now : Time{});
  if (local && report.attach_original) {
    RETURN_IF_ERROR(AttachOriginal(rows, original, drawn, record));
  } else if (local && !report.recipients.empty()) {
    ASSIGN_OR_RETURN(recipients, ReportedRows(rows, original, report.recipients));
  }
  if (!local) {
    record.properties.Set(Property::Number(pr::kDeleteAfterSubmit, 1));
    RETURN_IF_ERROR(Enqueue(rows, drawn.id, record, now, database.id));
  }
  record.recipient_count = static_cast<std::uint32_t>(recipients.size());
  for (const RecipientRow& row : recipients) {
    record.next_recipient_row = std::max(record.next_recipient_row, row.id.value + 1);
    RETURN_IF_ERROR(rows.PutRecipient(drawn.id, row));
  }
  RETURN_IF_ERROR(InsertMessage(rows, drawn.id, record,
                                local ? SubmissionStep::kSave : SubmissionStep::kSubmit));
  if (local) {
    rows.Note({ChangeKind::kNewMail, record.store, drawn.id.value, record.folder, 0, {}, 0});
  }
  return {};
}

}  // namespace bobbin

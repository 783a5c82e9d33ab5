#include "spooler/attempt_reports.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "spooler/internet_message.h"
#include "spooler/report_properties.h"

namespace bobbin {
namespace {

constexpr ReportKind kKinds[] = {ReportKind::kNonDelivery, ReportKind::kDelivery,
                                 ReportKind::kDelay};

// The null reverse-path is a sender that is there and empty; a message composed without any is its
// store's.
bool MayBeReported(const ReportedOriginal& original) {
  const Property* sender = original.properties.Find(pr::kSenderEmailAddress);
  return !(sender != nullptr && sender->bytes.empty()) &&
         !IsReportClass(original.properties.BytesOr(pr::kMessageClass, {}));
}

// What there is to report about a row that the attempt has changed, wanted or not.
std::optional<ReportKind> KindFor(const AttemptedRecipient& recipient, Time now) {
  const RecipientRow& row = *recipient.row;
  switch (row.delivery.state) {
    case RecipientState::kFailed:
    case RecipientState::kExpired:
      return ReportKind::kNonDelivery;
    case RecipientState::kDelivered:
      if (recipient.delivered_to == DeliveredTo::kNotifyingRelay) return std::nullopt;
      return ReportKind::kDelivery;
    case RecipientState::kPending:
    case RecipientState::kInDoubt:
      break;
  }
  if (row.delivery.delay_reported == now) return ReportKind::kDelay;
  return std::nullopt;
}

bool IsWanted(ReportKind kind, const RecipientRow& row, const PropertyList& message) {
  const auto flag = [&](PropertyTag tag, bool unsaid) {
    return row.properties.FlagOr(tag, message.FlagOr(tag, unsaid));
  };
  switch (kind) {
    case ReportKind::kNonDelivery:
      return flag(pr::kOriginatorNonDeliveryReportRequested, true);
    case ReportKind::kDelivery:
      return flag(pr::kOriginatorDeliveryReportRequested, false);
    case ReportKind::kDelay:
      break;
  }
  return row.properties.FlagOr(pr::kDelayReportRequested, false);
}

// As it is transmitted; only its header section when `headers_only`, or when it is longer than
// `bytes_max`: then that is set.
Result<std::string> ReadOriginal(const ReportedOriginal& original, std::size_t bytes_max,
                                 bool& headers_only) {
  ASSIGN_OR_RETURN(MessageBodyReader reader, original.open());
  headers_only = headers_only || reader.Bytes() > bytes_max;
  const auto source = NewTransmittedContent(std::move(reader), {});
  std::string content;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view piece, source->Next());
    if (piece.empty()) return content;
    content += piece;
    if (!headers_only) continue;
    const std::size_t end = content.find("\r\n\r\n");
    if (end != std::string::npos) {
      content.resize(end + 2);
      return content;
    }
    if (content.size() > bytes_max) {
      content.resize(content.rfind("\r\n", bytes_max) + 2);
      return content;
    }
  }
}

std::string_view Letter(ReportKind kind) {
  switch (kind) {
    case ReportKind::kNonDelivery:
      return "n";
    case ReportKind::kDelivery:
      return "d";
    case ReportKind::kDelay:
      break;
  }
  return "w";
}

ReportMessage MakeReport(ReportKind kind, const ReportedOriginal& original,
                         std::vector<ReportEntry> entries, const SpoolerOptions& options,
                         Time now) {
  ReportMessage report;
  report.recipient = ReportAddress(original.properties);
  if (report.recipient.empty()) report.recipient = original.reverse_path;
  if (original.was_preprocessed) report.original_properties = original.properties;
  for (const ReportEntry& entry : entries) {
    report.recipients.push_back({entry.row.id, RecipientProperties(kind, entry, now)});
  }
  ReportRequest request;
  request.kind = kind;
  request.reporting_host = options.reporting_host;
  request.sender = report.recipient;
  request.queue_id = ToQueueId(MessageId{original.entry_id.Object()});
  request.envelope_id = std::string(original.properties.BytesOr(pr::kEnvelopeId, {}));
  request.original_subject = std::string(original.properties.BytesOr(pr::kSubject, {}));
  request.arrival = original.submit_time;
  request.now = now;
  request.retry_until = original.submit_time + options.retry.expire_after;
  request.recipients = std::move(entries);
  request.message_id = request.queue_id + "." + std::to_string(ToFileTime(now)) +
                       std::string(Letter(kind)) + "@" + options.reporting_host;
  // RFC 3461 4.3: RET is about failures; other reports return the header section at most.
  request.original_is_headers_only =
      kind != ReportKind::kNonDelivery || original.properties.FlagOr(pr::kReportHeadersOnly, false);
  Result<std::string> text =
      ReadOriginal(original, options.report_original_bytes_max, request.original_is_headers_only);
  // What cannot be read cannot be attached either; the sender is told all the same.
  const bool is_readable = text || text.error().code == ErrorCode::kTooBig;
  report.attach_original = kind == ReportKind::kNonDelivery && is_readable;
  request.original = std::move(text).value_or("");
  report.content = RenderReport(request);
  report.properties = ReportProperties(request, original.properties, original.entry_id);
  return report;
}

}  // namespace

bool IsDelayToBeReported(const ReportedOriginal& original, const RecipientRow& row,
                         const SpoolerOptions& options, Time now) {
  const RecipientDelivery& delivery = row.delivery;
  return !delivery.responsibility && delivery.delay_reported == Time{} &&
         now - original.submit_time >= options.delay_report_after && MayBeReported(original) &&
         IsWanted(ReportKind::kDelay, row, original.properties);
}

std::vector<ReportMessage> MakeReports(const ReportedOriginal& original,
                                       const std::vector<AttemptedRecipient>& attempted,
                                       const SpoolerOptions& options, Time now) {
  std::vector<ReportMessage> reports;
  if (!MayBeReported(original)) return reports;
  for (const ReportKind kind : kKinds) {
    std::vector<ReportEntry> entries;
    for (const AttemptedRecipient& recipient : attempted) {
      if (KindFor(recipient, now) != kind) continue;
      if (!IsWanted(kind, *recipient.row, original.properties)) continue;
      entries.push_back({*recipient.row, recipient.delivered_to == DeliveredTo::kRelay});
    }
    if (entries.empty()) continue;
    reports.push_back(MakeReport(kind, original, std::move(entries), options, now));
  }
  return reports;
}

}  // namespace bobbin

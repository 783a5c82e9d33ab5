#include "spooler/report_properties.h"

#include <algorithm>
#include <charconv>

#include "engine/ascii.h"
#include "engine/one_off_entry_id.h"
#include "spooler/internet_message.h"
#include "spooler/reply_text.h"

namespace bobbin {
namespace {

// A record has room for about 64 KiB; these keep what is copied from the original far below it.
constexpr std::size_t kStringBytesMax = 1'000;
constexpr std::size_t kReportTextBytesMax = 4'000;
constexpr std::size_t kBinaryBytesMax = 8'000;

constexpr std::int64_t kTransferFailed = 0;  // Reasons.
constexpr std::int64_t kTransferImpossible = 1;
constexpr std::int64_t kNoDiagnostic = -1;

struct Diagnostic {
  std::string_view subject_and_detail;  // Of an enhanced code, without its class.
  std::int64_t code;
};
constexpr Diagnostic kDiagnostics[] = {
    {"1.1", 0},                // OR_NAME_UNRECOGNIZED
    {"1.4", 1},                // OR_NAME_AMBIGUOUS
    {"4.5", 2},                // MTS_CONGESTED
    {"4.6", 3},                // LOOP_DETECTED
    {"2.1", 4},                // RECIPIENT_UNAVAILABLE
    {"2.2", 4},  {"4.7", 5},   // MAXIMUM_TIME_EXPIRED
    {"2.3", 7},                // CONTENT_TOO_LONG
    {"3.4", 7},  {"5.4", 11},  // PARAMETERS_INVALID
    {"6.0", 12},               // CONTENT_SYNTAX_IN_ERROR
    {"6.1", 15},               // CONTENT_TYPE_UNSUPPORTED
    {"5.3", 16},               // TOO_MANY_RECIPIENTS
    {"7.1", 29},               // SUBMISSION_PROHIBITED
    {"2.4", 30},               // EXPANSION_FAILED
    {"1.2", 32},               // MAIL_ADDRESS_INCORRECT
    {"1.3", 34},               // MAIL_ADDRESS_INCOMPLETE
    {"1.0", 35},               // MAIL_RECIPIENT_UNKNOWN
    {"1.6", 35}, {"7.0", 38},  // MAIL_REFUSED
    {"7.5", 46},               // SECURE_MESSAGING_ERROR
};

// PR_NDR_STATUS_CODE: "5.1.1" as 511.
std::int64_t StatusNumber(std::string_view status) {
  std::string digits;
  for (const char c : status.substr(0, 11)) {
    if (c >= '0' && c <= '9') digits.push_back(c);
  }
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::string SubjectStart(ReportKind kind) {
  switch (kind) {
    case ReportKind::kNonDelivery:
      return "Undeliverable: ";
    case ReportKind::kDelay:
      return "Delayed: ";
    case ReportKind::kDelivery:
      break;
  }
  return "Delivered: ";
}

void Copy(const PropertyList& from, PropertyTag tag, PropertyTag to, PropertyList& list) {
  const Property* property = from.Find(tag);
  if (property == nullptr) return;
  Property copy = *property;
  copy.tag = to;
  const bool is_text = tag.Type() == PropertyType::kUnicode;
  if (is_text) copy.bytes = PrintableLine(copy.bytes, kStringBytesMax);
  // Half a binary value would be another value.
  if (copy.bytes.size() <= kBinaryBytesMax) list.Set(std::move(copy));
}

std::string CheckedAddress(std::string_view address) {
  return CheckAddress(address, false) ? std::string(address) : std::string();
}

}  // namespace

NonDeliveryCodes CodesOf(std::string_view status) {
  const bool transient = status.starts_with('4');
  const std::int64_t reason = transient ? kTransferFailed : kTransferImpossible;
  const std::string_view rest = status.substr(std::min<std::size_t>(2, status.size()));
  const auto* found = std::find_if(
      std::begin(kDiagnostics), std::end(kDiagnostics),
      [&](const Diagnostic& diagnostic) { return diagnostic.subject_and_detail == rest; });
  return {reason, found == std::end(kDiagnostics) ? kNoDiagnostic : found->code};
}

PropertyList RecipientProperties(ReportKind kind, const ReportEntry& entry, Time now) {
  const RecipientDelivery& delivery = entry.row.delivery;
  PropertyList list;
  list.Set(Property::Number(pr::kReportTime, ToFileTime(now)));
  const std::string reply = PrintableText(ReportedReply(delivery), kStringBytesMax);
  const std::string status = ReportedStatus(kind, delivery);
  std::string text = kind == ReportKind::kNonDelivery ? "not delivered"
                     : kind == ReportKind::kDelay     ? "not delivered yet"
                     : entry.relayed                  ? "handed to a server that does not report"
                                                      : "delivered";
  text += " (" + status + ")";
  if (!reply.empty()) {
    text += ": " + reply;
    list.Set(Property::Bytes(pr::kSupplementaryInfo, reply));
  }
  list.Set(Property::Bytes(pr::kReportText, std::move(text)));
  if (kind == ReportKind::kDelivery) {
    list.Set(Property::Number(pr::kDeliverTime, ToFileTime(delivery.completed)));
  }
  if (kind == ReportKind::kNonDelivery) {
    const NonDeliveryCodes codes = CodesOf(status);
    list.Set(Property::Number(pr::kNonDeliveryReportReasonCode, codes.reason));
    list.Set(Property::Number(pr::kNonDeliveryReportDiagnosticCode, codes.diagnostic));
    list.Set(Property::Number(pr::kNonDeliveryReportStatusCode, StatusNumber(status)));
  }
  return list;
}

PropertyList ReportProperties(const ReportRequest& request, const PropertyList& original,
                              const EntryId& original_id) {
  const std::string_view message_class = original.BytesOr(pr::kMessageClass, "IPM.Note");
  const std::string subject = PrintableLine(request.original_subject, kStringBytesMax);
  const std::string daemon = "MAILER-DAEMON@" + request.reporting_host;
  const std::string name = "Mail Delivery System";
  PropertyList list{
      Property::Bytes(pr::kMessageClass, ReportClass(request.kind, message_class)),
      Property::Bytes(pr::kOriginalMessageClass, std::string(message_class)),
      Property::Bytes(pr::kSubject, SubjectStart(request.kind) + subject),
      Property::Bytes(pr::kOriginalSubject, subject),
      Property::Number(pr::kOriginalSubmitTime, ToFileTime(request.arrival)),
      Property::Bytes(pr::kOriginalEntryId, original_id.ToBytes()),
      Property::Number(pr::kReportTime, ToFileTime(request.now)),
      Property::Bytes(pr::kReportText, PrintableText(ReportText(request), kReportTextBytesMax)),
      Property::Bytes(pr::kInternetMessageId, "<" + request.message_id + ">"),
      Property::Number(pr::kPriority, original.NumberOr(pr::kPriority, 0)),
      // The null reverse-path; readers see who it is from in the other three.
      Property::Bytes(pr::kSenderName, name), Property::Bytes(pr::kSenderAddressType, "SMTP"),
      Property::Bytes(pr::kSenderEmailAddress, ""),
      Property::Bytes(pr::kSentRepresentingName, name),
      Property::Bytes(pr::kSentRepresentingAddressType, "SMTP"),
      Property::Bytes(pr::kSentRepresentingEmailAddress, daemon)};
  Copy(original, pr::kDisplayTo, pr::kOriginalDisplayTo, list);
  Copy(original, pr::kDisplayCc, pr::kOriginalDisplayCc, list);
  Copy(original, pr::kDisplayBcc, pr::kOriginalDisplayBcc, list);
  Copy(original, pr::kSearchKey, pr::kOriginalSearchKey, list);
  Copy(original, pr::kReportTag, pr::kReportTag, list);
  Copy(original, pr::kNormalizedSubject, pr::kConversationTopic, list);
  Copy(original, pr::kConversationTopic, pr::kConversationTopic, list);
  Copy(original, pr::kConversationIndex, pr::kConversationIndex, list);
  return list;
}

std::string ReportClass(ReportKind kind, std::string_view original_class) {
  const std::string start = "REPORT." + std::string(original_class);
  switch (kind) {
    case ReportKind::kNonDelivery:
      return start + ".NDR";
    case ReportKind::kDelay:
      return start + ".Delayed.DR";
    case ReportKind::kDelivery:
      break;
  }
  return start + ".DR";
}

bool IsReportClass(std::string_view message_class) {
  return UpperCase(message_class.substr(0, 7)) == "REPORT.";
}

std::string ReportAddress(const PropertyList& original) {
  if (const auto one_off = ParseOneOffEntryId(original.BytesOr(pr::kReportEntryId, {}))) {
    if (UpperCase(one_off->address_type) == "SMTP") {
      std::string address = CheckedAddress(one_off->address);
      if (!address.empty()) return address;
    }
  }
  std::string_view key = original.BytesOr(pr::kReportSearchKey, {});
  if (!key.empty() && key.back() == '\0') key.remove_suffix(1);
  if (UpperCase(key.substr(0, 5)) == "SMTP:") {
    // A search key is in upper case; addresses hardly ever are.
    std::string address = CheckedAddress(LowerCase(key.substr(5)));
    if (!address.empty()) return address;
  }
  return CheckedAddress(original.BytesOr(pr::kReportName, {}));
}

}  // namespace bobbin

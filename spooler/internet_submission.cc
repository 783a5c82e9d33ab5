#include "spooler/internet_submission.h"

#include <algorithm>
#include <cstdio>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace bobbin {
namespace {

constexpr std::size_t kTraceWordBytesMax = 255;

// The start of `text`, at most `bytes_max`, cut between UTF-8 characters.
std::string CutText(std::string_view text, std::size_t bytes_max) {
  std::size_t end = std::min(text.size(), bytes_max);
  if (end < text.size()) {
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  }
  return std::string(text.substr(0, end));
}

// What a client says about itself, as one word of a structured header field.
std::string TraceWord(std::string_view text) {
  std::string word = CutText(text, kTraceWordBytesMax);
  for (char& c : word) {
    const bool special = std::string_view("()<>,;\"\\").find(c) != std::string_view::npos;
    if (static_cast<unsigned char>(c) <= ' ' || c == 127 || special) c = '?';
  }
  return word;
}

std::vector<Property> MessageProperties(const Envelope& envelope, const HeaderSummary& summary,
                                        const SubmissionOptions& options) {
  std::vector<Property> properties;
  for (Property property : summary.properties) {
    property.bytes = CutText(property.bytes, kSummaryBytesMax);
    properties.push_back(std::move(property));
  }
  properties.push_back(Property::Bytes(pr::kSenderAddressType, "SMTP"));
  properties.push_back(Property::Bytes(pr::kSenderEmailAddress, envelope.reverse_path));
  properties.push_back(Property::Bytes(pr::kSenderName, envelope.reverse_path));
  if (options.sent_mail_entry_id) {
    properties.push_back(
        Property::Bytes(pr::kSentMailEntryId, options.sent_mail_entry_id->ToBytes()));
  }
  properties.push_back(Property::Number(pr::kDeleteAfterSubmit, !options.sent_mail_entry_id));
  if (options.deferred_send_time) {
    properties.push_back(
        Property::Number(pr::kDeferredSendTime, ToFileTime(*options.deferred_send_time)));
  }
  PropertyList notification;
  SetNotification(envelope.notification, notification);
  properties.insert(properties.end(), notification.begin(), notification.end());
  return properties;
}

RecipientTable EnvelopeRecipients(const Envelope& envelope, const HeaderSummary& summary) {
  std::unordered_map<std::string, const RecipientRow*> named;
  for (const RecipientRow& row : summary.recipients) {
    named.emplace(MakeSearchKey("SMTP", row.EmailAddress()), &row);
  }
  RecipientTable rows;
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < envelope.recipients.size(); ++i) {
    const std::string& address = envelope.recipients[i];
    std::string key = MakeSearchKey("SMTP", address);
    const auto found = named.find(key);
    if (!seen.insert(std::move(key)).second) continue;
    if (found == named.end()) {
      rows.push_back(MakeSmtpRecipient(address, kRecipientBcc));
    } else {
      const RecipientRow& row = *found->second;
      rows.push_back(
          MakeSmtpRecipient(address, row.Type(), CutText(row.DisplayName(), kSummaryBytesMax)));
    }
    if (i < envelope.recipient_notifications.size()) {
      SetNotification(envelope.recipient_notifications[i], rows.back().properties);
    }
  }
  return rows;
}

}  // namespace

Result<void> FillInternetSubmission(Message& message, const Envelope& envelope,
                                    const HeaderSummary& summary, MessageBody content,
                                    const SubmissionOptions& options) {
  const std::vector<Property> properties = MessageProperties(envelope, summary, options);
  ASSIGN_OR_RETURN(const std::vector<PropertyProblem> problems, message.SetProps(properties));
  // What only describes the message may be missing; what steers its delivery may not.
  for (const PropertyProblem& problem : problems) {
    if (summary.properties.Find(problem.tag) != nullptr) continue;
    char tag[16];
    std::snprintf(tag, sizeof tag, "0x%08X", static_cast<unsigned>(problem.tag.value));
    return Fail(problem.code, std::string("property ") + tag + " of a submission cannot be set");
  }
  RETURN_IF_ERROR(
      message.ModifyRecipients(kModifyRecipientsReplace, EnvelopeRecipients(envelope, summary)));
  return message.SetContent(std::move(content));
}

Result<Message> PrepareInternetSubmission(MessageStore& store, const Envelope& envelope,
                                          const HeaderSummary& summary, MessageBody content,
                                          const SubmissionOptions& options) {
  ASSIGN_OR_RETURN(Message message, store.CreateMessage(store.Folders().outbox));
  RETURN_IF_ERROR(FillInternetSubmission(message, envelope, summary, std::move(content), options));
  return message;
}

std::string MakeReceivedHeader(const ReceivedTrace& trace) {
  std::string field = "Received: ";
  if (!trace.from_name.empty() || !trace.from_address.empty()) {
    field += "from ";
    field += trace.from_name.empty() ? "unknown" : TraceWord(trace.from_name);
    if (!trace.from_address.empty()) field += " ([" + TraceWord(trace.from_address) + "])";
    field += "\r\n\t";
  }
  field += "by " + TraceWord(trace.by_name) + " (Bobbin) with " + TraceWord(trace.protocol);
  if (!trace.queue_id.empty()) field += "\r\n\tid " + TraceWord(trace.queue_id);
  field += ";\r\n\t" + MailDate(trace.time) + "\r\n";
  return field;
}

}  // namespace bobbin

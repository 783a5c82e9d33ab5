// What a report looks like (RFC 3464, inside the multipart/report of RFC 6522):
//
//   header of the report
//   --boundary  text/plain               for people: who, why, what to do
//   --boundary  message/delivery-status  for programs: ASCII, one group for each recipient
//   --boundary  message/rfc822 or text/rfc822-headers
//
// Written out here rather than built with GMime: the original is embedded byte for byte, and
// GMime would parse it and write it anew.
#include "spooler/report.h"

#include <fmt/format.h>
#include <gmime/gmime.h>

#include <algorithm>

#include "engine/ascii.h"
#include "spooler/delivery_notification.h"
#include "spooler/internet_message.h"
#include "spooler/reply_text.h"

namespace bobbin {
namespace {

constexpr std::size_t kLineBytesMax = 900;  // RFC 5322 allows 998.
// Encoded words take up to four times as much, on one line.
constexpr std::size_t kSubjectBytesMax = 200;

// The end of the longest start of `text` that is at most `bytes_max` long, is cut between two
// characters, and between two words where there is a blank in its second half.
std::size_t CutAt(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text.size();
  std::size_t cut = bytes_max;
  while (cut > 1 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  const std::size_t blank = text.rfind(' ', cut);
  return blank != std::string_view::npos && blank > bytes_max / 2 ? blank : cut;
}

// The lines of `text`, each on a line of its own or several, each begun with `indent`.
std::string Indented(std::string_view text, std::string_view indent) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::size_t cut = CutAt(text.substr(0, end), kLineBytesMax);
    // An empty line would end a header field.
    if (cut > 0) lines.append(indent).append(text.substr(0, cut)).append("\r\n");
    text.remove_prefix(cut);
    if (!text.empty() && (text[0] == '\n' || text[0] == ' ')) text.remove_prefix(1);
  }
  return lines;
}

std::string EncodedSubject(std::string_view subject) {
  struct Free {
    void operator()(char* text) const { g_free(text); }
  };
  const std::string line = PrintableLine(subject, kSubjectBytesMax);
  const std::unique_ptr<char, Free> encoded(
      g_mime_utils_header_encode_text(nullptr, line.c_str(), "utf-8"));
  return encoded.get();
}

// "550 5.1.1 text" with every line of the text.
std::string ReplyLines(const Reply& reply) {
  std::string lines;
  if (reply.code != 0) lines = fmt::format("{} ", reply.code);
  if (!reply.enhanced_code.empty()) lines += reply.enhanced_code + " ";
  lines += PrintableText(reply.text);
  while (!lines.empty() && lines.back() == ' ') lines.pop_back();
  return lines;
}

// "mx1.example.com[192.0.2.1]:25" -> "mx1.example.com". Empty for paths and programs.
std::string RemoteName(std::string_view remote_host) {
  const std::size_t bracket = remote_host.find('[');
  if (bracket == 0 || bracket == std::string_view::npos) return {};
  return EscapeUtf8(PrintableLine(remote_host.substr(0, bracket), 255));
}

// Who a report is about: the address, or for a recipient that has none the name it was given.
std::string NameOf(const RecipientRow& row) {
  return PrintableLine(row.EmailAddress().empty() ? row.DisplayName() : row.EmailAddress(), 400);
}

std::string_view AddressTypeOf(const RecipientRow& row, std::string_view name) {
  if (row.EmailAddress().empty() || row.AddressType() != "SMTP") return "unknown";
  return IsAscii(name) ? "rfc822" : "utf-8";
}

std::string_view Action(ReportKind kind, const ReportEntry& entry) {
  switch (kind) {
    case ReportKind::kNonDelivery:
      return "failed";
    case ReportKind::kDelay:
      return "delayed";
    case ReportKind::kDelivery:
      break;
  }
  return entry.relayed ? "relayed" : "delivered";
}

// "rfc822;b@x.test", as ORCPT gave it; empty when it did not.
std::string OriginalRecipient(const RecipientRow& row) {
  const std::string given =
      PrintableLine(row.properties.BytesOr(pr::kOriginalRecipient, {}), kLineBytesMax / 2);
  const std::size_t semicolon = given.find(';');
  if (semicolon == std::string::npos) return {};
  return fmt::format("Original-Recipient: {}; {}\r\n", given.substr(0, semicolon),
                     EscapeUtf8(std::string_view(given).substr(semicolon + 1)));
}

std::string RecipientGroup(const ReportRequest& request, const ReportEntry& entry) {
  const RecipientRow& row = entry.row;
  const RecipientDelivery& delivery = row.delivery;
  const std::string address = NameOf(row);
  std::string group = "\r\n" + OriginalRecipient(row);
  group += fmt::format("Final-Recipient: {}; {}\r\nAction: {}\r\nStatus: {}\r\n",
                       AddressTypeOf(row, address), EscapeUtf8(address),
                       Action(request.kind, entry), ReportedStatus(request.kind, delivery));
  if (const std::string name = RemoteName(delivery.remote_host); !name.empty()) {
    group += fmt::format("Remote-MTA: dns; {}\r\n", name);
  }
  const std::string reply = EscapeUtf8(ReplyLines(delivery.last_reply));
  if (!reply.empty()) {
    const std::string folded = Indented(reply, " ");
    group += fmt::format("Diagnostic-Code: {};{}",
                         delivery.last_reply.code != 0 ? "smtp" : "x-bobbin", folded);
  }
  if (delivery.last_attempt != Time{}) {
    group += fmt::format("Last-Attempt-Date: {}\r\n", MailDate(delivery.last_attempt));
  }
  if (request.kind == ReportKind::kDelay && request.retry_until != Time{}) {
    group += fmt::format("Will-Retry-Until: {}\r\n", MailDate(request.retry_until));
  }
  return group;
}

std::string DeliveryStatus(const ReportRequest& request) {
  std::string status;
  if (!request.envelope_id.empty()) {
    status += fmt::format("Original-Envelope-Id: {}\r\n",
                          EscapeUtf8(PrintableLine(request.envelope_id, kLineBytesMax / 2)));
  }
  status += fmt::format("Reporting-MTA: dns; {}\r\n",
                        EscapeUtf8(PrintableLine(request.reporting_host, 255)));
  if (!request.queue_id.empty()) {
    status += fmt::format("X-Bobbin-Queue-ID: {}\r\n", PrintableLine(request.queue_id, 64));
  }
  if (request.arrival != Time{}) {
    status += fmt::format("Arrival-Date: {}\r\n", MailDate(request.arrival));
  }
  for (const ReportEntry& entry : request.recipients) status += RecipientGroup(request, entry);
  return status;
}

std::string AdviceOnFailure(const RecipientDelivery& delivery) {
  if (delivery.state == RecipientState::kExpired) {
    return "It was tried until the time for trying was over. Send it again when the recipient's\r\n"
           "server can be reached, or reach the recipient in another way.\r\n";
  }
  const std::string status = ReportedStatus(ReportKind::kNonDelivery, delivery);
  if (status.starts_with("5.1."))
    return "Check the address, and send it again when it is right.\r\n";
  if (status.starts_with("5.2.")) return "The mailbox does not take it. Ask the recipient.\r\n";
  if (status == "5.3.4" || status == "5.2.3") return "Send a smaller message.\r\n";
  if (status.starts_with("5.7.")) {
    return "The recipient's server does not permit it. Ask the recipient or its operator.\r\n";
  }
  return "Sending the same message again is not likely to help.\r\n";
}

std::string Advice(ReportKind kind, const ReportEntry& entry) {
  switch (kind) {
    case ReportKind::kNonDelivery:
      return AdviceOnFailure(entry.row.delivery);
    case ReportKind::kDelay:
      return "It is still being tried.\r\n";
    case ReportKind::kDelivery:
      break;
  }
  if (!entry.relayed) return "It was delivered.\r\n";
  return "It was handed on to that server, which does not report deliveries: nothing more will "
         "be\r\n"
         "heard of it unless it fails.\r\n";
}

std::string_view Summary(ReportKind kind) {
  switch (kind) {
    case ReportKind::kNonDelivery:
      return "Your message could not be delivered to one or more recipients. They are listed "
             "below\r\n"
             "with the reason. The message itself, or its header, is attached.\r\n\r\n";
    case ReportKind::kDelay:
      return "Your message has not been delivered to one or more recipients yet. They are "
             "listed\r\n"
             "below. You need not send it again.\r\n\r\n";
    case ReportKind::kDelivery:
      break;
  }
  return "Your message has left for the recipients listed below, as you asked to be told.\r\n\r\n";
}

std::string Explanation(const ReportRequest& request) {
  std::string text = fmt::format("This is the mail system at {}.\r\n\r\n",
                                 PrintableLine(request.reporting_host, 255));
  text += Summary(request.kind);
  const std::string subject = PrintableLine(request.original_subject, kLineBytesMax / 2);
  if (!subject.empty()) text += Indented("Subject:  " + subject, "");
  if (request.arrival != Time{}) text += "Sent:     " + MailDate(request.arrival) + "\r\n";
  if (!request.queue_id.empty()) {
    text += "Queue id: " + PrintableLine(request.queue_id, 64) + "\r\n";
  }
  if (request.kind == ReportKind::kDelay && request.retry_until != Time{}) {
    text += "Given up: " + MailDate(request.retry_until) + "\r\n";
  }
  for (const ReportEntry& entry : request.recipients) {
    const RecipientDelivery& delivery = entry.row.delivery;
    text += fmt::format("\r\n<{}>\r\n", NameOf(entry.row));
    const std::string remote = PrintableLine(delivery.remote_host, 400);
    const std::string reply = ReplyLines(delivery.last_reply);
    if (!reply.empty()) {
      const bool good = request.kind == ReportKind::kDelivery;
      text += !remote.empty() ? Indented(remote + " said:", "")
              : good          ? "The answer:\r\n"
                              : "The reason given:\r\n";
      text += Indented(reply, "    ");
    }
    text += Advice(request.kind, entry);
  }
  return text;
}

std::string_view SubjectStart(const ReportRequest& request) {
  switch (request.kind) {
    case ReportKind::kNonDelivery:
      return "Undelivered mail: ";
    case ReportKind::kDelay:
      return "Delayed mail, still being tried: ";
    case ReportKind::kDelivery:
      break;
  }
  const bool relayed = std::all_of(request.recipients.begin(), request.recipients.end(),
                                   [](const ReportEntry& entry) { return entry.relayed; });
  return relayed ? "Relayed mail: " : "Delivered mail: ";
}

// Bounded by what the parts do not contain.
std::string Boundary(const ReportRequest& request, std::string_view text, std::string_view status) {
  for (std::uint64_t n = 0;; ++n) {
    std::string boundary = fmt::format("=_bobbin-{}-{}", ToHex(request.queue_id.substr(0, 16)), n);
    const std::string line = "--" + boundary;
    if (text.find(line) == std::string_view::npos && status.find(line) == std::string_view::npos &&
        request.original.find(line) == std::string::npos) {
      return boundary;
    }
  }
}

std::string ReportHeader(const ReportRequest& request, std::string_view boundary) {
  const std::string host = PrintableLine(request.reporting_host, 255);
  const std::string sender = PrintableLine(request.sender, 400);
  std::string header = fmt::format(
      "From: Mail Delivery System <MAILER-DAEMON@{}>\r\nTo: {}\r\nSubject: {}\r\n"
      "Date: {}\r\n",
      host, sender.empty() ? "undisclosed-recipients:;" : "<" + sender + ">",
      EncodedSubject(std::string(SubjectStart(request)) + request.original_subject),
      MailDate(request.now));
  if (!request.message_id.empty()) {
    header += fmt::format("Message-ID: <{}>\r\n", PrintableLine(request.message_id, 400));
  }
  header += "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n";
  header += fmt::format(
      "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{}\"\r\n",
      boundary);
  header += "Content-Transfer-Encoding: 8bit\r\n\r\n";
  return header;
}

}  // namespace

std::string ReportedStatus(ReportKind kind, const RecipientDelivery& delivery) {
  if (kind == ReportKind::kNonDelivery && delivery.state == RecipientState::kExpired) {
    return "4.4.7";
  }
  const Reply& reply = delivery.last_reply;
  const bool success = kind == ReportKind::kDelivery;
  const std::string_view code = reply.enhanced_code;
  if (!code.empty() && (code[0] == '2') == success &&
      (kind != ReportKind::kDelay || code[0] == '4')) {
    return reply.enhanced_code;
  }
  if (success) return "2.0.0";
  return kind == ReportKind::kDelay || ReplyClass(reply) == 4 ? "4.0.0" : "5.0.0";
}

std::string ReportedReply(const RecipientDelivery& delivery) {
  const std::string reply = ReplyLines(delivery.last_reply);
  const std::string remote = PrintableLine(delivery.remote_host, 400);
  return reply.empty() || remote.empty() ? reply : remote + " said:\n" + reply;
}

std::string ReportText(const ReportRequest& request) { return Explanation(request); }

std::string RenderReport(const ReportRequest& request) {
  InitializeInternetMessage();
  const std::string text = Explanation(request);
  const std::string status = DeliveryStatus(request);
  const std::string boundary = Boundary(request, text, status);
  std::string report = ReportHeader(request, boundary);
  report += fmt::format(
      "--{}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
      "\r\n{}\r\n",
      boundary, text);
  report +=
      fmt::format("--{}\r\nContent-Type: message/delivery-status\r\n\r\n{}\r\n", boundary, status);
  report +=
      fmt::format("--{}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: {}\r\n\r\n", boundary,
                  request.original_is_headers_only ? "text/rfc822-headers" : "message/rfc822",
                  IsAscii(request.original) ? "7bit" : "8bit");
  // Appended, not formatted: it may hold a NUL and be large.
  report += request.original;
  if (!report.ends_with("\r\n")) report += "\r\n";
  report += fmt::format("--{}--\r\n", boundary);
  return report;
}

}  // namespace bobbin

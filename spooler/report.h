// Reports in RFC 3464 form: what became of recipients, for people and for programs.
//
//   kind          action of a recipient                            returns of the original
//   kNonDelivery  failed                                           all of it, or its header section
//   kDelivery     delivered, or relayed: handed to a server that   its header section
//                 is not told that the sender wants to know
//   kDelay        delayed: still being tried                       its header section
//
// Threads  Any number. Errors  None: what is not known is left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/clock.h"
#include "engine/recipient_table.h"

namespace bobbin {

enum class ReportKind : std::uint8_t { kNonDelivery, kDelivery, kDelay };

struct ReportEntry {
  RecipientRow row;  // With its last reply, and ORCPT as pr::kOriginalRecipient.
  bool relayed = false;
};

struct ReportRequest {
  ReportKind kind = ReportKind::kNonDelivery;
  std::string reporting_host;  // "Reporting-MTA: dns;<this>".
  std::string sender;          // Whom the report goes to; empty: nobody with an address.
  std::string queue_id;        // Of the original.
  std::string envelope_id;     // ENVID, decoded; empty: none was given.
  std::string original_subject;
  Time arrival{};  // When the original was submitted.
  Time now{};
  Time retry_until{};  // Of a delay: when it will be given up.
  std::vector<ReportEntry> recipients;
  std::string original;  // The original, or only its header section: CRLF.
  bool original_is_headers_only = false;
  std::string message_id;  // For the report itself, without angle brackets.
};

// A multipart/report; report-type=delivery-status with a human-readable part (who, why, what to
// do), message/delivery-status, and message/rfc822 or text/rfc822-headers. CRLF line ends, 7bit
// or 8bit. From is "Mail Delivery System <MAILER-DAEMON@reporting_host>", Auto-Submitted is
// auto-replied.
std::string RenderReport(const ReportRequest& request);

// The part for people: PR_REPORT_TEXT.
std::string ReportText(const ReportRequest& request);

// RFC 3463, "5.1.1": the server's, or what the outcome comes to without one.
std::string ReportedStatus(ReportKind kind, const RecipientDelivery& delivery);

// "mx1.example.com[192.0.2.1]:25 said:\n550 5.1.1 no such user": what was said last about the
// recipient, and by whom. Empty when nothing was said.
std::string ReportedReply(const RecipientDelivery& delivery);

}  // namespace bobbin

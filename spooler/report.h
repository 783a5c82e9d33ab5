// Non-delivery reports in RFC 3464 form.
//
// Threads  Any number. Errors  None: what is not known is left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/clock.h"
#include "engine/recipient_table.h"

namespace bobbin {

struct ReportRequest {
  std::string reporting_host;  // "Reporting-MTA: dns;<this>".
  std::string sender;          // The reverse-path the report goes to.
  std::string queue_id;        // Of the original.
  std::string original_subject;
  Time arrival{};  // When the original was submitted.
  Time now{};
  RecipientTable failed;  // Rows with their last reply.
  std::string original;   // The original, or only its header section: CRLF.
  bool original_is_headers_only = false;
  std::string message_id;  // For the report itself, without angle brackets.
};

// A multipart/report; report-type=delivery-status with a human-readable part (who, why, what to
// do), message/delivery-status, and message/rfc822 or text/rfc822-headers. CRLF line ends, 7bit
// or 8bit. From is "Mail Delivery System <MAILER-DAEMON@reporting_host>", Auto-Submitted is
// auto-replied.
std::string RenderNonDeliveryReport(const ReportRequest& request);

}  // namespace bobbin

// A report as a MAPI message (specification, section 8): its properties, and what it keeps of each
// recipient. The RFC 3464 form of the same is spooler/report.h.
//
// Threads  Any number. Errors  None.
#pragma once

#include <optional>
#include <string>

#include "engine/entry_id.h"
#include "engine/report_message.h"
#include "spooler/report.h"

namespace bobbin {

// X.411 codes of PR_NDR_REASON_CODE and PR_NDR_DIAG_CODE, from the enhanced status code (RFC 3463).
struct NonDeliveryCodes {
  std::int64_t reason = 0;
  std::int64_t diagnostic = 0;
};
NonDeliveryCodes CodesOf(std::string_view status);

// PR_REPORT_TIME, PR_REPORT_TEXT and PR_SUPPLEMENTARY_INFO; of a non-delivery the three PR_NDR_*
// codes, of a delivery PR_DELIVER_TIME.
PropertyList RecipientProperties(ReportKind kind, const ReportEntry& entry, Time now);

// What a report says of itself and of the original, whose properties are `original`. Long strings
// are cut, so that the report can be stored whatever the original holds.
PropertyList ReportProperties(const ReportRequest& request, const PropertyList& original,
                              const EntryId& original_id);

// REPORT.IPM.Note.NDR, .DR, and .Delayed.DR for a delay, which MAPI itself does not know (C110).
std::string ReportClass(ReportKind kind, std::string_view original_class);

// A report is never itself reported on.
bool IsReportClass(std::string_view message_class);

// The address that reports on a message go to (C111): that of PR_REPORT_ENTRYID, when it is a
// one-off entry identifier, of PR_REPORT_SEARCH_KEY or of PR_REPORT_NAME; empty when none of them
// holds one.
std::string ReportAddress(const PropertyList& original);

}  // namespace bobbin

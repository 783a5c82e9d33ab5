// Which reports an attempt at a message gives rise to (specification 4.15, 8): at most one of each
// kind, on the recipients of whom the sender wants to know.
//
//   what became of a recipient  reported                          unless
//   failed, expired             non-delivery                      explicitly not wanted (C107)
//   delivered                   delivery                          not asked for (C108), or
//                                                                 handed to a server that reports
//   FALSE after delay_report    delay, once (delay_reported in    not asked for
//                               its row remembers it)
//
// What is wanted is said by the recipient's row, else by the message; a delay by the row alone.
// Nothing is reported on a report, nor on a message whose sender is the null reverse-path.
//
// Threads  Any number. Errors  None: an original that cannot be read must not keep outcomes from
//                              being committed, so its report goes without it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/message_body.h"
#include "engine/report_message.h"
#include "spooler/outbound_message.h"
#include "spooler/report.h"
#include "spooler/spooler.h"

namespace bobbin {

struct ReportedOriginal {
  EntryId entry_id;
  const PropertyList& properties;
  std::string reverse_path;
  Time submit_time{};
  std::function<Result<MessageBodyReader>()> open;  // Its content, or it rendered.
  bool was_preprocessed = false;  // `properties` and the content are what they were before that.
};

// A recipient whose row the attempt has changed.
struct AttemptedRecipient {
  const RecipientRow* row = nullptr;
  DeliveredTo delivered_to = DeliveredTo::kMailbox;  // When it is delivered.
};

// Whether the sender is to be told now that `row` is delayed.
bool IsDelayToBeReported(const ReportedOriginal& original, const RecipientRow& row,
                         const SpoolerOptions& options, Time now);

// A delay is reported on rows whose `delay_reported` is `now`.
std::vector<ReportMessage> MakeReports(const ReportedOriginal& original,
                                       const std::vector<AttemptedRecipient>& attempted,
                                       const SpoolerOptions& options, Time now);

}  // namespace bobbin

// The steps of one transaction that create a report (engine/report_message.h). Internal to engine/.
#pragma once

#include <vector>

#include "engine/database_state.h"
#include "engine/message_body.h"
#include "engine/report_message.h"

namespace bobbin {

// A report with all that must be drawn before its transaction.
struct DrawnReport {
  const ReportMessage* report = nullptr;
  MessageId id;
  MessageBody content;
};

// Borrows `reports`.
Result<std::vector<DrawnReport>> DrawReports(DatabaseState& database,
                                             const std::vector<ReportMessage>& reports);

// What a report is about. `record` is as stored, still in the queue.
struct ReportedMessage {
  MessageId id;
  const MessageRecord& record;
};

// In the Inbox when it is for a store here, as new mail; else submitted.
Result<void> CreateReport(RowWriter& rows, const DatabaseState& database,
                          const ReportedMessage& original, const DrawnReport& drawn);

}  // namespace bobbin

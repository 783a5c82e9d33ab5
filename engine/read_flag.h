// MAPI: SetReadFlag and the read reports it sends (specification 4.3, 8). Internal to engine/.
//
//   flags                        READ set already         READ clear
//   0                            nothing                  set; pending read report sent
//   SUPPRESS                     nothing                  set; pending read report cancelled
//   CLEAR_READ                   clear, no report         nothing
//   GENERATE_ONLY                pending report sent      same
//   SUPPRESS + GENERATE_ONLY     PR_READ_RECEIPT_REQUESTED := FALSE, no report
//   CLEAR_RN, CLEAR_NRN_PENDING  that report is cancelled
//
// "Pending" is MSGFLAG_RN_PENDING (NRN_PENDING for the report that a message was deleted unread),
// set when the message was delivered with PR_READ_RECEIPT_REQUESTED. A report clears both, so each
// is sent at most once.
#pragma once

#include <cstdint>

#include "engine/database_state.h"
#include "engine/rows.h"

namespace bobbin {

//   kUnknownFlags, kInvalidParameter
Result<void> CheckReadFlags(std::uint32_t flags);

// Inside the caller's transaction. `record` is what is stored, and becomes what is.
//   kSubmitted
Result<void> SetReadFlagIn(RowWriter& rows, const DatabaseState& database, MessageId id,
                           MessageRecord& record, std::uint32_t flags);

// Before an unread message is deleted by a client: the report that says so, if one is pending
// (ruling A27).
Result<void> ReportDeletedUnread(RowWriter& rows, const DatabaseState& database,
                                 const MessageRecord& record);

}  // namespace bobbin

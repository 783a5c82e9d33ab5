// Completion: what becomes of a message when the spooler is done with it (specification 4.8).
//
//   PR_SENTMAIL_ENTRYID   PR_DELETE_AFTER_SUBMIT   outcome
//   absent                FALSE                    stays in its folder
//   set                   FALSE                    moved to that folder
//   absent                TRUE                     deleted
//   set                   TRUE                     in that folder, gone from its own (A4)
//
// A SentMailOrder, which outbound hooks give, goes before all of that: its folder replaces the
// destination and keeps the message, delete_message deletes it.
//
// The last row is a move like the second: copy and delete in one transaction cannot be told from
// it (ruling A4). A destination that is gone or damaged leaves the message where it is (C95): a
// post-processing problem must never cause a second transmission.
#pragma once

#include "engine/message_rows.h"
#include "engine/spooler_session.h"

namespace bobbin {

// Steps 1 to 4 inside the caller's transaction: FinishedMsg and, in it, DoSentMail. `record` is
// what is stored; `step` is kFinish, or kServeInline where a coupled store has served everybody.
//   kCorruptStore  the queue row is missing
Result<FinishResult> FinishInTransaction(RowWriter& rows, MessageId id, MessageRecord& record,
                                         SubmissionStep step, const SentMailOrder& order,
                                         const DatabaseId& database);

}  // namespace bobbin

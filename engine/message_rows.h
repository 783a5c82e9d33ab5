// The steps of one transaction that touch a message and everything that goes with it: folder,
// contents row, recipients, content, queue. Internal to engine/; each caller combines them into
// the one transaction its call is.
//
// All of them run inside a closure that may be run again: they change rows and nothing else. Each
// notes what it does (RowWriter::Note), so every caller's commit is told to those advised of it.
//
// Whoever inserts, replaces or erases a record says which step of the submission model it takes:
//   kCorruptStore  kTransitions (engine/submission.h) has no such step; nothing was written
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/rows.h"
#include "engine/submission.h"

namespace bobbin {

struct CopiedFrom {
  MessageId message;
  FolderId folder;
};

// The row of a stored message in its folder's contents table.
ContentsRow MakeContentsRow(const EntryId& entry_id, const MessageRecord& record);

// The greatest n < `number` for which `table` has the key that `key_of` makes of n, which holds it
// at `offset`, and that `is_shown` takes. Looks back in growing steps: what precedes is near.
using KeyOfNumber = std::function<std::string(std::uint64_t)>;
Result<std::optional<std::uint64_t>> PredecessorOf(std::uint64_t number, RowReader& rows,
                                                   kv::TableId table, const KeyOfNumber& key_of,
                                                   std::size_t offset,
                                                   const RowReader::KeyVisitor& is_shown);

// Inserts `record` and its contents row, counted in its folder.
//   kNotFound  the folder is gone, or belongs to another store
Result<void> InsertMessage(RowWriter& rows, MessageId id, const MessageRecord& record,
                           SubmissionStep step, const CopiedFrom& from = {});

// Rewrites `record`, as its next revision, keeping the folder's unread count right. `before` is
// what is stored.
Result<void> ReplaceMessage(RowWriter& rows, MessageId id, const MessageRecord& before,
                            MessageRecord& record, SubmissionStep step);

// Removes the message, its recipients, its attachments and its share of the content.
Result<void> EraseMessage(RowWriter& rows, MessageId id, const MessageRecord& record,
                          SubmissionStep step);

// Moves the message to another folder of its store; `record` is what is stored, and is updated.
//   kNotFound  no such folder in that store
Result<void> MoveMessage(RowWriter& rows, MessageId id, MessageRecord& record, FolderId to);

// Replaces the recipients stored for `id`.
Result<void> ReplaceRecipients(RowWriter& rows, MessageId id, const RecipientTable& recipients,
                               bool may_exist);

// Puts `record` (not written) at the end of the outgoing queue, due at `now` or at its deferred
// send time: flags, PR_CLIENT_SUBMIT_TIME, PR_INTERNET_MESSAGE_ID, queue row and due row.
// `submit_flags`: 0 or kSubmitFlagPreprocess.
Result<void> Enqueue(RowWriter& rows, MessageId id, MessageRecord& record, Time now,
                     const DatabaseId& database, std::uint32_t submit_flags = 0);

// Takes `record` (not written) out of the queue: rows and marks. Leaves UNSENT as it is.
Result<void> Dequeue(RowWriter& rows, MessageRecord& record);

// Makes every recipient without responsibility in doubt since `now`, with `why` for the last reply:
// what is stored may be older than what was sent. Returns how many there are.
Result<std::uint64_t> DoubtRecipients(RowWriter& rows, MessageId id, Time now,
                                      std::string_view why);

// Gives the queue row of `record` another place in the due index. A held row stays held unless
// `lane` is given.
Result<void> Reschedule(RowWriter& rows, const MessageRecord& record, Time due,
                        std::optional<DueLane> lane);

}  // namespace bobbin

// MAPI: ExpandRecips (specification 4.10): what SubmitMessage does to the recipient table.
//
//   1. Personal distribution lists (address type MAPIPDL) give way to their members, lists inside
//      lists too; members inherit the list's recipient type and the reports asked for. A list
//      inside itself counts once.
//   2. Display names a user has changed go back to PR_ORIGINAL_DISPLAY_NAME; one-off recipients are
//      completed (display name, address type in upper case, search key, entry identifier); what
//      a row has of these stays.
//   3. Duplicates by search key go; To before Cc before Bcc, the first row stays. Resend rows
//      (MAPI_P1) are no duplicates of others.
//
// Internal to engine/; inside the caller's transaction.
// Errors  kNotFound  a list that is not in the address book: named in the detail
//         kTooBig    more than kRecipientCountMax recipients
#pragma once

#include "engine/recipient_table.h"
#include "engine/rows.h"

namespace bobbin {

Result<void> ExpandRecipients(RowReader& rows, RecipientTable& recipients);

}  // namespace bobbin

// What an attempt at a message has come to: the input of SpoolerSession::CommitAttempt, and what
// that made of it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/clock.h"
#include "engine/entry_id.h"
#include "engine/property.h"
#include "engine/recipient_table.h"
#include "engine/report_message.h"

namespace bobbin {

// What became of one recipient in one attempt: what is stored in its row.
struct RecipientUpdate {
  RecipientRowId row;
  RecipientDelivery delivery;
};

// What outbound message hooks decided about the place of a message that has been sent
// (specification 4.8, 4.14). It goes before PR_SENTMAIL_ENTRYID and PR_DELETE_AFTER_SUBMIT.
struct SentMailOrder {
  std::optional<FolderId> folder;
  bool delete_message = false;
};

struct Attempt {
  std::vector<RecipientUpdate> updates;
  Time next_due{};  // Used when a recipient is still FALSE.
  std::vector<ReportMessage> reports{};
  bool finish = true;  // Finish the message when every recipient is TRUE.
  SentMailOrder order{};
  // Rows to be delivered to the stores of the database that their addresses name, in the same
  // transaction: they become TRUE and delivered, once, whatever happens.
  std::vector<RecipientRowId> deliver_locally{};
  // PR_SENDER_* that the client left out: set on the message when it is finished.
  PropertyList missing_sender{};
  bool keep_locked = false;  // Unless it is finished.
};

enum class FinishResult : std::uint8_t {
  kStillQueued,  // A recipient is FALSE: due again at Attempt::next_due.
  kFinished,
  // Finished, but the sent mail folder is gone or damaged (MAPI_W_PARTIAL_COMPLETION).
  kFinishedPartially,
};

}  // namespace bobbin

// Delivery to message stores of the same database: the tightly coupled transport (specification 6).
//
// A recipient is local when its address type is SMTP and its address is the name of a store, as it
// is or in lower case. What arrives is a copy that shares the content's rows: unread, in the Inbox,
// without Bcc and resend rows, without what only the sender's store is concerned with.
//
// Internal to engine/. All of it runs inside the caller's transaction, so a recipient that is
// delivered is TRUE in the same commit, once.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "engine/rows.h"

namespace bobbin {

// How many recipients one transaction serves: bounds its size.
inline constexpr std::size_t kServedAtOnceMax = 100;

Result<std::optional<StoreId>> LocalStoreOf(RowReader& rows, const RecipientRow& row);

// False when the content may not be shown to recipients as it is: its header has a Bcc field, or is
// too long to be looked at here. The spooler's transports leave that out.
Result<bool> MayBeShared(RowReader& rows, const MessageRecord& record);

struct LocalDelivery {
  MessageId message;  // Stored, or about to be, as `record`, with its parts written.
  const MessageRecord* record = nullptr;
  const RecipientTable* recipients = nullptr;
  Time now{};
};

// Puts a copy into the Inbox of `store`: new mail there.
Result<void> DeliverTo(RowWriter& rows, const LocalDelivery& delivery, StoreId store);

// Serves `wanted` rows and writes them.
//   kInvalidParameter  a row that is TRUE already, does not exist, or whose address names no store
Result<void> ServeLocalRows(RowWriter& rows, LocalDelivery delivery, RecipientTable& recipients,
                            const std::vector<RecipientRowId>& wanted);

// Serves up to `limit` local recipients that are FALSE: delivers, and makes their rows TRUE.
// Returns how many local ones are still FALSE. Rows are changed in `recipients`, not written.
Result<std::size_t> ServeLocal(RowWriter& rows, LocalDelivery delivery, RecipientTable& recipients,
                               std::size_t limit, std::vector<RecipientRowId>& served);

}  // namespace bobbin

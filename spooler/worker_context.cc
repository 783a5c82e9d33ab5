#include "spooler/worker_context.h"

#include "engine/check.h"

namespace bobbin {

Result<MessageStore> StoreOf(const Database& database, StoreId id) {
  ASSIGN_OR_RETURN(const std::vector<MessageStoreInfo> stores, database.ListMessageStores());
  for (const MessageStoreInfo& info : stores) {
    if (info.id == id) return database.OpenMessageStore(info.name);
  }
  return Fail(ErrorCode::kNotFound, "the message's store is gone");
}

}  // namespace bobbin

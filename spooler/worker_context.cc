#include "spooler/worker_context.h"

#include "engine/check.h"

namespace bobbin {

Result<std::string> AddressOf(const Database& database, StoreId id) {
  Result<MessageStore> store = database.OpenMessageStore(id);
  if (!store && store.error().code == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kCorruptData, "table meta: the store of a message is missing");
  }
  if (!store) return tl::unexpected<Error>(std::move(store).error());
  return store->Name().find('@') == std::string::npos ? std::string() : store->Name();
}

}  // namespace bobbin

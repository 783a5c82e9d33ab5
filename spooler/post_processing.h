// What happens to a message once everybody has been served: RemovePreprocessInfo, outbound message
// hooks (spooler/outbound_message_hook.h), and where they want it. Internal to the spooler.
#pragma once

#include "spooler/worker_context.h"

namespace bobbin {

// The message is locked by the session and all its recipients are TRUE. Changes are saved; the
// order is for FinishMessage. `missing_sender`: as Attempt::missing_sender.
Result<SentMailOrder> PostProcess(const WorkerContext& context, const DueMessage& due,
                                  const PropertyList& missing_sender);

}  // namespace bobbin

// OutboundMessageHook: decides what becomes of a message that has been sent (MAPI:
// ISpoolerHook::OutboundMsgHook, specification 4.14).
//
// Hooks run after RemovePreprocessInfo and before the message is moved, in the order of
// SpoolerOptions::outbound_hooks, each seeing what its predecessor decided; the last one wins
// (C97). A hook may change the message; that is saved for it. After a crash between hook and commit
// it runs again on the same message. A hook that fails is told of and ignored: its decision is
// dropped.
//
// Threads    One call at a time per worker; several workers may call one hook at once.
#pragma once

#include <string_view>

#include "engine/message.h"

namespace bobbin {

struct HookDecision {
  FolderId folder;              // Where the message goes; on entry as decided so far.
  bool delete_message = false;  // HOOK_DELETE: delete it instead.
  bool cancel = false;          // HOOK_CANCEL: call no further hook.
};

class OutboundMessageHook {
 public:
  virtual ~OutboundMessageHook() = default;
  virtual std::string_view Name() const = 0;  // For logs.
  virtual Result<void> OutboundMessage(Message& message, HookDecision& decision) = 0;
};

}  // namespace bobbin

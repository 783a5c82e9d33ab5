#include "spooler/transports/discard.h"

namespace bobbin {

// Nothing visible happens here, so there is no point of no return and nothing to mark.
SubmitResult DiscardTransport::SubmitMessage(OutboundMessage& message) {
  for (const OutboundRecipient& recipient : message.Recipients()) {
    message.StatusRecipient(recipient.row,
                            {OutcomeKind::kDelivered, {0, "2.0.0", "discarded"}, {}});
  }
  return {};
}

}  // namespace bobbin

// Who a message is from when its client did not say (specification 2.5).
//
//   PR_SENDER_*             the identity of its store, which is kept with the message; without an
//                           identity the name is "Unknown" (C115)
//   PR_SENT_REPRESENTING_*  the sender's, on the outbound copy only (C114)
//
// What the client did say stays as it is, the null reverse-path (an empty address) included.
//
// Threads  Any number. Errors  None.
#pragma once

#include <string>

#include "engine/property.h"

namespace bobbin {

// What `message` lacks of PR_SENDER_*. `identity`: the store's address; empty: it has none.
PropertyList MissingSender(const PropertyList& message, const std::string& identity);

// `message` as it goes out. Mail must have an author: whom nobody knows is "Unknown", at the
// address of the mail system of `host`.
PropertyList OutboundProperties(const PropertyList& message, const std::string& identity,
                                const std::string& host);

}  // namespace bobbin

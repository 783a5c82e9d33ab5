// The content of a message as it goes out: its RFC 5322 original, or it rendered from properties,
// with the header fields and the footer that preprocessors added (pr::kAddedHeaderFields,
// pr::kAddedFooter).
//
// Threads  Any number.
#pragma once

#include <memory>
#include <string>

#include "engine/message.h"
#include "spooler/outbound_message.h"

namespace bobbin {

struct OutboundIdentity {
  std::string reverse_path;  // Empty: the null reverse-path.
  std::string host;          // Of the mail system.
};

// The original, or the message rendered: without added fields.
Result<MessageBodyReader> OpenOutboundContent(const Message& message,
                                              const OutboundIdentity& identity);

// In the form of ContentSource, with what preprocessors added before and behind it.
Result<std::unique_ptr<ContentSource>> OpenTransmittedContent(const Message& message,
                                                              const OutboundIdentity& identity);
// The same from parts at hand: `message` is its properties.
std::unique_ptr<ContentSource> NewTransmittedContent(MessageBodyReader reader,
                                                     const PropertyList& message);

}  // namespace bobbin

#include "spooler/outbound_content.h"

#include <utility>

#include "engine/check.h"
#include "spooler/composed_message.h"
#include "spooler/internet_message.h"
#include "spooler/sender_identity.h"

namespace bobbin {

Result<MessageBodyReader> OpenOutboundContent(const Message& message,
                                              const OutboundIdentity& identity) {
  Result<MessageBodyReader> original = message.OpenContent();
  if (original || original.error().code != ErrorCode::kNotFound) return original;
  ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
  ASSIGN_OR_RETURN(const RecipientTable rows, message.GetRecipientTable());
  const std::string author =
      identity.reverse_path.empty() ? "MAILER-DAEMON@" + identity.host : identity.reverse_path;
  ASSIGN_OR_RETURN(
      std::string rendered,
      RenderInternetMessage(message,
                            OutboundProperties(properties, identity.reverse_path, identity.host),
                            rows, author));
  const std::uint64_t bytes = rendered.size();
  return MessageBodyReader(nullptr, bytes, 0, std::move(rendered));
}

Result<std::unique_ptr<ContentSource>> OpenTransmittedContent(const Message& message,
                                                              const OutboundIdentity& identity) {
  ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
  ASSIGN_OR_RETURN(MessageBodyReader reader, OpenOutboundContent(message, identity));
  return NewTransmittedContent(std::move(reader), properties);
}

std::unique_ptr<ContentSource> NewTransmittedContent(MessageBodyReader reader,
                                                     const PropertyList& message) {
  return NewTransmittedContent(std::move(reader),
                               std::string(message.BytesOr(pr::kAddedHeaderFields, {})),
                               std::string(message.BytesOr(pr::kAddedFooter, {})));
}

}  // namespace bobbin

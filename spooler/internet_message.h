// RFC 5322 in and out: what a message's headers say, and the form it is transmitted in.
//
// Headers are read with GMime; the stored bytes are never re-serialized, because GMime
// does not reproduce all real mail and what came in must go out unchanged.
//
// Threads     Functions: any number. A filter: one thread at a time.
// Errors      Malformed mail is not an error: what cannot be read is absent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/clock.h"
#include "engine/message_body.h"
#include "engine/property.h"
#include "engine/recipient_table.h"
#include "spooler/transport_provider.h"

namespace bobbin {

// Call once per process before anything else here (GMime keeps global state). Repeatable.
void InitializeInternetMessage();

// A date as header fields have it, in UTC: "Sat, 21 Nov 2026 02:21:06 +0000".
std::string MailDate(Time time);

// How much of the start of a message ReadHeaders wants to see at most.
inline constexpr std::size_t kHeaderBytesMax = std::size_t{64} << 10;

struct HeaderSummary {
  // Subject, message class, Internet message id, importance, priority, sensitivity, and the
  // author as PR_SENT_REPRESENTING_*: decoded UTF-8, ready for Message::SetProps.
  PropertyList properties;
  bool has_message_id = false;
  bool has_date = false;
  bool has_from = false;
  std::size_t received_count = 0;        // For the loop guard.
  std::vector<RecipientRow> recipients;  // Of To, Cc and Bcc, groups opened, in that order.
};

// `start`: the message from its first byte, cut anywhere at or after the end of the header
// section or at kHeaderBytesMax.
HeaderSummary ReadHeaders(std::string_view start);

// The stored content of a message as it is transmitted (transport_provider.h, ContentSource):
// `prefix` (header fields, complete lines with CRLF) first, then the stream with CRLF line
// ends, without the Bcc header field, then `suffix`, complete lines, too.
std::unique_ptr<ContentSource> NewTransmittedContent(MessageBodyReader reader, std::string prefix,
                                                     std::string suffix = {});

// Checks an envelope address before it reaches a protocol or a library: RFC 5321 4.5.3.1 lengths
// (local part 64, domain 255, path 256 octets), no control characters, no spaces or angle
// brackets outside a quoted local part, and a domain unless `local_names` allows none.
//   kInvalidParameter  with the reason, fit for a 501 reply
Result<void> CheckAddress(std::string_view address, bool local_names);

}  // namespace bobbin

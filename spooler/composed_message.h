// A message composed through properties as it leaves: RFC 5322 and MIME.
//
//   multipart/mixed             when there are attachments
//     multipart/alternative     when there is text and HTML (spooler/message_bodies.h)
//       text/plain
//       multipart/related       when the HTML shows attachments
//         text/html
//         image/png ...         with the content id the HTML names
//     application/pdf ...       by value, base64; a file name in any script (RFC 2231)
//     message/rfc822            an embedded message, rendered the same way
//
// Threads  Any number.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/message.h"

namespace bobbin {

// With CRLF: From, Sender, To, Cc (never Bcc), Subject, Date (PR_CLIENT_SUBMIT_TIME), Message-ID,
// In-Reply-To, References, Importance. `recipients` are those shown. An address that is not SMTP
// is replaced by PR_SMTP_ADDRESS, or else shown as a name without address ("Name:;"). What the
// properties do not say is left out, but for From, which is then `default_author` unless empty.
// Attachments by reference (a path on some disk) are left out. `properties`: the message's, with
// what the outbound copy has beside them (spooler/sender_identity.h).
//   kTooBig  more than kContentBytesMax
Result<std::string> RenderInternetMessage(const Message& message, const PropertyList& properties,
                                          const RecipientTable& recipients,
                                          std::string_view default_author = {});

// PR_SENDER_EMAIL_ADDRESS if it is an SMTP address, else PR_SENDER_SMTP_ADDRESS; absent when
// neither. Empty: the null reverse-path.
std::optional<std::string> SmtpSender(const PropertyList& properties);

}  // namespace bobbin

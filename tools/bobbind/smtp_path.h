// Paths of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531 3.3).
//
//   accepted                           becomes
//   <local@domain>  <"a b"@domain>     the mailbox as it was sent, quotes included
//   <@relay1,@relay2:local@domain>     local@domain: source routes are dropped (RFC 5321 C)
//   <local>  <postmaster>              local: a name of this system, up to the transport
//   <local@[192.0.2.1]>                as sent; also [IPv6:...] and other tagged literals
//   <>                                 empty; MAIL only
//
// More lenient than the grammar in two points, because such addresses are in use: dots of an
// unquoted local part may stand anywhere, and domains may contain underscores.
//
// Everything accepted here passes CheckAddress of spooler/internet_message.h: what is answered
// 250 can be handed to a transport.
//
// Threads  Any number. Errors  A reply that says what is wrong: 501 5.1.3 or 5.1.7, 553 5.6.7.
#pragma once

#include <string>
#include <string_view>

#include "tools/bobbind/smtp_reply.h"

namespace bobbin::daemon {

struct PathRules {
  bool allow_null = false;                   // "<>".
  bool allow_utf8 = false;                   // SMTPUTF8 was given with MAIL.
  std::string_view enhanced_code = "5.1.3";  // For bad syntax: 5.1.7 in MAIL, 5.1.3 in RCPT.
};

// Takes a path in angle brackets off the front of `text`; blanks before it are skipped.
Parsed<std::string> ParsePath(std::string_view& text, const PathRules& rules);

}  // namespace bobbin::daemon

// The smtp transport: gives messages to one next hop by SMTP, over connections that libcurl makes.
//
//   reply                            outcome
//   RCPT, DATA, end of content 4xx   kRetryLater for the recipients it is about
//   MAIL, RCPT, DATA, end ... 5xx    kFailed, likewise
//   end of content 2xx               kDelivered
//   none after the final dot         kInDoubt
//   none before                      kRetryLater
//   no session: connect, greeting,   SubmitStatus::kUnavailable, nothing is set: it says nothing
//   EHLO, TLS, AUTH, MAIL answered   about the message
//   530, no AUTH offered
//
// In doubt    Marked when all content but the end has been given to the connection. If the
//             marking fails the connection is closed without the final dot.
// Reuse       A provider keeps its connection for the next message. One that the server closed
//             meanwhile is replaced without anybody noticing.
// Batches     At most `recipient_count_max` recipients in one transaction (RFC 5321 4.5.3.1.8:
//             every server takes 100); the content is sent again for the next ones.
// SMTPUTF8    Addresses outside ASCII are sent only to a server that announces it; elsewhere
//             they fail with 5.6.7. The content goes as it is, 8-bit or not, and is declared
//             BODY=8BITMIME to a server that announces that.
// DSN         To a server that announces it NOTIFY, ORCPT, RET and ENVID go as the sender gave
//             them, and what was not given is not made up (RFC 3461 5.2.1): kNotifyingRelay.
//             Elsewhere none goes (5.2.2): kRelay; recipients with NOTIFY=NEVER then get a
//             transaction of their own with the null reverse-path, so that no server further on
//             tells a sender who does not want to know.
// PIPELINING  Used for MAIL and RCPT where it is announced.
// SIZE        Not declared on MAIL: the transmitted size is known only after the conversion, and a
//             server may refuse what turns out larger than declared (RFC 1870). One that finds it
//             too large says 552 later.
// TLS         Certificates and names are checked whenever TLS is used. kOpportunistic uses
//             STARTTLS when it is offered; with a user name it means kRequired, so that nobody
//             on the way gets the password by hiding the offer.
// Secrets     User name and password are in no reply, name or error.
// Cancelling  Takes effect within a second; while the last reply is awaited, five seconds later.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "spooler/transport_provider.h"

namespace bobbin {

enum class SmtpTls : std::uint8_t { kOpportunistic, kRequired, kOff };

struct SmtpOptions {
  std::string next_hop_url;  // "smtp://host[:port]", or "smtps://host[:port]" for implicit TLS.
  SmtpTls tls = SmtpTls::kOpportunistic;  // STARTTLS; of no meaning with smtps.
  std::string ca_file;                    // PEM. Empty: the system's certificate authorities.
  bool verify_certificate = true;         // False: anybody may pose as the next hop.
  std::string username;                   // Empty: no authentication.
  std::string password;
  std::vector<std::string> sasl_mechanisms = {"PLAIN", "LOGIN"};
  std::string ehlo_name;                     // Empty: the name of this machine.
  std::chrono::seconds connect_timeout{30};  // Until the session is ready for MAIL.
  std::chrono::seconds reply_timeout{300};   // For each reply, and for a stalled connection.
  std::size_t recipient_count_max = 100;
};

//   kInvalidParameter  the URL is not as above, or another option cannot be used; the detail
//                      names it
Result<TransportFactory> NewSmtpTransport(const SmtpOptions& options);

}  // namespace bobbin

// What a sender asks to be told about the delivery of a message (RFC 3461): the words of SMTP and
// of sendmail's options, and the properties that carry them to the report.
//
//   NOTIFY  of a recipient  PR_ORIGINATOR_DELIVERY_REPORT_REQUESTED,
//                           PR_ORIGINATOR_NON_DELIVERY_REPORT_REQUESTED (both set, FALSE included),
//                           kDelayReportRequested
//   ORCPT   of a recipient  kOriginalRecipient
//   RET     of a message    kReportHeadersOnly
//   ENVID   of a message    kEnvelopeId
//
// The other way, NOTIFY comes from the recipient's properties, else from the message's.
//
// Without NOTIFY nothing is set: a non-delivery report, and nothing else (C107, C108).
//
// Threads  Any number. Errors  Parsers: empty when it is not what RFC 3461 allows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/property.h"

namespace bobbin {

// NOTIFY. NEVER is none of them.
struct NotifyRequest {
  bool success = false;
  bool failure = false;
  bool delay = false;
  friend bool operator==(const NotifyRequest&, const NotifyRequest&) = default;
};

struct RecipientNotification {
  std::optional<NotifyRequest> notify;
  std::string original_recipient;  // ORCPT, decoded: "rfc822;b@x.test". Empty: none.
  friend bool operator==(const RecipientNotification&, const RecipientNotification&) = default;
};

enum class ReturnContent : std::uint8_t { kHeaders, kFull };  // RET.

struct MessageNotification {
  std::optional<ReturnContent> content;
  std::string envelope_id;  // ENVID, decoded. Empty: none.
  friend bool operator==(const MessageNotification&, const MessageNotification&) = default;
};

// "NEVER", or a list of SUCCESS, FAILURE and DELAY, each once, in any case.
std::optional<NotifyRequest> ParseNotify(std::string_view text);

// "FULL" or "HDRS", in any case.
std::optional<ReturnContent> ParseReturnContent(std::string_view text);

// At most 100 characters of xtext that stand for printable ASCII.
std::optional<std::string> ParseEnvelopeId(std::string_view xtext);

// "type;xtext", at most 500 characters that stand for printable ASCII; with `utf8`, and of type
// utf-8, for UTF-8 without control characters (RFC 6533 section 3).
std::optional<std::string> ParseOriginalRecipient(std::string_view text, bool utf8);

// RFC 3461 section 4: "+" and two upper-case hexadecimal digits stand for a byte. What begins with
// a "+" and does not go on so, and control characters, are refused: values end up in headers and
// logs. Everything else stands for itself.
std::optional<std::string> DecodeXtext(std::string_view text);

void SetNotification(const RecipientNotification& notification, PropertyList& recipient);
void SetNotification(const MessageNotification& notification, PropertyList& message);

// What was asked for; what the properties do not say is left out, not guessed: a relay must pass
// on what it was given and nothing else (RFC 3461 5.2.1).
RecipientNotification NotificationOf(const PropertyList& recipient, const PropertyList& message);
MessageNotification NotificationOf(const PropertyList& message);

// Everything but what stands for itself, as "+" and two upper-case hexadecimal digits.
std::string EncodeXtext(std::string_view text);

// RFC 6533 section 3, utf-8-addr-xtext: characters outside ASCII as \x{FC}.
std::string EscapeUtf8(std::string_view text);

// As they follow MAIL and RCPT, each behind a blank: " RET=HDRS ENVID=a+2Bb". Left out: what is
// not said, and what these parameters cannot carry. With `utf8` the MAIL command says SMTPUTF8;
// without, ORCPT of type utf-8 is written in ASCII (RFC 6533 section 3).
std::string MailParameters(const MessageNotification& notification);
std::string RcptParameters(const RecipientNotification& notification, bool utf8);

}  // namespace bobbin

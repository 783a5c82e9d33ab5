// Command lines of SMTP (RFC 5321 4.1.1), and the arguments of those that have any.
//
// Threads  Any number. Errors  A reply that refuses the command and says what to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spooler/delivery_notification.h"
#include "tools/bobbind/smtp_path.h"
#include "tools/bobbind/smtp_reply.h"

namespace bobbin::daemon {

enum class SmtpVerb : std::uint8_t {
  kEhlo,
  kHelo,
  kMail,
  kRcpt,
  kData,
  kRset,
  kNoop,
  kVrfy,
  kHelp,
  kQuit,
  kXclient,
  kXforward,
  kNotImplemented,  // Known from RFC 5321 or its extensions, and not offered here.
  kHttp,            // A web browser made to talk to this port.
  kUnknown,
};

struct SmtpCommand {
  SmtpVerb verb = SmtpVerb::kUnknown;
  std::string_view argument;  // What follows the verb, blanks at both ends left out.
};

// `line` without its CRLF.
SmtpCommand ParseCommand(std::string_view line);

struct MailArguments {
  std::string reverse_path;
  std::uint64_t declared_bytes = 0;  // SIZE; 0 = not declared.
  bool eight_bit = false;            // BODY=8BITMIME. Told to nobody: content is kept as it comes.
  bool utf8 = false;                 // SMTPUTF8.
  MessageNotification notification;  // RET, ENVID.
};

// "FROM:<path> [SIZE=n] [BODY=7BIT|8BITMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext]"
//   501 5.5.4  bad or repeated parameter     501 5.1.7  bad path
//   555 5.5.4  unknown parameter             553 5.6.7  not ASCII without SMTPUTF8
Parsed<MailArguments> ParseMailArguments(std::string_view argument);

struct RcptArguments {
  std::string address;
  RecipientNotification notification;  // NOTIFY, ORCPT.
};

// "TO:<path> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;xtext]"
//   501 5.5.4  bad or repeated parameter     501 5.1.3  bad path
//   555 5.5.4  unknown parameter             553 5.6.7  not ASCII without SMTPUTF8
Parsed<RcptArguments> ParseRcptArguments(std::string_view argument, bool utf8);

// The name a client gives in EHLO or HELO: its first word, whatever it is made of.
//   501 5.5.4  there is none
Parsed<std::string> ParseHelloArgument(std::string_view argument);

// Attributes of XCLIENT and XFORWARD: names in upper case, values decoded (RFC 3461 xtext),
// "[UNAVAILABLE]" and "[TEMPUNAVAIL]" as empty.
//   501 5.5.4
using Attributes = std::vector<std::pair<std::string, std::string>>;
Parsed<Attributes> ParseAttributes(std::string_view argument);

}  // namespace bobbin::daemon

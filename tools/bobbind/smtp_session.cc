#include "tools/bobbind/smtp_session.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"

namespace bobbin::daemon {
namespace {

using Kind = SmtpStep::Kind;

// Content handed out in one step; more input waits for the next.
constexpr std::size_t kPieceBytesMax = std::size_t{64} << 10;

bool HasControlCharacter(std::string_view line) {
  return std::any_of(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 127;
  });
}

SmtpReply TooBig(std::uint64_t bytes_max) {
  return {552, "5.3.4",
          "message is over the limit of " + std::to_string(bytes_max) + " bytes; send less"};
}

SmtpReply LoneDot() {
  return {550, "5.6.0",
          "a line of one dot ends with a bare CR or LF; end lines with CRLF and double dots at "
          "their start"};
}

// Those which are told to nobody (PORT, PROTO, LOGIN, ...) are accepted and left out.
void ApplyAttributes(const Attributes& attributes, SmtpClient& client) {
  for (const auto& [name, value] : attributes) {
    if (name == "NAME") client.name = value;
    if (name == "HELO") client.hello = value;
    if (name != "ADDR" || value.empty()) continue;
    const std::string_view address = value;
    const bool tagged = address.substr(0, 5) == "IPV6:" || address.substr(0, 5) == "IPv6:";
    client.address = address.substr(tagged ? 5 : 0);
  }
}

}  // namespace

SmtpSession::SmtpSession(const SmtpLimits& limits, std::string hostname, SmtpClient client)
    : limits_(limits), hostname_(std::move(hostname)), client_(std::move(client)) {}

void SmtpSession::Greet() { replies_ += "220 " + hostname_ + " ESMTP Bobbin\r\n"; }

std::string SmtpSession::TakeReplies() { return std::exchange(replies_, {}); }

void SmtpSession::Answer(const SmtpReply& reply) {
  replies_ += reply.Line();
  if (!reply.IsPermanentFailure() || IsClosed()) return;
  if (++errors_ >= limits_.errors_max) {
    Close("4.7.0", "too many errors; correct the client and connect again");
  }
}

void SmtpSession::Answer(int code, std::string_view enhanced_code, std::string text) {
  Answer(SmtpReply{code, enhanced_code, std::move(text)});
}

void SmtpSession::Close(std::string_view enhanced_code, std::string_view text) {
  if (IsClosed()) return;
  replies_ +=
      "421 " + std::string(enhanced_code) + ' ' + hostname_ + ' ' + std::string(text) + "\r\n";
  state_ = State::kClosed;
}

void SmtpSession::Shutdown() {
  shutdown_ = true;
  if (!InTransaction()) Close("4.3.2", "is shutting down; connect again later");
}

void SmtpSession::ResetTransaction() {
  envelope_ = {};
  utf8_ = false;
  recipient_refused_ = false;
  content_bytes_ = 0;
  forwarded_.reset();
  if (InTransaction()) state_ = State::kReady;
  if (shutdown_) Shutdown();
}

std::string SmtpSession::Protocol() const {
  if (utf8_) return "UTF8SMTP";
  return extended_ ? "ESMTP" : "SMTP";
}

SmtpStep SmtpSession::Step(std::string_view& input) {
  SmtpStep step;
  while (step.kind == Kind::kNeedInput && !input.empty() && !IsClosed()) {
    if (state_ == State::kOpening || state_ == State::kAnswering) return {Kind::kWait, {}};
    const bool content = state_ == State::kContent || state_ == State::kDropping;
    step = content ? StepContent(input) : StepCommand(input);
  }
  if (step.kind == Kind::kNeedInput && IsClosed()) return {Kind::kClose, {}};
  return step;
}

SmtpStep SmtpSession::StepCommand(std::string_view& input) {
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    const std::string_view piece = input.substr(0, end);  // npos: all of it.
    if (line_.size() + piece.size() + 1 > limits_.command_line_bytes_max) {
      line_dropped_ = true;
      line_.clear();
    }
    if (!line_dropped_) line_.append(piece);
    input.remove_prefix(end == std::string_view::npos ? piece.size() : piece.size() + 1);
    if (end == std::string_view::npos) break;

    const std::string line = std::exchange(line_, {});
    if (std::exchange(line_dropped_, false)) {
      Answer(500, "5.5.2",
             "line is over the limit of " + std::to_string(limits_.command_line_bytes_max) +
                 " bytes; send a shorter command");
    } else if (const SmtpStep step = Run(line); step.kind != Kind::kNeedInput) {
      return step;
    }
    if (IsClosed()) break;
  }
  return {};
}

SmtpStep SmtpSession::Run(std::string_view line) {
  if (line.empty() || line.back() != '\r') {
    Answer(500, "5.5.2", "line ends with a bare LF; end each line with CRLF");
    return {};
  }
  line.remove_suffix(1);
  if (HasControlCharacter(line)) {
    Answer(500, "5.5.2", "control character in the command; send printable characters only");
    return {};
  }
  const SmtpCommand command = ParseCommand(line);
  switch (command.verb) {
    case SmtpVerb::kEhlo:
    case SmtpVerb::kHelo:
      Hello(command);
      return {};
    case SmtpVerb::kData:
      return Data(command.argument);
    case SmtpVerb::kNoop:
      Answer(250, "2.0.0", "ok");
      return {};
    case SmtpVerb::kRset:
      Answer(250, "2.0.0", "ok; nothing of the transaction is kept");
      ResetTransaction();
      return {};
    case SmtpVerb::kHelp:
      Answer(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT; see RFC 5321");
      return {};
    case SmtpVerb::kQuit:
      replies_ += "221 2.0.0 " + hostname_ + " closing connection\r\n";
      state_ = State::kClosed;
      return {};
    case SmtpVerb::kHttp:
      // Whatever follows may be commands which a web page put into its request.
      Answer(554, "5.7.0", "this port speaks SMTP, not HTTP");
      state_ = State::kClosed;
      return {};
    default:
      RunInSession(command);
      return {};
  }
}

void SmtpSession::RunInSession(const SmtpCommand& command) {
  switch (command.verb) {
    case SmtpVerb::kMail:
      return Mail(command.argument);
    case SmtpVerb::kRcpt:
      return Rcpt(command.argument);
    case SmtpVerb::kVrfy:
      if (command.argument.empty()) return Answer(501, "5.5.4", "write VRFY name@example.com");
      return Answer(252, "2.1.5", "cannot verify; send mail to the address to try it");
    case SmtpVerb::kXclient:
      if (client_.trusted) return Xclient(command.argument);
      break;
    case SmtpVerb::kXforward:
      if (client_.trusted) return Xforward(command.argument);
      break;
    case SmtpVerb::kNotImplemented:
      return Answer(502, "5.5.1", "command is not offered here; use those that EHLO lists");
    default:
      break;
  }
  Answer(500, "5.5.1", "unknown command; HELP lists those that are known");
}

void SmtpSession::Hello(const SmtpCommand& command) {
  Parsed<std::string> name = ParseHelloArgument(command.argument);
  if (!name) return Answer(name.error());
  client_.hello = *std::move(name);
  extended_ = command.verb == SmtpVerb::kEhlo;
  state_ = State::kReady;
  if (!extended_) {
    replies_ += "250 " + hostname_ + "\r\n";
  } else {
    replies_ += "250-" + hostname_ + "\r\n250-PIPELINING\r\n250-SIZE " +
                std::to_string(limits_.message_bytes_max) + "\r\n250-8BITMIME\r\n250-DSN\r\n";
    if (client_.trusted) {
      replies_ +=
          "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
          "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n";
    }
    replies_ += "250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n";
  }
  ResetTransaction();
}

void SmtpSession::Mail(std::string_view argument) {
  if (state_ == State::kConnected) return Answer(503, "5.5.1", "send EHLO or HELO first");
  if (InTransaction()) {
    return Answer(503, "5.5.1", "a transaction is open; finish it with DATA or send RSET");
  }
  Parsed<MailArguments> arguments = ParseMailArguments(argument);
  if (!arguments) return Answer(arguments.error());
  if (arguments->declared_bytes > limits_.message_bytes_max) {
    return Answer(TooBig(limits_.message_bytes_max));
  }
  if (room_bytes_ == 0 || arguments->declared_bytes > room_bytes_) {
    return Answer(452, "4.3.1", "disk is nearly full; try again later");
  }
  envelope_.reverse_path = std::move(arguments->reverse_path);
  envelope_.notification = std::move(arguments->notification);
  utf8_ = arguments->utf8;
  state_ = State::kMail;
  Answer(250, "2.1.0", "sender ok");
}

void SmtpSession::Rcpt(std::string_view argument) {
  if (state_ != State::kMail) return Answer(503, "5.5.1", "send MAIL first");
  Parsed<RcptArguments> arguments = ParseRcptArguments(argument, utf8_);
  if (!arguments) {
    recipient_refused_ = true;
    return Answer(arguments.error());
  }
  if (envelope_.recipients.size() >= limits_.recipients_max) {
    return Answer(452, "4.5.3", "too many recipients; send the rest in another transaction");
  }
  envelope_.recipients.push_back(std::move(arguments->address));
  envelope_.recipient_notifications.push_back(std::move(arguments->notification));
  Answer(250, "2.1.5", "recipient ok");
}

SmtpStep SmtpSession::Data(std::string_view argument) {
  if (state_ != State::kMail) {
    Answer(503, "5.5.1", "send MAIL and RCPT first");
  } else if (envelope_.recipients.empty() && recipient_refused_) {
    Answer(554, "5.5.1", "no valid recipients; correct the addresses and send RCPT again");
  } else if (envelope_.recipients.empty()) {
    Answer(503, "5.5.1", "send RCPT first");
  } else if (!argument.empty()) {
    Answer(501, "5.5.4", "DATA takes no argument; send it alone");
  } else {
    state_ = State::kOpening;
    return {Kind::kBeginContent, {}};
  }
  return {};
}

void SmtpSession::AcceptContent() {
  BOBBIN_CHECK(state_ == State::kOpening);
  replies_ += "354 send the message; end it with <CRLF>.<CRLF>\r\n";
  decoder_.Reset();
  content_bytes_ = 0;
  failure_.reset();
  state_ = State::kContent;
}

void SmtpSession::FailContent(SmtpReply reply) {
  BOBBIN_CHECK(state_ == State::kOpening || state_ == State::kContent ||
               state_ == State::kDropping);
  if (state_ == State::kOpening) {
    Answer(reply);
    ResetTransaction();
  } else if (state_ == State::kContent) {
    failure_.emplace(std::move(reply));
    state_ = State::kDropping;
  }
}

SmtpStep SmtpSession::StepContent(std::string_view& input) {
  content_.clear();
  std::string_view piece = input.substr(0, kPieceBytesMax);
  const std::size_t offered = piece.size();
  const bool end = decoder_.Decode(piece, content_);
  input.remove_prefix(offered - piece.size());
  content_bytes_ += content_.size();

  const bool dropping = state_ == State::kDropping;
  const bool too_big = content_bytes_ > limits_.message_bytes_max;
  if (decoder_.HasLoneDot() || too_big) state_ = State::kDropping;
  if (end && state_ == State::kDropping) {
    // Judged here, where all has been seen: the reply must not depend on how input was cut.
    Answer(failure_                ? *failure_
           : decoder_.HasLoneDot() ? LoneDot()
                                   : TooBig(limits_.message_bytes_max));
    ResetTransaction();
  } else if (end) {
    state_ = State::kAnswering;
    return {Kind::kEndContent, content_};
  }
  if (state_ == State::kContent) {
    return content_.empty() ? SmtpStep{} : SmtpStep{Kind::kContent, content_};
  }
  return dropping ? SmtpStep{} : SmtpStep{Kind::kAbandonContent, {}};
}

void SmtpSession::AnswerContent(const SmtpReply& reply) {
  BOBBIN_CHECK(state_ == State::kAnswering);
  Answer(reply);
  ResetTransaction();
}

void SmtpSession::Xclient(std::string_view argument) {
  if (InTransaction()) return Answer(503, "5.5.1", "a transaction is open; send RSET first");
  const Parsed<Attributes> attributes = ParseAttributes(argument);
  if (!attributes) return Answer(attributes.error());
  ApplyAttributes(*attributes, client_);
  forwarded_.reset();
  state_ = State::kConnected;
  Greet();
}

void SmtpSession::Xforward(std::string_view argument) {
  if (InTransaction()) return Answer(503, "5.5.1", "a transaction is open; send RSET first");
  const Parsed<Attributes> attributes = ParseAttributes(argument);
  if (!attributes) return Answer(attributes.error());
  if (!forwarded_) forwarded_ = client_;
  ApplyAttributes(*attributes, *forwarded_);
  Answer(250, "2.0.0", "ok");
}

}  // namespace bobbin::daemon

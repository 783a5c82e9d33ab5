// SmtpSession: the server's side of an SMTP conversation (RFC 5321, 2920, 1870, 6152, 6531, 2034,
// 3461; XCLIENT and XFORWARD for trusted clients), without sockets, clocks or storage.
//
//   the driver                          the session
//   Greet ---------------------------->
//   Step(input) in a loop ------------> kNeedInput       input is used up: read more
//                                       kBeginContent    DATA: open a message, then AcceptContent
//                                                        or FailContent
//                                       kContent         a piece of it, to be stored
//                                       kAbandonContent  it will be refused: drop what is stored
//                                       kEndContent      the last piece: commit, then AnswerContent
//                                       kWait            AcceptContent or AnswerContent is due
//                                       kClose           send the replies, then close
//   TakeReplies, send <---------------- (after each loop; replies keep the order of commands)
//
// A message is answered 250 only by AnswerContent, which the driver calls when it is durable.
// When content cannot be kept the rest of it is read and dropped, because the client looks for
// the reply only after its end.
//
// State     EHLO/HELO -> MAIL -> RCPT... -> DATA -> content -> answer, back to before MAIL. RSET,
//           EHLO and HELO end a transaction. XCLIENT goes back to before EHLO.
// Refused   What this page and smtp_limits.h do not allow, with a reply that says what to do. A
//           line that is too long is dropped as it comes in and answered once. Command lines end
//           with CRLF, nothing else. After errors_max replies of 5xx: 421 and kClose.
// Threads   One at a time.
// Errors    None: replies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spooler/internet_submission.h"
#include "tools/bobbind/data_decoder.h"
#include "tools/bobbind/smtp_command.h"
#include "tools/bobbind/smtp_limits.h"
#include "tools/bobbind/smtp_reply.h"

namespace bobbin::daemon {

// Who is at the other end, as far as Received fields and logs tell it. XCLIENT and XFORWARD
// replace what a proxy knows better.
struct SmtpClient {
  std::string address;   // "192.0.2.1", "2001:db8::1".
  std::string name;      // From XCLIENT or XFORWARD; empty: unknown.
  std::string hello;     // From EHLO or HELO, or XCLIENT or XFORWARD.
  bool trusted = false;  // May use XCLIENT and XFORWARD. The connection's, whatever XCLIENT says.
};

struct SmtpStep {
  enum class Kind : std::uint8_t {
    kNeedInput,
    kBeginContent,
    kContent,
    kAbandonContent,
    kEndContent,
    kWait,
    kClose,
  };
  Kind kind = Kind::kNeedInput;
  std::string_view content;  // With kContent, kEndContent; valid until the next call.
};

class SmtpSession {
 public:
  SmtpSession(const SmtpLimits& limits, std::string hostname, SmtpClient client);

  void Greet();

  // Takes what it can off the front of `input`.
  SmtpStep Step(std::string_view& input);

  void AcceptContent();                        // After kBeginContent: "354".
  void FailContent(SmtpReply reply);           // After kBeginContent or while content comes in.
  void AnswerContent(const SmtpReply& reply);  // After kEndContent.

  // Bytes of mail there is room for; asked at MAIL.
  void SetRoom(std::uint64_t bytes) { room_bytes_ = bytes; }

  // Adds a last reply, of code 421; kClose from now on.
  void Close(std::string_view enhanced_code, std::string_view text);
  // As Close with 421 4.3.2, at once or, inside a transaction, when it ends.
  void Shutdown();

  std::string TakeReplies();

  bool InTransaction() const { return state_ >= State::kMail; }
  bool IsClosed() const { return state_ == State::kClosed; }

  // Of the message that is received.
  const Envelope& CurrentEnvelope() const { return envelope_; }
  std::string Protocol() const;  // For its Received field: "SMTP", "ESMTP", "UTF8SMTP".
  const SmtpClient& Client() const { return forwarded_ ? *forwarded_ : client_; }

 private:
  enum class State : std::uint8_t {
    kConnected,  // No EHLO yet.
    kReady,
    kClosed,
    kMail,     // From here on a transaction is under way.
    kOpening,  // kBeginContent was returned.
    kContent,
    kDropping,   // Content that will be refused.
    kAnswering,  // kEndContent was returned.
  };

  SmtpStep StepCommand(std::string_view& input);
  SmtpStep StepContent(std::string_view& input);
  SmtpStep Run(std::string_view line);
  void RunInSession(const SmtpCommand& command);
  void Hello(const SmtpCommand& command);
  void Mail(std::string_view argument);
  void Rcpt(std::string_view argument);
  SmtpStep Data(std::string_view argument);
  void Xclient(std::string_view argument);
  void Xforward(std::string_view argument);
  void ResetTransaction();
  void Answer(const SmtpReply& reply);
  void Answer(int code, std::string_view enhanced_code, std::string text);

  const SmtpLimits limits_;
  const std::string hostname_;
  SmtpClient client_;
  std::optional<SmtpClient> forwarded_;  // Until the transaction ends.
  State state_ = State::kConnected;
  bool extended_ = false;  // EHLO, not HELO.
  bool shutdown_ = false;
  std::size_t errors_ = 0;
  std::uint64_t room_bytes_ = UINT64_MAX;

  std::string line_;  // The command line so far.
  bool line_dropped_ = false;

  Envelope envelope_;
  bool utf8_ = false;
  bool recipient_refused_ = false;
  DataDecoder decoder_;
  std::string content_;
  std::uint64_t content_bytes_ = 0;
  std::optional<SmtpReply> failure_;  // Why the content is dropped, when not for what it holds.

  std::string replies_;
};

}  // namespace bobbin::daemon

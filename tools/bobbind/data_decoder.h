// DataDecoder: what follows DATA, from the wire to content (RFC 5321 4.5.2), piece by piece.
//
//   received                      meaning
//   CRLF . CRLF                   the end; the first CRLF belongs to the content
//   . CRLF  at the very start     the end of empty content
//   CRLF . x  (x: another byte)   dot-stuffing: the dot is dropped
//   bare LF, bare CR, NUL         content, kept as they are; no line ends there, so no dot is
//                                 dropped after them (clients that send a bare LF stuff dots
//                                 after CRLF only)
//   eol . eol, but not the end    a lone dot: content, and HasLoneDot() from now on
//                                 (eol: CR or LF; NULs anywhere between them do not count)
//
// A lone dot is what message smuggling needs: LF.LF, LF.CRLF, CR.CR, CR.CRLF, CRLF.LF, CRLF.CR,
// CRCRLF.CRCRLF, CRLF NUL.CRLF and the rest of the published variants are taken for the end of
// data by one server and for content by another, which then reads the rest as commands, or
// relays it to somebody who does. Nobody sends one in good faith: whatever a client takes for a
// line end, it doubles the dot that follows it. Hence the message is refused, at its real end;
// refusing all bare LF instead would refuse real clients (PHP, libcurl).
//
// A cut anywhere between two pieces makes no difference.
//
// Threads  One at a time. Errors  None.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin::daemon {

class DataDecoder {
 public:
  // Takes what it can off the front of `input` and appends content to `content`. True when the
  // end was reached: what is left of `input` is not content. Then Reset.
  bool Decode(std::string_view& input, std::string& content);

  bool HasLoneDot() const { return lone_dot_; }

  void Reset() { *this = DataDecoder(); }

 private:
  enum class State : std::uint8_t {
    kLineStart,  // After CRLF, or nothing read yet.
    kText,
    kReturn,     // After a CR.
    kBareStart,  // After what only some take for a line end.
    kBareDot,    // A dot there.
    kDot,        // A dot at a line start, dropped.
    kDotReturn,  // CRLF . CR: the CR is neither content nor end yet.
  };

  static State AfterEol(char byte);
  State Next(char byte, std::string& content);

  State state_ = State::kLineStart;
  bool lone_dot_ = false;
};

}  // namespace bobbin::daemon

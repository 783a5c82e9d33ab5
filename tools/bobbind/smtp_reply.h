// SmtpReply: one reply to a client, in the form of RFC 5321 4.2 with an RFC 2034 enhanced code.
//
// The text says what to do, as well as what is wrong. It is printable ASCII on one line.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace bobbin::daemon {

struct SmtpReply {
  int code = 250;
  std::string_view enhanced_code;  // A literal.
  std::string text;

  bool IsPermanentFailure() const { return code >= 500; }
  std::string Line() const {
    return std::to_string(code) + ' ' + std::string(enhanced_code) + ' ' + text + "\r\n";
  }
};

// What a parser returns: a value, or the reply that refuses the command.
template <class T>
using Parsed = tl::expected<T, SmtpReply>;

inline tl::unexpected<SmtpReply> Refuse(int code, std::string_view enhanced_code,
                                        std::string text) {
  return tl::unexpected<SmtpReply>(SmtpReply{code, enhanced_code, std::move(text)});
}

}  // namespace bobbin::daemon

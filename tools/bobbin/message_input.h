// A message on its way in through a file descriptor, a piece at a time.
//
// Threads  One.
// Errors   kCallFailed  reading failed: what came before is not the whole message
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/result.h"

namespace bobbin::cli {

class MessageInput {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{64} << 10;

  // `dot_ends`: a line with nothing but a dot ends the message (sendmail without -i); it and what
  // follows are not part of it.
  MessageInput(int descriptor, bool dot_ends) : descriptor_(descriptor), dot_ends_(dot_ends) {}

  // The next piece, valid until the next call; empty at the end.
  Result<std::string_view> Next();

 private:
  // Where in a line of nothing but a dot the input is.
  enum class DotState { kLineStart, kInLine, kDot, kDotReturn };

  void AppendUpToDot(std::string_view bytes);

  int descriptor_;
  bool dot_ends_;
  bool ended_ = false;
  DotState dot_state_ = DotState::kLineStart;
  std::string buffer_;
  std::string filtered_;
};

// Up to and including the empty line that ends the header section, or 0 when it has not ended.
std::size_t HeaderSectionBytes(std::string_view start);

}  // namespace bobbin::cli

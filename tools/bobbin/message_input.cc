#include "tools/bobbin/message_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace bobbin::cli {

Result<std::string_view> MessageInput::Next() {
  buffer_.resize(kPieceBytes);
  while (!ended_) {
    const ssize_t count = read(descriptor_, buffer_.data(), buffer_.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return Fail(ErrorCode::kCallFailed, std::string("standard input: ") + std::strerror(errno));
    }
    const std::string_view bytes(buffer_.data(), static_cast<std::size_t>(count));
    if (!dot_ends_) {
      ended_ = bytes.empty();
      return bytes;
    }
    filtered_.clear();
    if (bytes.empty()) {
      ended_ = true;
      // A dot that the end of the input left alone, without a line end, is content.
      if (dot_state_ == DotState::kDot) filtered_ = ".";
      if (dot_state_ == DotState::kDotReturn) filtered_ = ".\r";
    } else {
      AppendUpToDot(bytes);
    }
    if (!filtered_.empty()) return std::string_view(filtered_);
  }
  return std::string_view();
}

void MessageInput::AppendUpToDot(std::string_view bytes) {
  for (const char c : bytes) {
    if (dot_state_ == DotState::kLineStart && c == '.') {
      dot_state_ = DotState::kDot;
      continue;
    }
    if (dot_state_ == DotState::kDot && c == '\r') {
      dot_state_ = DotState::kDotReturn;
      continue;
    }
    const bool held = dot_state_ == DotState::kDot || dot_state_ == DotState::kDotReturn;
    if (held && c == '\n') {
      ended_ = true;
      return;
    }
    if (held) filtered_ += dot_state_ == DotState::kDot ? "." : ".\r";
    filtered_ += c;
    dot_state_ = c == '\n' ? DotState::kLineStart : DotState::kInLine;
  }
}

std::size_t HeaderSectionBytes(std::string_view start) {
  for (std::size_t line = 0; line < start.size();) {
    const std::size_t end = start.find('\n', line);
    if (end == std::string_view::npos) return 0;
    const bool empty = end == line || (end == line + 1 && start[line] == '\r');
    line = end + 1;
    if (empty) return line;
  }
  return 0;
}

}  // namespace bobbin::cli

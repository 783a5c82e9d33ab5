#include "tools/bobbind/data_decoder.h"

#include <cstring>

namespace bobbin::daemon {
namespace {

// The bytes before the first CR or LF.
std::size_t TextLength(std::string_view input) {
  std::size_t length = input.size();
  for (const char end : {'\n', '\r'}) {
    if (length == 0) break;
    const void* found = std::memchr(input.data(), end, length);
    if (found != nullptr) {
      length = static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
    }
  }
  return length;
}

}  // namespace

bool DataDecoder::Decode(std::string_view& input, std::string& content) {
  while (!input.empty()) {
    if (state_ == State::kText) {
      const std::size_t length = TextLength(input);
      content.append(input.substr(0, length));
      input.remove_prefix(length);
      if (input.empty()) break;
    }
    const char byte = input.front();
    input.remove_prefix(1);
    if (state_ == State::kDotReturn && byte == '\n') return true;
    state_ = Next(byte, content);
  }
  return false;
}

// `byte` is CR or LF; the state after it when it is not the second half of a CRLF.
DataDecoder::State DataDecoder::AfterEol(char byte) {
  return byte == '\r' ? State::kReturn : State::kBareStart;
}

DataDecoder::State DataDecoder::Next(char byte, std::string& content) {
  const bool eol = byte == '\r' || byte == '\n';
  if (state_ == State::kDotReturn) {  // And not LF: the CR was a lone dot's end.
    lone_dot_ = true;
    content.push_back('\r');
    state_ = State::kReturn;
  }
  switch (state_) {
    case State::kLineStart:
      if (byte == '.') return State::kDot;
      break;
    case State::kDot:
      if (byte == '\r') return State::kDotReturn;
      content.push_back(byte);
      if (byte == '\n') lone_dot_ = true;
      if (byte == '\n') return State::kBareStart;
      return byte == '\0' ? State::kBareDot : State::kText;
    case State::kBareDot:
      content.push_back(byte);
      if (eol) lone_dot_ = true;
      if (eol) return AfterEol(byte);
      return byte == '\0' ? State::kBareDot : State::kText;
    case State::kReturn:
      if (byte == '\n') {
        content.push_back(byte);
        return State::kLineStart;
      }
      break;
    case State::kText:
      content.push_back(byte);
      return eol ? AfterEol(byte) : State::kText;
    case State::kBareStart:
    case State::kDotReturn:
      break;
  }
  // After something like a line end: kLineStart, kReturn or kBareStart.
  content.push_back(byte);
  if (eol) return AfterEol(byte);
  if (byte == '\0') return State::kBareStart;
  return byte == '.' ? State::kBareDot : State::kText;
}

}  // namespace bobbin::daemon

#include "spooler/reply_text.h"

#include <algorithm>

#include "engine/ascii.h"

namespace bobbin {
namespace {

// The length of the UTF-8 character at the start of `text`; 0 when there is none.
std::size_t CharacterBytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return 1;
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second > 0x9F;
  const bool beyond = first == 0xF4 && second > 0x8F;
  return overlong || surrogate || beyond ? 0 : bytes;
}

// "5.1.1": class, subject of up to three digits, detail of up to three digits.
std::size_t EnhancedCodeBytes(std::string_view text) {
  if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') {
    return 0;
  }
  std::size_t at = 2;
  for (const char end : {'.', ' '}) {
    const std::size_t start = at;
    while (at < text.size() && at - start < 3 && IsDigit(text[at])) ++at;
    if (at == start) return 0;
    if (at == text.size()) return end == ' ' ? at : 0;
    if (text[at] != end) return 0;
    if (end == '.') ++at;
  }
  return at;
}

}  // namespace

std::string PrintableText(std::string_view text, std::size_t bytes_max) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  std::string printable;
  while (!text.empty()) {
    const std::size_t bytes = CharacterBytes(text);
    if (printable.size() + std::max<std::size_t>(bytes, 1) > bytes_max) break;
    const char first = text.front();
    const bool c1_control = bytes == 2 && first == '\xC2' && text[1] < '\xA0';
    if (first == '\t') {
      printable.push_back(' ');
    } else if (bytes == 0 || c1_control ||
               (bytes == 1 && (first < ' ' || first == '\x7F') && first != '\n' && first != '\r')) {
      printable.push_back('?');
    } else if (first != '\r') {
      printable.append(text.substr(0, bytes));
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  while (!printable.empty() && is_blank(printable.back())) printable.pop_back();
  return printable;
}

std::string PrintableLine(std::string_view text, std::size_t bytes_max) {
  std::string line = PrintableText(text, bytes_max);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

Reply ParseReply(std::string_view lines) {
  Reply reply;
  std::string text;
  bool first = true;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.size() >= 3 && IsDigit(line[0]) && IsDigit(line[1]) && IsDigit(line[2])) {
      reply.code = static_cast<std::uint16_t>((line[0] - '0') * 100 + (line[1] - '0') * 10 +
                                              (line[2] - '0'));
      line.remove_prefix(std::min<std::size_t>(4, line.size()));
    }
    if (const std::size_t bytes = EnhancedCodeBytes(line); bytes > 0) {
      reply.enhanced_code = line.substr(0, bytes);
      line.remove_prefix(std::min(bytes + 1, line.size()));
    }
    if (!first) text.push_back('\n');
    first = false;
    text.append(line);
  }
  reply.text = PrintableText(text);
  return reply;
}

}  // namespace bobbin

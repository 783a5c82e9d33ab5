#include "tools/bobbin/address_list.h"

#include <strings.h>

#include <string>

namespace bobbin::cli {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Just after what `list[at]` opens: a quoted string, a comment (they nest), <...> or [...].
std::size_t EndOfEnclosed(std::string_view list, std::size_t at) {
  const char open = list[at];
  const char close = open == '(' ? ')' : open == '<' ? '>' : open == '[' ? ']' : '"';
  std::size_t depth = 1;
  for (std::size_t i = at + 1; i < list.size(); ++i) {
    if (list[i] == '\\') {
      ++i;
    } else if (list[i] == close) {
      if (--depth == 0) return i + 1;
    } else if (open == '(' && list[i] == '(') {
      ++depth;
    }
  }
  return list.size();
}

bool IsRecipientField(std::string_view name) {
  while (!name.empty() && IsSpace(name.back())) name.remove_suffix(1);
  for (const std::string_view field : {"to", "cc", "bcc"}) {
    if (name.size() == field.size() && strncasecmp(name.data(), field.data(), name.size()) == 0) {
      return true;
    }
  }
  return false;
}

// Just after the field that begins at `start`, its continuation lines included.
std::size_t EndOfField(std::string_view section, std::size_t start) {
  for (std::size_t end = section.find('\n', start); end != std::string_view::npos;
       end = section.find('\n', end + 1)) {
    const bool continued =
        end + 1 < section.size() && (section[end + 1] == ' ' || section[end + 1] == '\t');
    if (!continued) return end + 1;
  }
  return section.size();
}

}  // namespace

std::size_t CountAddresses(std::string_view list) {
  std::size_t count = 0;
  bool something = false;
  for (std::size_t i = 0; i < list.size();) {
    const char c = list[i];
    if (c == '(') {
      i = EndOfEnclosed(list, i);
      continue;
    }
    if (c == '"' || c == '<' || c == '[') {
      something = true;
      i = EndOfEnclosed(list, i);
      continue;
    }
    if (c == ',' || c == ';') {
      count += something ? 1 : 0;
      something = false;
    } else if (c == ':') {
      something = false;  // That was the name of a group.
    } else if (!IsSpace(c)) {
      something = true;
    }
    ++i;
  }
  return count + (something ? 1 : 0);
}

std::size_t CountRecipients(std::string_view header_section) {
  std::size_t count = 0;
  for (std::size_t start = 0; start < header_section.size();) {
    const std::size_t end = EndOfField(header_section, start);
    const std::string_view field = header_section.substr(start, end - start);
    const std::size_t colon = field.find(':');
    if (colon != std::string_view::npos && IsRecipientField(field.substr(0, colon))) {
      count += CountAddresses(field.substr(colon + 1));
    }
    start = end;
  }
  return count;
}

}  // namespace bobbin::cli

// Text by its ASCII letters alone, whatever the locale: protocol keywords, address types, domains.
// Bytes beyond ASCII are left as they are. Pure functions: any number of threads.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace bobbin {

inline std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

inline std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

inline bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

}  // namespace bobbin

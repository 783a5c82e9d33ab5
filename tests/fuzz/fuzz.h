// A program of tests/fuzz: one function that takes any bytes, and ends the process when the parser
// under test does not keep what its header promises.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/check.h"

// Returns 0. libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes);

namespace bobbin::fuzz {

inline std::string_view Input(const std::uint8_t* data, std::size_t bytes) {
  return bytes == 0 ? std::string_view()
                    : std::string_view(reinterpret_cast<const char*>(data), bytes);
}

// Takes one byte off the front; 0 at the end.
inline std::uint8_t TakeByte(std::string_view& input) {
  if (input.empty()) return 0;
  const auto byte = static_cast<std::uint8_t>(input.front());
  input.remove_prefix(1);
  return byte;
}

// Two, the lower one first.
inline std::uint16_t TakeNumber(std::string_view& input) {
  const std::uint16_t low = TakeByte(input);
  return static_cast<std::uint16_t>(low | TakeByte(input) << 8);
}

// As many as there are, up to `count`.
inline std::string_view TakeBytes(std::string_view& input, std::size_t count) {
  const std::string_view taken = input.substr(0, count);
  input.remove_prefix(taken.size());
  return taken;
}

// Writes up to eight bytes of a script over what a file has from `at` on.
inline void Overwrite(std::string_view& script, std::string& file, std::size_t at) {
  const std::size_t count = 1 + TakeByte(script) % 8;
  const std::string_view bytes = TakeBytes(script, count);
  if (at < file.size()) {
    std::copy_n(bytes.begin(), std::min(bytes.size(), file.size() - at),
                file.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

}  // namespace bobbin::fuzz

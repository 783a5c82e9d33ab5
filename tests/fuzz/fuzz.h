// A program of tests/fuzz: one function that takes any bytes, and ends the process when the parser
// under test does not keep what its header promises.
#pragma once

#include <cstddef>
#include <cstdint>
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

}  // namespace bobbin::fuzz

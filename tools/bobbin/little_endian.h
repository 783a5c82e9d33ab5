// Numbers in little-endian bytes, as Microsoft's formats have them.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/check.h"

namespace bobbin::cli {

// The `bytes` (1 to 8) at `offset`, which must be there.
inline std::uint64_t LittleEndian(std::string_view text, std::size_t offset, std::size_t bytes) {
  BOBBIN_CHECK(offset + bytes <= text.size());
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    number |= std::uint64_t{static_cast<std::uint8_t>(text[offset + i])} << (8 * i);
  }
  return number;
}

}  // namespace bobbin::cli

// By what the workload and the replayer tell contents apart: a digest of subject and content, which
// may come in pieces.
#pragma once

#define XXH_STATIC_LINKING_ONLY  // For a state that is not on the heap.
#include <xxhash.h>

#include <cstdint>
#include <string_view>

#include "engine/property.h"

namespace bobbin::powerloss {

// Of the workload's own: what its preprocessors have put there, one letter each.
inline constexpr PropertyTag kLayers{0x6800001F};

class ContentDigest {
 public:
  explicit ContentDigest(std::string_view subject) {
    XXH3_INITSTATE(&state_);  // It asks what seed was there before.
    XXH3_64bits_reset_withSeed(&state_, XXH3_64bits(subject.data(), subject.size()));
  }
  ContentDigest& Add(std::string_view piece) {
    XXH3_64bits_update(&state_, piece.data(), piece.size());
    return *this;
  }
  std::uint64_t Value() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

// Of the properties that the workload's preprocessors set; 0: neither is there.
inline std::uint64_t AddedDigest(std::string_view layers, std::string_view footer) {
  return layers.empty() && footer.empty() ? 0 : ContentDigest(layers).Add(footer).Value();
}

}  // namespace bobbin::powerloss

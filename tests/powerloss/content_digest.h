// By what the workload and the replayer tell contents apart: a digest of subject and content, which
// may come in pieces.
#pragma once

#define XXH_STATIC_LINKING_ONLY  // For a state that is not on the heap.
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace bobbin::powerloss {

class ContentDigest {
 public:
  explicit ContentDigest(std::string_view subject) {
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

}  // namespace bobbin::powerloss

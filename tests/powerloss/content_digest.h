// By what the workload and the replayer tell contents apart.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace bobbin::powerloss {

inline std::uint64_t ContentDigest(std::string_view subject, std::string_view content) {
  return XXH3_64bits_withSeed(content.data(), content.size(),
                              XXH3_64bits(subject.data(), subject.size()));
}

}  // namespace bobbin::powerloss

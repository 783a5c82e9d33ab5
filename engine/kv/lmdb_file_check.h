// Looks at a data.mdb before LMDB maps it: LMDB would create an absent file, fill
// an empty one, and die of SIGBUS in one that was cut off.
#pragma once

#include <filesystem>

#include "engine/result.h"

namespace bobbin::kv {

//   kNotADatabase  absent, not a regular file, not LMDB's, or truncated
//   kVersion       another version of LMDB's format
//   kNoAccess      no permission to read it
//   kDiskError     anything else the system said
Result<void> CheckLmdbFile(const std::filesystem::path& file);

}  // namespace bobbin::kv

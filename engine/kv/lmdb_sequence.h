// Sequence numbers of an environment that nobody has open.
#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/result.h"

namespace bobbin::kv {

// Makes `sequence` the number of the last transaction of data.mdb in `directory`; the next one has
// the number after it. For copies, whose records bear the numbers of the original: numbers must
// not come twice. No process may have it open; the caller keeps a crash from showing what is
// half written (engine/database_directory.h). Durable when it returns success.
//   kInvalidParameter  the environment is beyond that number
//   and as CheckLmdbFile (engine/kv/lmdb_file_check.h)
Result<void> SetLmdbSequence(const std::filesystem::path& directory, std::uint64_t sequence);

// That number.
Result<std::uint64_t> GetLmdbSequence(const std::filesystem::path& directory);

}  // namespace bobbin::kv

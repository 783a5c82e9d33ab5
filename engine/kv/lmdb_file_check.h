// The open guard: looks at a data.mdb before LMDB maps it. LMDB would create an absent file, fill
// an empty one, die of SIGBUS in one that was cut off, and believe a damaged meta page.
//
// Checked are both meta pages (magic, version, page size, parity, transactions one apart, roots,
// counts) and the length of the file; its other pages are engine/kv/lmdb_page_walk.h's. The older
// meta page may have roots that cannot be: LMDB leaves them there when writing that page failed.
#pragma once

#include <filesystem>

#include "engine/kv/lmdb_page_file.h"
#include "engine/result.h"

namespace bobbin::kv {

// The sound meta pages of the file.
//   kNotADatabase  absent, not a regular file, not LMDB's, truncated, or a damaged meta page
//   kVersion       another version of LMDB's format
//   kNoAccess      no permission to read it
//   kDiskError     anything else the system said
Result<LmdbMetaPages> CheckLmdbFile(const LmdbPageFile& file);
Result<void> CheckLmdbFile(const std::filesystem::path& path);

}  // namespace bobbin::kv

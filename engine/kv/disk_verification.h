// Whether what the system shows of a data.mdb is what its disk has.
//
// After a write or flush has failed the page cache may show what never reached the disk, and the
// next flush succeeds. Whoever opens the database then, in any process, reads it, builds on it, and
// loses it with the next power cut. This reads the file past the page cache and beside it, drops
// from memory what differs, and reads again.
//
// It costs one read of the whole file from the disk. Other processes may write meanwhile; to be
// called while this one does not have the database open.
#pragma once

#include <cstdint>
#include <filesystem>

#include "engine/result.h"

namespace bobbin::kv {

struct DiskVerification {
  std::uint64_t bytes = 0;
  std::uint64_t stale_bytes = 0;  // In memory only; dropped. What the disk has is to be checked.
  bool compared = true;           // False: the file system has no way past the page cache.
};

//   kDiskError  the disk still fails, or cannot read some of the file; or what differs stays,
//               because somebody has it open
Result<DiskVerification> VerifyAgainstDisk(const std::filesystem::path& file);

}  // namespace bobbin::kv

// How often this process has made the disk flush.
//
// The program defines fsync, fdatasync, msync, pwrite and writev itself and passes them on to the
// C library: the stores are shared libraries and call them through the program's symbols. A
// flush is
//   fsync, fdatasync, msync with MS_SYNC     as called
//   a write to a file opened with O_DSYNC    LMDB writes its meta page so
//
// Threads  Any number.
#pragma once

#include <cstdint>

namespace bobbin::bench {

std::uint64_t FlushCount();

}  // namespace bobbin::bench

// BOBBIN_CHECK stops the process on what only a wrong program can do. It is
// always on: a store that has lost track of itself must not go on writing.
// Never use it on anything that comes from a disk, a network or a caller's data.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace bobbin {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace bobbin

#define BOBBIN_CHECK(condition)                                              \
  do {                                                                       \
    if (!(condition)) ::bobbin::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)

// What the processes that have one data.mdb open tell each other, in memory that they share. It
// begins as zeros, and whoever writes it has LMDB's write lock, which also orders it.
#pragma once

#include <atomic>
#include <cstdint>

namespace bobbin::kv {

struct LmdbShared {
  // The number of the last transaction whose commit was begun. A transaction that finds its own
  // number there comes after one that failed.
  std::atomic<std::uint64_t> commit_begun;
  // Odd from before data.mdb is replaced until after; a process that dies meanwhile leaves it odd,
  // and everybody looks at the file itself then, which takes a call to the system.
  std::atomic<std::uint64_t> replacements;
};

}  // namespace bobbin::kv

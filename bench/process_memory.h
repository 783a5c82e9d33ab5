// How much memory this process has used at most since a moment.
//
//   resident   the kernel's high-water mark: also counts pages of mapped files, which is where LMDB
//              and SQLite read; the kernel takes those back when somebody else needs them
//   anonymous  memory of the process's own, sampled every 5 ms
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace bobbin::bench {

struct MemoryPeak {
  std::uint64_t resident_bytes = 0;
  std::uint64_t anonymous_bytes = 0;
};

// What /proc/self/status says now; the resident figure is its high-water mark.
MemoryPeak ReadMemory();

class MemoryWatch {
 public:
  MemoryWatch();  // Gives back what the allocator keeps, and forgets earlier peaks.
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  MemoryPeak Peak() const;

 private:
  std::atomic<std::uint64_t> anonymous_bytes_{0};
  std::atomic<bool> stop_{false};
  std::thread sampler_;
};

}  // namespace bobbin::bench

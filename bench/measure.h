// One measurement: what a question hands back, and the ways to run its operations.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "bench/process_memory.h"

namespace bobbin::bench {

struct Measured {
  double seconds = 0;
  std::uint64_t operations = 0;
  std::vector<std::chrono::nanoseconds> latencies;  // One for each operation.
  std::uint64_t bytes = 0;                          // Gone through, where that is the question.
  std::uint64_t flushes = 0;
  MemoryPeak memory;
  double load_seconds = 0;  // Time taken before the measurement to fill the store.
};

// Bounds what is on its way. Not std::counting_semaphore, which spins before it sleeps and takes
// from the engine the processor time that is to be measured.
class InFlight {
 public:
  explicit InFlight(std::size_t most) : most_(most) {}
  void Begin();  // Waits while `most` are on their way.
  void End();
  void WaitForAll();

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

// Runs `operation(caller, i)` for every i below `operations`, shared out to `callers` threads that
// start together and each wait for one operation to end before they begin the next.
using Operation = std::function<void(std::size_t caller, std::uint64_t i)>;
Measured MeasureCallers(std::size_t callers, std::uint64_t operations, const Operation& operation);

// The same for operations that are only begun: each of `threads` keeps `in_flight` of them on
// their way. `done` may be called on any thread, once.
using BegunOperation = std::function<void(std::uint64_t i, std::function<void()> done)>;
Measured MeasureInFlight(std::size_t threads, std::size_t in_flight, std::uint64_t operations,
                         const BegunOperation& begin);

// The value below which `share` of `values` lie.
std::chrono::nanoseconds Quantile(std::vector<std::chrono::nanoseconds> values, double share);

}  // namespace bobbin::bench

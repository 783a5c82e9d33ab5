#include "bench/measure.h"

#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <thread>

#include "bench/flush_counter.h"

namespace bobbin::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Runs `work(thread)` on threads that start together, and fills in everything but latencies.
Measured MeasureThreads(std::size_t threads, const std::function<void(std::size_t)>& work) {
  Measured measured;
  sync();  // What was written before must not be waited for inside.
  const MemoryWatch memory;
  std::barrier start(static_cast<std::ptrdiff_t>(threads) + 1);
  std::vector<std::thread> running;
  for (std::size_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      start.arrive_and_wait();
      work(i);
    });
  }
  const std::uint64_t flushes_before = FlushCount();
  const Clock::time_point begin = Clock::now();
  start.arrive_and_wait();
  for (std::thread& thread : running) thread.join();
  measured.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  measured.flushes = FlushCount() - flushes_before;
  measured.memory = memory.Peak();
  return measured;
}

}  // namespace

void InFlight::Begin() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return count_ < most_; });
  ++count_;
}

void InFlight::End() {
  const std::lock_guard lock(mutex_);
  --count_;
  changed_.notify_one();  // Under the lock: whoever waits for the last one may destroy this.
}

void InFlight::WaitForAll() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return count_ == 0; });
}

Measured MeasureCallers(std::size_t callers, std::uint64_t operations, const Operation& operation) {
  std::vector<std::chrono::nanoseconds> latencies(operations);
  Measured measured = MeasureThreads(callers, [&](std::size_t caller) {
    for (std::uint64_t i = caller; i < operations; i += callers) {
      const Clock::time_point begin = Clock::now();
      operation(caller, i);
      latencies[i] = Clock::now() - begin;
    }
  });
  measured.operations = operations;
  measured.latencies = std::move(latencies);
  return measured;
}

Measured MeasureInFlight(std::size_t threads, std::size_t in_flight, std::uint64_t operations,
                         const BegunOperation& begin) {
  std::vector<std::chrono::nanoseconds> latencies(operations);
  Measured measured = MeasureThreads(threads, [&](std::size_t thread) {
    InFlight on_their_way(in_flight);
    for (std::uint64_t i = thread; i < operations; i += threads) {
      on_their_way.Begin();
      begin(i, [&on_their_way, &latency = latencies[i], begun = Clock::now()] {
        latency = Clock::now() - begun;
        on_their_way.End();
      });
    }
    on_their_way.WaitForAll();
  });
  measured.operations = operations;
  measured.latencies = std::move(latencies);
  return measured;
}

std::chrono::nanoseconds Quantile(std::vector<std::chrono::nanoseconds> values, double share) {
  if (values.empty()) return {};
  const auto index = std::min(values.size() - 1,
                              static_cast<std::size_t>(share * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace bobbin::bench

#include "bench/process_memory.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

namespace bobbin::bench {
namespace {

constexpr std::chrono::milliseconds kSampleInterval{5};

}  // namespace

MemoryPeak ReadMemory() {
  MemoryPeak memory;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) memory.resident_bytes = std::stoull(line.substr(6)) << 10;
    if (line.starts_with("RssAnon:")) memory.anonymous_bytes = std::stoull(line.substr(8)) << 10;
  }
  return memory;
}

MemoryWatch::MemoryWatch() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
  anonymous_bytes_ = ReadMemory().anonymous_bytes;
  sampler_ = std::thread([this] {
    while (!stop_) {
      anonymous_bytes_ = std::max(anonymous_bytes_.load(), ReadMemory().anonymous_bytes);
      std::this_thread::sleep_for(kSampleInterval);
    }
  });
}

MemoryWatch::~MemoryWatch() {
  stop_ = true;
  sampler_.join();
}

MemoryPeak MemoryWatch::Peak() const {
  MemoryPeak memory = ReadMemory();
  memory.anonymous_bytes = std::max(memory.anonymous_bytes, anonymous_bytes_.load());
  return memory;
}

}  // namespace bobbin::bench

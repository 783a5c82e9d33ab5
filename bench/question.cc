#include "bench/question.h"

#include <algorithm>

namespace bobbin::bench {

const FilledStores::Filled& FilledStores::Get(EngineKind engine, std::uint64_t messages) {
  Filled& filled = filled_[{engine, messages}];
  if (filled.messages != 0) return filled;
  filled.directory = parent_ / (std::string(Name(engine)) + "-" + std::to_string(messages));
  const auto begin = std::chrono::steady_clock::now();
  StoreUnderTest tested(engine, filled.directory);
  workload_.Load(tested, messages);
  filled.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  filled.messages = messages;
  return filled;
}

void FilledStores::Remove(EngineKind engine, std::uint64_t messages) {
  const auto found = filled_.find({engine, messages});
  if (found == filled_.end()) return;
  std::error_code ignored;
  std::filesystem::remove_all(found->second.directory, ignored);
  filled_.erase(found);
}

std::uint64_t Bench::Scaled(std::uint64_t count, std::uint64_t callers) const {
  return std::max(callers, static_cast<std::uint64_t>(static_cast<double>(count) * sizes.scale));
}

}  // namespace bobbin::bench

// How long does an operator wait for a page of a very long queue?
#include <algorithm>
#include <random>

#include "bench/question.h"
#include "engine/outgoing_queue.h"

namespace bobbin::bench {
namespace {

constexpr std::uint32_t kRowsPerList = 1'000;

Measured ListQueue(Bench& bench, EngineKind engine) {
  const FilledStores::Filled& filled = bench.filled.Get(engine, bench.sizes.queued);
  StoreUnderTest tested(engine, filled.directory);
  const OutgoingQueue queue(tested.Database().State(), tested.Store().Id());
  // Anywhere in the queue; the sequence counts from 1 in a store that was only loaded.
  std::minstd_rand random(1);
  const std::uint64_t last = filled.messages - std::min<std::uint64_t>(filled.messages, 1'100);
  std::uniform_int_distribution<std::uint64_t> after(0, last);
  Measured measured =
      MeasureCallers(1, bench.Scaled(200, 1), [&](std::size_t /*caller*/, std::uint64_t /*i*/) {
        const std::vector<QueueRow> rows = Require(queue.Rows(kRowsPerList, after(random)));
        if (rows.size() != std::min<std::uint64_t>(kRowsPerList, filled.messages)) {
          StopOn({ErrorCode::kCallFailed,
                  "a list has " + std::to_string(rows.size()) + " rows instead of 1,000"});
        }
      });
  measured.load_seconds = filled.load_seconds;
  return measured;
}

}  // namespace

std::vector<Question> QueueListQuestions() {
  return {{"list 1,000 rows of the large queue", "list", ListQueue}};
}

}  // namespace bobbin::bench

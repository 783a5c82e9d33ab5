// How fast is mail taken back out of the queue?
#include "bench/question.h"

namespace bobbin::bench {
namespace {

Measured Abort(Bench& bench, EngineKind engine, std::size_t callers, std::uint64_t count) {
  const TemporaryDirectory directory(bench.directory);
  StoreUnderTest tested(engine, directory.Path() / "store");
  const std::vector<MessageId> ids = bench.workload.Load(tested, bench.Scaled(count, callers));
  return MeasureCallers(callers, ids.size(), [&](std::size_t /*caller*/, std::uint64_t i) {
    Require(tested.Store().AbortSubmit(tested.Store().EntryIdOf(ids[i].value)));
  });
}

}  // namespace

std::vector<Question> AbortQuestions() {
  return {
      {"abort, 1 caller", "message",
       [](Bench& bench, EngineKind engine) { return Abort(bench, engine, 1, 2'000); }},
      {"abort, 64 callers", "message",
       [](Bench& bench, EngineKind engine) { return Abort(bench, engine, 64, 30'000); }},
  };
}

}  // namespace bobbin::bench

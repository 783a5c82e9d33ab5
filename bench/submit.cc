// How many messages a second are durable before their sender is told so?
#include "bench/question.h"

namespace bobbin::bench {
namespace {

constexpr std::size_t kThreadsInFlight = 2;
constexpr std::size_t kInFlightPerThread = 32;

Measured SubmitFrom(Bench& bench, EngineKind engine, std::size_t callers, std::uint64_t messages) {
  const TemporaryDirectory directory(bench.directory);
  StoreUnderTest tested(engine, directory.Path() / "store");
  return MeasureCallers(callers, bench.Scaled(messages, callers),
                        [&](std::size_t /*caller*/, std::uint64_t i) {
                          Message message = bench.workload.Compose(tested.Store(), i);
                          Require(message.SubmitMessage());
                        });
}

Measured SubmitInFlight(Bench& bench, EngineKind engine) {
  const TemporaryDirectory directory(bench.directory);
  StoreUnderTest tested(engine, directory.Path() / "store");
  return MeasureInFlight(kThreadsInFlight, kInFlightPerThread, bench.Scaled(60'000, 64),
                         [&](std::uint64_t i, std::function<void()> done) {
                           Message message = bench.workload.Compose(tested.Store(), i);
                           message.SubmitMessageAsync(
                               0, [done = std::move(done)](Result<void> outcome) {
                                 Require(std::move(outcome));
                                 done();
                               });
                         });
}

}  // namespace

std::vector<Question> SubmitQuestions() {
  return {
      {"submit, 1 caller", "message",
       [](Bench& bench, EngineKind engine) { return SubmitFrom(bench, engine, 1, 4'000); }},
      {"submit, 8 callers", "message",
       [](Bench& bench, EngineKind engine) { return SubmitFrom(bench, engine, 8, 20'000); }},
      {"submit, 64 callers", "message",
       [](Bench& bench, EngineKind engine) { return SubmitFrom(bench, engine, 64, 60'000); }},
      {"submit, 64 in flight of 2 threads", "message", SubmitInFlight},
  };
}

}  // namespace bobbin::bench

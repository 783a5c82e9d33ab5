// How fast does a spooler lock a queued message and finish it, which deletes it?
#include "bench/question.h"
#include "engine/spooler_session.h"

namespace bobbin::bench {
namespace {

Measured LockAndFinish(Bench& bench, EngineKind engine, std::size_t callers, std::uint64_t count) {
  const TemporaryDirectory directory(bench.directory);
  StoreUnderTest tested(engine, directory.Path() / "store");
  const std::vector<MessageId> ids = bench.workload.Load(tested, bench.Scaled(count, callers));
  std::vector<SpoolerSession> sessions;
  for (std::size_t i = 0; i < callers; ++i) {
    sessions.push_back(Require(tested.Database().OpenSpoolerSession()));
  }
  return MeasureCallers(callers, ids.size(), [&](std::size_t caller, std::uint64_t i) {
    const EntryId id = tested.Store().EntryIdOf(ids[i].value);
    SpoolerSession& session = sessions[caller];
    Message message = Require(session.OpenMessage(id));
    Require(session.SetLockState(message, LockState::kLocked));
    Require(session.FinishMessage(id));
  });
}

}  // namespace

std::vector<Question> FinishQuestions() {
  return {
      {"lock + finish, 1 caller", "message",
       [](Bench& bench, EngineKind engine) { return LockAndFinish(bench, engine, 1, 2'000); }},
      {"lock + finish, 64 callers", "message",
       [](Bench& bench, EngineKind engine) { return LockAndFinish(bench, engine, 64, 30'000); }},
  };
}

}  // namespace bobbin::bench

// The steady state: with a fixed number of messages in the store, how many a second can come in,
// be delivered and be deleted?
#include <memory>

#include "bench/question.h"
#include "spooler/spooler.h"
#include "spooler/transports/discard.h"

namespace bobbin::bench {
namespace {

constexpr std::size_t kCallers = 64;

// A spooler worker that can be told to bring one message to its end.
class Worker {
 public:
  Worker(Database& database, SpoolerShared& shared)
      : session_(Require(database.OpenSpoolerSession())),
        spooler_(
            database, session_, shared, Transports(), {}, [] { return 0.5; },
            [this](const SpoolerEvent& event) { Note(event); }) {}

  void DeliverOne() {
    const std::uint64_t before = finished_;
    while (finished_ == before) {
      const StepResult step = spooler_.RunOnce(SystemClock().Now());
      if (step.store_failed) StopOn(*step.store_failed);
    }
  }

 private:
  static std::vector<std::unique_ptr<TransportProvider>> Transports() {
    std::vector<std::unique_ptr<TransportProvider>> transports;
    transports.push_back(std::make_unique<DiscardTransport>());
    return transports;
  }

  void Note(const SpoolerEvent& event) {
    if (event.kind == SpoolerEventKind::kMessageFinished) ++finished_;
    if (event.kind == SpoolerEventKind::kError) {
      StopOn({ErrorCode::kCallFailed, event.detail});
    }
  }

  std::uint64_t finished_ = 0;
  SpoolerSession session_;
  Spooler spooler_;
};

// Each caller submits one message, then delivers the oldest one, which deletes it.
Measured Deliver(Bench& bench, EngineKind engine) {
  const FilledStores::Filled& filled = bench.filled.Get(engine, bench.sizes.live);
  StoreUnderTest tested(engine, filled.directory);
  SpoolerShared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::size_t i = 0; i < kCallers; ++i) {
    workers.push_back(std::make_unique<Worker>(tested.Database(), shared));
  }
  Measured measured = MeasureCallers(kCallers, bench.Scaled(30'000, kCallers),
                                     [&](std::size_t caller, std::uint64_t i) {
                                       Message message = bench.workload.Compose(tested.Store(), i);
                                       Require(message.SubmitMessage());
                                       workers[caller]->DeliverOne();
                                     });
  measured.load_seconds = filled.load_seconds;
  return measured;
}

}  // namespace

std::vector<Question> DeliverQuestions() {
  return {{"submit + deliver + delete, 64 callers", "message", Deliver}};
}

}  // namespace bobbin::bench

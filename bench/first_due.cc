// With a very long queue on disk: how long after its start does a process hand the first message
// to a transport?
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "bench/question.h"
#include "spooler/spooler.h"
#include "spooler/transports/discard.h"

namespace bobbin::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Discards, and remembers when it was first offered something.
class TimedTransport final : public TransportProvider {
 public:
  explicit TimedTransport(std::optional<Clock::time_point>& first) : first_(first) {}
  std::string_view Name() const override { return discard_.Name(); }
  std::vector<std::string> AddressTypes() const override { return {}; }
  SubmitResult SubmitMessage(OutboundMessage& message) override {
    if (!first_) first_ = Clock::now();
    return discard_.SubmitMessage(message);
  }

 private:
  DiscardTransport discard_;
  std::optional<Clock::time_point>& first_;
};

// Makes the kernel forget the clean pages of a store's files.
void DropFromCache(const std::filesystem::path& directory) {
  sync();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int file = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
  }
}

struct FirstTaken {
  std::chrono::nanoseconds after_start{};
  MemoryPeak memory;
};

FirstTaken RunFreshProcess(const Bench& bench, EngineKind engine,
                           const std::filesystem::path& directory) {
  const std::string command = "'" + bench.program.string() + "' --first-due '" +
                              directory.string() + "' --engines " + std::string(Name(engine));
  const Clock::time_point start = Clock::now();
  FILE* const output = popen(command.c_str(), "r");
  long long taken_nanoseconds = 0;
  unsigned long long resident_bytes = 0;
  unsigned long long anonymous_bytes = 0;
  const int fields = output == nullptr ? 0
                                       : std::fscanf(output, "%lld %llu %llu", &taken_nanoseconds,
                                                     &resident_bytes, &anonymous_bytes);
  if (output == nullptr || pclose(output) != 0 || fields != 3) {
    StopOn({ErrorCode::kCallFailed, "the fresh process failed: " + command});
  }
  return {std::chrono::nanoseconds(taken_nanoseconds) - start.time_since_epoch(),
          {resident_bytes, anonymous_bytes}};
}

Measured FirstDue(Bench& bench, EngineKind engine, bool cold) {
  const FilledStores::Filled& filled = bench.filled.Get(engine, bench.sizes.queued);
  if (cold) DropFromCache(filled.directory);
  const FirstTaken first = RunFreshProcess(bench, engine, filled.directory);
  Measured measured;
  measured.seconds = std::chrono::duration<double>(first.after_start).count();
  measured.operations = 1;
  measured.latencies = {first.after_start};
  measured.memory = first.memory;
  measured.load_seconds = filled.load_seconds;
  return measured;
}

}  // namespace

int TakeFirstDue(EngineKind engine, const std::filesystem::path& directory) {
  StoreUnderTest tested(engine, directory);
  SpoolerSession session = Require(tested.Database().OpenSpoolerSession());
  SpoolerShared shared;
  std::optional<Clock::time_point> first;
  std::vector<std::unique_ptr<TransportProvider>> transports;
  transports.push_back(std::make_unique<TimedTransport>(first));
  Spooler spooler(
      tested.Database(), session, shared, std::move(transports), {}, [] { return 0.5; },
      [](const SpoolerEvent&) {});
  while (!first) {
    const StepResult step = spooler.RunOnce(SystemClock().Now());
    if (step.store_failed) StopOn(*step.store_failed);
    if (!step.worked) StopOn({ErrorCode::kNotFound, "no message is due"});
  }
  const MemoryPeak memory = ReadMemory();
  std::printf("%lld %llu %llu\n", static_cast<long long>(first->time_since_epoch().count()),
              static_cast<unsigned long long>(memory.resident_bytes),
              static_cast<unsigned long long>(memory.anonymous_bytes));
  return 0;
}

std::vector<Question> FirstDueQuestions() {
  return {
      {"process start to first due message, warm", "start",
       [](Bench& bench, EngineKind engine) { return FirstDue(bench, engine, false); }},
      {"process start to first due message, cold", "start",
       [](Bench& bench, EngineKind engine) { return FirstDue(bench, engine, true); }},
  };
}

}  // namespace bobbin::bench

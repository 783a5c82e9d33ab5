// bobbin_bench: asks every question of every engine, alternating, and prints the table of
// docs/performance.md. Google Benchmark's own flags work beside these: --benchmark_filter,
// --benchmark_out=FILE, --benchmark_list_tests.
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "bench/question.h"
#include "bench/result_table.h"

namespace bobbin::bench {
namespace {

struct Flags {
  Sizes sizes;
  int repetitions = 5;
  std::filesystem::path directory = "/var/tmp";
  std::vector<std::string> engines{"lmdb", "rocksdb", "sqlite"};
  std::string first_due;
  std::vector<std::string> for_google_benchmark;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.allow_extras();
  app.add_option("--scale", flags.sizes.scale, "share of the operations of each measurement");
  app.add_option("--queued", flags.sizes.queued, "messages in the large queue");
  app.add_option("--live", flags.sizes.live, "messages in the store of the steady state");
  app.add_option("--repetitions", flags.repetitions, "of every measurement; medians are printed");
  app.add_option("--directory", flags.directory, "where stores are made: on the disk to measure");
  app.add_option("--engines", flags.engines, "of lmdb,rocksdb,sqlite")->delimiter(',');
  app.add_option("--first-due", flags.first_due)->group("");  // The fresh process (first_due.cc).
}

std::vector<Question> AllQuestions() {
  std::vector<Question> all;
  for (auto* const questions : {SubmitQuestions, AbortQuestions, FinishQuestions, DeliverQuestions,
                                QueueListQuestions, FirstDueQuestions, VerifyQuestions}) {
    for (Question& question : questions()) all.push_back(std::move(question));
  }
  return all;
}

std::vector<EngineKind> ChosenEngines(const Flags& flags) {
  std::vector<EngineKind> engines;
  for (const EngineKind engine : kAllEngines) {
    const auto found = std::find(flags.engines.begin(), flags.engines.end(), Name(engine));
    if (found != flags.engines.end()) engines.push_back(engine);
  }
  return engines;
}

void Measure(benchmark::State& state, Bench& bench, const Question& question, EngineKind engine) {
  while (state.KeepRunning()) {
    const Measured measured = question.ask(bench, engine);
    state.SetIterationTime(measured.seconds);
    const auto operations = static_cast<double>(measured.operations);
    const auto microseconds = [&](double share) {
      return static_cast<double>(Quantile(measured.latencies, share).count()) / 1000;
    };
    state.counters["per_second"] = operations / measured.seconds;
    state.counters["operations"] = operations;
    state.counters["p50_us"] = microseconds(0.5);
    state.counters["p99_us"] = microseconds(0.99);
    state.counters["flushes_per_operation"] = static_cast<double>(measured.flushes) / operations;
    state.counters["peak_rss_bytes"] = static_cast<double>(measured.memory.resident_bytes);
    state.counters["peak_anonymous_bytes"] = static_cast<double>(measured.memory.anonymous_bytes);
    if (measured.bytes > 0) {
      state.counters["MB_per_second"] =
          static_cast<double>(measured.bytes) / 1e6 / measured.seconds;
    }
    if (measured.load_seconds > 0) state.counters["load_s"] = measured.load_seconds;
  }
  state.SetLabel(question.unit);
}

// Repetitions are registered one by one, engines in turn within each: noise of the machine that
// comes and goes then meets all engines alike.
void Register(Bench& bench, const Flags& flags, const std::vector<Question>& questions) {
  const std::vector<EngineKind> engines = ChosenEngines(flags);
  for (const Question& question : questions) {
    for (int repetition = 0; repetition < flags.repetitions; ++repetition) {
      for (const EngineKind engine : engines) {
        const std::string name = question.name + "/" + std::string(Name(engine));
        benchmark::RegisterBenchmark(
            name.c_str(),
            [&bench, &question, engine](auto& state) { Measure(state, bench, question, engine); })
            ->Iterations(1)
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

int Run(const Flags& flags, char* program_name) {
  if (!flags.first_due.empty()) {
    return TakeFirstDue(ChosenEngines(flags).at(0), flags.first_due);
  }
  std::vector<std::string> rest = flags.for_google_benchmark;
  std::vector<char*> arguments{program_name};
  for (std::string& argument : rest) arguments.push_back(argument.data());
  int argument_count = static_cast<int>(arguments.size());
  benchmark::Initialize(&argument_count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(argument_count, arguments.data())) return 64;

  const Workload workload;
  const TemporaryDirectory directory(flags.directory);
  FilledStores filled(workload, directory.Path());
  Bench bench{flags.sizes, directory.Path(), std::filesystem::canonical("/proc/self/exe"), workload,
              filled};
  const std::vector<Question> questions = AllQuestions();
  Register(bench, flags, questions);
  ResultTable table;
  benchmark::RunSpecifiedBenchmarks(&table);
  table.PrintTable();
  return 0;
}

}  // namespace
}  // namespace bobbin::bench

int main(int argc, char** argv) {
  try {
    CLI::App app("Measures Bobbin's message store on LMDB, RocksDB and SQLite.");
    bobbin::bench::Flags flags;
    bobbin::bench::AddFlags(app, flags);
    CLI11_PARSE(app, argc, argv);
    flags.for_google_benchmark = app.remaining();
    return bobbin::bench::Run(flags, argv[0]);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bobbin_bench: %s\n", failure.what());
    return 70;
  }
}

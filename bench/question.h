// What is measured: questions, each in a file of its own, each asked of every engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "bench/store_under_test.h"
#include "bench/workload.h"

namespace bobbin::bench {

struct Sizes {
  double scale = 1;                  // Of the number of operations in a measurement.
  std::uint64_t queued = 1'000'000;  // Messages in the large queue.
  std::uint64_t live = 100'000;      // Messages in the store of the steady state.
};

// A store that is filled once and used by several measurements.
class FilledStores {
 public:
  FilledStores(const Workload& workload, std::filesystem::path parent)
      : workload_(workload), parent_(std::move(parent)) {}

  struct Filled {
    std::filesystem::path directory;
    std::uint64_t messages = 0;
    double load_seconds = 0;
  };
  // Every message queued and due. Not open when this returns.
  const Filled& Get(EngineKind engine, std::uint64_t messages);
  void Remove(EngineKind engine, std::uint64_t messages);

 private:
  const Workload& workload_;
  std::filesystem::path parent_;
  std::map<std::pair<EngineKind, std::uint64_t>, Filled> filled_;
};

struct Bench {
  Sizes sizes;
  std::filesystem::path directory;  // For stores, on the disk that is measured.
  std::filesystem::path program;    // This program, to be run again as a fresh process.
  const Workload& workload;
  FilledStores& filled;

  // `count` times the scale, but one for each caller at least.
  std::uint64_t Scaled(std::uint64_t count, std::uint64_t callers) const;
};

struct Question {
  std::string name;
  std::string unit;  // Of one operation: "message", "list".
  std::function<Measured(Bench&, EngineKind)> ask;
};

std::vector<Question> SubmitQuestions();
std::vector<Question> DeliverQuestions();
std::vector<Question> AbortQuestions();
std::vector<Question> FinishQuestions();
std::vector<Question> QueueListQuestions();
std::vector<Question> FirstDueQuestions();
std::vector<Question> VerifyQuestions();

// The fresh process of the last question: opens the store, takes the first due message, prints
// when (CLOCK_MONOTONIC, ns) and with how much memory.
int TakeFirstDue(EngineKind engine, const std::filesystem::path& directory);

}  // namespace bobbin::bench

// Collects every run and prints, at the end, one line for each question and engine: medians over
// the repetitions, and ratios of medians. The lines in between are Google Benchmark's own.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace bobbin::bench {

class ResultTable final : public benchmark::ConsoleReporter {
 public:
  ResultTable() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override;
  void PrintTable() const;

 private:
  struct Results {
    std::map<std::string, std::vector<double>> values;  // By counter.
    double Median(const std::string& counter) const;
  };
  std::vector<std::string> questions_;                             // In the order they came.
  std::map<std::string, std::map<std::string, Results>> results_;  // By question, engine.
};

}  // namespace bobbin::bench

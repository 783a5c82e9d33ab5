#include "bench/result_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace bobbin::bench {
namespace {

constexpr double kMebibyte = 1024.0 * 1024.0;

std::string Milliseconds(double microseconds) {
  return microseconds <= 0 ? "-" : fmt::format("{:.2f}", microseconds / 1000);
}

// How much faster than the peer; empty when it was not measured.
std::string Ratio(double rate, double peer_rate) {
  return peer_rate <= 0 ? "-" : fmt::format("{:.2f}", rate / peer_rate);
}

}  // namespace

double ResultTable::Results::Median(const std::string& counter) const {
  const auto found = values.find(counter);
  if (found == values.end()) return 0;
  std::vector<double> sorted = found->second;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

void ResultTable::ReportRuns(const std::vector<Run>& runs) {
  ConsoleReporter::ReportRuns(runs);
  for (const Run& run : runs) {
    if (run.error_occurred) continue;
    const std::string& name = run.run_name.function_name;
    const std::size_t slash = name.rfind('/');
    const std::string question = name.substr(0, slash);
    if (results_.find(question) == results_.end()) questions_.push_back(question);
    Results& results = results_[question][name.substr(slash + 1)];
    for (const auto& [counter, value] : run.counters) {
      results.values[counter].push_back(value.value);
    }
  }
}

void ResultTable::PrintTable() const {
  fmt::print(
      "\n| {:<42} | {:<7} | {:>9} | {:>8} | {:>8} | {:>8} | {:>9} | {:>8} | {:>8} | {:>8} |\n",
      "question", "engine", "per s", "p50 ms", "p99 ms", "flushes", "x rocksdb", "x sqlite",
      "RSS MiB", "anon MiB");
  fmt::print(
      "|{0:-<44}|{0:-<9}|{0:->10}:|{0:->9}:|{0:->9}:|{0:->9}:|{0:->10}:|{0:->9}:|{0:->9}:|{0:->9}:|"
      "\n",
      "");
  for (const std::string& question : questions_) {
    const auto& engines = results_.at(question);
    const auto rate = [&](const std::string& engine) {
      const auto found = engines.find(engine);
      return found == engines.end() ? 0 : found->second.Median("per_second");
    };
    for (const auto& [engine, results] : engines) {
      fmt::print(
          "| {:<42} | {:<7} | {:>9.0f} | {:>8} | {:>8} | {:>8.3f} | {:>9} | {:>8} | {:>8.0f} | "
          "{:>8.0f} |\n",
          question, engine, rate(engine), Milliseconds(results.Median("p50_us")),
          Milliseconds(results.Median("p99_us")), results.Median("flushes_per_operation"),
          Ratio(rate(engine), rate("rocksdb")), Ratio(rate(engine), rate("sqlite")),
          results.Median("peak_rss_bytes") / kMebibyte,
          results.Median("peak_anonymous_bytes") / kMebibyte);
    }
  }
  std::fflush(stdout);
}

}  // namespace bobbin::bench

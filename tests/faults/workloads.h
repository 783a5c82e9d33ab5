// What a faulted process does to a database, and what must be true of the database afterwards.
//
// SubmissionSteps: the client's and the spooler's half of the engine, call by call: submit, submit
// with content that is written ahead, mark in doubt, commit an attempt, finish, abort, delete.
// SpoolerCycle: the whole spooler on mail that waits: delivered, refused with a report, to be
// tried again.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tests/faults/faulted_process.h"

namespace bobbin::faults {

class Workload {
 public:
  virtual ~Workload() = default;

  // Makes the database that every run has a copy of.
  virtual void Prepare(const std::filesystem::path& database) const = 0;
  // In the child.
  virtual void Run(const std::filesystem::path& database, const Journal& journal) const = 0;
  // In the parent, with nothing failing: reports through googletest what was acknowledged and is
  // not there, what is there and was not asked for, and what cannot go on.
  virtual void Check(const std::filesystem::path& database, const FaultedRun& run) const = 0;
};

std::unique_ptr<Workload> NewSubmissionSteps();
std::unique_ptr<Workload> NewSpoolerCycle();

// A workload, the database it begins with, and the runs on copies of it.
class WorkloadRuns {
 public:
  explicit WorkloadRuns(std::unique_ptr<Workload> workload);
  ~WorkloadRuns();
  WorkloadRuns(const WorkloadRuns&) = delete;
  WorkloadRuns& operator=(const WorkloadRuns&) = delete;

  // Runs it with `fault` on a copy, checks the copy, and removes it.
  FaultedRun Run(const Fault& fault);

 private:
  std::unique_ptr<Workload> workload_;
  std::filesystem::path directory_;
};

}  // namespace bobbin::faults

#include "tests/faults/workloads.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "engine/database.h"
#include "engine/lock_table.h"
#include "tests/support/matchers.h"

namespace bobbin::faults {
namespace {

namespace fs = std::filesystem;

// In memory where that is possible: the faults are ours, so no disk is needed to have them, and a
// sweep of thousands of runs has no time to wait for one.
fs::path NewDirectory() {
  std::error_code error;
  const bool in_memory = fs::is_directory("/dev/shm", error);
  std::string name =
      (in_memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "bobbin-faults-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
  return name;
}

}  // namespace

WorkloadRuns::WorkloadRuns(std::unique_ptr<Workload> workload)
    : workload_(std::move(workload)), directory_(NewDirectory()) {
  workload_->Prepare(directory_ / "first");
}

WorkloadRuns::~WorkloadRuns() {
  if (const auto database = Database::Open(directory_ / "first")) {
    const DatabaseId id = database->Id();
    RemoveVolatileState(id);
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

FaultedRun WorkloadRuns::Run(const Fault& fault) {
  SCOPED_TRACE(ToString(fault));
  const fs::path copy = directory_ / "copy";
  fs::remove_all(copy);
  fs::create_directory(copy);
  for (const char* name : {"identity", "data.mdb"}) {
    fs::copy_file(directory_ / "first" / name, copy / name);
  }
  FaultedRun run =
      RunWithFault(fault, [&](const Journal& journal) { workload_->Run(copy, journal); });
  SCOPED_TRACE(Describe(run));
  workload_->Check(copy, run);
  return run;
}

}  // namespace bobbin::faults

// A function of a test in a child process whose system calls fail, and what it said before its end.
//
// The child is forked without an open database, so that it opens one as a program of its own would.
// What it says goes straight to the parent: it allocates nothing, and nothing of it is lost when
// the process is killed.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/faults/fault_library.h"

namespace bobbin::faults {

// The child's end.
class Journal {
 public:
  Journal(int file, const Counters& counters) : file_(file), counters_(counters) {}

  // Passes a point before and after it. A line: `what`, `which`, and how many calls had been made
  // to fail by then.
  void Say(std::string_view what, std::string_view which = {}) const;

 private:
  int file_;
  const Counters& counters_;
};

struct JournalLine {
  std::string what;
  std::string which;
  std::uint64_t fired = 0;
};

struct FaultedRun {
  int status = 0;  // Its exit status; 128 + n when a signal ended it.
  std::vector<JournalLine> journal;
  std::uint64_t seen = 0;
  std::uint64_t fired = 0;
  std::string errors;  // What it wrote to its standard error.
};

// The run is over after 30 seconds: SIGALRM.
FaultedRun RunWithFault(const Fault& fault, const std::function<void(const Journal&)>& run);

// For whoever reads a failure.
std::string ToString(const Fault& fault);
std::string Describe(const FaultedRun& run);

}  // namespace bobbin::faults

#include "tests/faults/faulted_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <sstream>
#include <system_error>

namespace bobbin::faults {
namespace {

constexpr unsigned kSecondsMax = 30;

// What parent and child both see.
class SharedCounters {
 public:
  SharedCounters() {
    void* const memory =
        mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    counters_ = new (memory) Counters();
  }
  ~SharedCounters() { munmap(counters_, sizeof(Counters)); }
  SharedCounters(const SharedCounters&) = delete;
  SharedCounters& operator=(const SharedCounters&) = delete;
  Counters& operator*() { return *counters_; }
  Counters* operator->() { return counters_; }

 private:
  Counters* counters_;
};

[[noreturn]] void RunChild(const Fault& fault, Counters& counters, int journal, int errors,
                           const std::function<void(const Journal&)>& run) {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  alarm(kSecondsMax);
  dup2(errors, STDERR_FILENO);
  Arm(fault, counters);
  // What it throws ends it, as it would end a program.
  [&]() noexcept { run(Journal(journal, counters)); }();
  _exit(0);
}

std::string ReadAll(int file) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t bytes = read(file, buffer, sizeof(buffer));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(bytes));
  }
}

int WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void Journal::Say(std::string_view what, std::string_view which) const {
  char line[256];
  const int bytes =
      std::snprintf(line, sizeof(line), "%.*s %llu %.*s\n", static_cast<int>(what.size()),
                    what.data(), static_cast<unsigned long long>(counters_.fired.load()),
                    static_cast<int>(which.size()), which.data());
  PassPoint();
  // A line of a pipe is whole or not there.
  (void)!write(file_, line, static_cast<std::size_t>(bytes));
  PassPoint();
}

FaultedRun RunWithFault(const Fault& fault, const std::function<void(const Journal&)>& run) {
  SharedCounters counters;
  int journal[2];
  if (pipe2(journal, O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  const int errors = memfd_create("errors", MFD_CLOEXEC);
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) RunChild(fault, *counters, journal[1], errors, run);
  close(journal[1]);
  FaultedRun result;
  std::istringstream lines(ReadAll(journal[0]));
  close(journal[0]);
  result.status = WaitFor(child);
  for (std::string text; std::getline(lines, text);) {
    JournalLine line;
    std::istringstream words(text);
    words >> line.what >> line.fired;
    std::getline(words >> std::ws, line.which);
    result.journal.push_back(std::move(line));
  }
  lseek(errors, 0, SEEK_SET);
  result.errors = ReadAll(errors);
  close(errors);
  result.seen = counters->seen;
  result.fired = counters->fired;
  return result;
}

std::string ToString(const Fault& fault) {
  constexpr const char* kActions[] = {"fails", "is short", "is the end", "is done, then the end"};
  return "call " + std::to_string(fault.number) + " of kind " + std::to_string(fault.calls) +
         (fault.sticky ? " and every later one " : " ") +
         kActions[static_cast<std::size_t>(fault.action)] +
         (fault.error == 0 ? "" : std::string(": ") + std::strerror(fault.error));
}

std::string Describe(const FaultedRun& run) {
  std::string text = "the process ended with " + std::to_string(run.status) + ", and said";
  for (const JournalLine& line : run.journal) {
    text +=
        "\n  " + line.what + " " + line.which + " after " + std::to_string(line.fired) + " faults";
  }
  return text + (run.errors.empty() ? "" : "\nand complained\n" + run.errors);
}

}  // namespace bobbin::faults

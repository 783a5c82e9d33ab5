// Preloaded into the workload where a real disk stands in for the recorder. Marks (mark.h) are
// appended to the file that BOBBIN_POWER_LOSS_LOG names, each with one write; when the workload
// goes on it is where it will stay.
//
//   BOBBIN_POWER_LOSS_AT_MARK=N       after the Nth mark,
//   BOBBIN_POWER_LOSS_AT_FLUSH=N      or the Nth fdatasync: then LMDB writes its root page,
//   BOBBIN_POWER_LOSS_COMMAND=C       the shell's command C runs, while other threads work on
//   BOBBIN_POWER_LOSS_MUTANT=no-sync  every fdatasync and fsync is left out; a proof on a real disk
//                                     must find that

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/powerloss/mark.h"
#include "tests/powerloss/record_log.h"

namespace bobbin::powerloss {
namespace {

int OpenMarks() {
  const char* const path = std::getenv(kLogVariable);
  const int file = path == nullptr ? -1 : open(path, O_WRONLY | O_APPEND | O_SYNC | O_CLOEXEC);
  if (file < 0) {
    std::perror("marker: no file for the marks");
    std::abort();
  }
  return file;
}

class Moment {
 public:
  explicit Moment(const char* variable) {
    if (const char* const number = std::getenv(variable)) {
      number_ = std::strtoull(number, nullptr, 10);
    }
  }
  void Pass() {
    if (++count_ != number_) return;
    const char* const command = std::getenv("BOBBIN_POWER_LOSS_COMMAND");
    // Its programs are no workload.
    const std::string alone = std::string("unset LD_PRELOAD; ") + (command ? command : "false");
    if (std::system(alone.c_str()) == 0) return;
    std::fprintf(stderr, "marker: %s failed\n", command);
    std::abort();
  }

 private:
  std::uint64_t number_ = 0;
  std::atomic<std::uint64_t> count_ = 0;
};

bool LeavesOutFlushes() {
  const char* const mutant = std::getenv(kMutantVariable);
  return mutant != nullptr && std::string_view(mutant) == "no-sync";
}

int Flush(const char* name, int file) {
  static const bool leaves_out = LeavesOutFlushes();
  if (leaves_out) return 0;
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(file);
}

}  // namespace
}  // namespace bobbin::powerloss

// NOLINTBEGIN(readability-identifier-naming): names of the C library and of mark.h.
extern "C" {
#pragma GCC visibility push(default)

void bobbin_power_loss_mark(const bobbin::powerloss::Mark* mark) {
  static const int file = bobbin::powerloss::OpenMarks();
  if (write(file, mark, sizeof(*mark)) != sizeof(*mark)) {
    std::perror("marker");
    std::abort();
  }
  static bobbin::powerloss::Moment moment("BOBBIN_POWER_LOSS_AT_MARK");
  moment.Pass();
}
int fdatasync(int file) {
  const int result = bobbin::powerloss::Flush("fdatasync", file);
  static bobbin::powerloss::Moment moment("BOBBIN_POWER_LOSS_AT_FLUSH");
  moment.Pass();
  return result;
}
int fsync(int file) { return bobbin::powerloss::Flush("fsync", file); }

#pragma GCC visibility pop
}
// NOLINTEND(readability-identifier-naming)

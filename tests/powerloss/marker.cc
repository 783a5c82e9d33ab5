// Preloaded into the workload where a real disk stands in for the recorder: marks (mark.h) are
// appended to the file BOBBIN_POWER_LOSS_LOG names, each with one write that is on its way when
// the workload goes on.
//
// BOBBIN_POWER_LOSS_MUTANT=no-sync leaves out every fdatasync and fsync: a proof on a real disk
// must find that.

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
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
}
int fdatasync(int file) { return bobbin::powerloss::Flush("fdatasync", file); }
int fsync(int file) { return bobbin::powerloss::Flush("fsync", file); }

#pragma GCC visibility pop
}
// NOLINTEND(readability-identifier-naming)

#include "engine/lost_pages.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

namespace bobbin {
namespace {

const char* program_name = "";

void Write(const char* text) { (void)!write(STDERR_FILENO, text, std::strlen(text)); }

// Only what may be called in a signal handler.
void OnSigbus(int signal, siginfo_t* info, void*) {
  const bool page_is_gone = info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR;
  if (!page_is_gone) {
    std::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  Write(program_name);
  Write(
      ": a page of the database cannot be read: data.mdb was cut off while it was open, or its "
      "disk fails. Nothing more was acknowledged. Look at the system's log, then at the database "
      "with `bobbin check --deep`; restore it, or salvage it into a new one\n");
  _exit(kExitLostPages);
}

}  // namespace

void EndOnLostPages(const char* program) {
  program_name = program;
  struct sigaction action {};
  action.sa_sigaction = OnSigbus;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace bobbin

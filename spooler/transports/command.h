// The command transport: hands messages to a program, which says with its exit status what became
// of them. Runs once for each recipient, so that the status speaks for one.
//
//   stdin    the message with LF line ends
//   stdout,  their first 1,000 bytes together become the reply text
//   stderr
//
//   exit status (sysexits.h)                        outcome
//   EX_OK                                           kDelivered
//   EX_TEMPFAIL, EX_OSERR, EX_OSFILE, EX_CANTCREAT, kRetryLater: something is wrong with this
//   EX_IOERR, EX_CONFIG, 126, 127, a signal,        machine, not with the message
//   the time limit, a program that does not start
//   EX_NOUSER 5.1.1, EX_NOHOST 5.1.2,               kFailed
//   EX_DATAERR 5.6.0, EX_NOPERM 5.7.0, others 5.3.0
//
// In doubt    Marked before the end of the program's input; if that fails the program is killed
//             without having seen the end. A program that acts on half a message is not safe
//             here. One that stops reading early and exits 0 has delivered.
// Start       Directly, never through a shell, in a process group of its own, with no other
//             descriptor than 0 to 2, default signal actions, and only PATH and LC_ALL set.
// Stopping    At the time limit or on cancelling the whole group is killed. Cancelled after the
//             mark: kInDoubt.
// Arguments   "{sender}", "{recipient}" and "{queue_id}" are replaced wherever they stand. A value
//             that begins an argument with '-' would be taken for an option: such a message fails.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "spooler/transport_provider.h"

namespace bobbin {

struct CommandOptions {
  std::vector<std::string> command;        // Program (with a path, or found in PATH) and arguments.
  std::chrono::seconds time_limit{1'000};  // For one run.
};

//   kInvalidParameter  the command is empty, or its program is a placeholder
Result<TransportFactory> NewCommandTransport(const CommandOptions& options);

}  // namespace bobbin

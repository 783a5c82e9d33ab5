// The one place where errors become exit codes and lines on standard error.
//
//   bobbin: <what was wanted>: <why it failed>; <what to do>
//
// The codes are those of sysexits.h, which mail programs understand; docs/cli.md has the table.
#pragma once

#include <string>
#include <string_view>

#include "engine/result.h"

namespace bobbin::cli {

enum class ExitCode : int {
  kOk = 0,
  kFindings = 1,      // `check` found damage; `abort` was not in time for every recipient.
  kUsage = 64,        // The command line is wrong, or names no recipient.
  kDataError = 65,    // The message is wrong: too big, an unusable address in its header.
  kNoInput = 66,      // No such database, store or message, or not in the queue.
  kUnavailable = 69,  // Written by a newer Bobbin.
  kSoftware = 70,     // A fault of Bobbin's own.
  kOsError = 71,      // The system refused something basic: memory, processes, its user database.
  kCantCreate = 73,   // The database exists already, or cannot be made.
  kIoError = 74,      // Reading or writing failed, or a stored record is damaged.
  kTemporary = 75,    // Nothing is wrong with the request: try again.
  kNoPermission = 77,
  kConfig = 78,  // A setting in the environment makes no sense.
};

ExitCode ExitCodeOf(ErrorCode code);

// What the operator can do about it; empty when only the detail can say.
std::string_view WhatToDo(ErrorCode code);

// Prints the line above and returns the code. `what` names what was wanted: "abort 3KF".
ExitCode Complain(std::string_view what, const Error& error);
// As above, with the words and the exit code given by the caller.
ExitCode Complain(ExitCode code, std::string_view what, std::string_view why,
                  std::string_view what_to_do);

}  // namespace bobbin::cli

// Leaves the current function, which returns ExitCode, with a complaint about `what`.
#define COMPLAIN_IF_ERROR(what, expr)                        \
  do {                                                       \
    if (const auto& result_ = (expr); !result_)              \
      return ::bobbin::cli::Complain(what, result_.error()); \
  } while (false)

// Three statements: never the body of an `if` without braces.
#define ASSIGN_OR_COMPLAIN(declaration, what, expr) \
  ASSIGN_OR_COMPLAIN_INNER(BOBBIN_CONCAT(result_, __LINE__), declaration, what, expr)
#define ASSIGN_OR_COMPLAIN_INNER(result, declaration, what, expr)    \
  auto result = (expr);                                              \
  if (!result) return ::bobbin::cli::Complain(what, result.error()); \
  declaration = *std::move(result)

#include "tools/bobbin/exit_code.h"

#include <cstdio>

#include "tools/bobbin/display_text.h"

namespace bobbin::cli {

ExitCode ExitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidParameter:
    case ErrorCode::kInvalidEntryId:
    case ErrorCode::kUnknownFlags:
    case ErrorCode::kNoRecipients:
      return ExitCode::kUsage;
    case ErrorCode::kTooBig:
    case ErrorCode::kTooComplex:
      return ExitCode::kDataError;
    case ErrorCode::kNotFound:
    case ErrorCode::kObjectDeleted:
    case ErrorCode::kNotInQueue:
    case ErrorCode::kNotADatabase:
      return ExitCode::kNoInput;
    case ErrorCode::kVersion:
      return ExitCode::kUnavailable;
    case ErrorCode::kNotEnoughMemory:
      return ExitCode::kOsError;
    case ErrorCode::kCollision:
    case ErrorCode::kSubmitted:
      return ExitCode::kCantCreate;
    case ErrorCode::kDiskError:
    case ErrorCode::kCorruptData:
    case ErrorCode::kCorruptStore:
      return ExitCode::kIoError;
    case ErrorCode::kUnableToAbort:
    case ErrorCode::kObjectChanged:
    case ErrorCode::kBusy:
    case ErrorCode::kNotEnoughDisk:
    case ErrorCode::kNotEnoughResources:
    case ErrorCode::kStoreFailed:
    case ErrorCode::kTimeout:
      return ExitCode::kTemporary;
    case ErrorCode::kNoAccess:
      return ExitCode::kNoPermission;
    default:
      return ExitCode::kSoftware;
  }
}

std::string_view WhatToDo(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotADatabase:
      return "name another with --database, or create one with `bobbin init`";
    case ErrorCode::kVersion:
      return "use the newer bobbin; this one has not touched it";
    case ErrorCode::kNoAccess:
      return "run as the user that owns the database";
    case ErrorCode::kUnableToAbort:
      return "it is being delivered right now; try again, or hold it with `bobbin hold`";
    case ErrorCode::kNotInQueue:
      return "it was sent, aborted or never submitted; `bobbin queue list` shows what is queued";
    case ErrorCode::kNotFound:
    case ErrorCode::kObjectDeleted:
      return "it may have been sent and deleted; `bobbin queue list` shows what is queued";
    case ErrorCode::kSubmitted:
      return "it is in the queue already; nothing was changed";
    case ErrorCode::kTooBig:
      return "nothing was queued; send it in parts";
    case ErrorCode::kNotEnoughDisk:
      return "nothing changed; free some disk space and try again";
    case ErrorCode::kStoreFailed:
      return "whether it happened is unknown; look with `bobbin queue list` before trying again";
    case ErrorCode::kBusy:
    case ErrorCode::kObjectChanged:
    case ErrorCode::kNotEnoughResources:
    case ErrorCode::kTimeout:
      return "nothing changed; try again";
    case ErrorCode::kCorruptStore:
      return "nothing was changed; `bobbin check` lists the damage, `bobbin salvage` makes a new "
             "database of what is whole";
    case ErrorCode::kCorruptData:
      return "`bobbin check` lists all damage; the other messages are not affected";
    case ErrorCode::kDiskError:
      return "look at the disk and the system's log";
    default:
      return {};
  }
}

ExitCode Complain(std::string_view what, const Error& error) {
  std::string why = std::string(ErrorName(error.code));
  if (!error.detail.empty()) why += ": " + error.detail;
  return Complain(ExitCodeOf(error.code), what, why, WhatToDo(error.code));
}

ExitCode Complain(ExitCode code, std::string_view what, std::string_view why,
                  std::string_view what_to_do) {
  std::string line = "bobbin: " + std::string(what) + ": " + std::string(why);
  if (!what_to_do.empty()) line += "; " + std::string(what_to_do);
  line = EscapeForTerminal(line) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

}  // namespace bobbin::cli

#include "tools/bobbin/sendmail_command.h"

#include <unistd.h>

#include "tools/bobbin/submit.h"

namespace bobbin::cli {
namespace {

constexpr const char* kOptions = "+:A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx";

ExitCode Unsupported(const std::string& option, std::string_view what_to_do) {
  return Complain(ExitCode::kUsage, "sendmail " + option, "this is not supported", what_to_do);
}

enum class Mode { kSubmit, kListQueue };

// -b: what to be. Returns kOk and sets `mode`, or complains.
ExitCode SetMode(const std::string& value, Mode& mode) {
  if (value == "m") {
    mode = Mode::kSubmit;
  } else if (value == "p") {
    mode = Mode::kListQueue;
  } else {
    return Unsupported("-b" + value, "-bm submits, -bp lists the queue; bobbind serves SMTP");
  }
  return ExitCode::kOk;
}

ExitCode ParseOptions(int argc, char** argv, SubmitRequest& request, Mode& mode) {
  opterr = 0;
  optind = 1;
  for (int option = 0; (option = getopt(argc, argv, kOptions)) != -1;) {
    const std::string value = optarg == nullptr ? "" : optarg;
    switch (option) {
      case 't':
        request.recipients_from_header = true;
        break;
      case 'i':
        request.dot_ends = false;
        break;
      case 'o':  // -oi; the other one-letter settings are about things Bobbin always does.
        if (value == "i") request.dot_ends = false;
        break;
      case 'f':
      case 'r':
        request.sender = value;
        request.sender_given = true;
        break;
      case 'F':
        request.full_name = value;
        break;
      case 'N':
        request.notify = value;
        break;
      case 'R':
        request.returned_content = value;
        break;
      case 'V':
        request.envelope_id = value;
        break;
      case 'b':
        if (const ExitCode code = SetMode(value, mode); code != ExitCode::kOk) return code;
        break;
      case 'q':
        return Unsupported("-q", "bobbind delivers by itself; `bobbin retry ID` makes one due");
      case 'I':
        return Unsupported("-I", "there are no alias files");
      case ':':
        return Complain(ExitCode::kUsage, std::string("sendmail -") + static_cast<char>(optopt),
                        "its value is missing", {});
      case '?':
        return Complain(ExitCode::kUsage, std::string("sendmail -") + static_cast<char>(optopt),
                        "unknown option", "docs/cli.md lists those there are");
      default:
        break;
    }
  }
  for (int i = optind; i < argc; ++i) request.recipients.emplace_back(argv[i]);
  return ExitCode::kOk;
}

}  // namespace

bool IsSendmailName(std::string_view program) {
  return program == "sendmail" || program == "mailq";
}

ExitCode RunAsSendmail(std::string_view program, int argc, char** argv) {
  const CommandLine line;
  SubmitRequest request;
  request.as_sendmail = true;
  request.quiet = true;
  request.dot_ends = true;
  Mode mode = program == "mailq" ? Mode::kListQueue : Mode::kSubmit;
  if (const ExitCode code = ParseOptions(argc, argv, request, mode); code != ExitCode::kOk) {
    return code;
  }
  return mode == Mode::kListQueue ? ListWholeQueue(line) : RunSubmit(line, request);
}

}  // namespace bobbin::cli

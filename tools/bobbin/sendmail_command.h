// The programs `sendmail` and `mailq`, as which bobbin answers under these names.
//
// Options are those that Postfix's sendmail(1) takes, and they end at the first argument that is
// none, so that no recipient can be taken for an option. The database is that of
// BOBBIN_DATABASE, else ./data. docs/cli.md says which options do something.
#pragma once

#include <string_view>

#include "tools/bobbin/command_line.h"

namespace bobbin::cli {

bool IsSendmailName(std::string_view program);  // The last part of argv[0].
ExitCode RunAsSendmail(std::string_view program, int argc, char** argv);

}  // namespace bobbin::cli

// bobbin message props: every property of a message, its recipients, its attachments and the
// messages embedded in them, with the values.
#pragma once

#include <string>

#include "tools/bobbin/command_line.h"

namespace bobbin::cli {

// Longer values are printed as their length, unless the caller wants more.
inline constexpr std::size_t kPrintedBytesMax = 65'536;

ExitCode RunMessageProperties(const CommandLine& line, const std::string& queue_id,
                              std::size_t value_bytes_max);

}  // namespace bobbin::cli

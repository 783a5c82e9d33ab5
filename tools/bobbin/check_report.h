// What a look at a whole database found, as `check` and `scrub` print it.
#pragma once

#include <string_view>

#include "engine/database.h"
#include "tools/bobbin/command_line.h"

namespace bobbin::cli {

// For pages of none, among them the meta pages.
inline constexpr std::string_view kNoTable = "-";

struct Checked {
  kv::PageWalkReport pages;
  CheckReport records;  // Empty when the pages are damaged or nobody asked.

  std::uint64_t Findings() const { return pages.findings_total + records.findings.size(); }
};

// kFindings when there are any.
ExitCode PrintChecked(const CommandLine& line, const Checked& checked);

}  // namespace bobbin::cli

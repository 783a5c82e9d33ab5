// What a look at a whole database found, as `check` and `scrub` print it.
#pragma once

#include "engine/database.h"
#include "tools/bobbin/command_line.h"

namespace bobbin::cli {

struct Checked {
  kv::PageWalkReport pages;
  CheckReport records;  // Empty when the pages are damaged or nobody asked.

  std::uint64_t Findings() const { return pages.findings_total + records.findings.size(); }
};

// kFindings when there are any.
ExitCode PrintChecked(const CommandLine& line, const Checked& checked);

}  // namespace bobbin::cli

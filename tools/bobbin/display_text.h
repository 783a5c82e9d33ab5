// Text for people: mail made harmless, and numbers and times as one reads them.
//
// Whatever comes out of a message may have been written to attack the terminal it is
// shown on. Everything printed for people goes through EscapeForTerminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/clock.h"

namespace bobbin::cli {

// Control characters (C0, DEL, C1), line separators, characters that reorder text, and bytes
// that are not UTF-8 become \x1b or \u202e; all else stays as it is.
std::string EscapeForTerminal(std::string_view text);

// Columns that UTF-8 text without control characters takes: combining characters none, East
// Asian wide characters and emoji two.
std::size_t DisplayWidth(std::string_view text);

// The text, or as much of it as fits into `columns` with "…" at the end.
std::string CutToWidth(std::string_view text, std::size_t columns);

std::string FormatBytes(std::uint64_t bytes);     // "512 B", "1.4 KiB", "23 MiB"
std::string FormatRelative(Time time, Time now);  // "5 min ago", "in 2 h", "now"
std::string FormatTime(Time time);                // RFC 3339, UTC, milliseconds

}  // namespace bobbin::cli

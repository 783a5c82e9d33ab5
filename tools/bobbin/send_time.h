// When a message is to be sent, as people type it.
#pragma once

#include <string_view>

#include "engine/clock.h"
#include "engine/result.h"

namespace bobbin::cli {

// RFC 3339 with its offset ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+01:00"; t, z and a blank
// for T as the RFC allows), or a distance from `now`: "+90s", "+30m", "+2h", "+1d", "+1h30m".
//   kInvalidParameter  anything else, a day that no calendar has, or a year after 2200
Result<Time> ParseSendTime(std::string_view text, Time now);

}  // namespace bobbin::cli

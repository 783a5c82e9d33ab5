// Who a process is, for ever: its id and its start time together. Ids alone are used again.
//
// Threads  Any number. A zombie counts as gone: nothing of it will run again.
#pragma once

#include <cstdint>

namespace bobbin {

// Clock ticks since boot, field 22 of /proc/<id>/stat; 0 when there is no such living process.
std::uint64_t ProcessStartTime(std::int32_t process_id);

// Of the calling process; read once, and again in a forked child.
std::uint64_t OwnProcessStartTime();

inline bool IsProcessAlive(std::int32_t process_id, std::uint64_t start_time) {
  return start_time != 0 && ProcessStartTime(process_id) == start_time;
}

}  // namespace bobbin

// Who a process is, for ever: its id and its start time together. Ids alone are used again.
//
// Threads  Any number. A zombie counts as gone: nothing of it will run again.
#pragma once

#include <cstdint>

namespace bobbin {

// Clock ticks since boot, field 22 of /proc/<id>/stat; 0 when there is no such living process,
// or when that cannot be read.
std::uint64_t ProcessStartTime(std::int32_t process_id);

// Of the calling process; read once, and again in a forked child.
std::uint64_t OwnProcessStartTime();

// False only when it is certain. What cannot be looked at (no file descriptor left, /proc mounted
// to hide other users' processes) is taken to live: to free its locks would make two owners.
bool IsProcessAlive(std::int32_t process_id, std::uint64_t start_time);

}  // namespace bobbin

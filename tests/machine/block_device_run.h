// One run of the power-loss workload on a real file system, whose block device is recorded: a loop
// device on a file of recording_disk.cc. What is recorded is for the replayer of tests/powerloss,
// which mounts what power cuts could leave of it.
#pragma once

#include <cstdint>
#include <string>

#include "tests/powerloss/recorded_run.h"

namespace bobbin::powerloss {

// Makes the file a small disk with an empty file system, as mount(2) names it: ext2, ext4
// or xfs.
// False: there is no such mkfs here.
bool MakeDisk(const std::filesystem::path& file, const std::string& file_system);

// Why `file_system` cannot be recorded here; empty: it can. The process has mounts of its own from
// then on.
std::string WhyNoBlockDevice(const std::string& file_system);

// Leaves `live` and `log` in `directory`, for ReplayRecorded. Of the mutants only no-sync is known
// here, as tests/powerloss/marker.cc has it. False: the workload ended with an error.
bool RecordBlockDevice(const Round& round, const std::string& file_system,
                       const RoundDirectory& directory);

}  // namespace bobbin::powerloss

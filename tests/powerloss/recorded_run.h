// One run of the workload under the recorder, then what the replayer makes of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/powerloss/replayer.h"

namespace bobbin::powerloss {

struct Round {
  std::uint64_t seed = 1;
  unsigned operations = 40;  // Of each client.
  std::string mutant{};      // record_log.h
  bool acknowledge_early = false;
};

// A directory of its own on a RAM disk, removed at the end.
class RoundDirectory {
 public:
  RoundDirectory();
  ~RoundDirectory();
  RoundDirectory(const RoundDirectory&) = delete;
  RoundDirectory& operator=(const RoundDirectory&) = delete;

  const std::filesystem::path& Path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Runs the workload, which leaves `live` and `log` in `directory`. False: it ended with an error,
// which it has printed.
bool Record(const Round& round, const RoundDirectory& directory);

// `recorded` has the directory `live` and the file `log`; `directory` is where states are made.
ReplayResult ReplayRecorded(const std::filesystem::path& recorded, const RoundDirectory& directory,
                            ReplayOptions options);

}  // namespace bobbin::powerloss

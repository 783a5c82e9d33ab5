#include "tests/powerloss/recorded_run.h"

#include <cstdlib>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/powerloss/record_log.h"
#include "tests/support/child_process.h"

namespace bobbin::powerloss {

namespace {

// The recorder makes it as long as it could ever become.
void CutToLength(const std::filesystem::path& log) {
  std::ifstream file(log, std::ios::binary);
  std::uint64_t end = 0;
  for (Entry entry{}; file.read(reinterpret_cast<char*>(&entry), sizeof(entry));) {
    if (entry.bytes == 0) break;
    end += entry.bytes;
    file.seekg(static_cast<std::streamoff>(end));
  }
  std::filesystem::resize_file(log, end + sizeof(Entry));
}

}  // namespace

RoundDirectory::RoundDirectory() {
  std::error_code error;
  const bool has_ram_disk = std::filesystem::is_directory("/dev/shm", error);
  std::string name =
      (has_ram_disk ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
      "bobbin-power-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
  }
  path_ = name;
}

RoundDirectory::~RoundDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool Record(const Round& round, const RoundDirectory& directory) {
  const std::filesystem::path live = directory.Path() / "live";
  const std::filesystem::path log = directory.Path() / "log";
  std::filesystem::create_directories(live);
  std::vector<std::string> command{"/usr/bin/env",
                                   std::string("LD_PRELOAD=") + BOBBIN_POWER_LOSS_RECORDER,
                                   std::string(kRootVariable) + "=" + live.string(),
                                   std::string(kLogVariable) + "=" + log.string(),
                                   std::string(kMutantVariable) + "=" + round.mutant,
                                   BOBBIN_POWER_LOSS_WORKLOAD,
                                   live.string(),
                                   std::to_string(round.seed),
                                   std::to_string(round.operations)};
  if (round.acknowledge_early) command.emplace_back("--acknowledge-early");
  if (ChildProcess(std::move(command)).Wait() != 0) return false;
  CutToLength(log);
  return true;
}

ReplayResult ReplayRecorded(const std::filesystem::path& recorded, const RoundDirectory& directory,
                            ReplayOptions options) {
  options.log = recorded / "log";
  options.live = recorded / "live";
  options.scratch = directory.Path() / "states";
  return Replay(options);
}

}  // namespace bobbin::powerloss

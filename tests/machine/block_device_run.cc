#include "tests/machine/block_device_run.h"

#include <cstdlib>
#include <fstream>
#include <system_error>
#include <vector>

#include "tests/powerloss/record_log.h"
#include "tests/support/child_process.h"
#include "tests/support/loop_device.h"

namespace bobbin::powerloss {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kDiskBytes = std::uint64_t{64} << 20;

bool RunWorkload(const Round& round, const fs::path& root, const fs::path& marks) {
  std::vector<std::string> command{"/usr/bin/env",
                                   std::string("LD_PRELOAD=") + BOBBIN_POWER_LOSS_MARKER,
                                   std::string(kLogVariable) + "=" + marks.string(),
                                   std::string(kMutantVariable) + "=" + round.mutant,
                                   BOBBIN_POWER_LOSS_WORKLOAD,
                                   root.string(),
                                   std::to_string(round.seed),
                                   std::to_string(round.operations)};
  if (round.acknowledge_early) command.emplace_back("--acknowledge-early");
  return ChildProcess(std::move(command)).Wait() == 0;
}

}  // namespace

bool MakeDisk(const fs::path& file, const std::string& file_system) {
  std::ofstream(file).close();
  fs::resize_file(file, kDiskBytes);
  // XFS, too, goes on a disk of this size, though nobody should use it there.
  const std::string make = file_system == "xfs" ? "mkfs.xfs -q --unsupported -s size=4096 "
                                                : "mkfs." + file_system + " -q -F -b 4096 ";
  return std::system(
             ("PATH=$PATH:/usr/sbin:/sbin " + make + file.string() + " 2> /dev/null").c_str()) == 0;
}

std::string WhyNoBlockDevice(const std::string& file_system) {
  try {
    EnterPrivateMounts();
    const RoundDirectory directory;
    if (!MakeDisk(directory.Path() / "disk", file_system)) return "no mkfs." + file_system;
    if (!fs::exists("/dev/fuse")) return "no /dev/fuse";
    const LoopDevice device(directory.Path() / "disk");
    fs::create_directory(directory.Path() / "mounted");
    Mount(device.Path(), directory.Path() / "mounted", file_system);
    Unmount(directory.Path() / "mounted");
    return {};
  } catch (const std::system_error& error) {
    return error.what();
  }
}

bool RecordBlockDevice(const Round& round, const std::string& file_system,
                       const RoundDirectory& directory) {
  const fs::path live = directory.Path() / "live";
  const fs::path recording = directory.Path() / "recording";
  const fs::path root = directory.Path() / "root";
  for (const fs::path& each : {live, recording, root}) fs::create_directories(each);
  if (!MakeDisk(live / "disk", file_system)) return false;
  ChildProcess recorder({BOBBIN_RECORDING_DISK, (live / "disk").string(),
                         (directory.Path() / "log").string(), recording.string()});
  if (recorder.ReadLine() != "ready") return false;
  bool ran = false;
  {
    const LoopDevice device(recording / "disk");
    Mount(device.Path(), root, file_system);
    ran = RunWorkload(round, root, recording / "marks");
    Unmount(root);
  }
  Unmount(recording);
  return recorder.Wait() == 0 && ran;
}

}  // namespace bobbin::powerloss

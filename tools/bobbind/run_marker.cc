#include "tools/bobbind/run_marker.h"

#include <fstream>
#include <string>
#include <system_error>

namespace bobbin::daemon {
namespace {

// Another one after each start of the machine; empty where the system does not say.
std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

RunMarker::RunMarker(const std::filesystem::path& database) : file_(database / "bobbind.running") {}

bool RunMarker::WasLeftBehind() const {
  std::ifstream file(file_);
  std::string id;
  return std::getline(file, id) && id == BootId();
}

void RunMarker::Set() const { std::ofstream(file_) << BootId() << "\n"; }

void RunMarker::Clear() const {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

}  // namespace bobbin::daemon

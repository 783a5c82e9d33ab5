#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <string>
#include <system_error>

namespace bobbin {

SmallDisk::SmallDisk(std::uint64_t bytes) {
  const std::string options = "size=" + std::to_string(bytes);
  mounted_ = mount("none", Path().c_str(), "tmpfs", 0, options.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) umount2(Path().c_str(), MNT_DETACH);
}

std::uint64_t SmallDisk::FreeBytes() const { return std::filesystem::space(Path()).available; }

void SmallDisk::FillUntilFree(std::uint64_t bytes) const {
  const int file = open(Ballast().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const int error = posix_fallocate(file, 0, static_cast<off_t>(FreeBytes() - bytes));
  close(file);
  if (error != 0) throw std::system_error(error, std::generic_category(), Ballast().string());
}

void SmallDisk::Relieve() const { std::filesystem::remove(Ballast()); }

}  // namespace bobbin

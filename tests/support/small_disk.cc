#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <string>
#include <system_error>

namespace bobbin {

SmallDisk::SmallDisk(std::uint64_t bytes, Kind kind) {
  if (kind == Kind::kExt4) {
    mounted_ = MountImage(bytes);
    return;
  }
  const std::string options = "size=" + std::to_string(bytes);
  mounted_ = mount("none", Path().c_str(), "tmpfs", 0, options.c_str()) == 0;
}

// mount(8) finds a loop device and lets go of it again.
bool SmallDisk::MountImage(std::uint64_t bytes) const {
  const int file = open(Image().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const bool sized = ftruncate(file, static_cast<off_t>(bytes)) == 0;
  close(file);
  const std::string mount = "mkfs.ext4 -q -m 0 -O ^has_journal " + Image().string() +
                            " > /dev/null 2>&1 && mount -o loop " + Image().string() + " " +
                            Path().string() + " 2> /dev/null";
  return sized && std::system(mount.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) umount2(Path().c_str(), MNT_DETACH);
}

std::uint64_t SmallDisk::FreeBytes() const { return std::filesystem::space(Path()).available; }

void SmallDisk::FillUntilFree(std::uint64_t bytes) const {
  const int file = open(Ballast().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  // ext4 needs blocks of its own for what is allocated, so the last of it comes in small steps.
  constexpr std::uint64_t kBlock = 4096;
  int error = 0;
  std::uint64_t size = 0;
  for (std::uint64_t step = FreeBytes() - bytes; step >= kBlock;) {
    const bool fits = FreeBytes() >= bytes + step;
    error = fits ? posix_fallocate(file, static_cast<off_t>(size), static_cast<off_t>(step)) : 0;
    if (fits && error == 0) {
      size += step;
    } else {
      step = step / 2 / kBlock * kBlock;
    }
  }
  close(file);
  if (error != 0 && error != ENOSPC) {
    throw std::system_error(error, std::generic_category(), Ballast().string());
  }
}

void SmallDisk::FlipOnDisk(const std::filesystem::path& path, std::uint64_t offset) const {
  const auto check = [&](bool good) {
    if (!good) throw std::system_error(errno, std::generic_category(), path.string());
  };
  alignas(fiemap) std::array<char, sizeof(fiemap) + sizeof(fiemap_extent)> memory{};
  auto* const map = new (memory.data()) fiemap();
  map->fm_start = offset;
  map->fm_length = 1;
  map->fm_flags = FIEMAP_FLAG_SYNC;
  map->fm_extent_count = 1;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(file >= 0 && ioctl(file, FS_IOC_FIEMAP, map) == 0 && map->fm_mapped_extents == 1);
  close(file);
  const fiemap_extent& extent = map->fm_extents[0];
  const auto place = static_cast<off_t>(extent.fe_physical + offset - extent.fe_logical);
  const int image = open(Image().c_str(), O_RDWR | O_CLOEXEC);
  char byte = 0;
  check(image >= 0 && pread(image, &byte, 1, place) == 1);
  byte = static_cast<char>(~byte);
  check(pwrite(image, &byte, 1, place) == 1);
  close(image);
}

void SmallDisk::Relieve() const { std::filesystem::remove(Ballast()); }

}  // namespace bobbin

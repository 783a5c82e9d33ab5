// A file system of a few megabytes that a test can fill up: a tmpfs or an ext4 of its own. The
// latter is on a loop device over an image file, where a test can write behind the file system's
// back.
//
// Only root can mount one. Where that is impossible IsMounted() is false and Path() an ordinary
// directory; the test then checks what it can and says the rest aloud
// (tests/support/not_checked.h).
#pragma once

#include <cstdint>
#include <filesystem>

#include "tests/support/temporary_directory.h"

namespace bobbin {

class SmallDisk {
 public:
  enum class Kind : std::uint8_t { kTmpfs, kExt4 };

  explicit SmallDisk(std::uint64_t bytes, Kind kind = Kind::kTmpfs);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool IsMounted() const { return mounted_; }
  const std::filesystem::path& Path() const { return directory_.Path(); }
  std::uint64_t FreeBytes() const;

  // Puts a file on it that leaves `bytes` free; takes it away again.
  void FillUntilFree(std::uint64_t bytes) const;
  void Relieve() const;

  // ext4: changes a byte of `file` on the disk, but not in memory.
  void FlipOnDisk(const std::filesystem::path& file, std::uint64_t offset) const;

 private:
  std::filesystem::path Ballast() const { return Path() / "ballast"; }
  std::filesystem::path Image() const { return image_directory_.Path() / "image"; }
  bool MountImage(std::uint64_t bytes) const;

  TemporaryDirectory image_directory_;
  TemporaryDirectory directory_;
  bool mounted_ = false;
};

}  // namespace bobbin

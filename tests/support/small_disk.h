// A file system of a few megabytes that a test can fill up: a tmpfs of its own.
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
  explicit SmallDisk(std::uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool IsMounted() const { return mounted_; }
  const std::filesystem::path& Path() const { return directory_.Path(); }
  std::uint64_t FreeBytes() const;

  // Puts a file on it that leaves `bytes` free; takes it away again.
  void FillUntilFree(std::uint64_t bytes) const;
  void Relieve() const;

 private:
  std::filesystem::path Ballast() const { return Path() / "ballast"; }

  TemporaryDirectory directory_;
  bool mounted_ = false;
};

}  // namespace bobbin

// A file that no disk sees, with a path for those who open it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "engine/check.h"

namespace bobbin::fuzz {

class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes = {}) : file_(memfd_create("fuzz", MFD_CLOEXEC)) {
    Replace(bytes);
  }
  ~MemoryFile() { close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string Path() const { return "/proc/self/fd/" + std::to_string(file_); }

  void Replace(std::string_view bytes) {
    BOBBIN_CHECK(ftruncate(file_, static_cast<off_t>(bytes.size())) == 0);
    BOBBIN_CHECK(pwrite(file_, bytes.data(), bytes.size(), 0) ==
                 static_cast<ssize_t>(bytes.size()));
  }

  std::string Content() const {
    std::string bytes(static_cast<std::size_t>(lseek(file_, 0, SEEK_END)), '\0');
    BOBBIN_CHECK(pread(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return bytes;
  }

 private:
  int file_;
};

}  // namespace bobbin::fuzz

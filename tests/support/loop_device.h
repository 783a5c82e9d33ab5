// A block device over a file: a free loop device of this machine, with blocks of 4 KiB, which it
// writes whole. The kernel lets go of it with the last that has it open or mounted, also when that
// was killed.
#pragma once

#include <filesystem>
#include <string>

namespace bobbin {

class LoopDevice {
 public:
  // Throws std::system_error where there is none to be had.
  explicit LoopDevice(const std::filesystem::path& file);
  ~LoopDevice();
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& Path() const { return path_; }

 private:
  std::string path_;
  int device_ = -1;
};

// Of this process and its children alone from here on: what they mount is gone when they are.
void EnterPrivateMounts();

// Throws std::system_error.
void Mount(const std::string& device, const std::filesystem::path& directory,
           const std::string& file_system);
void Unmount(const std::filesystem::path& directory);

}  // namespace bobbin

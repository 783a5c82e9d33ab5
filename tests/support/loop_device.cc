#include "tests/support/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace bobbin {
namespace {

[[noreturn]] void Throw(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : number_(open(path.c_str(), flags | O_CLOEXEC)) {
    if (number_ < 0) Throw("opening " + path);
  }
  ~Descriptor() { close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int Number() const { return number_; }

 private:
  int number_;
};

}  // namespace

LoopDevice::LoopDevice(const std::filesystem::path& file) {
  const Descriptor control("/dev/loop-control", O_RDWR);
  const Descriptor backing(file.string(), O_RDWR);
  loop_config config{};
  config.fd = static_cast<__u32>(backing.Number());
  config.block_size = 4096;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  // Another process may take the free one first.
  for (int tries = 0;; ++tries) {
    const int number = ioctl(control.Number(), LOOP_CTL_GET_FREE);
    if (number < 0) Throw("LOOP_CTL_GET_FREE");
    path_ = "/dev/loop" + std::to_string(number);
    device_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    if (device_ < 0) Throw("opening " + path_);
    if (ioctl(device_, LOOP_CONFIGURE, &config) == 0) return;
    const int error = errno;
    close(device_);
    errno = error;
    if (error != EBUSY || tries == 100) Throw("LOOP_CONFIGURE");
  }
}

LoopDevice::~LoopDevice() { close(device_); }

void EnterPrivateMounts() {
  if (unshare(CLONE_NEWNS) != 0) Throw("a mount namespace");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Throw("private mounts");
}

void Mount(const std::string& device, const std::filesystem::path& directory,
           const std::string& file_system) {
  // Several images of one file system may be mounted at a time.
  const char* const options = file_system == "xfs" ? "nouuid" : "";
  if (mount(device.c_str(), directory.c_str(), file_system.c_str(), 0, options) != 0) {
    Throw("mounting " + file_system);
  }
}

void Unmount(const std::filesystem::path& directory) {
  if (umount2(directory.c_str(), 0) != 0) Throw("unmounting " + directory.string());
}

}  // namespace bobbin

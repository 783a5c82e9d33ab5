// A disk that remembers: a file system with two files, of which one is to be a block device.
//
//   recording_disk IMAGE LOG MOUNTPOINT
//
//   MOUNTPOINT/disk   reads and writes IMAGE; each write and each flush (fsync) goes into LOG
//   MOUNTPOINT/marks  each write is a Mark (tests/powerloss/mark.h), which goes into LOG
//
// LOG is what tests/powerloss/record_log.h says. It begins with what IMAGE holds, flushed. One
// request is served at a time, so the order of the log is the order in which the kernel has them
// done. Prints "ready" when it is, and ends when it is unmounted.

#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/powerloss/mark.h"
#include "tests/powerloss/record_log.h"

namespace bobbin::powerloss {
namespace {

constexpr std::uint64_t kDisk = 2;
constexpr std::string_view kDiskPath = "/disk";
constexpr std::string_view kMarksPath = "/marks";

[[noreturn]] void Stop(const char* what) {
  std::perror(what);
  std::abort();
}

class RecordedImage {
 public:
  RecordedImage(const char* image, const char* log)
      : file_(open(image, O_RDWR | O_CLOEXEC)), log_(log, std::ios::binary) {
    struct stat status {};
    if (file_ < 0 || fstat(file_, &status) != 0 || !log_) Stop("recording_disk");
    bytes_ = static_cast<std::uint64_t>(status.st_size);
    Log(EntryKind::kAdd, kRootObject, kDisk, 0, 0, "disk");
    Log(EntryKind::kTruncate, kDisk, 0, bytes_, 0, {});
    LogContent();
    LogFlush(kRootObject);
    Flush();
  }

  std::uint64_t Bytes() const { return bytes_; }

  ssize_t Read(char* bytes, std::size_t count, off_t offset) const {
    return pread(file_, bytes, count, offset);
  }
  ssize_t Write(std::string_view bytes, off_t offset) {
    const ssize_t written = pwrite(file_, bytes.data(), bytes.size(), offset);
    if (written > 0) {
      Log(EntryKind::kWrite, kDisk, 0, static_cast<std::uint64_t>(offset), 0,
          bytes.substr(0, static_cast<std::size_t>(written)));
    }
    return written;
  }
  void Flush() { LogFlush(kDisk); }
  void LogMark(std::string_view mark) { Log(EntryKind::kMark, 0, 0, 0, 0, mark); }

  bool End() {
    const Entry end{};
    log_.write(reinterpret_cast<const char*>(&end), sizeof(end));
    log_.close();
    return log_.good();
  }

 private:
  // Zeros need no entry.
  void LogContent() {
    static constexpr std::array<char, 4096> kZeros{};
    std::array<char, 4096> page{};
    for (std::uint64_t at = 0; at < bytes_; at += page.size()) {
      if (Read(page.data(), page.size(), static_cast<off_t>(at)) != ssize_t{page.size()}) {
        Stop("recording_disk: reading the image");
      }
      if (page == kZeros) continue;
      Log(EntryKind::kWrite, kDisk, 0, at, 0, {page.data(), page.size()});
    }
  }

  void LogFlush(std::uint64_t object) {
    Log(EntryKind::kFlush, object, 0, 0, ++ticket_, {});
    Log(EntryKind::kDone, object, 0, 0, ticket_, {});
  }

  void Log(EntryKind kind, std::uint64_t object, std::uint64_t other, std::uint64_t offset,
           std::uint64_t ticket, std::string_view data) {
    Entry entry{};
    const std::size_t padding = -data.size() % 8;
    entry.bytes = static_cast<std::uint32_t>(sizeof(entry) + data.size() + padding);
    entry.kind = kind;
    entry.object = object;
    entry.other = other;
    entry.offset = offset;
    entry.ticket = ticket;
    entry.data_bytes = static_cast<std::uint32_t>(data.size());
    log_.write(reinterpret_cast<const char*>(&entry), sizeof(entry));
    log_.write(data.data(), static_cast<std::streamsize>(data.size()));
    log_.write("\0\0\0\0\0\0\0", static_cast<std::streamsize>(padding));
  }

  int file_;
  std::ofstream log_;
  std::uint64_t bytes_ = 0;
  std::uint64_t ticket_ = 0;
};

RecordedImage& Image() { return *static_cast<RecordedImage*>(fuse_get_context()->private_data); }

void* Begin(fuse_conn_info* /*connection*/, fuse_config* /*config*/) {
  std::puts("ready");
  std::fflush(stdout);
  return &Image();
}

int GetAttributes(const char* path, struct stat* status, fuse_file_info* /*file*/) {
  *status = {};
  if (path == std::string_view("/")) {
    status->st_mode = S_IFDIR | 0700;
    status->st_nlink = 2;
    return 0;
  }
  if (path != kDiskPath && path != kMarksPath) return -ENOENT;
  status->st_mode = S_IFREG | 0600;
  status->st_nlink = 1;
  if (path == kDiskPath) status->st_size = static_cast<off_t>(Image().Bytes());
  return 0;
}

int Open(const char* /*path*/, fuse_file_info* file) {
  file->direct_io = 1;  // Nothing is kept back.
  return 0;
}

int Read(const char* path, char* bytes, std::size_t count, off_t offset, fuse_file_info* /*file*/) {
  if (path != kDiskPath) return 0;
  const ssize_t read = Image().Read(bytes, count, offset);
  return read < 0 ? -errno : static_cast<int>(read);
}

int Write(const char* path, const char* bytes, std::size_t count, off_t offset,
          fuse_file_info* /*file*/) {
  if (path == kMarksPath) {
    if (count != sizeof(Mark)) return -EINVAL;
    Image().LogMark({bytes, count});
    return static_cast<int>(count);
  }
  const ssize_t written = Image().Write({bytes, count}, offset);
  return written < 0 ? -errno : static_cast<int>(written);
}

int Flush(const char* path, int /*data_only*/, fuse_file_info* /*file*/) {
  if (path == kDiskPath) Image().Flush();
  return 0;
}

int Main(char** arguments) {
  RecordedImage image(arguments[1], arguments[2]);
  fuse_operations operations{};
  operations.init = Begin;
  operations.getattr = GetAttributes;
  operations.open = Open;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = Flush;
  std::array<char*, 4> options{arguments[0], const_cast<char*>("-f"), const_cast<char*>("-s"),
                               arguments[3]};
  const int status =
      fuse_main(static_cast<int>(options.size()), options.data(), &operations, &image);
  return image.End() ? status : 74;
}

}  // namespace
}  // namespace bobbin::powerloss

int main(int argument_count, char** arguments) {
  if (argument_count != 4) {
    std::fprintf(stderr, "usage: %s IMAGE LOG MOUNTPOINT\n", arguments[0]);
    return 64;
  }
  return bobbin::powerloss::Main(arguments);
}

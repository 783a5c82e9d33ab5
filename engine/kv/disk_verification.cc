#include "engine/kv/disk_verification.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "engine/kv/lmdb_error.h"

namespace bobbin::kv {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
constexpr std::size_t kAlignment = 4096;  // Of addresses, offsets and sizes past the page cache.
// What another process is writing differs until it has been written.
constexpr int kAttempts = 5;
constexpr std::chrono::milliseconds kPause{20};

class OpenFile {
 public:
  OpenFile(const std::filesystem::path& path, int flags)
      : file_(open(path.c_str(), flags | O_CLOEXEC)), code_(file_ < 0 ? errno : 0) {}
  ~OpenFile() {
    if (file_ >= 0) close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int Get() const { return file_; }
  int Code() const { return code_; }

 private:
  int file_;
  int code_;
};

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Chunk = std::unique_ptr<char, Free>;

Chunk NewChunk() { return Chunk(static_cast<char*>(std::aligned_alloc(kAlignment, kChunkBytes))); }

class Comparison {
 public:
  Comparison(const OpenFile& cached, const OpenFile& direct, const std::filesystem::path& path)
      : cached_(cached), direct_(direct), path_(path) {}

  // How many bytes differ; `bytes` becomes the length of the file.
  Result<std::uint64_t> Run(std::uint64_t& bytes) {
    if (!memory_ || !disk_) return Fail(ErrorCode::kNotEnoughMemory, "comparing " + path_.string());
    std::uint64_t differing = 0;
    for (bytes = 0;;) {
      ASSIGN_OR_RETURN(const Compared chunk, CompareAt(bytes));
      differing += chunk.differing;
      bytes += chunk.bytes;
      if (chunk.bytes < kChunkBytes) return differing;
    }
  }

 private:
  struct Compared {
    std::size_t bytes = 0;
    std::size_t differing = 0;
  };

  Result<Compared> CompareAt(std::uint64_t offset) {
    for (int attempt = 1;; ++attempt) {
      ASSIGN_OR_RETURN(const std::size_t on_disk, Read(direct_.Get(), disk_.get(), offset));
      ASSIGN_OR_RETURN(const std::size_t in_memory, Read(cached_.Get(), memory_.get(), offset));
      Compared compared{in_memory, 0};
      for (std::size_t at = 0; at < std::max(on_disk, in_memory); at += kAlignment) {
        const std::size_t page = std::min(kAlignment, std::max(on_disk, in_memory) - at);
        const bool same = at + page <= std::min(on_disk, in_memory) &&
                          std::memcmp(disk_.get() + at, memory_.get() + at, page) == 0;
        if (!same) compared.differing += page;
      }
      if (compared.differing == 0 || attempt == kAttempts) return compared;
      std::this_thread::sleep_for(kPause);
    }
  }

  // All of the chunk, or up to the end of the file.
  Result<std::size_t> Read(int file, char* chunk, std::uint64_t offset) const {
    for (;;) {
      const ssize_t bytes = pread(file, chunk, kChunkBytes, static_cast<off_t>(offset));
      if (bytes >= 0) return static_cast<std::size_t>(bytes);
      if (errno == EIO) return Unreadable(file, chunk, offset);
      if (errno != EINTR)
        return tl::unexpected<Error>(LmdbError(errno, "reading " + path_.string()));
    }
  }

  // Names the first page of the chunk that fails by itself; if none does now, its beginning.
  tl::unexpected<Error> Unreadable(int file, char* chunk, std::uint64_t offset) const {
    std::uint64_t at = offset;
    for (std::size_t i = 0; i < kChunkBytes / kAlignment; ++i) {
      const std::uint64_t page = offset + i * kAlignment;
      if (pread(file, chunk, kAlignment, static_cast<off_t>(page)) >= 0 || errno != EIO) continue;
      at = page;
      break;
    }
    return Fail(ErrorCode::kDiskError,
                "the disk cannot read " + path_.string() + " at byte " + std::to_string(at) +
                    " (Input/output error): look at the system's log; `bobbin salvage` makes a new "
                    "database of all that can be read, best on another disk");
  }

  const OpenFile& cached_;
  const OpenFile& direct_;
  const std::filesystem::path& path_;
  const Chunk memory_ = NewChunk();
  const Chunk disk_ = NewChunk();
};

}  // namespace

Result<DiskVerification> VerifyAgainstDisk(const std::filesystem::path& path) {
  const OpenFile cached(path, O_RDWR);
  RETURN_IF_ERROR(LmdbResult(cached.Code(), "opening " + path.string()));
  // What is still to be written goes to the disk now, or is said to fail.
  if (fdatasync(cached.Get()) != 0) return tl::unexpected<Error>(LmdbError(errno, "flushing"));
  DiskVerification verification;
  const OpenFile direct(path, O_RDONLY | O_DIRECT);
  if (direct.Code() == EINVAL) {
    // A file system in memory, or one that only passes on: what can be dropped is read anew.
    (void)posix_fadvise(cached.Get(), 0, 0, POSIX_FADV_DONTNEED);
    verification.compared = false;
    return verification;
  }
  RETURN_IF_ERROR(LmdbResult(direct.Code(), "opening " + path.string()));
  Comparison comparison(cached, direct, path);
  ASSIGN_OR_RETURN(verification.stale_bytes, comparison.Run(verification.bytes));
  if (verification.stale_bytes == 0) return verification;
  (void)posix_fadvise(cached.Get(), 0, 0, POSIX_FADV_DONTNEED);
  ASSIGN_OR_RETURN(const std::uint64_t stuck, comparison.Run(verification.bytes));
  if (stuck == 0) return verification;
  return Fail(ErrorCode::kDiskError,
              path.string() + " has " + std::to_string(stuck) +
                  " bytes in memory that its disk does not have, since a write failed; close every "
                  "program that has it open and try again, or restart the machine");
}

}  // namespace bobbin::kv

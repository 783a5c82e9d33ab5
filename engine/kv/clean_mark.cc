#include "engine/kv/clean_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "engine/kv/lmdb_page_file.h"

namespace bobbin::kv {
namespace {

constexpr mode_t kFileMode = 0660;  // As data.mdb: whoever may write that may write this.

// Empty when the file is not as a sound one is.
std::optional<std::string> MarkOf(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "data.mdb";
  const Result<LmdbPageFile> file = LmdbPageFile::Open(path);
  if (!file) return {};
  const Result<LmdbMetaPages> metas = ReadLmdbMetaPages(*file);
  struct stat status {};
  if (!metas || !metas->BothSound() || stat(path.c_str(), &status) != 0) return {};
  return "bobbin-clean 1\ntransaction " + std::to_string(metas->Newest().transaction) + "\ninode " +
         std::to_string(status.st_ino) + "\nbytes " + std::to_string(status.st_size) +
         "\nchanged " + std::to_string(status.st_ctim.tv_sec) + " " +
         std::to_string(status.st_ctim.tv_nsec) + "\n";
}

std::string ReadMark(const std::filesystem::path& directory) {
  std::array<char, 256> bytes{};
  const int file = open((directory / "clean").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return {};
  const ssize_t count = read(file, bytes.data(), bytes.size());
  close(file);
  return {bytes.data(), static_cast<std::size_t>(count > 0 ? count : 0)};
}

}  // namespace

bool IsMarkedClean(const std::filesystem::path& directory) {
  const std::string mark = ReadMark(directory);
  return !mark.empty() && mark == MarkOf(directory);
}

void MarkClean(const std::filesystem::path& directory) {
  const std::optional<std::string> mark = MarkOf(directory);
  if (!mark || ReadMark(directory) == *mark) return;
  const int file =
      open((directory / "clean").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode);
  if (file < 0) return;
  (void)!write(file, mark->data(), mark->size());
  close(file);
}

// LMDB keeps a read lock of the first byte of its lock file.
bool IsOpenElsewhere(const std::filesystem::path& directory) {
  const int file = open((directory / "lock.mdb").c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return false;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  const bool asked = fcntl(file, F_GETLK, &lock) == 0;
  close(file);
  return asked && lock.l_type != F_UNLCK;
}

}  // namespace bobbin::kv

#include "engine/identity_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace bobbin {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> SystemError(std::string_view what, const fs::path& path) {
  const int code = errno;
  std::string detail = fmt::format("{} {}: {}", what, path.string(), std::strerror(code));
  if (code == EACCES || code == EPERM || code == EROFS) {
    return Fail(ErrorCode::kNoAccess, std::move(detail));
  }
  if (code == ENOSPC || code == EDQUOT) return Fail(ErrorCode::kNotEnoughDisk, std::move(detail));
  return Fail(ErrorCode::kDiskError, std::move(detail));
}

template <std::size_t kSize>
std::string Hex(const std::array<std::uint8_t, kSize>& bytes) {
  return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

template <std::size_t kSize>
bool ParseHex(std::string_view hex, std::array<std::uint8_t, kSize>& bytes) {
  if (hex.size() != 2 * kSize) return false;
  for (std::size_t i = 0; i < kSize; ++i) {
    const char* const begin = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, bytes[i], 16);
    if (error != std::errc() || end != begin + 2) return false;
  }
  return true;
}

std::string Lines(const Identity& identity) {
  return fmt::format("bobbin-database {}\ndatabase-id {}\nrecord-key {}\n", identity.format,
                     Hex(identity.database.bytes), Hex(identity.record_key));
}

std::string Checksum(std::string_view lines) {
  return fmt::format("checksum {:016x}\n", XXH3_64bits(lines.data(), lines.size()));
}

// The value of the line `name`, which must come next in `text`.
std::string_view TakeLine(std::string_view& text, std::string_view name) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos || !text.starts_with(name)) return {};
  const std::string_view value = text.substr(name.size(), end - name.size());
  text.remove_prefix(end + 1);
  return value;
}

}  // namespace

Result<void> SyncPath(const fs::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return SystemError("cannot open", path);
  const int code = fsync(file);
  const int saved = errno;
  close(file);
  errno = saved;
  if (code != 0) return SystemError("cannot flush", path);
  return {};
}

bool SyncDirectoriesAbove(int directory) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  struct stat below {};
  if (fstat(directory, &below) != 0) return false;
  int above = openat(directory, "..", kFlags);
  while (above >= 0) {
    struct stat status {};
    const bool seen = fstat(above, &status) == 0;
    const bool at_top = seen && (status.st_dev != below.st_dev || status.st_ino == below.st_ino);
    const bool goes_on = seen && !at_top && fsync(above) == 0;
    const int next = goes_on ? openat(above, "..", kFlags) : -1;
    const int saved = errno;
    close(above);
    errno = saved;
    if (at_top) return true;
    if (!goes_on) return false;
    above = next;
    below = status;
  }
  return errno == EACCES;
}

Result<void> SyncDirectoriesAbove(const fs::path& path) {
  const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return SystemError("cannot open", path);
  const bool flushed = SyncDirectoriesAbove(directory);
  const int saved = errno;
  close(directory);
  errno = saved;
  if (!flushed) return SystemError("cannot flush the directories above", path);
  return {};
}

Result<void> MakeEmptyFile(const fs::path& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return SystemError("cannot create", path);
  close(file);
  return {};
}

Result<void> MakeDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0) return SystemError("cannot create", path);
  return {};
}

Result<void> RenameDirectory(const fs::path& from, const fs::path& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) {
    return Fail(ErrorCode::kCollision, to.string() + " came into being meanwhile");
  }
  return SystemError("cannot rename the new database to", to);
}

Result<void> WriteIdentityFile(const fs::path& directory, const Identity& identity,
                               const char* name) {
  const fs::path path = directory / name;
  std::string text = Lines(identity);
  text += Checksum(text);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return SystemError("cannot create", path);
  const ssize_t written = write(file, text.data(), text.size());
  const bool flushed = written == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  const int saved = written >= 0 && !flushed && errno == 0 ? ENOSPC : errno;
  close(file);
  errno = saved;
  if (!flushed) return SystemError("cannot write", path);
  return {};
}

Result<Identity> ReadIdentityFile(const fs::path& directory, const char* name) {
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return SystemError("cannot open", directory);
    return Fail(ErrorCode::kNotADatabase,
                fmt::format("there is no database at {}: create one with `bobbin init "
                            "--database {}`",
                            directory.string(), directory.string()));
  }
  if (!S_ISDIR(status.st_mode)) {
    return Fail(ErrorCode::kNotADatabase,
                directory.string() + " is a file; a database is a directory");
  }
  const fs::path path = directory / name;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno != ENOENT) return SystemError("cannot open", path);
    if (stat((directory / kBackupIdentityFileName).c_str(), &status) == 0) {
      return Fail(ErrorCode::kNotADatabase,
                  fmt::format("{} is a backup; make a database of it with `bobbin restore`",
                              directory.string()));
    }
    return Fail(
        ErrorCode::kNotADatabase,
        fmt::format("{} is no {}: it has no file `{}`", directory.string(),
                    name == std::string_view(kIdentityFileName) ? "database" : "backup", name));
  }
  char buffer[1024];
  const ssize_t bytes = read(file, buffer, sizeof(buffer));
  const int saved = errno;
  close(file);
  errno = saved;
  if (bytes < 0) return SystemError("cannot read", path);

  std::string_view text(buffer, static_cast<std::size_t>(bytes));
  Identity identity;
  const std::string_view format = TakeLine(text, "bobbin-database ");
  std::from_chars(format.data(), format.data() + format.size(), identity.format);
  // A newer format may have other lines; it is named before anything else is looked at.
  if (identity.format > 1) return identity;
  const bool parsed = identity.format == 1 &&
                      ParseHex(TakeLine(text, "database-id "), identity.database.bytes) &&
                      ParseHex(TakeLine(text, "record-key "), identity.record_key);
  if (!parsed || text != Checksum(Lines(identity))) {
    return Fail(ErrorCode::kNotADatabase, path.string() + " is damaged");
  }
  return identity;
}

}  // namespace bobbin

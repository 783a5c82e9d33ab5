#include "engine/process_identity.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>

namespace bobbin {
namespace {

enum class Look : std::uint8_t { kLives, kIsGone, kCannotTell };

struct Sight {
  Look look = Look::kCannotTell;
  std::uint64_t start_time = 0;
};

Sight WithoutStat(std::int32_t process_id, int error_number) {
  if (error_number != ENOENT && error_number != ESRCH) return {};
  // /proc may hide a process that exists; its id answers signals all the same.
  const bool exists = kill(process_id, 0) == 0 || errno == EPERM;
  return {exists ? Look::kCannotTell : Look::kIsGone};
}

Sight LookAt(std::int32_t process_id) {
  const std::string path = "/proc/" + std::to_string(process_id) + "/stat";
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return WithoutStat(process_id, errno);
  char buffer[1024];
  const ssize_t bytes = read(file, buffer, sizeof(buffer));
  const int read_error = errno;
  close(file);
  if (bytes < 0) return WithoutStat(process_id, read_error);
  std::string_view text(buffer, static_cast<std::size_t>(bytes));
  // Field 2 is the program's name in parentheses and may hold anything; fields go on after the
  // last parenthesis.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return {};
  text.remove_prefix(name_end + 2);
  if (text[0] == 'Z' || text[0] == 'X') return {Look::kIsGone};
  for (int field = 3; field < 22; ++field) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) return {};
    text.remove_prefix(space + 1);
  }
  Sight sight;
  std::from_chars(text.data(), text.data() + text.size(), sight.start_time);
  if (sight.start_time != 0) sight.look = Look::kLives;
  return sight;
}

}  // namespace

std::uint64_t ProcessStartTime(std::int32_t process_id) { return LookAt(process_id).start_time; }

std::uint64_t OwnProcessStartTime() {
  static std::atomic<std::int32_t> known_process{0};
  static std::atomic<std::uint64_t> known_start{0};
  const std::int32_t process = getpid();
  if (known_process.load() == process) return known_start.load();
  const std::uint64_t start = ProcessStartTime(process);
  if (start == 0) return 0;  // Not remembered: it may be readable the next time.
  known_start.store(start);
  known_process.store(process);
  return start;
}

bool IsProcessAlive(std::int32_t process_id, std::uint64_t start_time) {
  if (start_time == 0) return false;
  const Sight sight = LookAt(process_id);
  return sight.look == Look::kCannotTell ||
         (sight.look == Look::kLives && sight.start_time == start_time);
}

}  // namespace bobbin

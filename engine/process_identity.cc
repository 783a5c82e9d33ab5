#include "engine/process_identity.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <string>
#include <string_view>

namespace bobbin {

std::uint64_t ProcessStartTime(std::int32_t process_id) {
  const std::string path = "/proc/" + std::to_string(process_id) + "/stat";
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char buffer[1024];
  const ssize_t bytes = read(file, buffer, sizeof(buffer));
  close(file);
  if (bytes <= 0) return 0;
  std::string_view text(buffer, static_cast<std::size_t>(bytes));
  // Field 2 is the program's name in parentheses and may hold anything; fields go on after the
  // last parenthesis.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return 0;
  text.remove_prefix(name_end + 2);
  if (text[0] == 'Z' || text[0] == 'X') return 0;
  for (int field = 3; field < 22; ++field) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) return 0;
    text.remove_prefix(space + 1);
  }
  std::uint64_t start = 0;
  std::from_chars(text.data(), text.data() + text.size(), start);
  return start;
}

std::uint64_t OwnProcessStartTime() {
  static std::atomic<std::int32_t> known_process{0};
  static std::atomic<std::uint64_t> known_start{0};
  const std::int32_t process = getpid();
  if (known_process.load() != process) {
    known_start.store(ProcessStartTime(process));
    known_process.store(process);
  }
  return known_start.load();
}

}  // namespace bobbin

#include "tools/bobbin/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace bobbin::cli {
namespace {

constexpr std::chrono::milliseconds kInterval{200};
constexpr std::uint64_t kBarColumns = 30;

std::string Amount(std::uint64_t done, std::uint64_t total) {
  if (total == 0) return fmt::format("{} records", done);
  const double part = static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  const std::string bar(static_cast<std::size_t>(part * kBarColumns), '#');
  return fmt::format("[{:<{}}] {:3} %", bar, kBarColumns, static_cast<int>(part * 100));
}

}  // namespace

Progress::Progress() : shown_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::Show(std::string_view what, std::uint64_t done, std::uint64_t total) {
  if (!shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (what == what_ && now < next_) return;
  what_ = what;
  next_ = now + kInterval;
  fmt::print(stderr, "\r{} {}\x1b[K", what, Amount(done, total));
  std::fflush(stderr);
}

}  // namespace bobbin::cli

// How far long work has got: a line on the terminal for as long as it runs, nothing anywhere else.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

namespace bobbin::cli {

class Progress {
 public:
  Progress() : shown_(isatty(STDERR_FILENO) != 0) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }

  void Show(const char* what, std::uint64_t done, std::uint64_t total) const {
    constexpr std::uint64_t kWidth = 30;
    if (!shown_) return;
    const std::uint64_t part = total == 0 ? kWidth : std::min(done, total) * kWidth / total;
    std::fprintf(stderr, "\r%s [%-30s] %3d %%", what, std::string(part, '#').c_str(),
                 static_cast<int>(total == 0 ? 100 : std::min(done, total) * 100 / total));
  }

 private:
  bool shown_;
};

}  // namespace bobbin::cli

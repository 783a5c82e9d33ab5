// How far long work has got: a line on the terminal for as long as it runs, nothing anywhere else.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin::cli {

class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  // Takes the line away.

  // Of `total` records or bytes; of a number of records that nobody knows when that is 0. May be
  // called for every record: prints when `what` begins, then a few times a second.
  void Show(std::string_view what, std::uint64_t done, std::uint64_t total = 0);

 private:
  const bool shown_;
  std::string what_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace bobbin::cli

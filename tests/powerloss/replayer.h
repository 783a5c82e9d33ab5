// Opens what a power cut could have left at any moment of a recorded run, and judges it.
//
// A cut lies before every entry of the log that changes the disk, and after the last. At each the
// questions that are open (disk_model.h) are answered: all with "not yet", all with "just now",
// every combination when there are few, otherwise at random from a seed, with torn pages and sizes
// in between. A state is judged by what had been asked and acknowledged when the next entry came.
//
// Two answers that make the same bytes are one state: it is opened and counted once. It is judged
// again when the application has been told more.
//
// The log may be that of a block device, too: then a state is an image of it, which is mounted,
// with blocks that are never torn. That takes a thousand times as long, so few states of each cut,
// or few cuts, are looked at.
//
// Processes  The caller forks one worker for each processor; they share what has been seen.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bobbin::powerloss {

struct ReplayOptions {
  std::filesystem::path log;
  std::filesystem::path live;     // The recorded directory as it is now; it must be the last state.
  std::filesystem::path scratch;  // On a RAM disk; is made, and removed.
  // Of the block device "disk", as mount(2) names it. None: the log is of files and names.
  std::string file_system{};
  std::uint64_t seed = 1;
  unsigned workers = 2;
  unsigned states_per_cut = 24;  // At random, where not all can be had.
  std::uint64_t combinations_max = 64;
  double share_of_cuts = 1;  // So many of them are looked at, at random.
  // Of so many states one is also opened as a program would, and one is used again.
  unsigned front_door_every = 500;
  std::uint64_t failures_max = 20;  // Then it is over.
  std::filesystem::path keep{};     // Where failing states go; none: nowhere.
  std::chrono::steady_clock::time_point end = std::chrono::steady_clock::time_point::max();
  std::function<void(std::uint64_t states, std::uint64_t failures)>
      progress{};  // 5 times a second.
};

struct ReplayResult {
  std::uint64_t cuts = 0;
  std::uint64_t states = 0;     // Opened.
  std::uint64_t read_rows = 0;  // Of these; the others have the pages of one (DatabaseImage::Look).
  std::uint64_t failures = 0;
  std::vector<std::string> reports;
};

ReplayResult Replay(const ReplayOptions& options);

}  // namespace bobbin::powerloss

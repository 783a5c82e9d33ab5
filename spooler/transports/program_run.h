// ProgramRun: one run of a program, its input and output through pipes.
//
// Threads  One at a time. Ownership  The destructor kills and reaps what still runs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.h"
#include "spooler/transports/file_descriptor.h"

namespace bobbin {

class ProgramRun {
 public:
  static constexpr std::size_t kOutputBytesMax = 1'000;  // More is read and dropped.

  enum class Progress : std::uint8_t {
    kWritten,      // All of it has been taken.
    kInputClosed,  // The program takes no more input, or has ended.
    kStopped,      // The time was over, or `stop` became readable.
  };

  // Starts `arguments[0]`. `stop`: a descriptor to watch, readable when the run is to end.
  //   kCallFailed  it could not be started; the detail is the system's word for it
  static Result<ProgramRun> Start(const std::vector<std::string>& arguments,
                                  std::chrono::steady_clock::time_point deadline, int stop);

  ProgramRun(ProgramRun&& other) noexcept;
  ProgramRun& operator=(ProgramRun&&) = delete;
  ~ProgramRun() { Kill(); }

  Progress Write(std::string_view input);
  void CloseInput() { input_.Close(); }

  // Waits for the end. The wait status as waitpid gives it; nothing when it was stopped.
  std::optional<int> Wait();

  // Kills the process group, reaps the program.
  void Kill();

  const std::string& Output() const { return output_; }

 private:
  ProgramRun() = default;

  enum class Event : std::uint8_t { kInput, kEnded, kStopped };
  Event Poll(bool want_input);
  void ReadOutput();

  pid_t process_ = -1;
  FileDescriptor process_descriptor_, input_, output_pipe_;
  std::string output_;
  std::chrono::steady_clock::time_point deadline_;
  int stop_ = -1;
};

}  // namespace bobbin

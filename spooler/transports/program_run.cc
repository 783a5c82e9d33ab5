#include "spooler/transports/program_run.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace bobbin {
namespace {

// write(2) that answers EPIPE without the signal, whatever the process does with SIGPIPE.
ssize_t WriteWithoutSignal(int descriptor, std::string_view bytes) {
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t written = write(descriptor, bytes.data(), bytes.size());
  const int error = errno;
  if (written < 0 && error == EPIPE && sigismember(&before, SIGPIPE) == 0) {
    const timespec now{};
    sigtimedwait(&pipe_signal, nullptr, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

tl::unexpected<Error> SystemFailure(int error) {
  return Fail(ErrorCode::kCallFailed, std::generic_category().message(error));
}

struct Pipe {
  FileDescriptor read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemFailure(errno);
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

Result<pid_t> Spawn(const std::vector<std::string>& arguments, int input, int output) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char locale[] = "LC_ALL=C.UTF-8";
  const std::array<char*, 3> environment = {path, locale, nullptr};

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  // Others in this process may not be as careful with O_CLOEXEC.
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t process = -1;
  const int error =
      posix_spawnp(&process, argv[0], &files, &attributes, argv.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return SystemFailure(error);
  return process;
}

}  // namespace

Result<ProgramRun> ProgramRun::Start(const std::vector<std::string>& arguments,
                                     std::chrono::steady_clock::time_point deadline, int stop) {
  ASSIGN_OR_RETURN(Pipe input, MakePipe());
  ASSIGN_OR_RETURN(Pipe output, MakePipe());
  if (fcntl(input.write.Get(), F_SETFL, O_NONBLOCK) != 0 ||
      fcntl(output.read.Get(), F_SETFL, O_NONBLOCK) != 0) {
    return SystemFailure(errno);
  }
  ProgramRun run;
  ASSIGN_OR_RETURN(run.process_, Spawn(arguments, input.read.Get(), output.write.Get()));
  run.process_descriptor_ =
      FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, run.process_, 0)));
  if (!run.process_descriptor_) return SystemFailure(errno);
  run.input_ = std::move(input.write);
  run.output_pipe_ = std::move(output.read);
  run.deadline_ = deadline;
  run.stop_ = stop;
  return run;
}

ProgramRun::ProgramRun(ProgramRun&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      process_descriptor_(std::move(other.process_descriptor_)),
      input_(std::move(other.input_)),
      output_pipe_(std::move(other.output_pipe_)),
      output_(std::move(other.output_)),
      deadline_(other.deadline_),
      stop_(other.stop_) {}

ProgramRun::Progress ProgramRun::Write(std::string_view input) {
  while (!input.empty()) {
    if (!input_) return Progress::kInputClosed;
    const ssize_t written = WriteWithoutSignal(input_.Get(), input);
    if (written >= 0) {
      input.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      return Progress::kInputClosed;
    } else if (errno != EINTR) {  // EAGAIN: it has not kept up.
      const Event event = Poll(true);
      if (event == Event::kStopped) return Progress::kStopped;
      if (event == Event::kEnded) return Progress::kInputClosed;
    }
  }
  return Progress::kWritten;
}

std::optional<int> ProgramRun::Wait() {
  if (Poll(false) == Event::kStopped) return std::nullopt;
  // What the program wrote before it ended is in the pipe; children it left behind may hold the
  // other end open for ever.
  ReadOutput();
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return status;
}

void ProgramRun::Kill() {
  if (process_ < 0) return;
  kill(-process_, SIGKILL);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
}

// Waits until the program takes input (if wanted), has ended, or is to be stopped. Reads its
// output meanwhile, so that neither side waits for the other.
ProgramRun::Event ProgramRun::Poll(bool want_input) {
  for (;;) {
    // Negative descriptors are not looked at.
    std::array<pollfd, 4> watched = {{{process_descriptor_.Get(), POLLIN, 0},
                                      {stop_, POLLIN, 0},
                                      {output_pipe_.Get(), POLLIN, 0},
                                      {want_input ? input_.Get() : -1, POLLOUT, 0}}};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Event::kStopped;
    const int timeout = static_cast<int>(std::min<std::int64_t>(left.count(), 1'000'000));
    if (poll(watched.data(), watched.size(), timeout) < 0 && errno != EINTR) return Event::kStopped;
    if (watched[0].revents != 0) return Event::kEnded;
    if (watched[1].revents != 0) return Event::kStopped;
    if (watched[2].revents != 0) ReadOutput();
    if (watched[3].revents != 0) return Event::kInput;
  }
}

void ProgramRun::ReadOutput() {
  std::array<char, 4'096> buffer;
  for (;;) {
    const ssize_t bytes = read(output_pipe_.Get(), buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return;
    if (bytes == 0) {
      output_pipe_.Close();
      return;
    }
    const std::size_t kept =
        std::min(static_cast<std::size_t>(bytes), kOutputBytesMax - output_.size());
    output_.append(buffer.data(), kept);
  }
}

}  // namespace bobbin

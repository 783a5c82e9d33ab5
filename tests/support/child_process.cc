#include "tests/support/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <iostream>
#include <map>
#include <system_error>
#include <utility>

namespace bobbin {
namespace {

constexpr std::string_view kFlag = "--child-program";

using Programs = std::map<std::string, std::function<int(const ChildProgram::Arguments&)>>;

Programs& AllPrograms() {
  static Programs programs;
  return programs;
}

void Check(int code, const char* what) {
  if (code != 0) throw std::system_error(code, std::generic_category(), what);
}

std::vector<std::string> OwnCommand(const std::string& program,
                                    const ChildProgram::Arguments& arguments) {
  std::vector<std::string> command{"/proc/self/exe", std::string(kFlag), program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

}  // namespace

ChildProgram::ChildProgram(std::string name, std::function<int(const Arguments&)> run) {
  AllPrograms().emplace(std::move(name), std::move(run));
}

std::optional<int> ChildProgram::RunNamed(int argument_count, char** arguments) {
  if (argument_count < 3 || arguments[1] != kFlag) return std::nullopt;
  return AllPrograms().at(arguments[2])({arguments + 3, arguments + argument_count});
}

void Say(std::string_view line) {
  std::cout << line << std::endl;  // Flushed: the parent waits for it.
}

std::string Hear() {
  std::string line;
  std::getline(std::cin, line);
  return line;
}

ChildProcess::ChildProcess(std::vector<std::string> command) {
  int in[2];
  int out[2];
  // A child that cannot tell its parent from another child's pipe would never see it close.
  Check(pipe2(in, O_CLOEXEC) == 0 ? 0 : errno, "pipe");
  Check(pipe2(out, O_CLOEXEC) == 0 ? 0 : errno, "pipe");
  std::vector<char*> pointers;
  pointers.reserve(command.size() + 1);
  for (std::string& word : command) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  id_ = fork();
  Check(id_ < 0 ? errno : 0, "fork");
  if (id_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  to_child_ = in[1];
  from_child_ = out[0];
}

ChildProcess::ChildProcess(const std::string& program, const ChildProgram::Arguments& arguments)
    : ChildProcess(OwnCommand(program, arguments)) {}

ChildProcess::~ChildProcess() {
  if (id_ > 0) Kill();
  close(to_child_);
  close(from_child_);
}

bool ChildProcess::Running() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

std::string ChildProcess::ReadLine() {
  for (;;) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    char buffer[4096];
    const ssize_t bytes = read(from_child_, buffer, sizeof(buffer));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return {};
    unread_.append(buffer, static_cast<std::size_t>(bytes));
  }
}

void ChildProcess::WriteLine(std::string_view line) {
  const std::string bytes = std::string(line) + "\n";
  Check(write(to_child_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) ? 0
                                                                                           : errno,
        "write to a child process");
}

void ChildProcess::Kill() {
  kill(id_, SIGKILL);
  (void)Wait();
}

int ChildProcess::Wait() {
  int status = 0;
  while (waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace bobbin

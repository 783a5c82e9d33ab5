#include "tests/tools_cli/run_program.h"

#include <fcntl.h>
#include <pty.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include "tests/support/file_bytes.h"

namespace bobbin::test {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const Start& start) {
  std::vector<std::string> environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  environment.insert(environment.end(), start.environment.begin(), start.environment.end());
  return environment;
}

void WaitFor(pid_t process, Ended& run) {
  int status = 0;
  if (waitpid(process, &status, 0) != process) return;
  if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
}

}  // namespace

Ended RunProgram(const Start& start) {
  const std::string out = start.directory / "caught-output";
  const std::string err = start.directory / "caught-errors";
  const std::string input = start.input.empty() ? "/dev/null" : start.input.string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input.c_str(), O_RDONLY, 0);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addchdir_np(&actions, start.directory.c_str());
  std::vector<std::string> arguments = start.arguments;
  std::vector<std::string> environment = Environment(start);
  Ended run;
  pid_t process = 0;
  if (posix_spawnp(&process, arguments[0].c_str(), &actions, nullptr, Pointers(arguments).data(),
                   Pointers(environment).data()) == 0) {
    WaitFor(process, run);
    run.out = ReadFile(out);
    run.err = ReadFile(err);
  }
  posix_spawn_file_actions_destroy(&actions);
  return run;
}

Ended RunOnTerminal(const Start& start, unsigned short columns) {
  std::vector<std::string> arguments = start.arguments;
  std::vector<std::string> environment = Environment(start);
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);
  winsize size{};
  size.ws_col = columns;
  size.ws_row = 25;
  Ended run;
  int terminal = -1;
  const pid_t process = forkpty(&terminal, nullptr, nullptr, &size);
  if (process == 0) {
    if (chdir(start.directory.c_str()) == 0) {
      execve(argument_pointers[0], argument_pointers.data(), environment_pointers.data());
    }
    _exit(127);
  }
  if (process < 0) return run;
  // Reading fails with EIO once the program has closed its side.
  std::array<char, 4096> bytes{};
  for (ssize_t count = 0; (count = read(terminal, bytes.data(), bytes.size())) > 0;) {
    run.out.append(bytes.data(), static_cast<std::size_t>(count));
  }
  close(terminal);
  WaitFor(process, run);
  return run;
}

}  // namespace bobbin::test

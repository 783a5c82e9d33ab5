// Real second processes for tests: any command, or the test program itself, which then runs not its
// tests but one function, named on its command line.
//
//   ChildProcess server({"python3", "server.py"});
//   const std::string port = server.ReadLine();
//
//   const ChildProgram kHolder("hold-lock", [](const ChildProgram::Arguments& arguments) {
//     ... ; Say("locked"); Hear(); return 0;
//   });
//   ChildProcess child("hold-lock", {path});
//   child.ReadLine() == "locked"; child.Kill();
//
// For its own functions the program needs tests/support/test_main.cc.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bobbin {

class ChildProgram {
 public:
  using Arguments = std::vector<std::string>;
  ChildProgram(std::string name, std::function<int(const Arguments&)> run);

  // Runs the program that the command line names, if it names one; returns its exit status.
  static std::optional<int> RunNamed(int argument_count, char** arguments);
};

// In the child: a line to the parent; a line from it, empty when it has closed its end.
void Say(std::string_view line);
std::string Hear();

// Its input and output are lines to and from the parent; its errors go where the parent's go. It is
// killed with its owner, also when that crashes.
class ChildProcess {
 public:
  explicit ChildProcess(std::vector<std::string> command);
  ChildProcess(const std::string& program, const ChildProgram::Arguments& arguments);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t Id() const { return id_; }
  bool Running() const;
  std::string ReadLine();  // Waits for it; empty when the child has ended.
  void WriteLine(std::string_view line);
  void Kill();  // SIGKILL, and waits until the process is gone.
  int Wait();   // Its exit status; 128 + n when a signal ended it.

 private:
  pid_t id_ = -1;
  int to_child_ = -1;
  int from_child_ = -1;
  std::string unread_;
};

}  // namespace bobbin

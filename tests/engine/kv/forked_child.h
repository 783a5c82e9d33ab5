// A forked child with a pipe in each direction, for tests that need a second
// process or one that dies. Fork before this process opens an engine, unless the
// test is about just that: LMDB and its threads do not cross a fork.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

namespace bobbin::kv::test {

class ForkedChild {
 public:
  // One end of the two pipes.
  struct Line {
    int in;
    int out;
    void Say(std::uint32_t number) const {
      if (write(out, &number, sizeof number) != sizeof number) _exit(99);
    }
    // Empty when the other side is gone.
    std::optional<std::uint32_t> Hear() const {
      std::uint32_t number = 0;
      if (read(in, &number, sizeof number) != sizeof number) return std::nullopt;
      return number;
    }
  };

  // `body` returns the exit code. It must not use EXPECT_: nobody would hear it.
  explicit ForkedChild(const std::function<int(const Line&)>& body) {
    std::array<int, 2> down{};
    std::array<int, 2> up{};
    if (pipe(down.data()) != 0 || pipe(up.data()) != 0) ADD_FAILURE() << "no pipe";
    process_ = fork();
    if (process_ == 0) {
      close(down[1]);
      close(up[0]);
      _exit(body(Line{down[0], up[1]}));
    }
    close(down[0]);
    close(up[1]);
    line_ = {up[0], down[1]};
  }

  ~ForkedChild() {
    close(line_.out);
    if (process_ > 0) Kill();
    close(line_.in);
  }
  ForkedChild(const ForkedChild&) = delete;
  ForkedChild& operator=(const ForkedChild&) = delete;

  const Line& GetLine() const { return line_; }

  void Kill() {
    kill(process_, SIGKILL);
    (void)Wait();
  }

  // The exit code; -1 if a signal ended it.
  int Wait() {
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t process_ = 0;
  Line line_{};
};

}  // namespace bobbin::kv::test

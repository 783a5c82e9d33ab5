// Runs a real program and waits for it: what it printed, how it ended.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bobbin::test {

struct Ended {
  int exit_code = -1;  // -1: ended by a signal, or could not be started.
  std::string out;
  std::string err;
};

struct Start {
  std::vector<std::string> arguments;    // The first is the program.
  std::filesystem::path input;           // File or device; a regular empty input when empty.
  std::filesystem::path directory;       // To run in, and where its output is caught.
  std::vector<std::string> environment;  // "NAME=value", beside PATH.
};

Ended RunProgram(const Start& start);

// The same on a terminal of its own: standard output and error together, with what a terminal
// adds (CR before LF).
Ended RunOnTerminal(const Start& start, unsigned short columns);

}  // namespace bobbin::test

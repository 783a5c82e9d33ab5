#include <gmock/gmock.h>

#include <exception>
#include <iostream>
#include <optional>

#include "tests/support/child_process.h"

int main(int argument_count, char** arguments) {
  try {
    if (const auto status = bobbin::ChildProgram::RunNamed(argument_count, arguments)) {
      return *status;
    }
  } catch (const std::exception& failure) {
    std::cerr << "child process: " << failure.what() << std::endl;
    return 99;
  }
  testing::InitGoogleMock(&argument_count, arguments);
  return RUN_ALL_TESTS();
}

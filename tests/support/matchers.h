// Results in tests: Must takes the value or ends the test, IsOk and IsError match.
#pragma once

#include <gmock/gmock.h>

#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/result.h"

namespace bobbin {

// What googletest prints for a Result that did not match.
template <class T>
void PrintTo(const Result<T>& result, std::ostream* out) {
  *out << (result ? std::string("success") : ToString(result.error()));
}

// Throws, because a test that goes on without the value says nothing; googletest reports it.
template <class T>
T Must(Result<T> result, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (!result) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " +
                             ToString(result.error()));
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

MATCHER(IsOk, negation ? "fails" : "succeeds") {
  if (arg) return true;
  *result_listener << ToString(arg.error());
  return false;
}

MATCHER_P(IsError, code,
          (negation ? "does not fail with " : "fails with ") + std::string(ErrorName(code))) {
  if (arg) {
    *result_listener << "which succeeded";
    return false;
  }
  *result_listener << ToString(arg.error());
  return arg.error().code == code;
}

// As IsError, and the detail has all of `parts` (std::vector<std::string>).
MATCHER_P2(IsErrorNaming, code, parts, "fails with the code and names every part") {
  if (arg) {
    *result_listener << "which succeeded";
    return false;
  }
  *result_listener << ToString(arg.error());
  for (const std::string& part : parts) {
    if (arg.error().detail.find(part) == std::string::npos) return false;
  }
  return arg.error().code == code;
}

}  // namespace bobbin

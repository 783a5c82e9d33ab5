// For what a test cannot do where it runs. It passes with what it could check, but says so: a
// skip reads as if there had been nothing to see.
#pragma once

#include <gtest/gtest.h>

#include <iostream>
#include <string_view>

namespace bobbin {

inline void SayNotChecked(std::string_view what, std::string_view why) {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  std::cerr << "NOT CHECKED by " << test.test_suite_name() << "." << test.name() << ": " << what
            << ": " << why << std::endl;
}

}  // namespace bobbin

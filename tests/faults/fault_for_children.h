// What is started while it lives has the fault library in front of its C library.
#pragma once

#include <cstdlib>
#include <string>

namespace bobbin::faults {

class FaultForChildren {
 public:
  explicit FaultForChildren(const std::string& fault) {
    setenv("LD_PRELOAD", BOBBIN_FAULT_LIBRARY, 1);
    setenv("BOBBIN_FAULT", fault.c_str(), 1);
  }
  ~FaultForChildren() {
    unsetenv("LD_PRELOAD");
    unsetenv("BOBBIN_FAULT");
  }
  FaultForChildren(const FaultForChildren&) = delete;
  FaultForChildren& operator=(const FaultForChildren&) = delete;
};

}  // namespace bobbin::faults

// How bobbind knows that it did not come to its end the last time: a file in the database's
// directory, there from start to clean stop. It needs no flush, because after a restart of the
// machine it does not count: the memory that may disagree with the disk is gone, too.
#pragma once

#include <filesystem>

namespace bobbin::daemon {

class RunMarker {
 public:
  explicit RunMarker(const std::filesystem::path& database);

  // Whether one was left behind since the machine was started.
  bool WasLeftBehind() const;
  // Errors are left aside: a disk on which it cannot be made takes no mail either.
  void Set() const;
  void Clear() const;

 private:
  std::filesystem::path file_;
};

}  // namespace bobbin::daemon

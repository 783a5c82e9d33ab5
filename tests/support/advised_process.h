// A real second process that is advised of the outgoing queue of all stores, and says what it is
// told. For programs with tests/support/test_main.cc.
#pragma once

#include <filesystem>
#include <vector>

#include "engine/outgoing_queue.h"
#include "tests/support/child_process.h"

namespace bobbin {

class AdvisedProcess {
 public:
  struct Told {
    QueueEventKind kind;
    MessageId message;
    friend bool operator==(const Told&, const Told&) = default;
  };

  // It is advised when this returns.
  explicit AdvisedProcess(const std::filesystem::path& database);

  // What it was told before it was told that `marker` was added, that excepted.
  std::vector<Told> UntilAdded(MessageId marker);
  Told Next();
  void Kill() { process_.Kill(); }

 private:
  ChildProcess process_;
};

}  // namespace bobbin

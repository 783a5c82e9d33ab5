// The message everything is measured with, composed and submitted as the SMTP listener does it:
// a body of 2 KiB below ordinary header fields, three recipients, a Received field of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/store_under_test.h"
#include "engine/message.h"
#include "spooler/internet_message.h"
#include "spooler/internet_submission.h"

namespace bobbin::bench {

inline constexpr std::size_t kBodyBytes = 2'048;

class Workload {
 public:
  Workload();

  // A message ready for SubmitMessage. Any number of threads.
  Message Compose(MessageStore& store, std::uint64_t number) const;

  // Submits `count` messages, many at once; returns their ids in queue order.
  std::vector<MessageId> Load(StoreUnderTest& tested, std::uint64_t count) const;

 private:
  std::string content_;
  HeaderSummary summary_;
};

}  // namespace bobbin::bench

// SmtpService: what all connections of the listener share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/message_store.h"
#include "tools/bobbind/event_log.h"
#include "tools/bobbind/smtp_limits.h"

namespace bobbin::daemon {

struct SmtpService {
  MessageStore store;
  SmtpLimits limits;
  std::string hostname;
  EventLog& log;
  // Called when the outcome of a commit is unknown: no mail can be taken before the database is
  // opened again. Any thread, any number of times; must not block.
  std::function<void(const Error&)> on_store_failed;
  // Bytes of mail there is room for on the disk.
  std::atomic<std::uint64_t> room_bytes{0};
};

}  // namespace bobbin::daemon

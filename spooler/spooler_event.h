// What the spooler did, for logs and tests. The spooler itself neither logs nor prints.
#pragma once

#include <functional>
#include <string>

#include "engine/entry_id.h"
#include "engine/recipient_table.h"
#include "engine/result.h"

namespace bobbin {

enum class SpoolerEventKind : std::uint8_t {
  kRecipientDelivered,
  kRecipientFailed,
  kRecipientExpired,
  kRecipientRetry,
  kRecipientInDoubt,
  kTransportUnavailable,
  kReportCreated,
  kMessageFinished,
  kMessageDeferred,  // Back in the queue, due later.
  // Of a message, or of its place in the queue, something does not verify (engine/quarantine.h).
  kMessageQuarantined,  // Out of the way, for the operator. Message 0: rows that nobody claims.
  kQueueMended,         // Its place in the queue was made anew.
  kError,               // The step failed; nothing changed.
};

struct SpoolerEvent {
  SpoolerEventKind kind;
  MessageId message;
  std::string transport;
  std::string recipient;
  RecipientDelivery delivery;
  Time next_attempt{};
  std::string detail;
};

// May be called from any worker; must not block for long.
using SpoolerEventSink = std::function<void(const SpoolerEvent&)>;

}  // namespace bobbin

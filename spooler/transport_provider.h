// TransportProvider: gives messages to one messaging system (MAPI: IXPLogon).
//
//   TransportNotify(kBeginOutbound)
//     { SubmitMessage(message) -> kDone -> EndMessage }*       one message at a time
//   TransportNotify(kEndOutbound), destruction
//
// A provider serves the recipients it is offered and says what became of each. It
// never changes the store: the spooler commits all outcomes of an attempt, together
// with the queue's change, in one transaction.
//
// In doubt    Before the point of no return (SMTP: the final dot; a directory: the
//             rename; a program: the end of its input) the provider calls
//             OutboundMessage::MarkInDoubt, which returns when that is durable. If it
//             fails the provider stops without crossing the point. Afterwards every
//             marked recipient gets an outcome: a definite one, or kInDoubt when the
//             answer was lost.
// Delivery    At least once. EntryId + RecipientRowId is the same on every attempt, so
//             a system that can suppress duplicates may do it by them.
// Threads     A provider instance belongs to one spooler worker; only TransportNotify
//             (kCancelMessage) may come from another thread, and makes the running call
//             return soon.
// Errors      SubmitMessage does not throw and does not return Result: whatever goes
//             wrong is an outcome of the attempt. With kDone every recipient has an outcome;
//             with any other status no outcome was set and nothing was marked, or what was
//             marked has certainly not been handed over.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message_body.h"
#include "engine/recipient_table.h"
#include "engine/result.h"

namespace bobbin {

struct OutboundRecipient {
  RecipientRowId row;
  std::string address_type;  // Upper case, "SMTP".
  std::string address;       // As in the envelope, UTF-8 when internationalized.
  // False only when no earlier attempt can have delivered: what suppresses duplicates may then
  // spare itself the search.
  bool maybe_delivered = true;
};

enum class OutcomeKind : std::uint8_t {
  kNotServed,  // Not touched; another transport may try.
  kDelivered,
  kFailed,  // For good: report it.
  kRetryLater,
  kInDoubt,  // Handed over; the answer was lost.
};

struct RecipientOutcome {
  OutcomeKind kind = OutcomeKind::kNotServed;
  Reply reply;
  std::string remote_host;
};

// Pulls content in the form it is transmitted: CRLF line ends (a bare LF becomes CRLF, a
// bare CR a space), no Bcc header, no dot-stuffing. Pieces are valid until the next call.
class ContentSource {
 public:
  virtual ~ContentSource() = default;
  virtual Result<std::string_view> Next() = 0;  // Empty at the end.
  virtual void Rewind() = 0;
};

// One message during one SubmitMessage call; valid until EndMessage returns.
class OutboundMessage {
 public:
  virtual ~OutboundMessage() = default;

  virtual const EntryId& Id() const = 0;
  virtual std::string QueueId() const = 0;
  virtual Time SubmitTime() const = 0;
  virtual const std::string& ReversePath() const = 0;  // Empty: the null reverse-path.
  // Only those this provider is to serve: its own, responsibility FALSE.
  virtual const std::vector<OutboundRecipient>& Recipients() const = 0;
  virtual std::uint64_t ContentBytes() const = 0;  // As stored; transmitted may differ a little.
  virtual ContentSource& Content() = 0;

  virtual Result<void> MarkInDoubt(std::span<const RecipientRowId> rows) = 0;
  virtual void SetOutcome(RecipientRowId row, RecipientOutcome outcome) = 0;
};

enum class SubmitStatus : std::uint8_t {
  kDone,         // Outcomes are set; EndMessage follows.
  kBusy,         // Nothing was done; offer again soon (MAPI_E_BUSY).
  kNotMe,        // Nothing was done; another transport may take it (MAPI_E_NOT_ME).
  kUnavailable,  // The messaging system cannot be reached (MAPI_E_NETWORK_ERROR): the
                 // spooler holds everything for this transport back for a while.
  kCancelled,    // Stopped on request (MAPI_E_USER_CANCEL).
};

struct SubmitResult {
  SubmitStatus status = SubmitStatus::kDone;
  Reply reply;  // With kUnavailable: why, for every recipient offered.
  std::string remote_host;
  std::chrono::seconds retry_after{0};  // With kUnavailable: 0 = as the schedule says.
};

// EndMessage: the same values as MAPI's out flags.
enum class EndResult : std::uint32_t {
  kSent = 0,
  kResendNow = 0x10000,
  kResendLater = 0x20000,
  kDoNotResend = 0x40000,
};

enum class TransportNotification : std::uint32_t {
  kBeginOutbound = 0x2,
  kEndOutbound = 0x20000,
  kCancelMessage = 0x80000000,
};

class TransportProvider {
 public:
  virtual ~TransportProvider() = default;

  virtual std::string_view Name() const = 0;  // "smtp", for logs and `last attempt` rows.

  // Address types served, upper case. Empty: any type (put such a transport last).
  virtual std::vector<std::string> AddressTypes() const = 0;

  // Delivered means handed to another server, which is not told what the sender wants to know
  // (RFC 3461 5.2.2).
  virtual bool Relays() const { return false; }

  virtual SubmitResult SubmitMessage(OutboundMessage& message) = 0;
  virtual EndResult EndMessage() = 0;
  virtual void TransportNotify(TransportNotification notification) = 0;
};

// Makes one provider per spooler worker.
using TransportFactory = std::function<std::unique_ptr<TransportProvider>()>;

}  // namespace bobbin

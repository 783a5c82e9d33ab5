// TransportProvider: gives messages to one messaging system (MAPI: IXPLogon).
//
//   TransportLogon -> AddressTypes -> TransportNotify(kBeginOutbound [, kBeginInbound])
//     { SubmitMessage(message) -> kDone -> EndMessage }*      one message at a time
//     { Poll -> StartMessage }*, Idle*, FlushQueues*, ValidateState*
//   TransportNotify(kEndOutbound [, kEndInbound]) -> TransportLogoff -> destruction
//
// A provider serves the recipients it is offered and says what became of each. It never changes
// the store: the spooler commits all outcomes of an attempt, together with the queue's change, in
// one transaction (spooler/outbound_message.h). Only SubmitMessage and AddressTypes must be
// written; everything else has a body that does nothing.
//
// Delivery    At least once. EntryId + RecipientRowId is the same on every attempt, so a system
//             that can suppress duplicates may do it by them.
// Threads     A provider instance belongs to one spooler worker; only
// TransportNotify(kCancelMessage)
//             may come from another thread, and makes the running call return soon (C79).
// Errors      SubmitMessage does not throw and does not return Result: whatever goes wrong is an
//             outcome of the attempt. With kDone every recipient has an outcome; with any other
//             status the outcomes set are dropped unless they were saved, and what was marked in
//             doubt has certainly not been handed over.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message.h"
#include "spooler/outbound_message.h"
#include "spooler/transport_support.h"

namespace bobbin {

// How SubmitMessage ends, and what the spooler does (specification 4.17).
//
// Order (C48)  While a transport makes a message wait, nothing is offered to that transport: its
//              messages stay in order, and younger ones go to other transports meanwhile.
//                kBusy, kWait, kUnavailable  each time
//                kError, kResendLater        the first time, until the retry. After that the
//                                            message waits alone, because the message may be what
//                                            is wrong, and would stop all mail behind it for days.
//                kDoNotResend                never: the transport has taken the message aside in
//                                            order to go on, and when it asks for it is its secret.
//              OutcomeKind::kRetryLater is about a recipient and makes only that wait.
enum class SubmitStatus : std::uint8_t {
  kDone,         // S_OK: calls EndMessage.
  kBusy,         // MAPI_E_BUSY: offers again soon.
  kNotMe,        // MAPI_E_NOT_ME: offers to the next transport.
  kWait,         // MAPI_E_WAIT: offers again after `retry_after`; nobody's attempt counts.
  kUnavailable,  // MAPI_E_NETWORK_ERROR: the same, or, without `retry_after`, by the schedule;
                 // attempts count, and `reply` is kept for every recipient offered.
  kNotDeferred,  // MAPI_E_CANCEL: drops the deferral; never offers again in this session (C77).
  kCancelled,    // MAPI_E_USER_CANCEL: stops with this message.
  kError,        // Any other: after the first retry pause, then by the schedule; attempts count,
                 // and `reply` is kept.
};

struct SubmitResult {
  SubmitStatus status = SubmitStatus::kDone;
  Reply reply;
  std::string remote_host;
  std::chrono::seconds retry_after{0};
};

// EndMessage: the same values as MAPI's out flags.
enum class EndResult : std::uint32_t {
  kSent = 0,               // Who is left FALSE goes to the next transport.
  kResendNow = 0x10000,    // SubmitMessage again at once; at most 3 times, then as kResendLater.
  kResendLater = 0x20000,  // As after kError; nobody's attempt counts.
  kDoNotResend = 0x40000,  // Not before SpoolerNotify(kSentDeferred). A promise of this session:
                           // after a restart the message is offered as a new one.
};

enum class TransportNotification : std::uint32_t {
  kBeginInbound = 0x1,
  kBeginOutbound = 0x2,
  kBeginInboundFlush = 0x4,
  kBeginOutboundFlush = 0x8,
  kEndInbound = 0x10000,
  kEndOutbound = 0x20000,
  kEndInboundFlush = 0x40000,
  kEndOutboundFlush = 0x80000,
  kAbortDeferred = 0x40000000,  // The session ends; the deferred message stays queued (C78).
  kCancelMessage = 0x80000000,
  kCancelDeferred = 0xC0000000,  // Both: the deferred message has been aborted (C55).
};

struct NotificationData {
  std::uint32_t reference = 0;     // kCancelMessage: of the message in progress; 0: not set yet.
  std::optional<EntryId> message;  // kAbortDeferred, kCancelDeferred.
};

// TransportLogon: what a provider asks for, joined by |. Without it Idle and Poll are not called.
inline constexpr std::uint32_t kLogonIdle = 0x10000;
inline constexpr std::uint32_t kLogonPoll = 0x20000;

// FlushQueues, joined by |. The spooler itself acts on the first two.
inline constexpr std::uint32_t kFlushUpload = 0x2;
inline constexpr std::uint32_t kFlushDownload = 0x4;
inline constexpr std::uint32_t kFlushForce = 0x8;
inline constexpr std::uint32_t kFlushNoUi = 0x10;
inline constexpr std::uint32_t kFlushAsyncOk = 0x20;

class TransportProvider {
 public:
  virtual ~TransportProvider() = default;

  virtual std::string_view Name() const = 0;  // "smtp", for logs and `last attempt` rows.

  // MAPI: IXPProvider::TransportLogon. Returns what it asks for. An error: the transport is not
  // used in this session, and mail for it waits.
  virtual Result<std::uint32_t> TransportLogon(TransportSupport& support) {
    static_cast<void>(support);
    return 0;
  }
  virtual void TransportLogoff() {}

  // Address types served, upper case, and UIDs of recipients' entry identifiers. No type: any (put
  // such a transport last); one empty type: none by type. Asked at logon and after
  // SpoolerNotify(kConfigChange) (C64).
  virtual std::vector<std::string> AddressTypes() const = 0;
  virtual std::vector<std::string> Uids() const { return {}; }

  virtual SubmitResult SubmitMessage(OutboundMessage& message) = 0;
  virtual EndResult EndMessage(std::uint32_t reference) {
    static_cast<void>(reference);
    return EndResult::kSent;
  }
  virtual void TransportNotify(TransportNotification notification, const NotificationData& data) {
    static_cast<void>(notification), static_cast<void>(data);
  }

  virtual void Idle() {}
  virtual bool Poll() { return false; }  // True: StartMessage has something.
  // Fills `message`, an unread one in the Inbox that receives, and saves it: it has arrived.
  // Returning without a save: there was none. An error: it is lost, SpoolerNotify(kCriticalError)
  // comes with it.
  virtual Result<void> StartMessage(Message& message, std::uint32_t reference) {
    static_cast<void>(message), static_cast<void>(reference);
    return {};
  }
  // Sets its flush bits (TransportSupport::ModifyStatusRow); clears them when it has had enough.
  virtual void FlushQueues(std::uint32_t flags) { static_cast<void>(flags); }
  // True: its configuration has changed; AddressTypes is called again.
  virtual bool ValidateState() { return false; }
};

// Makes one provider per spooler worker.
using TransportFactory = std::function<std::unique_ptr<TransportProvider>()>;

}  // namespace bobbin

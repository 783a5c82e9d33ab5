// TransportSupport: what the spooler does for a transport provider (MAPI: IMAPISupport, as far as
// transports may call it; StatusRecips, which is told row by row, is
// OutboundMessage::StatusRecipient).
//
// Valid from TransportLogon until TransportLogoff has returned.
//
// Threads  SpoolerNotify, SpoolerYield: any. The others: the thread the provider is called on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine/entry_id.h"
#include "engine/result.h"
#include "engine/transport_profile.h"
#include "spooler/preprocessor.h"

namespace bobbin {

// MAPI: the flags of SpoolerNotify; may be joined by |.
namespace spooler_notification {
inline constexpr std::uint32_t kNewMail = 0x1;             // Call StartMessage when convenient.
inline constexpr std::uint32_t kReadyToSend = 0x2;         // It recovered: end its waiting.
inline constexpr std::uint32_t kSentDeferred = 0x4;        // Offer the deferred message again.
inline constexpr std::uint32_t kCriticalSection = 0x1000;  // Until kNonCritical: no Idle, no Poll.
inline constexpr std::uint32_t kNonCritical = 0x2000;
inline constexpr std::uint32_t kConfigChange = 0x4000;         // Call AddressTypes again.
inline constexpr std::uint32_t kCriticalError = 0x10000000;    // Call nothing more, but release.
inline constexpr std::uint32_t kNewMailReceived = 0x20000000;  // Of coupled stores only.
}  // namespace spooler_notification

enum class YieldResult : std::uint8_t {
  kContinue,
  kCancelMessage,  // MAPI_W_CANCEL_MESSAGE: serve no further recipient, return kCancelled (C80).
};

// Bits of the provider's status row that FlushQueues sets (PR_STATUS_CODE).
inline constexpr std::uint32_t kStatusInboundFlush = 0x40000;
inline constexpr std::uint32_t kStatusOutboundFlush = 0x400000;

class TransportSupport {
 public:
  virtual ~TransportSupport() = default;

  // `deferred`: with kSentDeferred, the message.
  //   kUnknownFlags      a bit that is none of the flags
  //   kInvalidParameter  kSentDeferred without a message or beside kCriticalError; kCriticalSection
  //                      beside kNonCritical; kNewMailReceived, which transports may not use
  //   kNotFound          kSentDeferred: this provider does not hold that message
  virtual Result<void> SpoolerNotify(std::uint32_t flags,
                                     const std::optional<EntryId>& deferred = std::nullopt) = 0;

  // To be called now and then inside long work.
  virtual YieldResult SpoolerYield() = 0;

  // Usually at logon. `match` as in engine/transport_profile.h (C101). Registered until logoff;
  // they run in the order they were registered, transports in transport order.
  virtual void RegisterPreprocessor(PreprocessorMatch match,
                                    std::unique_ptr<Preprocessor> preprocessor) = 0;

  // MAPI: ModifyStatusRow. The flush bits: the spooler goes on flushing while they are set.
  virtual void ModifyStatusRow(std::uint32_t status) = 0;
};

}  // namespace bobbin

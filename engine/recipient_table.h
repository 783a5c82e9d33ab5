// Recipient rows: the MAPI columns of one recipient, and the truth about its delivery.
//
//   state        responsibility  means
//   kPending     FALSE           not tried, or tried and to be tried again
//   kInDoubt     FALSE           handed over; the answer was lost (a crash, a broken
//                                connection after the final dot)
//   kDelivered   TRUE            accepted by the next hop, or stored
//   kFailed      TRUE            refused for good; a report was made or suppressed
//   kExpired     TRUE            given up after the retry time; reported likewise
//
// A state only moves down this list, except kInDoubt -> kPending when the policy is
// to send again. TRUE never becomes FALSE while the message is queued (C68).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/clock.h"
#include "engine/entry_id.h"
#include "engine/property.h"

namespace bobbin {

enum class RecipientState : std::uint8_t {  // Persisted.
  kPending = 0,
  kInDoubt = 1,
  kDelivered = 2,
  kFailed = 3,
  kExpired = 4,
};

std::string_view ToString(RecipientState state);  // "pending", "in doubt", ...

// What a server, program or file system last said about one recipient.
struct Reply {
  std::uint16_t code = 0;     // SMTP reply code; 0 = none was received.
  std::string enhanced_code;  // RFC 3463, "5.1.1"; empty when not given.
  std::string text;           // All lines, joined by '\n', without codes. At most 2,000 bytes.
};

struct RecipientDelivery {
  bool responsibility = false;  // PR_RESPONSIBILITY.
  RecipientState state = RecipientState::kPending;
  std::uint32_t attempts = 0;
  Time last_attempt{};  // Epoch = never.
  Time next_attempt{};  // Epoch = as soon as possible.
  Time completed{};     // When responsibility became TRUE.
  Reply last_reply;
  std::string remote_host;  // "mx1.example.com[192.0.2.1]:25", a path, a program.
  Time delay_reported{};    // When the sender was told that it takes long. Epoch = never.

  // In doubt, and no operator has said that it is to be sent again (OutgoingQueue::Release).
  bool AwaitsDecision() const {
    return !responsibility && state == RecipientState::kInDoubt && next_attempt != Time{};
  }
};

inline constexpr RecipientRowId kNoRecipientRow{0xFFFFFFFF};  // No row has it.

struct RecipientRow {
  RecipientRowId id = kNoRecipientRow;  // PR_ROWID. Ignored when a row is added.
  PropertyList properties;              // Without PR_ROWID and PR_RESPONSIBILITY.
  RecipientDelivery delivery;

  // PR_RECIPIENT_TYPE is 32 bits, some of them flags; the base type is what readers see.
  std::int64_t Type() const {
    return properties.NumberOr(pr::kRecipientType, kRecipientTo) & 0xFFFFFFFF;
  }
  std::int64_t BaseType() const { return Type() & ~kRecipientSubmitted; }
  std::string_view EmailAddress() const { return properties.BytesOr(pr::kEmailAddress, {}); }
  std::string_view AddressType() const { return properties.BytesOr(pr::kAddressType, {}); }
  std::string_view DisplayName() const { return properties.BytesOr(pr::kDisplayName, {}); }
};

using RecipientTable = std::vector<RecipientRow>;

inline constexpr std::uint32_t kRecipientCountMax = 10'000;

// A row for `address`, complete: address type SMTP, display name, search key
// ("SMTP:" + the address in upper case + NUL).
RecipientRow MakeSmtpRecipient(std::string_view address, std::int64_t recipient_type,
                               std::string_view display_name = {});

// PR_SEARCH_KEY of an address: upper case (ASCII), "TYPE:ADDRESS", terminating NUL.
std::string MakeSearchKey(std::string_view address_type, std::string_view address);

}  // namespace bobbin

// OutboundMessage: what a transport provider sees of a message during one SubmitMessage call.
//
// In doubt    Before the point of no return (SMTP: the final dot; a directory: the rename; a
//             program: the end of its input) the provider calls MarkInDoubt, which returns when
//             that is durable. If it fails the provider stops without crossing the point.
//             Afterwards every marked recipient gets an outcome: a definite one, or kInDoubt when
//             the answer was lost.
// The view    Recipients() are the provider's own. GetRecipientTable() shows all that readers may
//             see, those that are not the provider's with responsibility TRUE (ruling A3). What is
//             said of a row that is not the provider's is ignored (C87).
// Threads     The thread that SubmitMessage runs on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message_body.h"
#include "engine/recipient_table.h"
#include "engine/result.h"
#include "spooler/delivery_notification.h"

namespace bobbin {

struct OutboundRecipient {
  RecipientRowId row;
  std::string address_type;  // Upper case, "SMTP".
  std::string address;       // As in the envelope, UTF-8 when internationalized.
  // False only when no earlier attempt can have delivered: what suppresses duplicates may then
  // spare itself the search.
  bool maybe_delivered = true;
  RecipientNotification notification = {};  // What the sender wants to know of this recipient.
};

enum class OutcomeKind : std::uint8_t {
  kNotServed,  // Not touched; another transport may try.
  kDelivered,
  kFailed,  // For good: report it.
  kRetryLater,
  kInDoubt,  // Handed over; the answer was lost.
};

// To whom a delivered message went, and so who tells a sender that asked for success: whoever has
// taken that over, and nobody else (RFC 3461 5.2).
enum class DeliveredTo : std::uint8_t {
  kMailbox,         // Its last place here: the spooler reports "delivered".
  kRelay,           // Another server, which cannot be told: the spooler reports "relayed" (5.2.2).
  kNotifyingRelay,  // Another server, which has been told: it reports (5.2.1).
};

struct RecipientOutcome {
  OutcomeKind kind = OutcomeKind::kNotServed;
  Reply reply;
  std::string remote_host;
  DeliveredTo delivered_to = DeliveredTo::kMailbox;  // Of kDelivered.
};

// Pulls content in the form it is transmitted: CRLF line ends (a bare LF becomes CRLF, a
// bare CR a space; the last line has one, too), no Bcc header, no dot-stuffing. Pieces are valid
// until the next call.
class ContentSource {
 public:
  virtual ~ContentSource() = default;
  virtual Result<std::string_view> Next() = 0;  // Empty at the end.
  virtual void Rewind() = 0;
};

// Valid until EndMessage returns.
class OutboundMessage {
 public:
  virtual ~OutboundMessage() = default;

  virtual const EntryId& Id() const = 0;
  virtual std::string QueueId() const = 0;
  virtual Time SubmitTime() const = 0;
  virtual const std::string& ReversePath() const = 0;    // Empty: the null reverse-path.
  virtual MessageNotification Notification() const = 0;  // To be passed on where that is possible.
  // Only those this provider is to serve: its own, responsibility FALSE.
  virtual const std::vector<OutboundRecipient>& Recipients() const = 0;
  virtual RecipientTable GetRecipientTable() const = 0;
  virtual std::uint64_t ContentBytes() const = 0;  // As stored; transmitted may differ a little.
  virtual ContentSource& Content() = 0;

  // MAPI: the flag BEGIN_DEFERRED. This provider deferred the message (EndResult::kDoNotResend)
  // and has asked for it (SpoolerNotification::kSentDeferred).
  virtual bool BeginsDeferred() const = 0;
  // MAPI: the out parameter of SubmitMessage. 0 until it is set, which should be before any long
  // work: EndMessage and a cancellation (TransportNotify, on another thread) name it.
  virtual void SetReference(std::uint32_t reference) = 0;

  virtual Result<void> MarkInDoubt(std::span<const RecipientRowId> rows) = 0;
  // MAPI: IMAPISupport::StatusRecips, one row of its list, and ModifyRecipients with
  // PR_RESPONSIBILITY, as one: what is delivered or failed becomes TRUE and is reported in the
  // transaction that says so. The last outcome of a row counts.
  virtual void StatusRecipient(RecipientRowId row, RecipientOutcome outcome) = 0;
  // MAPI: SaveChanges on the message passed in. Makes what is delivered or failed so far durable,
  // with its reports; it stays so even if SubmitMessage then fails (C73). Needed only by a provider
  // that can fail after it has served a part; all outcomes are saved after EndMessage anyway.
  virtual Result<void> SaveChanges() = 0;
};

}  // namespace bobbin

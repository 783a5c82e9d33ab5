// From an RFC 5322 message and its envelope to a message ready for SubmitMessage: what the SMTP
// listener and `bobbin submit` share.
//
//   CreateMessage(outbox) -> [content streamed into a MessageBodyWriter] ->
//   ReadHeaders(first bytes) -> FillInternetSubmission -> SubmitMessage[Async]
//
// A caller that wants the queue id in front of the content (a Received field) creates the message
// itself, before the content comes: Message::Id() knows it from then on. Others call
// PrepareInternetSubmission, which does both.
//
// Content     Never changed here: no Message-ID, no Date is added, Bcc stays in the stored bytes
//             (and never leaves, spooler/transmitted_content.h).
// Durability  Nothing is stored before SubmitMessage.
// Threads     Any number, on messages of their own. Functions do not block.
// Errors      As CreateMessage, SetProps, ModifyRecipients and SetContent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/clock.h"
#include "engine/message.h"
#include "engine/message_store.h"
#include "spooler/delivery_notification.h"
#include "spooler/internet_message.h"

namespace bobbin {

// RFC 5321 3.6.3: more Received fields than this are taken for a loop.
inline constexpr std::size_t kReceivedCountMax = 100;

struct Envelope {
  std::string reverse_path;             // Without angle brackets; empty: the null reverse-path.
  std::vector<std::string> recipients;  // Checked addresses, in the order given.
  MessageNotification notification;
  // By position in `recipients`; those beyond its end ask for nothing.
  std::vector<RecipientNotification> recipient_notifications;
};

struct SubmissionOptions {
  // The folder it goes to when all recipients are served; absent: it is deleted then.
  std::optional<EntryId> sent_mail_entry_id;
  std::optional<Time> deferred_send_time;
};

// Sets on a message just created:
//   the properties of `summary`; values over kSummaryBytesMax are cut, the content has the whole
//   PR_SENDER_ADDRTYPE "SMTP", PR_SENDER_EMAIL_ADDRESS and PR_SENDER_NAME from the reverse-path:
//     present and empty for the null reverse-path
//   one recipient row per address of the envelope, in order, the first of those with the same
//     search key; type and display name as To and Cc of the header give them, else Bcc
//   what the envelope asks of reports (spooler/delivery_notification.h)
//   the content
inline constexpr std::size_t kSummaryBytesMax = 2'000;
Result<void> FillInternetSubmission(Message& message, const Envelope& envelope,
                                    const HeaderSummary& summary, MessageBody content,
                                    const SubmissionOptions& options = {});

// CreateMessage in the Outbox of `store`, then FillInternetSubmission.
Result<Message> PrepareInternetSubmission(MessageStore& store, const Envelope& envelope,
                                          const HeaderSummary& summary, MessageBody content,
                                          const SubmissionOptions& options = {});

// What a Received field tells (RFC 5321 4.4). Strings may be anything a client has sent.
struct ReceivedTrace {
  std::string from_name;     // As given in EHLO; empty: left out.
  std::string from_address;  // "192.0.2.1", "IPv6:2001:db8::1"; empty: left out.
  std::string by_name;       // This host.
  std::string protocol;      // "SMTP", "ESMTP", "UTF8SMTP", "local".
  std::string queue_id;      // Empty: left out.
  Time time{};
};

// One Received field, folded, complete with CRLF; printable ASCII but for UTF-8 names.
std::string MakeReceivedHeader(const ReceivedTrace& trace);

}  // namespace bobbin

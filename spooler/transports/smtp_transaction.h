// SmtpTransaction: one MAIL with its recipients and its content on a connection, and what became
// of each recipient.
//
//   Run:  MAIL, RCPT...  (in one go when PIPELINING is announced)
//         DATA           when at least one recipient was accepted
//         content        all but its end; then the accepted ones are marked in doubt
//         .              the point of no return
//
// What a sender wants to know goes with it when DSN is announced (RFC 3461 5.2.1), and nothing of
// it when it is not (5.2.2).
//
// Threads  One.
// Ownership  Borrows all it is given.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spooler/transport_provider.h"
#include "spooler/transports/smtp_connection.h"

namespace bobbin {

class SmtpTransaction {
 public:
  SmtpTransaction(SmtpConnection& connection, OutboundMessage& message,
                  std::span<const OutboundRecipient> recipients, std::string_view reverse_path)
      : connection_(connection),
        message_(message),
        recipients_(recipients),
        reverse_path_(reverse_path) {}

  // Once.
  void Run();

  const std::optional<Reply>& MailReply() const { return mail_; }
  bool IsMarked() const { return marked_; }
  // The connection can carry the next one.
  bool IsOver() const { return final_ && final_->code != 421; }

  // Once MAIL has been answered.
  RecipientOutcome Outcome(std::size_t i) const;

 private:
  bool SendEnvelope();
  std::string MailCommand(bool utf8) const;
  std::string RcptCommand(const OutboundRecipient& recipient, bool utf8) const;
  bool Accepted(std::size_t i) const;
  bool AnyAccepted() const;
  bool SendContent();
  bool MarkAccepted();
  RecipientOutcome ByReply(const Reply& reply) const;

  SmtpConnection& connection_;
  OutboundMessage& message_;
  std::span<const OutboundRecipient> recipients_;
  std::string_view reverse_path_;

  // A reply is absent when it has not come.
  std::optional<Reply> mail_;
  std::vector<Reply> rcpt_;  // In order.
  std::optional<Reply> data_;
  std::optional<Reply> final_;
  bool marked_ = false;     // The accepted recipients, in doubt.
  bool ended_ = false;      // The final dot has left this machine.
  std::string unreadable_;  // Why the content could not be read to its end.
  std::string unmarked_;    // Why the recipients could not be marked.
};

}  // namespace bobbin

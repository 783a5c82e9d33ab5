#include "spooler/transports/smtp_transaction.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/ascii.h"
#include "engine/check.h"
#include "spooler/delivery_notification.h"
#include "spooler/reply_text.h"

namespace bobbin {
namespace {

// An answer that is on its way is worth more than a message in doubt.
constexpr std::chrono::seconds kLastReplyGrace{5};

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

// Doubles dots at the beginning of lines (RFC 5321 4.5.2), wherever pieces begin.
class DotStuffing {
 public:
  void Add(std::string_view piece, std::string& out) {
    while (!piece.empty()) {
      if (at_line_start_ && piece.front() == '.') out.push_back('.');
      const std::size_t end = std::min(piece.find('\n'), piece.size() - 1) + 1;
      at_line_start_ = piece[end - 1] == '\n';
      out.append(piece.substr(0, end));
      piece.remove_prefix(end);
    }
  }
  bool AtLineStart() const { return at_line_start_; }

 private:
  bool at_line_start_ = true;
};

}  // namespace

void SmtpTransaction::Run() {
  if (!SendEnvelope() || !AnyAccepted() || !connection_.Send("DATA\r\n")) return;
  data_ = connection_.ReadReply();
  if (!data_ || data_->code != 354) return;
  if (!SendContent() || !MarkAccepted()) return connection_.Abandon();
  ended_ = connection_.Send(".\r\n", kLastReplyGrace);
  final_ = connection_.ReadReply(kLastReplyGrace);
}

// False: there is no use in going on.
bool SmtpTransaction::SendEnvelope() {
  const bool utf8 = connection_.Announces("SMTPUTF8") &&
                    (!IsAscii(reverse_path_) ||
                     std::any_of(recipients_.begin(), recipients_.end(), [](const auto& recipient) {
                       return !IsAscii(recipient.address);
                     }));
  std::vector<std::string> commands = {MailCommand(utf8)};
  for (const OutboundRecipient& recipient : recipients_) {
    commands.push_back(RcptCommand(recipient, utf8));
  }
  const std::size_t step = connection_.Announces("PIPELINING") ? commands.size() : 1;
  for (std::size_t at = 0; at < commands.size(); at += step) {
    std::string group;
    for (std::size_t i = at; i < at + step; ++i) group += commands[i];
    if (!connection_.Send(group)) return false;
    for (std::size_t i = at; i < at + step; ++i) {
      auto reply = connection_.ReadReply();
      if (!reply) return false;
      if (i > 0) {
        rcpt_.push_back(*std::move(reply));
        continue;
      }
      mail_ = std::move(reply);
      if (ReplyClass(*mail_) != 2) return false;
    }
  }
  return true;
}

std::string SmtpTransaction::MailCommand(bool utf8) const {
  return fmt::format("MAIL FROM:<{}>{}{}{}\r\n", reverse_path_,
                     connection_.Announces("8BITMIME") ? " BODY=8BITMIME" : "",
                     utf8 ? " SMTPUTF8" : "",
                     connection_.Announces("DSN") ? MailParameters(message_.Notification()) : "");
}

std::string SmtpTransaction::RcptCommand(const OutboundRecipient& recipient, bool utf8) const {
  return fmt::format(
      "RCPT TO:<{}>{}\r\n", recipient.address,
      connection_.Announces("DSN") ? RcptParameters(recipient.notification, utf8) : "");
}

bool SmtpTransaction::Accepted(std::size_t i) const {
  return i < rcpt_.size() && ReplyClass(rcpt_[i]) == 2;
}

bool SmtpTransaction::AnyAccepted() const {
  return std::any_of(rcpt_.begin(), rcpt_.end(),
                     [](const Reply& reply) { return ReplyClass(reply) == 2; });
}

// All of it but the final dot.
bool SmtpTransaction::SendContent() {
  ContentSource& content = message_.Content();
  content.Rewind();
  DotStuffing stuffing;
  std::string buffer;
  for (;;) {
    const auto piece = content.Next();
    if (!piece) {
      unreadable_ = ErrorName(piece.error().code);
      return false;
    }
    if (piece->empty()) break;
    stuffing.Add(*piece, buffer);
    if (buffer.size() < kBufferBytes) continue;
    if (!connection_.Send(buffer)) return false;
    buffer.clear();
  }
  BOBBIN_CHECK(stuffing.AtLineStart());  // Or the final dot would not be one.
  return connection_.Send(buffer);
}

bool SmtpTransaction::MarkAccepted() {
  std::vector<RecipientRowId> rows;
  for (std::size_t i = 0; i < recipients_.size(); ++i) {
    if (Accepted(i)) rows.push_back(recipients_[i].row);
  }
  const auto result = message_.MarkInDoubt(rows);
  if (!result) unmarked_ = ErrorName(result.error().code);
  marked_ = result.has_value();
  return marked_;
}

RecipientOutcome SmtpTransaction::ByReply(const Reply& reply) const {
  switch (ReplyClass(reply)) {
    case 2:
      return {OutcomeKind::kDelivered,
              reply,
              {},
              connection_.Announces("DSN") ? DeliveredTo::kNotifyingRelay : DeliveredTo::kRelay};
    case 5:
      return {OutcomeKind::kFailed, reply, {}};
    default:
      return {OutcomeKind::kRetryLater, reply, {}};
  }
}

RecipientOutcome SmtpTransaction::Outcome(std::size_t i) const {
  const auto later = [](std::string enhanced_code, std::string text) {
    return RecipientOutcome{
        OutcomeKind::kRetryLater, {0, std::move(enhanced_code), std::move(text)}, {}};
  };
  const std::string& trouble = connection_.Trouble();
  if (ReplyClass(*mail_) != 2) return ByReply(*mail_);
  if (i >= rcpt_.size()) {
    return later("4.4.2", "the connection was lost before this recipient: " + trouble);
  }
  if (!Accepted(i)) return ByReply(rcpt_[i]);
  if (!data_) return later("4.4.2", "the connection was lost before the content: " + trouble);
  if (data_->code != 354) {
    // A positive reply here takes nothing over: there was no content yet.
    const RecipientOutcome outcome = ByReply(*data_);
    return outcome.kind == OutcomeKind::kDelivered
               ? later("4.5.0", "the server answered DATA with a code other than 354")
               : outcome;
  }
  if (final_) {
    const int reply_class = ReplyClass(*final_);
    const bool definite = reply_class == 2 || reply_class == 4 || reply_class == 5;
    if (!definite) return {OutcomeKind::kInDoubt, *final_, {}};
    return ByReply(*final_);
  }
  if (!unmarked_.empty()) {
    return later("4.3.0",
                 "stopped before the end of the content: the attempt could not be recorded (" +
                     unmarked_ + ")");
  }
  if (!unreadable_.empty()) {
    return later("4.3.0", "the stored content could not be read (" + unreadable_ + ")");
  }
  if (!ended_) {
    return later("4.4.2", "the connection was lost while the content was sent: " + trouble);
  }
  return {OutcomeKind::kInDoubt,
          {0, "4.4.2", "no answer after the end of the content: " + trouble},
          {}};
}

}  // namespace bobbin

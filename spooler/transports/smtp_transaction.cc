#include "spooler/transports/smtp_transaction.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/check.h"
#include "spooler/reply_text.h"

namespace bobbin {
namespace {

// An answer that is on its way is worth more than a message in doubt.
constexpr std::chrono::seconds kLastReplyGrace{5};
// After a refused transaction libcurl says QUIT and waits for an answer nobody needs.
constexpr std::chrono::seconds kQuitPatience{5};

RecipientOutcome ByReply(const Reply& reply) {
  switch (ReplyClass(reply)) {
    case 2:
      return {OutcomeKind::kDelivered, reply, {}};
    case 5:
      return {OutcomeKind::kFailed, reply, {}};
    default:
      return {OutcomeKind::kRetryLater, reply, {}};
  }
}

}  // namespace

void SmtpTransaction::Attach(CURL* handle) {
  const auto set = [handle](CURLoption option, auto value) {
    const CURLcode code = curl_easy_setopt(handle, option, value);
    BOBBIN_CHECK(code == CURLE_OK);
  };
  void* const context = this;
  set(CURLOPT_READFUNCTION, &OnRead);
  set(CURLOPT_READDATA, context);
  set(CURLOPT_HEADERFUNCTION, &OnHeader);
  set(CURLOPT_HEADERDATA, context);
  set(CURLOPT_VERBOSE, 1L);  // Or OnDebug is not called.
  set(CURLOPT_DEBUGFUNCTION, &OnDebug);
  set(CURLOPT_DEBUGDATA, context);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
  set(CURLOPT_XFERINFODATA, context);
}

bool SmtpTransaction::Accepted(std::size_t i) const {
  const std::vector<Reply>& replies = conversation->RecipientReplies();
  return i < replies.size() && ReplyClass(replies[i]) == 2;
}

bool SmtpTransaction::MarkAccepted() {
  if (marked) return true;
  std::vector<RecipientRowId> rows;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    if (Accepted(i)) rows.push_back(recipients[i].row);
  }
  if (auto result = message->MarkInDoubt(rows); !result) {
    stop = Stop::kNotMarked;
    stop_detail = ErrorName(result.error().code);
    return false;
  }
  marked = true;
  return true;
}

std::size_t SmtpTransaction::OnRead(char* buffer, std::size_t size, std::size_t count,
                                    void* context) {
  auto& transaction = *static_cast<SmtpTransaction*>(context);
  if (transaction.piece.empty()) {
    auto piece = transaction.message->Content().Next();
    if (!piece) {
      transaction.stop = Stop::kContent;
      transaction.stop_detail = ErrorName(piece.error().code);
      return CURL_READFUNC_ABORT;
    }
    transaction.piece = *piece;
  }
  if (transaction.piece.empty()) {
    // Returning 0 lets libcurl send the final dot; it may ask again before it does.
    return transaction.MarkAccepted() ? 0 : CURL_READFUNC_ABORT;
  }
  const std::size_t bytes = std::min(size * count, transaction.piece.size());
  std::memcpy(buffer, transaction.piece.data(), bytes);
  transaction.piece.remove_prefix(bytes);
  return bytes;
}

int SmtpTransaction::OnDebug(CURL* /*handle*/, curl_infotype type, char* data, std::size_t size,
                             void* context) {
  SmtpConversation& conversation = *static_cast<SmtpTransaction*>(context)->conversation;
  if (type == CURLINFO_HEADER_OUT) conversation.OnCommand({data, size});
  if (type == CURLINFO_HEADER_IN) conversation.OnReplyLine({data, size});
  return 0;
}

// Called after OnDebug with the same line. Returning another size stops the transfer.
std::size_t SmtpTransaction::OnHeader(char* /*line*/, std::size_t size, std::size_t count,
                                      void* context) {
  auto& transaction = *static_cast<SmtpTransaction*>(context);
  const SmtpConversation& conversation = *transaction.conversation;
  if (!conversation.MailReply()) return size * count;
  if (transaction.needs_authentication && !conversation.Authenticated()) {
    transaction.stop = Stop::kNoAuthentication;
  } else if (transaction.needs_smtputf8 && !conversation.SmtpUtf8Announced()) {
    transaction.stop = Stop::kNoSmtpUtf8;
  }
  return transaction.stop == Stop::kNone ? size * count : 0;
}

// Called at least once a second. Returning another value than 0 stops the transfer.
int SmtpTransaction::OnProgress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transaction = *static_cast<SmtpTransaction*>(context);
  const std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
  if (transaction.conversation->QuitSent()) {
    if (!transaction.quit_since) transaction.quit_since = now;
    return now - *transaction.quit_since < kQuitPatience ? 0 : 1;
  }
  if (!transaction.cancelled->load()) return 0;
  if (!transaction.cancelled_since) transaction.cancelled_since = now;
  if (transaction.marked && now - *transaction.cancelled_since < kLastReplyGrace) return 0;
  transaction.stop = Stop::kCancelled;
  return 1;
}

RecipientOutcome SmtpTransaction::Outcome(std::size_t i, CURLcode code,
                                          const std::string& trouble) const {
  const auto later = [](std::string enhanced_code, std::string text) {
    return RecipientOutcome{
        OutcomeKind::kRetryLater, {0, std::move(enhanced_code), std::move(text)}, {}};
  };
  const SmtpConversation& said = *conversation;
  if (ReplyClass(*said.MailReply()) != 2) return ByReply(*said.MailReply());
  if (i >= said.RecipientReplies().size()) {
    return later("4.4.2", "the connection was lost before this recipient: " + trouble);
  }
  if (!Accepted(i)) return ByReply(said.RecipientReplies()[i]);
  if (!said.DataReply()) {
    return later("4.4.2", "the connection was lost before the content: " + trouble);
  }
  if (said.DataReply()->code != 354) {
    // A positive reply here takes nothing over: there was no content yet.
    const RecipientOutcome outcome = ByReply(*said.DataReply());
    return outcome.kind == OutcomeKind::kDelivered
               ? later("4.5.0", "the server answered DATA with a code other than 354")
               : outcome;
  }
  if (said.FinalReply() && marked) {
    const int reply_class = ReplyClass(*said.FinalReply());
    const bool definite = reply_class == 2 || reply_class == 4 || reply_class == 5;
    if (!definite) return {OutcomeKind::kInDoubt, *said.FinalReply(), {}};
    return ByReply(*said.FinalReply());
  }
  if (stop == Stop::kNotMarked) {
    return later("4.3.0",
                 "stopped before the end of the content: the attempt could not be "
                 "recorded (" +
                     stop_detail + ")");
  }
  if (stop == Stop::kContent) {
    return later("4.3.0", "the stored content could not be read (" + stop_detail + ")");
  }
  // A failed send means that the end of the content has not left this machine.
  if (!marked || code == CURLE_SEND_ERROR) {
    return later("4.4.2", "the connection was lost while the content was sent: " + trouble);
  }
  return {OutcomeKind::kInDoubt,
          {0, "4.4.2", "no answer after the end of the content: " + trouble},
          {}};
}

}  // namespace bobbin

#include "spooler/transports/smtp.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/ascii.h"
#include "engine/check.h"
#include "spooler/internet_message.h"
#include "spooler/reply_text.h"
#include "spooler/transports/smtp_connection.h"
#include "spooler/transports/smtp_transaction.h"

namespace bobbin {
namespace {

struct UrlCleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlCleanup>;

std::string UrlPart(CURLU* url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

std::string MachineName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' ? name : "localhost";
}

Reply LocalReply(std::string enhanced_code, std::string text) {
  return {0, std::move(enhanced_code), std::move(text)};
}

class SmtpTransport final : public TransportProvider {
 public:
  explicit SmtpTransport(SmtpSettings settings) : settings_(std::move(settings)) {}

  std::string_view Name() const override { return "smtp"; }
  std::vector<std::string> AddressTypes() const override { return {"SMTP"}; }
  SubmitResult SubmitMessage(OutboundMessage& message) override;
  void TransportNotify(TransportNotification notification,
                       const NotificationData& /*data*/) override {
    if (notification == TransportNotification::kCancelMessage) cancelled_ = true;
    if (notification == TransportNotification::kBeginOutbound) cancelled_ = false;
  }

 private:
  // The recipients of a message that are still without an outcome, and the outcomes so far.
  struct Attempt {
    OutboundMessage& message;
    std::vector<OutboundRecipient> waiting;
    bool anything_settled = false;

    void Settle(const OutboundRecipient& recipient, RecipientOutcome outcome, std::string host) {
      outcome.remote_host = std::move(host);
      message.StatusRecipient(recipient.row, std::move(outcome));
      anything_settled = true;
    }
  };

  void RefuseBadAddresses(Attempt& attempt) const;
  std::optional<SubmitResult> Transact(Attempt& attempt);
  std::optional<SubmitResult> Connect();
  void RefuseInternationalized(Attempt& attempt) const;
  bool IsAnonymous(const OutboundRecipient& recipient) const;
  SubmitResult Cancelled() const;
  SubmitResult Unavailable(std::optional<Reply> reply, const std::string& trouble) const;

  const SmtpSettings settings_;
  std::atomic<bool> cancelled_ = false;
  std::unique_ptr<SmtpConnection> connection_;
  std::string remote_host_;  // Of the last one.
};

SubmitResult SmtpTransport::SubmitMessage(OutboundMessage& message) {
  Attempt attempt{message, message.Recipients()};
  RefuseBadAddresses(attempt);
  std::optional<SubmitResult> result;
  while (!attempt.waiting.empty() && !result) {
    result = Transact(attempt);
  }
  cancelled_ = false;
  if (!result) return {};
  if (!attempt.anything_settled) return *result;
  // Part of the message is through already, so the rest is told one by one.
  for (const OutboundRecipient& recipient : attempt.waiting) {
    attempt.Settle(recipient, {OutcomeKind::kRetryLater, result->reply, {}}, result->remote_host);
  }
  return {};
}

// Addresses become part of commands as they are.
void SmtpTransport::RefuseBadAddresses(Attempt& attempt) const {
  std::vector<OutboundRecipient> good;
  const std::string& reverse_path = attempt.message.ReversePath();
  const auto sender = reverse_path.empty() ? Result<void>() : CheckAddress(reverse_path, true);
  for (OutboundRecipient& recipient : attempt.waiting) {
    const auto address = CheckAddress(recipient.address, true);
    if (!sender) {
      attempt.Settle(recipient,
                     {OutcomeKind::kFailed,
                      LocalReply("5.1.7", "bad sender address: " + sender.error().detail),
                      {}},
                     {});
    } else if (!address) {
      attempt.Settle(recipient,
                     {OutcomeKind::kFailed,
                      LocalReply("5.1.3", "bad recipient address: " + address.error().detail),
                      {}},
                     {});
    } else {
      good.push_back(std::move(recipient));
    }
  }
  attempt.waiting = std::move(good);
}

// Serves some of those waiting. A result: nothing came of it, and nothing would of more
// transactions.
std::optional<SubmitResult> SmtpTransport::Transact(Attempt& attempt) {
  if (connection_ && !connection_->IsQuiet()) connection_.reset();
  for (;;) {
    const bool reused = connection_ != nullptr;
    if (!reused) {
      if (auto unconnected = Connect()) return unconnected;
    }
    RefuseInternationalized(attempt);
    if (attempt.waiting.empty()) return std::nullopt;
    std::vector<OutboundRecipient>& waiting = attempt.waiting;
    const bool anonymous = IsAnonymous(waiting.front());
    const auto end = std::stable_partition(
        waiting.begin(), waiting.end(),
        [&](const auto& recipient) { return IsAnonymous(recipient) == anonymous; });
    const std::size_t count = std::min(static_cast<std::size_t>(end - waiting.begin()),
                                       settings_.options.recipient_count_max);

    SmtpTransaction transaction(*connection_, attempt.message, std::span(waiting).first(count),
                                anonymous ? std::string_view() : attempt.message.ReversePath());
    transaction.Run();
    // Whoever sees it only now that the server had closed the connection tries another one.
    const std::optional<Reply>& mail = transaction.MailReply();
    const bool cancelled = connection_->WasCancelled() && !transaction.IsMarked();
    if (reused && !cancelled && (!mail || mail->code == 421)) {
      connection_.reset();
      continue;
    }
    const bool served = mail && mail->code != 530 && !cancelled;
    for (std::size_t i = 0; served && i < count; ++i) {
      attempt.Settle(waiting[i], transaction.Outcome(i), remote_host_);
    }
    const std::string trouble = connection_->Trouble();
    if (!transaction.IsOver()) connection_.reset();
    if (cancelled) return Cancelled();
    if (!served) return Unavailable(mail, trouble);
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
    return std::nullopt;
  }
}

// A result: there is no session that could be used.
std::optional<SubmitResult> SmtpTransport::Connect() {
  auto connection = std::make_unique<SmtpConnection>(settings_, cancelled_);
  remote_host_ = connection->RemoteHost();
  if (connection->WasCancelled()) return Cancelled();
  if (!connection->IsOpen()) {
    std::optional<Reply> reply = connection->SessionReply();
    if (reply && ReplyClass(*reply) < 4) reply.reset();
    return Unavailable(std::move(reply), connection->Trouble());
  }
  if (!settings_.options.username.empty() && !connection->IsAuthenticated()) {
    return Unavailable(
        LocalReply("4.7.0", settings_.host_port + " does not offer authentication, and a user name "
                                                  "is configured for it"),
        {});
  }
  connection_ = std::move(connection);
  return std::nullopt;
}

void SmtpTransport::RefuseInternationalized(Attempt& attempt) const {
  if (connection_->Announces("SMTPUTF8")) return;
  const bool sender_ascii = IsAscii(attempt.message.ReversePath());
  std::vector<OutboundRecipient> rest;
  for (OutboundRecipient& recipient : attempt.waiting) {
    if ((sender_ascii || IsAnonymous(recipient)) && IsAscii(recipient.address)) {
      rest.push_back(std::move(recipient));
      continue;
    }
    attempt.Settle(
        recipient,
        {OutcomeKind::kFailed,
         LocalReply("5.6.7",
                    "the next hop does not support internationalized addresses (SMTPUTF8)"),
         {}},
        remote_host_);
  }
  attempt.waiting = std::move(rest);
}

// With the null reverse-path no server behind one that cannot be told NOTIFY=NEVER reports about
// the recipient (RFC 3461 5.2.2 (d)).
bool SmtpTransport::IsAnonymous(const OutboundRecipient& recipient) const {
  return recipient.notification.notify == NotifyRequest{} && !connection_->Announces("DSN");
}

SubmitResult SmtpTransport::Cancelled() const {
  return {SubmitStatus::kCancelled, LocalReply("4.3.2", "stopped on request"), remote_host_, {}};
}

// `reply`: the server's, if that says why.
SubmitResult SmtpTransport::Unavailable(std::optional<Reply> reply,
                                        const std::string& trouble) const {
  if (!reply) {
    reply =
        LocalReply("4.4.1", fmt::format("no session with {}: {}", settings_.host_port, trouble));
  }
  return {SubmitStatus::kUnavailable, *std::move(reply), remote_host_, {}};
}

}  // namespace

Result<TransportFactory> NewSmtpTransport(const SmtpOptions& options) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });

  const auto refuse = [](std::string detail) {
    return Fail(ErrorCode::kInvalidParameter, std::move(detail));
  };
  const Url url(curl_url());
  BOBBIN_CHECK(url != nullptr);
  SmtpSettings settings{options, {}, {}};
  if (curl_url_set(url.get(), CURLUPART_URL, options.next_hop_url.c_str(), 0) != CURLUE_OK) {
    return refuse("next hop: not a URL like smtp://host:port");
  }
  const std::string scheme = UrlPart(url.get(), CURLUPART_SCHEME);
  if (scheme != "smtp" && scheme != "smtps") return refuse("next hop: not smtp:// or smtps://");
  if (!UrlPart(url.get(), CURLUPART_USER).empty()) {
    return refuse("next hop: user name and password have options of their own");
  }
  if (UrlPart(url.get(), CURLUPART_PATH) != "/") return refuse("next hop: a path has no meaning");
  settings.host_port = fmt::format("{}:{}", UrlPart(url.get(), CURLUPART_HOST),
                                   UrlPart(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  const std::string name = options.ehlo_name.empty() ? MachineName() : options.ehlo_name;
  if (!IsAscii(name) || name.find_first_of(" \t\r\n") != std::string::npos) {
    return refuse("EHLO name: not a host name");
  }
  curl_url_set(url.get(), CURLUPART_PATH, ("/" + name).c_str(), CURLU_URLENCODE);
  settings.url = UrlPart(url.get(), CURLUPART_URL);
  if (options.recipient_count_max == 0) return refuse("recipients per transaction: 0");
  if (!options.username.empty() && options.sasl_mechanisms.empty()) {
    return refuse("a user name, but no SASL mechanism");
  }
  if (!options.ca_file.empty() && access(options.ca_file.c_str(), R_OK) != 0) {
    return refuse("CA file: " + options.ca_file + " cannot be read");
  }
  return TransportFactory([settings] { return std::make_unique<SmtpTransport>(settings); });
}

}  // namespace bobbin

#include "spooler/transports/smtp.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "engine/ascii.h"
#include "engine/check.h"
#include "spooler/internet_message.h"
#include "spooler/reply_text.h"
#include "spooler/transports/smtp_conversation.h"
#include "spooler/transports/smtp_transaction.h"

namespace bobbin {
namespace {

using Transaction = SmtpTransaction;
using Stop = SmtpTransaction::Stop;

struct EasyCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct UrlCleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Url = std::unique_ptr<CURLU, UrlCleanup>;
using List = std::unique_ptr<curl_slist, ListCleanup>;

// What the options say, checked and in the form libcurl takes.
struct Settings {
  SmtpOptions options;
  std::string url;        // With the EHLO name as its path, without user or password.
  std::string host_port;  // For people.
};

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
  explicit SmtpTransport(Settings settings)
      : settings_(std::move(settings)), handle_(curl_easy_init()) {
    BOBBIN_CHECK(handle_ != nullptr);
  }
  // libcurl says QUIT and then waits as long as for any reply. It still says it when it can no
  // longer read, but does not wait.
  ~SmtpTransport() override { Shutdown(SHUT_RD); }

  std::string_view Name() const override { return "smtp"; }
  bool Relays() const override { return true; }  // libcurl has no way to pass NOTIFY on.
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
      message.SetOutcome(recipient.row, std::move(outcome));
      anything_settled = true;
    }
  };

  void SetOptions(Transaction& transaction, const List& recipients);
  CURLcode Perform(Transaction& transaction);
  void Shutdown(int how) const;
  void RefuseBadAddresses(Attempt& attempt) const;
  std::optional<SubmitResult> Transact(Attempt& attempt, std::size_t count);
  SubmitResult Unavailable(const Transaction& transaction, CURLcode code) const;
  std::string RemoteHost() const;
  std::string Trouble(CURLcode code) const;

  const Settings settings_;
  std::unique_ptr<CURL, EasyCleanup> handle_;
  SmtpConversation conversation_;
  std::atomic<bool> cancelled_ = false;
  char error_[CURL_ERROR_SIZE] = {};
};

void SmtpTransport::SetOptions(Transaction& transaction, const List& recipients) {
  const SmtpOptions& options = settings_.options;
  CURL* handle = handle_.get();
  curl_easy_reset(handle);  // Keeps the connection.
  const auto set = [handle](CURLoption option, auto value) {
    const CURLcode code = curl_easy_setopt(handle, option, value);
    BOBBIN_CHECK(code == CURLE_OK);
  };
  set(CURLOPT_URL, settings_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(CURLOPT_PROXY, "");  // Not even when the environment names one.
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_MAXCONNECTS, 1L);
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_timeout.count()));
  set(CURLOPT_SERVER_RESPONSE_TIMEOUT, static_cast<long>(options.reply_timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.reply_timeout.count()));

  const bool required = options.tls == SmtpTls::kRequired || !options.username.empty();
  set(CURLOPT_USE_SSL, static_cast<long>(options.tls == SmtpTls::kOff ? CURLUSESSL_NONE
                                         : required                   ? CURLUSESSL_ALL
                                                                      : CURLUSESSL_TRY));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, options.verify_certificate ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, options.verify_certificate ? 2L : 0L);
  if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.username.empty()) {
    set(CURLOPT_USERNAME, options.username.c_str());
    set(CURLOPT_PASSWORD, options.password.c_str());
    std::string mechanisms;
    for (const std::string& name : options.sasl_mechanisms) mechanisms += ";AUTH=" + name;
    set(CURLOPT_LOGIN_OPTIONS, mechanisms.c_str() + 1);
  }

  set(CURLOPT_UPLOAD, 1L);
  const std::string& reverse_path = transaction.message->ReversePath();
  if (!reverse_path.empty()) set(CURLOPT_MAIL_FROM, reverse_path.c_str());  // Else "<>".
  set(CURLOPT_MAIL_RCPT, recipients.get());
  set(CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
  transaction.Attach(handle);
  set(CURLOPT_ERRORBUFFER, error_);
}

// Runs one transaction, a second time when only the connection was too old.
CURLcode SmtpTransport::Perform(Transaction& transaction) {
  List recipients;
  for (const OutboundRecipient& recipient : transaction.recipients) {
    curl_slist* longer = curl_slist_append(recipients.get(), recipient.address.c_str());
    BOBBIN_CHECK(longer != nullptr);
    (void)recipients.release();
    recipients.reset(longer);
  }
  for (bool fresh = false;; fresh = true) {
    transaction.message->Content().Rewind();
    transaction.piece = {};
    conversation_.BeginTransaction();
    error_[0] = '\0';
    SetOptions(transaction, recipients);
    curl_easy_setopt(handle_.get(), CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
    const CURLcode code = curl_easy_perform(handle_.get());
    // After a timeout libcurl would use the connection again, and take the late reply for that
    // of the next command.
    if (code != CURLE_OK && !conversation_.FinalReply()) Shutdown(SHUT_RDWR);
    // A session that starts with MAIL is an old one; on a new one the greeting comes first.
    const std::optional<Reply>& mail = conversation_.MailReply();
    const bool reused =
        !conversation_.SessionReply() && (conversation_.MailSent() || code == CURLE_SEND_ERROR);
    const bool stale = reused && (!mail || mail->code == 421) && transaction.stop == Stop::kNone;
    if (!stale || fresh) return code;
  }
}

// Of the connection kept for the next message, if there is one.
void SmtpTransport::Shutdown(int how) const {
  curl_socket_t connection = CURL_SOCKET_BAD;
  curl_easy_getinfo(handle_.get(), CURLINFO_ACTIVESOCKET, &connection);
  if (connection != CURL_SOCKET_BAD) shutdown(connection, how);
}

SubmitResult SmtpTransport::SubmitMessage(OutboundMessage& message) {
  Attempt attempt{message, message.Recipients()};
  RefuseBadAddresses(attempt);
  std::optional<SubmitResult> result;
  while (!attempt.waiting.empty() && !result) {
    result =
        Transact(attempt, std::min(attempt.waiting.size(), settings_.options.recipient_count_max));
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

// libcurl writes addresses into commands as they are.
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

// Serves the first `count` of those waiting. A result: nothing came of it, and nothing would of
// more transactions.
std::optional<SubmitResult> SmtpTransport::Transact(Attempt& attempt, std::size_t count) {
  Transaction transaction;
  transaction.message = &attempt.message;
  transaction.recipients = std::span(attempt.waiting).first(count);
  transaction.conversation = &conversation_;
  transaction.cancelled = &cancelled_;
  const bool sender_ascii = IsAscii(attempt.message.ReversePath());
  const auto needs_smtputf8 = [&](const OutboundRecipient& recipient) {
    return !sender_ascii || !IsAscii(recipient.address);
  };
  transaction.needs_smtputf8 =
      std::any_of(transaction.recipients.begin(), transaction.recipients.end(), needs_smtputf8);
  transaction.needs_authentication = !settings_.options.username.empty();

  const CURLcode code = Perform(transaction);
  if (transaction.stop == Stop::kCancelled && !transaction.marked) {
    return SubmitResult{
        SubmitStatus::kCancelled, LocalReply("4.3.2", "stopped on request"), RemoteHost(), {}};
  }
  if (transaction.stop == Stop::kNoSmtpUtf8) {
    std::vector<OutboundRecipient> rest;
    for (const OutboundRecipient& recipient : attempt.waiting) {
      if (!needs_smtputf8(recipient)) {
        rest.push_back(recipient);
        continue;
      }
      attempt.Settle(
          recipient,
          {OutcomeKind::kFailed,
           LocalReply("5.6.7",
                      "the next hop does not support internationalized addresses (SMTPUTF8)"),
           {}},
          RemoteHost());
    }
    attempt.waiting = std::move(rest);
    return std::nullopt;
  }
  const std::optional<Reply>& mail = conversation_.MailReply();
  if (!mail || mail->code == 530 || transaction.stop == Stop::kNoAuthentication) {
    return Unavailable(transaction, code);
  }
  for (std::size_t i = 0; i < count; ++i) {
    attempt.Settle(attempt.waiting[i], transaction.Outcome(i, code, Trouble(code)), RemoteHost());
  }
  attempt.waiting.erase(attempt.waiting.begin(),
                        attempt.waiting.begin() + static_cast<std::ptrdiff_t>(count));
  return std::nullopt;
}

SubmitResult SmtpTransport::Unavailable(const Transaction& transaction, CURLcode code) const {
  Reply reply;
  const std::optional<Reply>& mail = conversation_.MailReply();
  const std::optional<Reply>& session = conversation_.SessionReply();
  if (transaction.stop == Stop::kNoAuthentication) {
    reply = LocalReply("4.7.0", fmt::format("{} does not offer authentication, and a user name "
                                            "is configured for it",
                                            settings_.host_port));
  } else if (mail) {
    reply = *mail;
  } else if (session && ReplyClass(*session) >= 4) {
    reply = *session;
  } else {
    reply = LocalReply("4.4.1",
                       fmt::format("no session with {}: {}", settings_.host_port, Trouble(code)));
  }
  return {SubmitStatus::kUnavailable, std::move(reply), RemoteHost(), {}};
}

std::string SmtpTransport::Trouble(CURLcode code) const {
  const std::string_view text = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
  return PrintableLine(text, CURL_ERROR_SIZE);
}

// "mx.example.com[192.0.2.1]:25" once there is a connection.
std::string SmtpTransport::RemoteHost() const {
  const char* address = nullptr;
  long port = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_PRIMARY_IP, &address);
  curl_easy_getinfo(handle_.get(), CURLINFO_PRIMARY_PORT, &port);
  if (address == nullptr || address[0] == '\0') return settings_.host_port;
  const std::size_t colon = settings_.host_port.rfind(':');
  return fmt::format("{}[{}]:{}", settings_.host_port.substr(0, colon), address, port);
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
  Settings settings{options, {}, {}};
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

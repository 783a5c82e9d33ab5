#include "spooler/transports/smtp.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

#include "engine/check.h"
#include "spooler/internet_message.h"
#include "spooler/reply_text.h"
#include "spooler/transports/smtp_conversation.h"

namespace bobbin {
namespace {

using SteadyClock = std::chrono::steady_clock;

// An answer that is on its way is worth more than a message in doubt.
constexpr std::chrono::seconds kLastReplyGrace{5};
// After a refused transaction libcurl says QUIT and waits for an answer nobody needs.
constexpr std::chrono::seconds kQuitPatience{5};

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

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
}

// Why a transaction was stopped by us.
enum class Stop : std::uint8_t {
  kNone,
  kCancelled,
  kNotMarked,
  kContent,
  kNoSmtpUtf8,
  kNoAuthentication,
};

// One SMTP transaction: some recipients of one message, and what libcurl calls back about them.
struct Transaction {
  OutboundMessage* message = nullptr;
  std::span<const OutboundRecipient> recipients;
  SmtpConversation* conversation = nullptr;
  const std::atomic<bool>* cancelled = nullptr;
  bool needs_smtputf8 = false;
  bool needs_authentication = false;

  Stop stop = Stop::kNone;
  std::string stop_detail;
  std::string_view piece;  // Of the content, not yet taken by libcurl.
  bool marked = false;
  std::optional<SteadyClock::time_point> cancelled_since;
  std::optional<SteadyClock::time_point> quit_since;

  bool Accepted(std::size_t i) const {
    const std::vector<Reply>& replies = conversation->RecipientReplies();
    return i < replies.size() && ReplyClass(replies[i]) == 2;
  }

  bool MarkAccepted() {
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
};

std::size_t OnRead(char* buffer, std::size_t size, std::size_t count, void* context) {
  auto& transaction = *static_cast<Transaction*>(context);
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

int OnDebug(CURL* /*handle*/, curl_infotype type, char* data, std::size_t size, void* context) {
  SmtpConversation& conversation = *static_cast<Transaction*>(context)->conversation;
  if (type == CURLINFO_HEADER_OUT) conversation.OnCommand({data, size});
  if (type == CURLINFO_HEADER_IN) conversation.OnReplyLine({data, size});
  return 0;
}

// Called after OnDebug with the same line. Returning another size stops the transfer.
std::size_t OnHeader(char* /*line*/, std::size_t size, std::size_t count, void* context) {
  auto& transaction = *static_cast<Transaction*>(context);
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
int OnProgress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transaction = *static_cast<Transaction*>(context);
  const SteadyClock::time_point now = SteadyClock::now();
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

Reply LocalReply(std::string enhanced_code, std::string text) {
  return {0, std::move(enhanced_code), std::move(text)};
}

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
  std::vector<std::string> AddressTypes() const override { return {"SMTP"}; }
  SubmitResult SubmitMessage(OutboundMessage& message) override;
  EndResult EndMessage() override { return EndResult::kSent; }
  void TransportNotify(TransportNotification notification) override {
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
  RecipientOutcome Outcome(const Transaction& transaction, std::size_t i, CURLcode code) const;
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
  set(CURLOPT_READFUNCTION, &OnRead);
  set(CURLOPT_READDATA, static_cast<void*>(&transaction));
  set(CURLOPT_HEADERFUNCTION, &OnHeader);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transaction));
  set(CURLOPT_VERBOSE, 1L);
  set(CURLOPT_DEBUGFUNCTION, &OnDebug);
  set(CURLOPT_DEBUGDATA, static_cast<void*>(&transaction));
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
  set(CURLOPT_XFERINFODATA, static_cast<void*>(&transaction));
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
    attempt.Settle(attempt.waiting[i], Outcome(transaction, i, code), RemoteHost());
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

// What became of recipient `i` of a transaction in which MAIL was answered.
RecipientOutcome SmtpTransport::Outcome(const Transaction& transaction, std::size_t i,
                                        CURLcode code) const {
  const auto later = [](std::string enhanced_code, std::string text) {
    return RecipientOutcome{
        OutcomeKind::kRetryLater, LocalReply(std::move(enhanced_code), std::move(text)), {}};
  };
  const SmtpConversation& said = conversation_;
  if (ReplyClass(*said.MailReply()) != 2) return ByReply(*said.MailReply());
  if (i >= said.RecipientReplies().size()) {
    return later("4.4.2", "the connection was lost before this recipient: " + Trouble(code));
  }
  if (!transaction.Accepted(i)) return ByReply(said.RecipientReplies()[i]);
  if (!said.DataReply()) {
    return later("4.4.2", "the connection was lost before the content: " + Trouble(code));
  }
  if (said.DataReply()->code != 354) {
    // A positive reply here takes nothing over: there was no content yet.
    const RecipientOutcome outcome = ByReply(*said.DataReply());
    return outcome.kind == OutcomeKind::kDelivered
               ? later("4.5.0", "the server answered DATA with a code other than 354")
               : outcome;
  }
  if (said.FinalReply() && transaction.marked) {
    const RecipientOutcome outcome = ByReply(*said.FinalReply());
    const bool definite = ReplyClass(*said.FinalReply()) != 3;
    return definite ? outcome : RecipientOutcome{OutcomeKind::kInDoubt, outcome.reply, {}};
  }
  if (transaction.stop == Stop::kNotMarked) {
    return later("4.3.0",
                 "stopped before the end of the content: the attempt could not be "
                 "recorded (" +
                     transaction.stop_detail + ")");
  }
  if (transaction.stop == Stop::kContent) {
    return later("4.3.0", "the stored content could not be read (" + transaction.stop_detail + ")");
  }
  // A failed send means that the end of the content has not left this machine.
  if (!transaction.marked || code == CURLE_SEND_ERROR) {
    return later("4.4.2", "the connection was lost while the content was sent: " + Trouble(code));
  }
  return {OutcomeKind::kInDoubt,
          LocalReply("4.4.2", "no answer after the end of the content: " + Trouble(code)),
          {}};
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

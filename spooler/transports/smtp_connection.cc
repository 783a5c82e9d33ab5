#include "spooler/transports/smtp_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "engine/ascii.h"
#include "engine/check.h"
#include "spooler/reply_text.h"

namespace bobbin {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kReplyBytesMax = std::size_t{64} << 10;  // Then the connection is lost.
constexpr std::size_t kReplyBytesKept = std::size_t{8} << 10;  // More is read but not kept.
constexpr milliseconds kLookAround{250};  // How often a wait looks whether it is cancelled.

}  // namespace

SmtpConnection::SmtpConnection(const SmtpSettings& settings, const std::atomic<bool>& cancelled)
    : settings_(settings), cancelled_(cancelled), handle_(curl_easy_init()) {
  BOBBIN_CHECK(handle_ != nullptr);
  SetOptions();
  const CURLcode code = curl_easy_perform(handle_.get());
  expects_extensions_ = false;
  lines_.clear();
  if (code == CURLE_OK) {
    open_ = true;
  } else {
    Lose(code);
  }
}

// libcurl says no QUIT for a connection it has given away.
SmtpConnection::~SmtpConnection() {
  std::size_t sent = 0;
  static constexpr std::string_view kQuit = "QUIT\r\n";
  if (open_) (void)curl_easy_send(handle_.get(), kQuit.data(), kQuit.size(), &sent);
}

void SmtpConnection::SetOptions() {
  const SmtpOptions& options = settings_.options;
  CURL* handle = handle_.get();
  const auto set = [handle](CURLoption option, auto value) {
    const CURLcode code = curl_easy_setopt(handle, option, value);
    BOBBIN_CHECK(code == CURLE_OK);
  };
  set(CURLOPT_URL, settings_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(CURLOPT_CONNECT_ONLY, 1L);  // For SMTP that includes EHLO, STARTTLS and AUTH.
  set(CURLOPT_PROXY, "");         // Not even when the environment names one.
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_timeout.count()));
  set(CURLOPT_SERVER_RESPONSE_TIMEOUT, static_cast<long>(options.reply_timeout.count()));

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

  void* const context = this;
  set(CURLOPT_VERBOSE, 1L);  // Or OnDebug is not called.
  set(CURLOPT_DEBUGFUNCTION, &OnDebug);
  set(CURLOPT_DEBUGDATA, context);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
  set(CURLOPT_XFERINFODATA, context);
  set(CURLOPT_ERRORBUFFER, error_);
}

// While libcurl makes the session this shows what it says and hears, a reply line at a time.
int SmtpConnection::OnDebug(CURL* /*handle*/, curl_infotype type, char* data, std::size_t size,
                            void* context) {
  auto& connection = *static_cast<SmtpConnection*>(context);
  if (connection.open_) return 0;
  if (type == CURLINFO_HEADER_OUT) connection.OnCommand({data, size});
  if (type == CURLINFO_HEADER_IN) {
    if (auto reply = connection.TakeReplyLine({data, size})) {
      connection.session_reply_ = std::move(reply);
    }
  }
  return 0;
}

// Called at least once a second. Returning another value than 0 stops libcurl.
int SmtpConnection::OnProgress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<SmtpConnection*>(context)->MustStop({}) ? 1 : 0;
}

void SmtpConnection::OnCommand(std::string_view command) {
  lines_.clear();
  expects_extensions_ = command.starts_with("EHLO ");
  if (expects_extensions_ || command.starts_with("HELO ")) {
    // The first one, or after STARTTLS: nothing said before counts.
    authenticated_ = false;
    extensions_.clear();
  } else if (command.starts_with("AUTH ")) {
    authenticated_ = true;  // If it fails, libcurl fails.
  }
}

// The reply, when `line` is its last one.
std::optional<Reply> SmtpConnection::TakeReplyLine(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  const bool is_reply =
      line.size() >= 3 && IsDigit(line[0]) && IsDigit(line[1]) && IsDigit(line[2]);
  if (!is_reply) return std::nullopt;
  // Behind the first line, which greets, each line of the answer to EHLO names an extension.
  if (expects_extensions_ && !lines_.empty() && line.size() > 4) {
    const std::string_view words = line.substr(4);
    extensions_.insert(UpperCase(words.substr(0, words.find(' '))));
  }
  if (lines_.size() + line.size() < kReplyBytesKept) {
    if (!lines_.empty()) lines_.push_back('\n');
    lines_.append(line);
  }
  const bool last = line.size() == 3 || line[3] == ' ';
  if (!last) return std::nullopt;
  return ParseReply(std::exchange(lines_, {}));
}

bool SmtpConnection::MustStop(std::chrono::seconds grace) {
  if (!cancelled_.load()) {
    cancelled_since_.reset();
    return false;
  }
  const SteadyTime now = steady_clock::now();
  if (!cancelled_since_) cancelled_since_ = now;
  was_cancelled_ = now - *cancelled_since_ >= grace;
  return was_cancelled_;
}

// False: it was cancelled, or `deadline` is over.
bool SmtpConnection::Wait(short events, SteadyTime deadline, std::chrono::seconds grace) {
  const SteadyTime now = steady_clock::now();
  if (MustStop(grace)) {
    Lose("stopped on request");
    return false;
  }
  if (now >= deadline) {
    Lose("nothing within the time limit");
    return false;
  }
  curl_socket_t socket = CURL_SOCKET_BAD;
  curl_easy_getinfo(handle_.get(), CURLINFO_ACTIVESOCKET, &socket);
  pollfd descriptor{socket, events, 0};
  const auto rest = std::chrono::ceil<milliseconds>(deadline - now);
  (void)poll(&descriptor, 1, static_cast<int>(std::min(rest, kLookAround).count()));
  return true;
}

void SmtpConnection::Lose(CURLcode code) {
  Lose(error_[0] != '\0' ? error_ : curl_easy_strerror(code));
}

void SmtpConnection::Lose(std::string_view trouble) {
  open_ = false;
  trouble_ = PrintableLine(trouble, CURL_ERROR_SIZE);
}

bool SmtpConnection::IsQuiet() {
  char byte = 0;
  std::size_t received = 0;
  return open_ && input_.empty() && lines_.empty() &&
         curl_easy_recv(handle_.get(), &byte, 1, &received) == CURLE_AGAIN;
}

bool SmtpConnection::Send(std::string_view data, std::chrono::seconds grace) {
  if (!open_) return false;
  if (MustStop(grace)) {
    Lose("stopped on request");
    return false;
  }
  SteadyTime deadline = steady_clock::now() + settings_.options.reply_timeout;
  while (!data.empty()) {
    std::size_t sent = 0;
    const CURLcode code = curl_easy_send(handle_.get(), data.data(), data.size(), &sent);
    if (code == CURLE_AGAIN) {
      if (!Wait(POLLOUT, deadline, grace)) return false;
      continue;
    }
    if (code != CURLE_OK) {
      Lose(code);
      return false;
    }
    data.remove_prefix(sent);
    deadline = steady_clock::now() + settings_.options.reply_timeout;
  }
  return true;
}

std::optional<Reply> SmtpConnection::ReadReply(std::chrono::seconds grace) {
  const SteadyTime deadline = steady_clock::now() + settings_.options.reply_timeout;
  std::size_t bytes = 0;
  while (open_) {
    std::size_t end = 0;
    while ((end = input_.find('\n')) != std::string::npos) {
      auto reply = TakeReplyLine(std::string_view(input_).substr(0, end));
      input_.erase(0, end + 1);
      if (reply) return reply;
    }
    if (bytes > kReplyBytesMax) {
      Lose("a reply without an end");
      break;
    }
    char buffer[4096];
    std::size_t received = 0;
    const CURLcode code = curl_easy_recv(handle_.get(), buffer, sizeof(buffer), &received);
    if (code == CURLE_AGAIN) {
      (void)Wait(POLLIN, deadline, grace);
    } else if (code != CURLE_OK) {
      Lose(code);
    } else if (received == 0) {
      Lose("the server closed the connection");
    } else {
      input_.append(buffer, received);
      bytes += received;
    }
  }
  return std::nullopt;
}

std::string SmtpConnection::RemoteHost() const {
  const char* address = nullptr;
  long port = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_PRIMARY_IP, &address);
  curl_easy_getinfo(handle_.get(), CURLINFO_PRIMARY_PORT, &port);
  if (address == nullptr || address[0] == '\0') return settings_.host_port;
  const std::size_t colon = settings_.host_port.rfind(':');
  return fmt::format("{}[{}]:{}", settings_.host_port.substr(0, colon), address, port);
}

}  // namespace bobbin

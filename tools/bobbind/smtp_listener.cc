#include "tools/bobbind/smtp_listener.h"

#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/write.hpp>
#include <charconv>
#include <utility>

#include "tools/bobbind/smtp_connection.h"

namespace bobbin::daemon {
namespace {

using asio::ip::tcp;

constexpr int kThreadCount = 2;
// Behind a proxy every message is a connection; a short queue costs seconds at 50 at once.
constexpr int kBacklog = 1'024;
constexpr std::chrono::milliseconds kAcceptRetryTime{100};
constexpr std::chrono::seconds kRoomInterval{1};

std::string ToText(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  const std::string port = ":" + std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + address + "]" + port : address + port;
}

// The address a client is known by: IPv4 in its own form, no scope.
std::string ClientAddress(const asio::ip::address& address) {
  if (!address.is_v6()) return address.to_string();
  asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  v6.scope_id(0);
  return v6.to_string();
}

}  // namespace

Result<tcp::endpoint> ParseListenAddress(const std::string& text) {
  const auto bad = [&] {
    return Fail(ErrorCode::kInvalidParameter, "'" + text +
                                                  "' is not an address to listen on; write "
                                                  "127.0.0.1:2525 or [::1]:2525");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad();
  std::string host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  asio::error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error || address.is_v6() != bracketed) return bad();
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data() + colon + 1, end, port);
  if (problem != std::errc() || stop != end) return bad();
  return tcp::endpoint(address, port);
}

SmtpListener::Acceptor::Acceptor(asio::io_context& io)
    : socket(asio::make_strand(io)), retry(socket.get_executor()) {}

SmtpListener::SmtpListener(SmtpListenerOptions options, MessageStore store, EventLog& log,
                           std::function<void(const Error&)> on_store_failed)
    : options_(std::move(options)),
      service_{.store = std::move(store),
               .limits = options_.limits,
               .hostname = options_.hostname,
               .log = log,
               .on_store_failed = std::move(on_store_failed)},
      io_(std::make_shared<asio::io_context>(kThreadCount)),
      work_(asio::make_work_guard(*io_)),
      room_timer_(asio::make_strand(*io_)) {}

Result<std::unique_ptr<SmtpListener>> SmtpListener::Open(
    SmtpListenerOptions options, MessageStore store, EventLog& log,
    std::function<void(const Error&)> on_store_failed) {
  std::unique_ptr<SmtpListener> listener(
      new SmtpListener(std::move(options), std::move(store), log, std::move(on_store_failed)));
  for (const std::string& address : listener->options_.addresses) {
    RETURN_IF_ERROR(listener->Bind(address));
  }
  return listener;
}

SmtpListener::~SmtpListener() {
  // Not stopped, but run dry: handlers that never ran would keep their connection, and it this.
  Shutdown();
  work_.reset();
  for (std::thread& thread : threads_) thread.join();
}

Result<void> SmtpListener::Bind(const std::string& address) {
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseListenAddress(address));
  auto acceptor = std::make_unique<Acceptor>(*io_);
  asio::error_code error;
  acceptor->socket.open(endpoint.protocol(), error);
  if (!error) acceptor->socket.set_option(tcp::acceptor::reuse_address(true), error);
  // [::] and 0.0.0.0 can then be listened on side by side, and a client has one form of address.
  if (!error && endpoint.address().is_v6()) {
    acceptor->socket.set_option(asio::ip::v6_only(true), error);
  }
  if (!error) acceptor->socket.bind(endpoint, error);
  if (!error) acceptor->socket.listen(kBacklog, error);
  if (error) {
    return Fail(ErrorCode::kNetworkError, "cannot listen on " + address + ": " + error.message() +
                                              "; choose another address with --listen, or stop "
                                              "what uses this one");
  }
  acceptors_.push_back(std::move(acceptor));
  return {};
}

std::vector<std::string> SmtpListener::Addresses() const {
  std::vector<std::string> addresses;
  for (const auto& acceptor : acceptors_) {
    asio::error_code ignored;
    addresses.push_back(ToText(acceptor->socket.local_endpoint(ignored)));
  }
  return addresses;
}

void SmtpListener::Start() {
  MeasureRoom();
  for (const auto& acceptor : acceptors_) Accept(*acceptor);
  for (int i = 0; i < kThreadCount; ++i) {
    threads_.emplace_back([this] { io_->run(); });
  }
}

void SmtpListener::Accept(Acceptor& acceptor) {
  acceptor.socket.async_accept(asio::make_strand(*io_),
                               [this, &acceptor](asio::error_code error, tcp::socket socket) {
                                 OnAccept(acceptor, error, std::move(socket));
                               });
}

void SmtpListener::OnAccept(Acceptor& acceptor, asio::error_code error, tcp::socket socket) {
  if (!acceptor.socket.is_open()) return;
  if (!error) {
    Welcome(std::move(socket));
    Accept(acceptor);
    return;
  }
  // Most likely no descriptor is left: wait until connections have ended.
  service_.log.Write(LogLevel::kWarning, "accept-failed", {{"error", error.message()}});
  acceptor.retry.expires_after(kAcceptRetryTime);
  acceptor.retry.async_wait([this, &acceptor](asio::error_code cancelled) {
    if (!cancelled && acceptor.socket.is_open()) Accept(acceptor);
  });
}

void SmtpListener::Welcome(tcp::socket socket) {
  asio::error_code error;
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) return;  // Gone already.
  socket.set_option(tcp::no_delay(true), error);
  SmtpClient client;
  client.address = ClientAddress(remote.address());
  client.trusted = options_.trusted_clients.Contains(client.address);

  std::unique_lock lock(mutex_);
  if (shutdown_) return;
  if (connections_.size() >= options_.limits.connections_max) {
    lock.unlock();
    service_.log.Write(LogLevel::kWarning, "too-many-connections", {{"client", client.address}});
    TurnAway(std::move(socket));
    return;
  }
  // The key is known only when the connection is; the callback runs later, on its strand.
  auto key = std::make_shared<SmtpConnection*>(nullptr);
  const auto connection = std::make_shared<SmtpConnection>(
      io_, std::move(socket), std::move(client), service_, [this, key] {
        const std::lock_guard guard(mutex_);
        connections_.erase(*key);
      });
  *key = connection.get();
  connections_.emplace(connection.get(), connection);
  connection->Start();
}

void SmtpListener::TurnAway(tcp::socket socket) {
  auto open = std::make_shared<tcp::socket>(std::move(socket));
  auto reply = std::make_shared<std::string>("421 4.7.0 " + options_.hostname +
                                             " has too many connections; try again later\r\n");
  asio::async_write(*open, asio::buffer(*reply), [open, reply](asio::error_code, std::size_t) {
    asio::error_code ignored;
    open->shutdown(tcp::socket::shutdown_both, ignored);
  });
}

void SmtpListener::MeasureRoom() {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(options_.database, error);
  // What cannot be measured is left to the store to refuse.
  std::uint64_t free = error ? UINT64_MAX : space.available;
  const std::uint64_t least = options_.disk_free_bytes_min;
  if (free <= least && options_.free_bytes) free = options_.free_bytes().value_or(free);
  service_.room_bytes = free > least ? free - least : 0;
  {
    const std::lock_guard lock(mutex_);
    if (shutdown_) return;
  }
  room_timer_.expires_after(kRoomInterval);
  room_timer_.async_wait([this](asio::error_code cancelled) {
    if (!cancelled) MeasureRoom();
  });
}

std::vector<std::shared_ptr<SmtpConnection>> SmtpListener::Connections() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<SmtpConnection>> connections;
  for (const auto& [key, weak] : connections_) {
    if (auto connection = weak.lock()) connections.push_back(std::move(connection));
  }
  return connections;
}

void SmtpListener::Shutdown() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(shutdown_, true)) return;
  }
  for (const auto& acceptor : acceptors_) {
    asio::post(acceptor->socket.get_executor(), [&acceptor = *acceptor] {
      asio::error_code ignored;
      acceptor.socket.close(ignored);
      acceptor.retry.cancel();
    });
  }
  asio::post(room_timer_.get_executor(), [this] { room_timer_.cancel(); });
  for (const auto& connection : Connections()) connection->Shutdown();
}

void SmtpListener::End() {
  for (const auto& connection : Connections()) connection->End();
}

bool SmtpListener::IsDrained() const {
  const std::lock_guard lock(mutex_);
  return connections_.empty();
}

}  // namespace bobbin::daemon

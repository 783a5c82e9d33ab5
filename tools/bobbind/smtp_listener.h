// SmtpListener: takes mail over SMTP and puts it into the outgoing queue of one message store.
//
//   Open (addresses are bound) -> Start -> Shutdown -> [End] -> IsDrained -> destruction
//
// Shutdown   Stops accepting. Idle sessions are answered 421 at once; sessions inside a
//            transaction may finish it. End answers 421 to these, too; commits under way are
//            still answered.
// Full disk  Looked at once a second: MAIL is answered 452 with less than disk_free_bytes_min
//            free.
// Store      When a commit's outcome is unknown, its client is answered 451 and on_store_failed
//            is called: shut down, and open the database anew.
// Threads    Two of its own, which never wait for the store; functions may be called from any.
// Ownership  Borrows the log. The destructor waits until it is drained.
// Errors     kInvalidParameter  an address is malformed
//            kNetworkError      it cannot be bound; the detail says why and what to do
#pragma once

#ifndef ASIO_STANDALONE
#define ASIO_STANDALONE
#endif
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/message_store.h"
#include "tools/bobbind/client_networks.h"
#include "tools/bobbind/event_log.h"
#include "tools/bobbind/smtp_limits.h"
#include "tools/bobbind/smtp_service.h"

namespace bobbin::daemon {

class SmtpConnection;

struct SmtpListenerOptions {
  std::vector<std::string> addresses;  // "127.0.0.1:2525", "[::1]:2525"; port 0: any.
  SmtpLimits limits;
  std::string hostname;
  ClientNetworks trusted_clients;
  std::filesystem::path database;  // Whose disk is looked at.
  // Asked when that is short: what can be written all the same.
  std::function<Result<std::uint64_t>()> free_bytes;
  std::uint64_t disk_free_bytes_min = 0;
};

//   kInvalidParameter
Result<asio::ip::tcp::endpoint> ParseListenAddress(const std::string& text);

class SmtpListener {
 public:
  static Result<std::unique_ptr<SmtpListener>> Open(
      SmtpListenerOptions options, MessageStore store, EventLog& log,
      std::function<void(const Error&)> on_store_failed);
  SmtpListener(const SmtpListener&) = delete;
  SmtpListener& operator=(const SmtpListener&) = delete;
  ~SmtpListener();

  std::vector<std::string> Addresses() const;  // With the real ports.

  void Start();
  void Shutdown();
  void End();
  bool IsDrained() const;

 private:
  struct Acceptor {
    explicit Acceptor(asio::io_context& io);
    asio::ip::tcp::acceptor socket;
    asio::steady_timer retry;
  };

  SmtpListener(SmtpListenerOptions options, MessageStore store, EventLog& log,
               std::function<void(const Error&)> on_store_failed);
  Result<void> Bind(const std::string& address);
  void Accept(Acceptor& acceptor);
  void OnAccept(Acceptor& acceptor, asio::error_code error, asio::ip::tcp::socket socket);
  void Welcome(asio::ip::tcp::socket socket);
  void TurnAway(asio::ip::tcp::socket socket);
  void MeasureRoom();
  std::vector<std::shared_ptr<SmtpConnection>> Connections() const;

  SmtpListenerOptions options_;
  SmtpService service_;
  const std::shared_ptr<asio::io_context> io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  asio::steady_timer room_timer_;

  mutable std::mutex mutex_;
  bool shutdown_ = false;
  std::unordered_map<SmtpConnection*, std::weak_ptr<SmtpConnection>> connections_;

  std::vector<std::thread> threads_;
};

}  // namespace bobbin::daemon

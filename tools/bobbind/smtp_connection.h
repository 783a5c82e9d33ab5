// SmtpConnection: one client's socket, between an SmtpSession and the store.
//
//   read -> session steps -> replies written -> read ...
//             |  '- content -> IncomingMessage; a flush, the end or the commit under way: no step
//             |     and no read until it is done, so what a client can make us hold is bounded
//             '- closed: replies written, sending side shut down, the client's rest drained for
//                at most a second (a reset would take the last reply from the client)
//
// Vanished    A client that goes before its end of data leaves nothing queued; one that goes after
//             it has its message queued, and may send it again: it never saw the answer.
// Time limit  limits.idle for each read and each write; not while the store is at work.
// Threads     Handlers run on the socket's strand. Shutdown and End may be called from any thread.
// Ownership   Keeps itself alive until the socket and the store are done with it; borrows the
//             service.
#pragma once

#ifndef ASIO_STANDALONE
#define ASIO_STANDALONE
#endif
#include <array>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/bobbind/incoming_message.h"
#include "tools/bobbind/smtp_service.h"
#include "tools/bobbind/smtp_session.h"

namespace bobbin::daemon {

class SmtpConnection : public std::enable_shared_from_this<SmtpConnection> {
 public:
  // `socket` has a strand of `io` for its executor. `on_end` is called once, on it.
  SmtpConnection(std::shared_ptr<asio::io_context> io, asio::ip::tcp::socket socket,
                 SmtpClient client, SmtpService& service, std::function<void()> on_end);

  void Start();
  void Shutdown();  // 421, at once or when the transaction is over.
  void End();       // 421 at once; a commit under way is still answered.

 private:
  void Process();
  void Continue();
  void StartRead();
  void StartWrite();
  void Linger();
  void Die();
  void StartTimer(std::chrono::steady_clock::duration time);
  void OnTimer();

  void BeginContent();
  void StoreContent(std::string_view content);
  void EndContent(std::string_view content);
  void FailContent(const Error& error);
  void NoteFailure(std::string_view event, const Error& error);

  // A completion that runs `action` with what the store reports, on the strand, then goes on.
  template <class T>
  std::function<void(Result<T>)> OnStrand(void (SmtpConnection::*action)(Result<T>));
  void OnFlushed(Result<void> result);
  void OnFinished(Result<MessageBody> body);
  void OnSubmitted(Result<void> result);
  void Resume();

  // A completion of the store may still be inside asio when its effect, seen by all others, was
  // the last thing the listener waited for.
  const std::shared_ptr<asio::io_context> io_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  SmtpService& service_;
  std::function<void()> on_end_;
  SmtpSession session_;
  std::optional<IncomingMessage> incoming_;

  std::array<char, 16'384> buffer_;
  std::string_view input_;  // Of buffer_, not yet taken by the session.
  std::string output_;      // Being written.
  bool reading_ = false;
  bool writing_ = false;
  bool storing_ = false;  // The store is at work for this connection.
  bool lingering_ = false;
  bool end_requested_ = false;
  bool dead_ = false;
};

}  // namespace bobbin::daemon

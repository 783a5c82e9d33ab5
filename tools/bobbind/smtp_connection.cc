#include "tools/bobbind/smtp_connection.h"

#include <asio/post.hpp>
#include <asio/write.hpp>
#include <utility>

namespace bobbin::daemon {
namespace {

using Kind = SmtpStep::Kind;
constexpr std::chrono::seconds kLingerTime{1};

}  // namespace

SmtpConnection::SmtpConnection(std::shared_ptr<asio::io_context> io, asio::ip::tcp::socket socket,
                               SmtpClient client, SmtpService& service,
                               std::function<void()> on_end)
    : io_(std::move(io)),
      socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      service_(service),
      on_end_(std::move(on_end)),
      session_(service.limits, service.hostname, std::move(client)) {}

void SmtpConnection::Start() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->session_.Greet();
    self->Continue();
  });
}

void SmtpConnection::Shutdown() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->session_.Shutdown();
    self->Continue();
  });
}

void SmtpConnection::End() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->end_requested_ = true;
    self->Resume();
  });
}

// --- Bytes ---

void SmtpConnection::Process() {
  while (!storing_) {
    session_.SetRoom(service_.room_bytes.load(std::memory_order_relaxed));
    const SmtpStep step = session_.Step(input_);
    switch (step.kind) {
      case Kind::kBeginContent:
        BeginContent();
        break;
      case Kind::kContent:
        StoreContent(step.content);
        break;
      case Kind::kAbandonContent:
        incoming_.reset();
        break;
      case Kind::kEndContent:
        EndContent(step.content);
        break;
      case Kind::kNeedInput:
      case Kind::kWait:
      case Kind::kClose:
        Continue();
        return;
    }
  }
  Continue();
}

void SmtpConnection::Continue() {
  if (dead_ || writing_) return;
  output_ += session_.TakeReplies();
  if (!output_.empty()) {
    StartWrite();
  } else if (storing_) {
    timer_.cancel();
  } else if (session_.IsClosed()) {
    Linger();
  } else if (!reading_) {
    StartRead();
  }
}

void SmtpConnection::StartRead() {
  reading_ = true;
  if (!lingering_) StartTimer(service_.limits.idle);
  socket_.async_read_some(asio::buffer(buffer_),
                          [self = shared_from_this()](asio::error_code error, std::size_t size) {
                            self->reading_ = false;
                            if (self->dead_) return;
                            if (error) {
                              self->Die();
                            } else if (self->lingering_) {
                              self->StartRead();
                            } else {
                              self->input_ = std::string_view(self->buffer_.data(), size);
                              self->Process();
                            }
                          });
}

void SmtpConnection::StartWrite() {
  writing_ = true;
  StartTimer(service_.limits.idle);
  asio::async_write(socket_, asio::buffer(output_),
                    [self = shared_from_this()](asio::error_code error, std::size_t /*size*/) {
                      self->writing_ = false;
                      self->output_.clear();
                      if (error) {
                        self->Die();
                      } else {
                        self->Continue();
                      }
                    });
}

void SmtpConnection::Linger() {
  if (lingering_) return;
  lingering_ = true;
  asio::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  StartTimer(kLingerTime);
  if (!reading_) StartRead();
}

void SmtpConnection::Die() {
  if (!std::exchange(dead_, true)) {
    timer_.cancel();
    asio::error_code ignored;
    socket_.close(ignored);
    if (session_.InTransaction() && !storing_) {
      service_.log.Write(LogLevel::kInfo, "client-gone",
                         {{"client", session_.Client().address},
                          {"from", "<" + session_.CurrentEnvelope().reverse_path + ">"}});
    }
  }
  if (storing_) return;  // Resume comes back here.
  incoming_.reset();
  if (on_end_) std::exchange(on_end_, nullptr)();
}

void SmtpConnection::StartTimer(std::chrono::steady_clock::duration time) {
  timer_.expires_after(time);
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->OnTimer();
  });
}

void SmtpConnection::OnTimer() {
  // An expiry may have been on its way when the timer was set anew.
  if (dead_ || timer_.expiry() > std::chrono::steady_clock::now()) return;
  if (writing_ || lingering_) {
    Die();
  } else if (!storing_) {
    session_.Close("4.4.2", "idle for too long; connect again");
    Continue();
  }
}

// --- Content ---

void SmtpConnection::BeginContent() {
  Result<IncomingMessage> incoming =
      IncomingMessage::Begin(service_.store, session_, service_.hostname);
  if (!incoming) return FailContent(incoming.error());
  incoming_.emplace(*std::move(incoming));
  session_.AcceptContent();
}

void SmtpConnection::StoreContent(std::string_view content) {
  const Result<bool> flush_due = incoming_->Append(content);
  if (!flush_due) return FailContent(flush_due.error());
  if (*flush_due) incoming_->Flush(OnStrand(&SmtpConnection::OnFlushed));
}

void SmtpConnection::EndContent(std::string_view content) {
  const Result<bool> flush_due = incoming_->Append(content);
  if (!flush_due) return OnSubmitted(tl::unexpected<Error>(flush_due.error()));
  incoming_->Finish(OnStrand(&SmtpConnection::OnFinished));  // Flushes what is due.
}

void SmtpConnection::FailContent(const Error& error) {
  NoteFailure("content-failed", error);
  incoming_.reset();
  session_.FailContent(ReplyFor(error));
}

template <class T>
std::function<void(Result<T>)> SmtpConnection::OnStrand(void (SmtpConnection::*action)(Result<T>)) {
  storing_ = true;
  return [self = shared_from_this(), action](Result<T> result) {
    asio::post(self->socket_.get_executor(), [self, action, result = std::move(result)]() mutable {
      self->storing_ = false;
      (self.get()->*action)(std::move(result));
      self->Resume();
    });
  };
}

void SmtpConnection::OnFlushed(Result<void> result) {
  if (!result) FailContent(result.error());
}

void SmtpConnection::OnFinished(Result<MessageBody> body) {
  if (!body) return OnSubmitted(tl::unexpected<Error>(std::move(body).error()));
  incoming_->Submit(*std::move(body), OnStrand(&SmtpConnection::OnSubmitted));
}

void SmtpConnection::OnSubmitted(Result<void> result) {
  const Envelope& envelope = incoming_->GetEnvelope();
  if (result) {
    service_.log.Write(LogLevel::kInfo, "queued",
                       {{"id", incoming_->QueueId()},
                        {"from", "<" + envelope.reverse_path + ">"},
                        {"recipients", std::to_string(envelope.recipients.size())},
                        {"bytes", std::to_string(incoming_->Bytes())},
                        {"client", incoming_->Client().address},
                        {"hello", incoming_->Client().hello}});
    session_.AnswerContent({250, "2.0.0", "queued as " + incoming_->QueueId()});
  } else {
    NoteFailure("submit-failed", result.error());
    session_.AnswerContent(ReplyFor(result.error()));
  }
  incoming_.reset();
}

void SmtpConnection::Resume() {
  if (storing_) return;
  if (dead_) return Die();
  if (end_requested_) session_.Close("4.3.2", "is shutting down; connect again later");
  Process();
}

void SmtpConnection::NoteFailure(std::string_view event, const Error& error) {
  service_.log.Write(error.code == ErrorCode::kTooComplex ? LogLevel::kWarning : LogLevel::kError,
                     event,
                     {{"error", ToString(error)},
                      {"client", session_.Client().address},
                      {"from", "<" + session_.CurrentEnvelope().reverse_path + ">"}});
  if (error.code == ErrorCode::kStoreFailed) service_.on_store_failed(error);
}

}  // namespace bobbin::daemon

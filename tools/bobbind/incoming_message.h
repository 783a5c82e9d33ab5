// IncomingMessage: a message from DATA to its durable commit.
//
//   Begin -> Append... -> Finish -> (on completion) Submit -> (on completion) queued
//
// The stored content is one Received field, then the client's bytes. Dropping the object at any
// point before Submit leaves nothing in the queue; rows written ahead are collected later.
//
// Threads     One at a time. Completions come on a thread of the database, or from inside the call.
// Ownership   Must outlive the completions of Flush and Finish.
// Errors      Those of the engine; ReplyFor turns them into what the client is told.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/message_store.h"
#include "spooler/internet_submission.h"
#include "tools/bobbind/smtp_reply.h"
#include "tools/bobbind/smtp_session.h"

namespace bobbin::daemon {

class IncomingMessage {
 public:
  // The envelope, client and protocol of `session` as they are now.
  static Result<IncomingMessage> Begin(MessageStore& store, const SmtpSession& session,
                                       std::string_view hostname);

  // True: Flush must complete before the next call.
  Result<bool> Append(std::string_view content);
  void Flush(std::function<void(Result<void>)> done) { writer_.FlushAsync(std::move(done)); }
  void Finish(std::function<void(Result<MessageBody>)> done) {
    bytes_ = writer_.Bytes();
    writer_.FinishAsync(std::move(done));
  }

  // kTooComplex: more Received fields than kReceivedCountMax.
  void Submit(MessageBody body, std::function<void(Result<void>)> done);

  const std::string& QueueId() const { return queue_id_; }
  const Envelope& GetEnvelope() const { return envelope_; }
  const SmtpClient& Client() const { return client_; }
  std::uint64_t Bytes() const { return bytes_; }  // Stored; known after Finish.

 private:
  IncomingMessage(Message message, MessageBodyWriter writer);

  Message message_;
  MessageBodyWriter writer_;
  std::uint64_t bytes_ = 0;
  std::string queue_id_;
  Envelope envelope_;
  SmtpClient client_;
  std::string head_;  // The client's first bytes, for ReadHeaders.
};

SmtpReply ReplyFor(const Error& error);

}  // namespace bobbin::daemon

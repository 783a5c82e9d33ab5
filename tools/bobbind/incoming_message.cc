#include "tools/bobbind/incoming_message.h"

#include <algorithm>

namespace bobbin::daemon {

SmtpReply ReplyFor(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotEnoughDisk:
      return {452, "4.3.1", "disk is full; try again later"};
    case ErrorCode::kTooBig:
      return {552, "5.3.4", "message is too large to be stored; send less"};
    case ErrorCode::kTooComplex:
      return {554, "5.4.6", "too many Received fields, mail is looping; check the forwarding"};
    case ErrorCode::kStoreFailed:
      return {451, "4.3.0", "cannot tell whether the message was stored; send it again later"};
    default:
      return {451, "4.3.0", "cannot store the message; send it again later"};
  }
}

IncomingMessage::IncomingMessage(Message message, MessageBodyWriter writer)
    : message_(std::move(message)), writer_(std::move(writer)) {}

Result<IncomingMessage> IncomingMessage::Begin(MessageStore& store, const SmtpSession& session,
                                               std::string_view hostname) {
  // Draws an id from a block in memory; a new block, once in thousands, costs one commit.
  ASSIGN_OR_RETURN(Message message, store.CreateMessage(store.Folders().outbox));
  ASSIGN_OR_RETURN(const EntryId id, message.Id());
  IncomingMessage incoming(std::move(message), store.NewContent());
  incoming.queue_id_ = ToQueueId(MessageId{id.Object()});
  incoming.envelope_ = session.CurrentEnvelope();
  incoming.client_ = session.Client();
  const std::string& address = incoming.client_.address;
  const bool ipv6 = address.find(':') != std::string::npos;
  const std::string received = MakeReceivedHeader({
      .from_name = incoming.client_.hello,
      .from_address = ipv6 ? "IPv6:" + address : address,
      .by_name = std::string(hostname),
      .protocol = session.Protocol(),
      .queue_id = incoming.queue_id_,
      .time = std::chrono::system_clock::now(),
  });
  RETURN_IF_ERROR(incoming.writer_.Append(received));
  return incoming;
}

Result<bool> IncomingMessage::Append(std::string_view content) {
  head_ += content.substr(0, kHeaderBytesMax - std::min(head_.size(), kHeaderBytesMax));
  return writer_.AppendNoWait(content);
}

void IncomingMessage::Submit(MessageBody body, std::function<void(Result<void>)> done) {
  const HeaderSummary summary = ReadHeaders(head_);
  if (summary.received_count > kReceivedCountMax) {
    done(Fail(ErrorCode::kTooComplex, std::to_string(summary.received_count) + " Received fields"));
    return;
  }
  Result<void> filled = FillInternetSubmission(message_, envelope_, summary, std::move(body));
  if (!filled) {
    done(std::move(filled));
    return;
  }
  message_.SubmitMessageAsync(0, std::move(done));
}

}  // namespace bobbin::daemon

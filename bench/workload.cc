#include "bench/workload.h"

#include <algorithm>
#include <random>
#include <utility>

#include "bench/measure.h"

namespace bobbin::bench {
namespace {

constexpr std::size_t kInFlightWhileLoading = 1'024;

std::string MakeContent() {
  std::string content =
      "From: Ada Example <ada@sender.test>\r\n"
      "To: Grace Example <grace@recipient.test>, Barbara Example <barbara@recipient.test>\r\n"
      "Cc: Frances Example <frances@recipient.test>\r\n"
      "Subject: The report of the third quarter, with figures\r\n"
      "Date: Mon, 02 Feb 2026 15:04:05 +0000\r\n"
      "Message-ID: <20260202150405.1234@sender.test>\r\n"
      "MIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\n"
      "\r\n";
  const std::size_t end = content.size() + kBodyBytes;
  std::minstd_rand random(1);
  std::uniform_int_distribution<int> letter('a', 'z');
  while (content.size() + 72 <= end) {
    for (int i = 0; i < 70; ++i) content += static_cast<char>(letter(random));
    content += "\r\n";
  }
  content.append(end - content.size() - 2, 'x');
  content += "\r\n";
  return content;
}

}  // namespace

Workload::Workload() : content_(MakeContent()) {
  InitializeInternetMessage();
  summary_ = ReadHeaders(content_);
}

Message Workload::Compose(MessageStore& store, std::uint64_t number) const {
  Message message = Require(store.CreateMessage(store.Folders().outbox));
  const EntryId id = Require(message.Id());
  ReceivedTrace trace;
  trace.from_name = "client.sender.test";
  trace.from_address = "192.0.2.1";
  trace.by_name = "mail.bobbin.test";
  trace.protocol = "ESMTP";
  trace.queue_id = ToQueueId(MessageId{id.Object()});
  trace.time = SystemClock().Now();
  MessageBodyWriter writer = store.NewContent();
  Require(writer.Append(MakeReceivedHeader(trace)));
  Require(writer.Append(content_));
  Envelope envelope;
  envelope.reverse_path = "ada@sender.test";
  envelope.recipients = {"grace@recipient.test", "barbara@recipient.test",
                         "list-" + std::to_string(number % 1'000) + "@recipient.test"};
  Require(FillInternetSubmission(message, envelope, summary_, Require(writer.Finish())));
  return message;
}

std::vector<MessageId> Workload::Load(StoreUnderTest& tested, std::uint64_t count) const {
  std::vector<MessageId> ids;
  ids.reserve(count);
  InFlight on_their_way(kInFlightWhileLoading);
  for (std::uint64_t i = 0; i < count; ++i) {
    Message message = Compose(tested.Store(), i);
    ids.push_back(MessageId{Require(message.Id()).Object()});
    on_their_way.Begin();
    message.SubmitMessageAsync(0, [&on_their_way](Result<void> outcome) {
      Require(std::move(outcome));
      on_their_way.End();
    });
  }
  on_their_way.WaitForAll();
  return ids;
}

}  // namespace bobbin::bench

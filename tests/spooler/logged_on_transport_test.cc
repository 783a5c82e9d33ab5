// The spooler's side of one transport (spooler/logged_on_transport.h), without a spooler.
#include "spooler/logged_on_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <thread>

#include "tests/spooler/memory_message.h"

namespace bobbin {
namespace {

// Never returns by itself: only when it is told to.
class WaitingTransport final : public TransportProvider {
 public:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool told = false;
    bool entered = false;
    bool forgotten = false;
  };
  explicit WaitingTransport(Shared& shared) : shared_(shared) {}

  std::string_view Name() const override { return "waiting"; }
  std::vector<std::string> AddressTypes() const override { return {"SMTP"}; }
  SubmitResult SubmitMessage(OutboundMessage&) override {
    std::unique_lock lock(shared_.mutex);
    shared_.entered = true;
    shared_.forgotten =
        !shared_.changed.wait_for(lock, std::chrono::seconds(1), [&] { return shared_.told; });
    return {SubmitStatus::kCancelled, {}, {}, {}};
  }
  void TransportNotify(TransportNotification what, const NotificationData&) override {
    if (what != TransportNotification::kCancelMessage) return;
    const std::lock_guard lock(shared_.mutex);
    shared_.told = true;
    shared_.changed.notify_all();
  }

 private:
  Shared& shared_;
};

// Whenever a Cancel comes, the offer either does not reach the provider or the provider is told.
// Nothing outside can stop a thread between the two, so they race: the Cancel comes later after
// each round in which it was first, and earlier after each in which it was not.
TEST(LoggedOnTransportTest, ACancelDuringTheStartOfAnOfferIsNotLost) {
  constexpr int kRounds = 50'000;
  SpoolerShared shared;
  std::unique_ptr<LoggedOnTransport> transport;
  std::atomic<int> offered = 0;
  std::atomic<int> cancelled = 0;
  std::atomic<int> delay = 0;
  const auto wait_for = [](const std::atomic<int>& reached, int round) {
    while (reached < round) std::this_thread::yield();
  };
  std::thread canceller([&] {
    for (int round = 1; round <= kRounds; ++round) {
      wait_for(offered, round);
      for (std::atomic<int> step = 0; step.fetch_add(1) < delay;) continue;
      transport->Cancel();
      cancelled = round;
    }
  });
  int entered = 0;
  int forgotten = 0;
  for (int round = 1; round <= kRounds; ++round) {
    WaitingTransport::Shared seen;
    transport = std::make_unique<LoggedOnTransport>(std::make_unique<WaitingTransport>(seen), 0,
                                                    shared, [] {});
    EXPECT_TRUE(transport->LogOn(/*inbound=*/false));
    test::MemoryMessage message("a@x.test", {"b@x.test"}, "");
    offered = round;
    const auto [result, end] = transport->Offer(message);
    wait_for(cancelled, round);
    EXPECT_EQ(result.status, SubmitStatus::kCancelled);
    if (seen.entered) ++entered;
    if (seen.forgotten) ++forgotten;
    delay = std::max(0, delay + (seen.entered ? -1 : 1));
  }
  canceller.join();
  EXPECT_EQ(forgotten, 0) << "the provider was not told to return";
  EXPECT_GT(entered, 0) << "every Cancel came first: the race was not run";
}

}  // namespace
}  // namespace bobbin

// IXPLogon::FlushQueues (specification 4.17), which no statement of section 9 is about.
//
// Method: as of the transports' statements (transport_test.cc).
#include "tests/conformance/conformance.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// FlushQueues: messages and transports that wait are due now, but not those with a deferred send
// time; inbound, StartMessage goes on until the transport clears its flush bit.
TEST_F(Conformance, FlushingEndsTheWaitingAndFetches) {
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kRetryLater; };
  script.on_flush = [&](std::uint32_t) {
    script.support->ModifyStatusRow(kStatusInboundFlush | kStatusOutboundFlush);
  };
  SpoolerOptions options = ScriptedSpooler::Options();
  options.inbound_store = Store().Id();
  ScriptedSpooler spooler(Db(), script, options);
  const EntryId waiting = SubmitNew(Store());
  Message later = NewDraft(Store());
  ASSERT_TRUE(SetProp(later, Property::Number(pr::kDeferredSendTime,
                                              ToFileTime(Clock().Now() + std::chrono::hours(9)))));
  const EntryId scheduled = Must(later.Id());
  Must(later.SubmitMessage());
  spooler.RunUntilIdle(Clock().Now());
  ASSERT_TRUE(IsQueued(waiting));
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  script.inbox = {"one", "two", "three"};
  EXPECT_FALSE(Must(spooler->FlushQueues(kFlushUpload | kFlushDownload, Clock().Now())).worked);
  EXPECT_FALSE(IsQueued(waiting));
  EXPECT_TRUE(IsQueued(scheduled));
  EXPECT_THAT(script.inbox, IsEmpty());
  EXPECT_EQ(script.Count(Notice(TransportNotification::kBeginOutboundFlush)), 1U);
  EXPECT_EQ(script.Count(Notice(TransportNotification::kEndOutboundFlush)), 1U);
  EXPECT_EQ(script.Count(Notice(TransportNotification::kBeginInboundFlush)), 1U);
  EXPECT_EQ(script.Count(Notice(TransportNotification::kEndInboundFlush)), 1U);
}

// FlushQueues refuses flags that MAPI does not define, alone or beside defined ones, before
// anything is done; those it does define reach the transports as they are.
TEST_F(Conformance, FlushingRefusesUnknownFlagsAndChangesNothing) {
  TransportScript script;
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kRetryLater; };
  ScriptedSpooler spooler(Db(), script);
  const EntryId waiting = SubmitNew(Store());
  spooler.RunUntilIdle(Clock().Now());
  const std::string before = Describe(Db(), waiting);
  const std::vector<std::string> calls = script.Calls();
  constexpr std::uint32_t kDefined =
      kFlushUpload | kFlushDownload | kFlushForce | kFlushNoUi | kFlushAsyncOk;
  EXPECT_EQ(kDefined, 0x3EU);
  for (std::uint32_t flag = 1; flag != 0; flag <<= 1) {
    if ((flag & kDefined) != 0) continue;
    for (const std::uint32_t flags : {flag, flag | kFlushUpload, flag | kDefined}) {
      EXPECT_THAT(spooler->FlushQueues(flags, Clock().Now()), IsError(ErrorCode::kUnknownFlags));
    }
  }
  EXPECT_EQ(Describe(Db(), waiting), before);
  EXPECT_EQ(script.Calls(), calls);
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  Must(
      spooler->FlushQueues(kFlushUpload | kFlushForce | kFlushNoUi | kFlushAsyncOk, Clock().Now()));
  EXPECT_EQ(script.Count("FlushQueues 58"), 1U);
  EXPECT_FALSE(IsQueued(waiting));
}

// A flush that is cancelled ends, although the transport keeps its flush bits and mail waits.
TEST_F(Conformance, ACancelledFlushEnds) {
  constexpr std::size_t kEventsMax = 1'000;
  for (int i = 0; i < 3; ++i) SubmitNew(Store());
  TransportScript script;
  script.on_flush = [&](std::uint32_t) { script.support->ModifyStatusRow(kStatusOutboundFlush); };
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  SpoolerShared shared;
  std::optional<Spooler> spooler;
  script.during = [&](OutboundMessage&) { spooler->Cancel(); };
  std::vector<std::unique_ptr<TransportProvider>> transports;
  transports.push_back(std::make_unique<ScriptedTransport>(script));
  std::size_t events = 0;
  spooler.emplace(
      Db(), session, shared, std::move(transports), ScriptedSpooler::Options(), [] { return 0.5; },
      [&](const SpoolerEvent&) {
        // Else a flush that does not end would not let the test end.
        if (++events == kEventsMax) script.support->ModifyStatusRow(0);
      });
  Must(spooler->FlushQueues(kFlushUpload, Clock().Now()));
  EXPECT_LT(events, kEventsMax);
  EXPECT_THAT(script.offers, SizeIs(1));
  EXPECT_THAT(QueueOrder(Db()), SizeIs(2)) << "what was not begun stays";
  EXPECT_EQ(script.Count(Notice(TransportNotification::kEndOutboundFlush)), 1U);
}

}  // namespace
}  // namespace bobbin

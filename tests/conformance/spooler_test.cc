// Statements C68 to C87: which recipients the spooler offers, when, and what it does with those
// that nobody takes. The real Spooler runs; its transport is scripted, so that a test can see
// offers.
#include "tests/conformance/conformance.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// C68: A recipient already TRUE is never offered again. Of three recipients one is delivered, one
// refused for good and one deferred at each attempt; only the last is offered again.
TEST_F(Conformance, C068_ARecipientAlreadyTrueIsNeverOfferedAgain) {
  SubmitNew(Store(), {"good@x.test", "bad@x.test", "slow@x.test"});
  TransportScript script;
  script.outcome = [](const OutboundRecipient& recipient) {
    if (recipient.address == "good@x.test") return OutcomeKind::kDelivered;
    return recipient.address == "bad@x.test" ? OutcomeKind::kFailed : OutcomeKind::kRetryLater;
  };
  ScriptedSpooler spooler(Db(), script);
  Time now = Clock().Now();
  for (int attempt = 0; attempt < 4; ++attempt) {
    const StepResult idle = spooler.RunUntilIdle(now);
    ASSERT_TRUE(idle.next_due);
    now = *idle.next_due;
  }
  std::vector<std::vector<std::string>> offered;
  for (const auto& offer : script.offers) {
    // The report on the refused recipient is a message of its own.
    if (offer.addresses != std::vector<std::string>{std::string(TemporaryDatabase::kStoreName)}) {
      offered.push_back(offer.addresses);
    }
  }
  ASSERT_THAT(offered, SizeIs(4));
  EXPECT_THAT(offered[0], UnorderedElementsAre("good@x.test", "bad@x.test", "slow@x.test"));
  for (std::size_t i = 1; i < offered.size(); ++i)
    EXPECT_THAT(offered[i], ElementsAre("slow@x.test"));
}

// C69: A recipient no transport accepts yields an NDR, and the message still finishes. No transport
// for the address type; no address at all; and a transport that declines.
TEST_F(Conformance, C069_ARecipientNobodyTakesIsReportedAndTheMessageFinishes) {
  TransportScript script;
  script.outcome = [](const OutboundRecipient& recipient) {
    return recipient.address == "declined@x.test" ? OutcomeKind::kNotServed
                                                  : OutcomeKind::kDelivered;
  };
  Message message = NewDraft(Store(), {"declined@x.test", "good@x.test"}, "to nobody");
  RecipientRow fax = MakeSmtpRecipient("+1 555 0100", kRecipientTo);
  fax.properties.Set(Property::Bytes(pr::kAddressType, "FAX"));
  fax.properties.Erase(pr::kSearchKey);
  RecipientRow unresolved;
  unresolved.properties.Set(Property::Number(pr::kRecipientType, kRecipientTo));
  unresolved.properties.Set(Property::Bytes(pr::kDisplayName, "Somebody"));
  Must(message.ModifyRecipients(kModifyRecipientsAdd, {fax, unresolved}));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());

  ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now());
  EXPECT_FALSE(IsQueued(id));
  const Message finished = Must(Db().OpenMessageForOperator(IdOf(id)));
  for (const RecipientRow& row : Must(finished.GetRecipientTable())) {
    SCOPED_TRACE(row.DisplayName());
    EXPECT_TRUE(row.delivery.responsibility);
    EXPECT_EQ(row.delivery.state, row.EmailAddress() == "good@x.test" ? RecipientState::kDelivered
                                                                      : RecipientState::kFailed);
  }
  // One report on all three, in the sender's Inbox.
  const std::vector<ContentsRow> inbox =
      Must(Store().GetContentsTable(Store().Folders().inbox, 10));
  ASSERT_THAT(inbox, SizeIs(1));
  const Message report = Must(Store().OpenMessage(inbox[0].entry_id, 0));
  EXPECT_EQ(Must(report.GetProp(pr::kMessageClass)).bytes, "REPORT.IPM.Note.NDR");
  MessageBodyReader content = Must(report.OpenContent());
  std::string text;
  for (;;) {
    const std::string_view piece = Must(content.Next());
    if (piece.empty()) break;
    text += piece;
  }
  for (const std::string& named :
       {std::string("rfc822; declined@x.test"), std::string("unknown; +1 555 0100"),
        std::string("unknown; Somebody"), std::string("<Somebody>")}) {
    EXPECT_THAT(text, testing::HasSubstr(named));
  }
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  EXPECT_EQ(Findings(Db()), "");
}

// C83: A message with a future effective deferred send time is not offered before it, and does not
// block others.
TEST_F(Conformance, C083_ADeferredMessageWaitsAndDoesNotBlockOthers) {
  const Time deferred_to = Clock().Now() + std::chrono::hours(1);
  Message message = NewDraft(Store());
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kDeferredSendTime, ToFileTime(deferred_to))));
  const MessageId deferred = IdOf(Must(message.Id()));
  Must(message.SubmitMessage());
  const MessageId other = IdOf(SubmitNew(Store()));

  TransportScript script;
  ScriptedSpooler spooler(Db(), script);
  const StepResult idle = spooler.RunUntilIdle(Clock().Now());
  ASSERT_THAT(script.offers, SizeIs(1));
  EXPECT_EQ(script.offers[0].message, other);
  EXPECT_EQ(idle.next_due, deferred_to);
  spooler.RunUntilIdle(deferred_to - std::chrono::nanoseconds(100));
  EXPECT_THAT(script.offers, SizeIs(1)) << "offered too early";
  spooler.RunUntilIdle(deferred_to);
  ASSERT_THAT(script.offers, SizeIs(2));
  EXPECT_EQ(script.offers[1].message, deferred);
}

// C84: NUMBER=2, UNITS=1 overrides an explicit PR_DEFERRED_SEND_TIME: two hours from the
// submission, whether the explicit time is earlier or later; and it is what the property reads
// afterwards.
TEST_F(Conformance, C084_DeferredSendNumberAndUnitsOverrideTheTime) {
  const Time effective = Clock().Now() + std::chrono::hours(2);
  for (const auto explicit_time :
       {std::chrono::hours(-1), std::chrono::hours(1), std::chrono::hours(100)}) {
    Message message = NewDraft(Store());
    const std::vector<Property> properties{
        Property::Number(pr::kDeferredSendTime, ToFileTime(Clock().Now() + explicit_time)),
        Property::Number(pr::kDeferredSendNumber, 2),
        Property::Number(pr::kDeferredSendUnits, 1),
    };
    ASSERT_THAT(Must(message.SetProps(properties)), IsEmpty());
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    EXPECT_EQ(ClientProp(id, pr::kDeferredSendTime), ToFileTime(effective));
    EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(IdOf(id))).due, effective);
  }
  TransportScript script;
  ScriptedSpooler spooler(Db(), script);
  spooler.RunUntilIdle(effective - std::chrono::nanoseconds(100));
  EXPECT_THAT(script.offers, IsEmpty());
  spooler.RunUntilIdle(effective);
  EXPECT_THAT(script.offers, SizeIs(3));
}

// C85: Spooler restart with some recipients TRUE offers only the FALSE ones. The restart closes the
// database, so that nothing but what is stored remains.
TEST_F(Conformance, C085_ARestartedSpoolerOffersOnlyTheUnserved) {
  const EntryId id = SubmitNew(Store(), {"served@x.test", "slow@x.test"});
  TransportScript script;
  script.outcome = [](const OutboundRecipient& recipient) {
    return recipient.address == "served@x.test" ? OutcomeKind::kDelivered
                                                : OutcomeKind::kRetryLater;
  };
  std::optional<Time> next_due;
  next_due = ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now()).next_due;
  ASSERT_TRUE(next_due);
  database_.Reopen();
  script.offers.clear();
  script.outcome = [](const OutboundRecipient&) { return OutcomeKind::kDelivered; };
  ScriptedSpooler restarted(Db(), script);
  restarted.RunUntilIdle(Clock().Now());
  EXPECT_THAT(script.offers, IsEmpty()) << "a restart does not forget the schedule";
  restarted.RunUntilIdle(*next_due);
  ASSERT_THAT(script.offers, SizeIs(1));
  EXPECT_THAT(script.offers[0].addresses, ElementsAre("slow@x.test"));
  EXPECT_FALSE(IsQueued(id));
}

// C86: Spooler restart with all TRUE calls no transport and completes the message. The crash comes
// between the commit of the last TRUE and that of the completion.
TEST_F(Conformance, C086_ARestartedSpoolerCompletesWhatIsServedWithoutATransport) {
  const EntryId id = SubmitNew(Store(), {"b@x.test", "c@x.test"});
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Must(Lock(session, id));
    Attempt attempt;
    attempt.finish = false;
    attempt.next_due = Clock().Now();
    for (const RecipientRow& row : Must(Must(session.OpenMessage(id)).GetRecipientTable())) {
      RecipientUpdate update{row.id, row.delivery};
      update.delivery.responsibility = true;
      update.delivery.state = RecipientState::kDelivered;
      attempt.updates.push_back(update);
    }
    ASSERT_EQ(Must(session.CommitAttempt(id, attempt)), FinishResult::kStillQueued);
  }
  database_.Reopen();
  ASSERT_TRUE(IsQueued(id));
  TransportScript script;
  ScriptedSpooler(Db(), script).RunUntilIdle(Clock().Now());
  EXPECT_THAT(script.offers, IsEmpty());
  EXPECT_FALSE(IsQueued(id));
  EXPECT_EQ(StoredFlags(Db(), id) & (kMsgFlagSubmit | kMsgFlagUnsent), 0U);
}

}  // namespace
}  // namespace bobbin

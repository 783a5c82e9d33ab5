// Statements C50 to C54: AbortSubmit.
#include "tests/conformance/conformance.h"
#include "tests/support/child_process.h"
#include "tests/support/scripted_spooler.h"

namespace bobbin {
namespace {

// C50: AbortSubmit on a queued, unlocked message: S_OK, SUBMIT clear, UNSENT set, not in queue,
// editable, same folder. Recipients and every property but those of the queue stay as they were.
TEST_F(Conformance, C050_AbortSubmitMakesTheMessageADraftAgainWhereItIs) {
  const FolderId folder = Must(Store().CreateFolder(Store().Folders().inbox, "Here"));
  Message message = NewDraft(Store(), folder, {"b@x.test", "c@x.test"}, "kept");
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  PropertyList before = StoredProps(Db(), id);
  ASSERT_THAT(Store().AbortSubmit(id), IsOk());

  const std::uint32_t flags = StoredFlags(Db(), id);
  EXPECT_EQ(flags & kMsgFlagSubmit, 0U);
  EXPECT_NE(flags & kMsgFlagUnsent, 0U);
  EXPECT_FALSE(IsQueued(id));
  EXPECT_EQ(FolderOf(id), folder);
  PropertyList after = StoredProps(Db(), id);
  EXPECT_EQ(after.Find(pr::kSubmitFlags), nullptr);
  for (PropertyList* props : {&before, &after}) {
    props->Erase(pr::kSubmitFlags);
    props->Erase(pr::kMessageFlags);
  }
  EXPECT_EQ(before, after);
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  EXPECT_FALSE(Must(session.NextDue(Clock().Now() + std::chrono::hours(1))).message);

  Message editable = Must(Store().OpenMessage(id, kMapiModify));
  EXPECT_THAT(Must(editable.GetRecipientTable()), testing::SizeIs(2));
  EXPECT_TRUE(SetProp(editable, Property::Bytes(pr::kSubject, "edited")));
  EXPECT_THAT(editable.SaveChanges(), IsOk());
  EXPECT_EQ(Findings(Db()), "");
}

// C51: AbortSubmit on a locked message fails MAPI_E_UNABLE_TO_ABORT and the message is still sent.
// A real spooler has it locked while its transport is at work, and the abort comes from there.
TEST_F(Conformance, C051_AbortingALockedMessageFailsAndItIsSent) {
  const EntryId id = SubmitNew(Store());
  TransportScript script;
  Result<void> aborted;
  script.during = [&](OutboundMessage&) { aborted = Store().AbortSubmit(id); };
  ScriptedSpooler spooler(Db(), script);
  spooler.RunUntilIdle(Clock().Now());
  EXPECT_THAT(aborted, IsError(ErrorCode::kUnableToAbort));
  EXPECT_THAT(script.offers, testing::SizeIs(1));
  EXPECT_FALSE(IsQueued(id));
  EXPECT_EQ(StoredFlags(Db(), id) & (kMsgFlagSubmit | kMsgFlagUnsent), 0U) << "it was not sent";
}

// C52: AbortSubmit on a sent, an aborted, and a never-submitted message fails MAPI_E_NOT_IN_QUEUE.
TEST_F(Conformance, C052_AbortingWhatIsNotQueuedFailsNotInQueue) {
  const EntryId sent = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, sent));
  Must(session.FinishMessage(sent));
  const EntryId aborted = SubmitNew(Store());
  Must(Store().AbortSubmit(aborted));
  Message draft = NewDraft(Store());
  const EntryId never_submitted = Must(draft.Id());
  Must(draft.SaveChanges());
  for (const EntryId& id : {sent, aborted, never_submitted}) {
    const std::string before = Describe(Db(), id);
    EXPECT_THAT(Store().AbortSubmit(id), IsError(ErrorCode::kNotInQueue));
    EXPECT_THAT(Db().AbortSubmit(IdOf(id)), IsError(ErrorCode::kNotInQueue));
    EXPECT_EQ(Describe(Db(), id), before);
  }
  EXPECT_EQ(Must(Db().Statistics()).locks, 0U);
}

// Locks, as a spooler would, every message it is told, and says how that went.
const ChildProgram kRaceToLock("race-to-lock", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments.at(0)));
  SpoolerSession session = Must(database.OpenSpoolerSession());
  Say("ready");
  for (;;) {
    const std::string id = Hear();
    if (id.empty()) return 0;
    Message message = Must(session.OpenMessage(Must(EntryId::FromHex(id))));
    Say("opened");
    Hear();  // The start of the race.
    const Result<void> locked = session.SetLockState(message, LockState::kLocked);
    Say(locked ? "locked" : ErrorName(locked.error().code));
    Hear();
    session.Unlock(Must(EntryId::FromHex(id)));
    Say("unlocked");
  }
});

// C53: Race abort vs lock: exactly one wins; never both S_OK. A spooler process and this one meet
// on message after message. Whoever has just won starts a little later the next time, so that the
// two keep meeting at the point where it is open who wins; it goes on until both have won often.
TEST_F(Conformance, C053_OfAbortAndLockExactlyOneWins) {
  constexpr int kWins = 25;
  constexpr int kRoundsMax = 2'000;
  ChildProcess spooler("race-to-lock", {database_.Path()});
  ASSERT_EQ(spooler.ReadLine(), "ready");
  int aborts = 0;
  int locks = 0;
  std::chrono::microseconds head_start_of_lock{0};
  for (int round = 0; round < kRoundsMax && (aborts < kWins || locks < kWins); ++round) {
    const EntryId id = SubmitNew(Store());
    spooler.WriteLine(id.ToHex());
    ASSERT_EQ(spooler.ReadLine(), "opened");
    spooler.WriteLine("go");
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < head_start_of_lock) {
    }
    const Result<void> aborted = Store().AbortSubmit(id);
    const std::string locked = spooler.ReadLine();
    if (aborted) {
      ++aborts;
      head_start_of_lock += std::chrono::microseconds(10);
      ASSERT_EQ(locked, "MAPI_E_NOT_IN_QUEUE");
      ASSERT_FALSE(IsQueued(id));
    } else {
      ++locks;
      head_start_of_lock = std::max(head_start_of_lock - std::chrono::microseconds(10),
                                    std::chrono::microseconds(0));
      ASSERT_THAT(aborted, IsError(ErrorCode::kUnableToAbort));
      ASSERT_EQ(locked, "locked");
      ASSERT_TRUE(IsQueued(id));
    }
    spooler.WriteLine("done");
    ASSERT_EQ(spooler.ReadLine(), "unlocked");
  }
  EXPECT_GE(aborts, kWins);
  EXPECT_GE(locks, kWins);
  EXPECT_EQ(Findings(Db()), "");
}

// C54: An aborted message can be edited and submitted again, with a new PR_CLIENT_SUBMIT_TIME and
// at the end of the queue.
TEST_F(Conformance, C054_AnAbortedMessageIsSubmittedAgainAtTheEndOfTheQueue) {
  const EntryId again = SubmitNew(Store(), {"b@x.test"}, "first");
  const EntryId other = SubmitNew(Store());
  const std::int64_t first_time = ClientProp(again, pr::kClientSubmitTime);
  const std::string message_id(StoredProps(Db(), again).BytesOr(pr::kInternetMessageId, {}));
  Must(Store().AbortSubmit(again));
  Clock().Advance(std::chrono::minutes(5));
  Message message = Must(Store().OpenMessage(again, kMapiModify));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "second")));
  Must(message.SubmitMessage());
  EXPECT_THAT(QueueOrder(Db()), testing::ElementsAre(IdOf(other), IdOf(again)));
  EXPECT_EQ(ClientProp(again, pr::kClientSubmitTime), ToFileTime(Clock().Now()));
  EXPECT_GT(ClientProp(again, pr::kClientSubmitTime), first_time);
  const PropertyList props = StoredProps(Db(), again);
  EXPECT_EQ(props.BytesOr(pr::kSubject, {}), "second");
  EXPECT_EQ(props.BytesOr(pr::kInternetMessageId, {}), message_id) << "it never changes";
}

// C56: AbortSubmit flags other than 0 fail MAPI_E_UNKNOWN_FLAGS.
TEST_F(Conformance, C056_AbortSubmitTakesNoFlags) {
  const EntryId id = SubmitNew(Store());
  for (const std::uint32_t flags : {1U, 0x80000000U}) {
    EXPECT_THAT(Store().AbortSubmit(id, flags), IsError(ErrorCode::kUnknownFlags));
  }
  EXPECT_TRUE(IsQueued(id));
  Must(Store().AbortSubmit(id, 0));
}

// C57: AbortSubmit while awaiting preprocessing (unlocked) succeeds and no preprocessor runs. That
// none runs follows from the queue: what is not in it is offered to nobody.
TEST_F(Conformance, C057_AMessageAwaitingPreprocessingCanBeAborted) {
  const SpoolerSession session = Must(Db().OpenSpoolerSession());
  TransportProfile profile;
  profile.transports.push_back({true, {}, {}, {{{}, {}}}});
  Must(session.PublishTransports(profile));
  const EntryId id = SubmitNew(Store());
  ASSERT_EQ(ClientProp(id, pr::kSubmitFlags), kSubmitFlagPreprocess);
  Must(Store().AbortSubmit(id));
  EXPECT_FALSE(IsQueued(id));
  EXPECT_FALSE(Must(session.NextDue(Time::max())).message);
  EXPECT_EQ(StoredFlags(Db(), id) & (kMsgFlagSubmit | kMsgFlagUnsent), kMsgFlagUnsent);
  EXPECT_EQ(Findings(Db()), "");
}

}  // namespace
}  // namespace bobbin

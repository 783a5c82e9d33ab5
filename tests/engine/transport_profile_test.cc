// The published transport profile, and what it makes of submissions: PREQ and the way out of it.
#include "engine/transport_profile.h"

#include <gmock/gmock.h>

#include "tests/support/child_process.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kUidA(16, 'a');
const std::string kUidB(16, 'b');

RecipientRow WithUid(RecipientRow row, const std::string& uid) {
  row.properties.Set(Property::Bytes(pr::kEntryId, std::string(4, '\0') + uid + "rest"));
  return row;
}

TransportProfile SmtpWithPreprocessor() {
  TransportProfile profile;
  profile.transports.push_back({false, {"SMTP"}, {}, {{{}, "SMTP"}}});
  return profile;
}

TEST(MatchingTransports, AskUidsOfAllBeforeTypesOfAllEachInOrder) {
  TransportProfile profile;
  profile.transports.push_back({false, {"SMTP"}, {}, {}});
  profile.transports.push_back({true, {}, {kUidA}, {}});
  profile.transports.push_back({false, {"SMTP", "X400"}, {kUidA, kUidB}, {}});
  profile.transports.push_back({false, {""}, {}, {}});
  const RecipientRow plain = MakeSmtpRecipient("b@x.test", kRecipientTo);
  EXPECT_THAT(MatchingTransports(profile, plain), ElementsAre(0, 1, 2));
  EXPECT_THAT(MatchingTransports(profile, WithUid(plain, kUidA)), ElementsAre(1, 2, 0));
  EXPECT_THAT(MatchingTransports(profile, WithUid(plain, kUidB)), ElementsAre(2, 0, 1));
  RecipientRow fax = plain;
  fax.properties.Set(Property::Bytes(pr::kAddressType, "FAX"));
  EXPECT_THAT(MatchingTransports(profile, fax), ElementsAre(1));
  fax.properties.Set(Property::Bytes(pr::kAddressType, "smtp"));
  EXPECT_THAT(MatchingTransports(profile, fax), ElementsAre(1));
}

TEST(PreprocessorMatch, TakesEitherAndWithoutBothEveryone) {
  const RecipientRow plain = MakeSmtpRecipient("b@x.test", kRecipientTo);
  const RecipientRow with_uid = WithUid(plain, kUidA);
  EXPECT_TRUE(Matches({{}, {}}, plain));
  EXPECT_TRUE(Matches({kUidA, "FAX"}, with_uid));
  EXPECT_TRUE(Matches({kUidA, "SMTP"}, plain));
  EXPECT_FALSE(Matches({kUidA, "FAX"}, plain));
  EXPECT_FALSE(Matches({kUidB, {}}, with_uid));
  EXPECT_FALSE(Matches({{}, "FAX"}, plain));
}

// A transport further up that can take the message suppresses the preprocessor (4.12).
TEST(NeedsPreprocessing, OnlyWhereTheTransportThatComesFirstHasAPreprocessor) {
  TransportProfile profile = SmtpWithPreprocessor();
  RecipientTable rows{MakeSmtpRecipient("b@x.test", kRecipientTo)};
  EXPECT_TRUE(NeedsPreprocessing(profile, rows));
  rows[0].delivery.responsibility = true;
  EXPECT_FALSE(NeedsPreprocessing(profile, rows));
  rows[0].delivery.responsibility = false;
  profile.transports.insert(profile.transports.begin(), {true, {}, {}, {}});
  EXPECT_FALSE(NeedsPreprocessing(profile, rows));
  profile.transports[0] = {false, {"FAX"}, {}, {}};
  EXPECT_TRUE(NeedsPreprocessing(profile, rows));
  EXPECT_FALSE(NeedsPreprocessing({}, rows));
}

class PreprocessQueue : public testing::Test {
 protected:
  MessageStore& Store() { return database_.Store(); }
  std::int64_t SubmitFlags(const EntryId& id) {
    return StoredProps(database_.Database(), id).NumberOr(pr::kSubmitFlags, -1);
  }

  TemporaryDatabase database_;
};

TEST_F(PreprocessQueue, IsWhereMessagesGoWhileAMatchingProfileIsPublished) {
  EXPECT_EQ(SubmitFlags(SubmitNew(Store())), 0);
  SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
  Must(session.PublishTransports(SmtpWithPreprocessor()));
  const EntryId id = SubmitNew(Store());
  EXPECT_EQ(SubmitFlags(id), kSubmitFlagPreprocess);
  EXPECT_TRUE(StoredProps(database_.Database(), id).FlagOr(pr::kPreprocess, false));
  {
    SpoolerSession later = Must(database_.Database().OpenSpoolerSession());
    Must(later.PublishTransports({}));
    EXPECT_EQ(SubmitFlags(SubmitNew(Store())), 0) << "the last published one counts";
  }
  EXPECT_EQ(SubmitFlags(SubmitNew(Store())), kSubmitFlagPreprocess) << "its session has ended";
  Must(session.PublishTransports({}));
  EXPECT_EQ(SubmitFlags(SubmitNew(Store())), 0);
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(PreprocessQueue, AProfileThatIsTooLongIsRefusedAndTheFormerStays) {
  const SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
  Must(session.PublishTransports(SmtpWithPreprocessor()));
  TransportProfile too_long;
  too_long.transports.push_back({false, {std::string(5'000, 'X')}, {}, {}});
  EXPECT_THAT(session.PublishTransports(too_long), IsError(ErrorCode::kTooBig));
  EXPECT_EQ(SubmitFlags(SubmitNew(Store())), kSubmitFlagPreprocess);
}

TEST_F(PreprocessQueue, EndsWithTheSecondSubmitOfTheLockingSession) {
  SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
  Must(session.PublishTransports(SmtpWithPreprocessor()));
  const EntryId id = SubmitNew(Store(), {"b@x.test", "c@x.test"});
  const EntryId behind = SubmitNew(Store());
  const PropertyList before = StoredProps(database_.Database(), id);

  Message message = Must(session.OpenMessage(id));
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kNoAccess));
  EXPECT_THAT(session.BeginPreprocessing(id), IsError(ErrorCode::kNoAccess));
  Must(session.SetLockState(message, LockState::kLocked));
  EXPECT_EQ(Must(session.BeginPreprocessing(id)), 1U);
  EXPECT_EQ(Must(session.BeginPreprocessing(id)), 2U);
  message = Must(session.OpenMessage(id));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "preprocessed")));
  Must(message.ModifyRecipients(kModifyRecipientsRemove,
                                {Must(message.GetRecipientTable()).front()}));
  Must(message.SubmitMessage());
  EXPECT_THAT(message.GetProps(), IsError(ErrorCode::kInvalidObject));

  const PropertyList after = StoredProps(database_.Database(), id);
  EXPECT_EQ(after.NumberOr(pr::kSubmitFlags, -1), kSubmitFlagLocked) << "the lock is kept";
  EXPECT_TRUE(after.FlagOr(pr::kPreprocess, false)) << "the clean-up is still due";
  EXPECT_EQ(after.BytesOr(pr::kSubject, {}), "preprocessed");
  EXPECT_EQ(after.NumberOr(pr::kClientSubmitTime, 0), before.NumberOr(pr::kClientSubmitTime, -1));
  EXPECT_THAT(QueueOrder(database_.Database()),
              ElementsAre(MessageId{id.Object()}, MessageId{behind.Object()}));
  EXPECT_THAT(session.BeginPreprocessing(id), IsError(ErrorCode::kNotInQueue));
  // Without the mark it changes nothing.
  Must(Must(session.OpenMessage(id)).SubmitMessage());
  EXPECT_EQ(SubmitFlags(id), kSubmitFlagLocked);
  Must(session.FinishMessage(id));
  EXPECT_FALSE(StoredProps(database_.Database(), id).FlagOr(pr::kPreprocess, false));
  EXPECT_EQ(Findings(database_.Database()), "");
}

// Else the copy's first preprocessing would begin with undoing one it never had.
TEST_F(PreprocessQueue, OfACopyCountsItsOwnTries) {
  SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
  Must(session.PublishTransports(SmtpWithPreprocessor()));
  const auto begin = [&](const EntryId& id) {
    Message message = Must(session.OpenMessage(id));
    Must(session.SetLockState(message, LockState::kLocked));
    return Must(session.BeginPreprocessing(id));
  };
  const EntryId original = SubmitNew(Store());
  EXPECT_EQ(begin(original), 1U);
  std::vector<MessageId> copies;
  const FolderId outbox = Store().Folders().outbox;
  Must(Store().CopyMessages(outbox, std::vector{MessageId{original.Object()}}, outbox, &copies));
  const EntryId copy = Store().EntryIdOf(copies.at(0).value);
  Must(Must(Store().OpenMessage(copy, kMapiModify)).SubmitMessage());
  EXPECT_EQ(begin(copy), 1U);
  EXPECT_EQ(begin(original), 2U);
}

TEST_F(PreprocessQueue, IsLeftByAbortAndEnteredAnew) {
  SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
  Must(session.PublishTransports(SmtpWithPreprocessor()));
  const EntryId id = SubmitNew(Store());
  {
    Message message = Must(session.OpenMessage(id));
    Must(session.SetLockState(message, LockState::kLocked));
    Must(session.BeginPreprocessing(id));
    session.Unlock(id);
  }
  Must(Store().AbortSubmit(id));
  EXPECT_FALSE(StoredProps(database_.Database(), id).FlagOr(pr::kPreprocess, false));
  EXPECT_EQ(SubmitFlags(id), -1);
  Message draft = Must(Store().OpenMessage(id, kMapiModify));
  Must(draft.SubmitMessage());
  Message again = Must(session.OpenMessage(id));
  Must(session.SetLockState(again, LockState::kLocked));
  EXPECT_EQ(Must(session.BeginPreprocessing(id)), 1U) << "an aborted submission's tries count";
}

const ChildProgram kPublish("publish-transports", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments[0]));
  const SpoolerSession session = Must(database.OpenSpoolerSession());
  Must(session.PublishTransports(SmtpWithPreprocessor()));
  Say("published");
  Hear();
  return 0;
});

TEST_F(PreprocessQueue, OfAnotherProcessCountsAndDiesWithIt) {
  {
    ChildProcess child("publish-transports", {database_.Path()});
    ASSERT_EQ(child.ReadLine(), "published");
    EXPECT_EQ(SubmitFlags(SubmitNew(Store())), kSubmitFlagPreprocess);
    child.Kill();
  }
  // Whoever opens a session next sees the death.
  const SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
  Must(session.PublishTransports({}));
  EXPECT_EQ(SubmitFlags(SubmitNew(Store())), 0);
}

}  // namespace
}  // namespace bobbin

// Message objects: what SetProps may set, what is computed, large recipient tables, and saves that
// meet others' changes.
#include "engine/message.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class MessageObjects : public testing::Test {
 protected:
  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }
  Message New() { return NewDraft(Store()); }
  // The problem with setting this one property.
  static std::optional<ErrorCode> Problem(Message& message, Property property) {
    const auto problems = Must(message.SetProps(std::vector{std::move(property)}));
    return problems.empty() ? std::nullopt : std::optional(problems.at(0).code);
  }

  TemporaryDatabase database_;
};

TEST_F(MessageObjects, RefuseAWholeSetPropsThatIsMalformed) {
  Message message = New();
  const PropertyList before = Must(message.GetProps());
  const auto invalid = IsError(ErrorCode::kInvalidParameter);
  EXPECT_THAT(message.SetProps({}), invalid);
  EXPECT_THAT(message.SetProps(std::vector{Property::Bytes(pr::kSubject, "other"),
                                           Property::Bytes(pr::kMessageRecipients, "")}),
              invalid);
  EXPECT_THAT(message.SetProps(std::vector{
                  Property::Bytes(pr::kBody, std::string(Message::kPropertyBytesMax, 'x'))}),
              IsError(ErrorCode::kNotEnoughMemory));
  EXPECT_THAT(message.DeleteProps({}), invalid);
  EXPECT_EQ(Must(message.GetProps()), before);
}

TEST_F(MessageObjects, SkipNullAndErrorEntries) {
  Message message = New();
  const PropertyList before = Must(message.GetProps());
  EXPECT_THAT(Must(message.SetProps(std::vector{Property::Number(PropertyTag{0x00370001}, 0),
                                                Property::Number(PropertyTag{0x0037000A}, 1)})),
              IsEmpty());
  EXPECT_EQ(Must(message.GetProps()), before);
}

TEST_F(MessageObjects, KeepEveryTypeOfProperty) {
  Message message = New();
  const PropertyTag numbers{0x66001003};
  const PropertyTag texts{0x6601101F};
  const PropertyTag ids{0x66021048};
  const std::string class_id("0123456789abcdef");
  const std::vector<Property> properties{
      Property::Number(PropertyTag{0x66100002}, -7),
      Property::Real(PropertyTag{0x66110004}, 0.5),
      Property::Real(PropertyTag{0x66120005}, -1e300),
      Property::Number(PropertyTag{0x66130006}, 12'345),
      Property::Real(PropertyTag{0x66140007}, 45'000.25),
      Property::Bytes(PropertyTag{0x66150048}, class_id),
      Property::Bytes(PropertyTag{0x6616001E}, "eight bits"),
      Property::Multiple(numbers, std::vector{Property::Number(numbers, -1),
                                              Property::Number(numbers, INT64_MAX)}),
      Property::Multiple(texts, std::vector{Property::Bytes(texts, ""),
                                            Property::Bytes(texts, std::string("a\0b", 3))}),
      Property::Multiple(ids, std::vector{Property::Bytes(ids, class_id)})};
  EXPECT_THAT(Must(message.SetProps(properties)), IsEmpty());
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges());
  const Message stored = Must(Store().OpenMessage(id, 0));
  for (const Property& property : properties) {
    EXPECT_EQ(Must(stored.GetProp(property.tag)), property) << std::hex << property.tag.value;
  }
  EXPECT_EQ(Must(stored.GetProp(PropertyTag{0x66120005})).Real(), -1e300);
  const auto values = Must(Must(stored.GetProp(texts)).Values());
  ASSERT_EQ(values.size(), 2U);
  EXPECT_EQ(values[0], Property::Bytes(PropertyTag{0x6601001F}, ""));
  EXPECT_EQ(values[1].bytes, std::string("a\0b", 3));
  EXPECT_EQ(Must(Must(stored.GetProp(numbers)).Values())[1].number, INT64_MAX);
}

TEST_F(MessageObjects, RefuseValuesThatTheirTypeCannotHave) {
  Message message = New();
  const PropertyTag numbers{0x66001003};
  EXPECT_THAT(message.SetProps(std::vector{Property::Bytes(pr::kReportText, "not set either"),
                                           Property::Multiple(numbers, {})}),
              IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(message.GetProp(pr::kReportText), IsError(ErrorCode::kNotFound));
  for (const Property& odd :
       {Property::Bytes(PropertyTag{0x66150048}, "short"), Property::Bytes(numbers, "1234567"),
        Property::Bytes(PropertyTag{0x6601101F}, std::string("\x05\0\0\0ab", 6))}) {
    const auto problems = Must(message.SetProps(std::vector{odd}));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].code, ErrorCode::kInvalidParameter);
    EXPECT_THAT(message.GetProp(odd.tag), IsError(ErrorCode::kNotFound));
  }
}

TEST_F(MessageObjects, ReportComputedPropertiesAsProblemsAndSetTheRest) {
  Message message = New();
  const auto problems = Must(message.SetProps(
      std::vector{Property::Number(pr::kStoreSupportMask, 1), Property::Bytes(pr::kSubject, "set"),
                  Property::Bytes(pr::kDisplayTo, "nobody"), Property::Number(pr::kSubmitFlags, 1),
                  Property::Number(PropertyTag{0x66000099}, 1)}));
  std::vector<std::pair<std::uint32_t, ErrorCode>> found;
  for (const PropertyProblem& problem : problems)
    found.emplace_back(problem.tag.value, problem.code);
  EXPECT_THAT(found, ElementsAre(std::pair(pr::kStoreSupportMask.value, ErrorCode::kComputed),
                                 std::pair(pr::kDisplayTo.value, ErrorCode::kComputed),
                                 std::pair(pr::kSubmitFlags.value, ErrorCode::kComputed),
                                 std::pair(0x66000099U, ErrorCode::kInvalidType)));
  EXPECT_EQ(Must(message.GetProp(pr::kSubject)).bytes, "set");
}

TEST_F(MessageObjects, LetFlagsBeSetOnlyBeforeTheFirstSave) {
  Message message = New();
  const auto flags = [&] {
    return static_cast<std::uint32_t>(Must(message.GetProp(pr::kMessageFlags)).number);
  };
  EXPECT_EQ(flags() & (kMsgFlagUnsent | kMsgFlagUnmodified), kMsgFlagUnsent | kMsgFlagUnmodified);
  EXPECT_EQ(Problem(message, Property::Number(pr::kMessageFlags, kMsgFlagResend)), std::nullopt);
  EXPECT_EQ(flags(), kMsgFlagResend);
  EXPECT_EQ(Problem(message, Property::Number(pr::kMessageFlags, kMsgFlagUnsent | kMsgFlagSubmit)),
            ErrorCode::kComputed);
  EXPECT_EQ(flags(), kMsgFlagUnsent) << "only the bits that may be set have changed";
  Must(message.SaveChanges(kKeepOpenReadWrite));
  const std::uint32_t saved = flags();
  for (const std::uint32_t bit : {kMsgFlagUnsent, kMsgFlagResend, kMsgFlagFromMe, kMsgFlagSubmit}) {
    EXPECT_EQ(Problem(message, Property::Number(pr::kMessageFlags, saved ^ bit)),
              ErrorCode::kComputed)
        << bit;
    EXPECT_EQ(flags(), saved);
  }
}

TEST_F(MessageObjects, LoseUnmodifiedAtTheSecondSave) {
  Message message = New();
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_NE(StoredFlags(Db(), id) & kMsgFlagUnmodified, 0U);
  Must(message.SaveChanges());
  EXPECT_EQ(StoredFlags(Db(), id) & kMsgFlagUnmodified, 0U);
}

TEST_F(MessageObjects, ComputeWhatTheSpecificationComputes) {
  Message message = Must(Store().CreateMessage(Store().Folders().drafts));
  EXPECT_EQ(Must(message.GetProp(pr::kDisplayCc)).bytes, "") << "empty, not missing (C120)";
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "RE: budget")));
  Must(message.ModifyRecipients(0, {MakeSmtpRecipient("a@x.test", kRecipientTo, "A"),
                                    MakeSmtpRecipient("b@x.test", kRecipientTo, "B"),
                                    MakeSmtpRecipient("c@x.test", kRecipientCc, "C")}));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  const PropertyList props = Must(message.GetProps());
  EXPECT_EQ(props.BytesOr(pr::kDisplayTo, {}), "A; B");
  EXPECT_EQ(props.BytesOr(pr::kDisplayCc, {}), "C");
  EXPECT_EQ(props.BytesOr(pr::kDisplayBcc, "absent"), "");
  EXPECT_EQ(props.BytesOr(pr::kSubjectPrefix, {}), "RE: ");
  EXPECT_EQ(props.BytesOr(pr::kNormalizedSubject, {}), "budget");
  EXPECT_EQ(props.BytesOr(pr::kMessageClass, {}), "IPM");
  EXPECT_EQ(props.NumberOr(pr::kObjectType, 0), 5);
  EXPECT_EQ(props.NumberOr(pr::kCreationTime, 0), ToFileTime(database_.Clock().Now()));
  EXPECT_GT(props.NumberOr(pr::kMessageSize, 0), 0);
  EXPECT_EQ(props.BytesOr(pr::kParentEntryId, {}),
            Store().EntryIdOf(Store().Folders().drafts.value).ToBytes());
  const std::string store_id = Store().EntryIdOf(Store().Id().value).ToBytes();
  EXPECT_EQ(props.BytesOr(pr::kStoreEntryId, {}), store_id);
  EXPECT_EQ(props.BytesOr(pr::kStoreRecordKey, {}), store_id);
}

TEST_F(MessageObjects, KeepTheSubjectPrefixInStepWithTheSubject) {
  Message message = New();
  const EntryId id = Must(message.Id());
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "RE: one")));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "two")));
  Must(message.SaveChanges());
  const PropertyList props = StoredProps(Db(), id);
  EXPECT_EQ(props.BytesOr(pr::kSubjectPrefix, "absent"), "");
  EXPECT_EQ(props.BytesOr(pr::kNormalizedSubject, {}), "two");
}

TEST_F(MessageObjects, CheckPropertiesThatWouldHarmLater) {
  Message message = New();
  for (const std::string& bad : {std::string(), std::string("IPM.Note."), std::string(256, 'x'),
                                 std::string("IPM\n"), std::string("IPM.\xc3\xa9")}) {
    EXPECT_NE(Problem(message, Property::Bytes(pr::kMessageClass, bad)), std::nullopt) << bad;
  }
  EXPECT_NE(Problem(message, Property::Bytes(pr::kSentMailEntryId, "x")), std::nullopt);
  EXPECT_NE(Problem(message,
                    Property::Bytes(pr::kSentMailEntryId, EntryId(DatabaseId{{9}}, 1).ToBytes())),
            std::nullopt);
}

TEST_F(MessageObjects, ChangeRecipientsAsModifyRecipientsSays) {
  Message message = New();
  const auto addresses = [&] {
    std::vector<std::string> list;
    for (const RecipientRow& row : Must(message.GetRecipientTable())) {
      list.emplace_back(row.EmailAddress());
    }
    return list;
  };
  Must(message.ModifyRecipients(kModifyRecipientsReplace, {MakeSmtpRecipient("a@x.test", 1),
                                                           MakeSmtpRecipient("b@x.test", 1)}));
  Must(message.ModifyRecipients(kModifyRecipientsAdd, {MakeSmtpRecipient("c@x.test", 1)}));
  EXPECT_THAT(addresses(), ElementsAre("a@x.test", "b@x.test", "c@x.test"));
  const RecipientTable rows = Must(message.GetRecipientTable());
  // MODIFY replaces the whole row: what it does not name vanishes (C62).
  RecipientRow changed;
  changed.id = rows[1].id;
  changed.properties.Set(Property::Number(pr::kRecipientType, kRecipientCc));
  changed.properties.Set(Property::Bytes(pr::kDisplayName, "only a name"));
  Must(message.ModifyRecipients(kModifyRecipientsModify, {changed}));
  EXPECT_THAT(addresses(), ElementsAre("a@x.test", "", "c@x.test"));
  RecipientRow named;
  named.id = rows[0].id;
  Must(message.ModifyRecipients(kModifyRecipientsRemove, {named}));
  EXPECT_THAT(addresses(), ElementsAre("", "c@x.test"));

  const RecipientTable before = Must(message.GetRecipientTable());
  EXPECT_THAT(message.ModifyRecipients(kModifyRecipientsRemove, {named}),
              IsError(ErrorCode::kNotFound));
  RecipientRow unknown = MakeSmtpRecipient("d@x.test", 1);
  unknown.id = RecipientRowId{77};
  RecipientRow known = MakeSmtpRecipient("e@x.test", 1);
  known.id = rows[2].id;
  EXPECT_THAT(message.ModifyRecipients(kModifyRecipientsModify, {known, unknown}),
              IsError(ErrorCode::kNotFound));
  for (const std::uint32_t flags : {1U, 6U, 12U, 16U}) {
    EXPECT_THAT(message.ModifyRecipients(flags, {}), IsError(ErrorCode::kUnknownFlags)) << flags;
  }
  RecipientRow typeless;
  typeless.properties.Set(Property::Bytes(pr::kDisplayName, "no type"));
  EXPECT_THAT(message.ModifyRecipients(kModifyRecipientsAdd, {typeless}),
              IsError(ErrorCode::kInvalidParameter));
  RecipientRow null_property = MakeSmtpRecipient("f@x.test", 1);
  null_property.properties.Set(Property::Number(PropertyTag{0x66000001}, 0));
  EXPECT_THAT(message.ModifyRecipients(kModifyRecipientsAdd, {null_property}),
              IsError(ErrorCode::kInvalidParameter));
  EXPECT_EQ(Must(message.GetRecipientTable()).size(), before.size());
  EXPECT_THAT(addresses(), ElementsAre("", "c@x.test"));
  Must(message.ModifyRecipients(kModifyRecipientsAdd, {RecipientRow{}}));
  EXPECT_THAT(addresses(), SizeIs(2)) << "a null recipient is skipped";
}

TEST_F(MessageObjects, CarryTenThousandRecipients) {
  std::vector<RecipientRow> rows;
  for (std::uint32_t i = 0; i < kRecipientCountMax; ++i) {
    rows.push_back(MakeSmtpRecipient("r" + std::to_string(i) + "@x.test", 1 + i % 3));
  }
  Message message = NewDraft(Store(), std::vector<std::string>{});
  const EntryId id = Must(message.Id());
  Must(message.ModifyRecipients(kModifyRecipientsReplace, rows));
  EXPECT_THAT(message.ModifyRecipients(kModifyRecipientsAdd, {MakeSmtpRecipient("x@x.test", 1)}),
              IsError(ErrorCode::kTooBig));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  Must(message.SubmitMessage());
  database_.Reopen();
  const RecipientTable stored =
      Must(Must(Db().OpenMessageForOperator(MessageId{id.Object()})).GetRecipientTable());
  ASSERT_EQ(stored.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(stored[i].EmailAddress(), rows[i].EmailAddress());
    ASSERT_EQ(stored[i].Type(), rows[i].Type());
    ASSERT_EQ(stored[i].properties.BytesOr(pr::kSearchKey, {}),
              "SMTP:R" + std::to_string(i) + "@X.TEST" + '\0');
  }
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(MessageId{id.Object()})).recipient_count, 10'000U);
  EXPECT_EQ(Findings(Db()), "");
  Must(Store().AbortSubmit(id));
  Must(Store().DeleteMessages(Store().Folders().outbox, std::vector{MessageId{id.Object()}}));
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(MessageObjects, LoseDuplicateRecipientsAtSubmission) {
  Message message = NewDraft(Store(), std::vector<std::string>{});
  const EntryId id = Must(message.Id());
  Must(message.ModifyRecipients(0, {MakeSmtpRecipient("same@x.test", kRecipientBcc),
                                    MakeSmtpRecipient("SAME@x.test", kRecipientCc),
                                    MakeSmtpRecipient("other@x.test", kRecipientCc),
                                    MakeSmtpRecipient("Same@X.test", kRecipientTo)}));
  Must(message.SubmitMessage());
  const RecipientTable rows = Must(Must(Store().OpenMessage(id, 0)).GetRecipientTable());
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].EmailAddress(), "other@x.test");
  EXPECT_EQ(rows[1].EmailAddress(), "Same@X.test") << "To stays before Cc before Bcc";
  EXPECT_EQ(Findings(Db()), "");
}

// A spooler object opened while the message was queued outlives the queue entry.
TEST_F(MessageObjects, OfTheSpoolerCannotPutAnAbortedMessageBackInTheQueue) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message stale = Must(session.OpenMessage(id));
  ASSERT_TRUE(SetProp(stale, Property::Bytes(pr::kSubject, "stale")));
  Must(Store().AbortSubmit(id));
  EXPECT_THAT(stale.SaveChanges(kKeepOpenReadWrite), IsError(ErrorCode::kObjectChanged));
  EXPECT_THAT(stale.SaveChanges(kForceSave), IsOk());
  EXPECT_EQ(StoredFlags(Db(), id) & kMsgFlagSubmit, 0U);
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(MessageObjects, MadeByTheSpoolerKeepWhoIsServed) {
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  EXPECT_THAT(session.CreateMessage(Store().Id(), FolderId{Store().Id().value}),
              IsError(ErrorCode::kNotFound));
  Message message = Must(session.CreateMessage(Store().Id(), Store().Folders().outbox));
  EXPECT_EQ(Must(message.GetProp(pr::kMessageFlags)).number, kMsgFlagUnmodified);
  RecipientRow served = MakeSmtpRecipient("b@x.test", kRecipientTo);
  served.delivery.responsibility = true;
  Must(message.ModifyRecipients(kModifyRecipientsAdd,
                                {served, MakeSmtpRecipient("c@x.test", kRecipientTo)}));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  const RecipientTable rows =
      Must(Must(Db().OpenMessageForOperator(MessageId{id.Object()})).GetRecipientTable());
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_TRUE(rows[0].delivery.responsibility);
  EXPECT_FALSE(rows[1].delivery.responsibility);
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(MessageObjects, OfTheSpoolerCannotMakeAServedRecipientUnserved) {
  const EntryId id = SubmitNew(Store(), {"served@x.test", "open@x.test"});
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message stale = Must(session.OpenMessage(id));
  Must(session.SetLockState(stale, LockState::kLocked));
  RecipientTable rows = Must(stale.GetRecipientTable());
  Attempt attempt;
  attempt.updates.push_back({rows[0].id, rows[0].delivery});
  attempt.updates[0].delivery.responsibility = true;
  attempt.updates[0].delivery.state = RecipientState::kDelivered;
  ASSERT_EQ(Must(session.CommitAttempt(id, attempt)), FinishResult::kStillQueued);
  rows[1].properties.Set(Property::Bytes(pr::kDisplayName, "edited"));
  Must(stale.ModifyRecipients(kModifyRecipientsModify, {rows[0], rows[1]}));
  Must(stale.SaveChanges(kKeepOpenReadWrite));
  const RecipientTable stored = Must(Must(session.OpenMessage(id)).GetRecipientTable());
  EXPECT_TRUE(stored[0].delivery.responsibility);
  EXPECT_EQ(stored[0].delivery.state, RecipientState::kDelivered);
  EXPECT_FALSE(stored[1].delivery.responsibility);
  EXPECT_EQ(stored[1].DisplayName(), "edited");
}

TEST_F(MessageObjects, OfAClientForcedOverASentMessageLeaveItSent) {
  Message draft = New();
  const EntryId id = Must(draft.Id());
  Must(draft.SaveChanges(kKeepOpenReadWrite));
  Message stale = Must(Store().OpenMessage(id, kMapiModify));
  Must(draft.SubmitMessage());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message queued = Must(session.OpenMessage(id));
  Must(session.SetLockState(queued, LockState::kLocked));
  Must(session.FinishMessage(id));
  ASSERT_TRUE(SetProp(stale, Property::Bytes(pr::kSubject, "forced")));
  EXPECT_THAT(stale.SaveChanges(), IsError(ErrorCode::kObjectChanged));
  Must(stale.SaveChanges(kForceSave));
  EXPECT_EQ(StoredFlags(Db(), id) & (kMsgFlagUnsent | kMsgFlagSubmit), 0U);
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "forced");
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(MessageObjects, AreCreatedInFoldersOnlyAndSavedOnlyWhereTheFolderStillIs) {
  EXPECT_THAT(Store().CreateMessage(FolderId{987'654}), IsError(ErrorCode::kNotFound));
  const FolderId folder = Must(Store().CreateFolder(Store().Folders().inbox, "short-lived"));
  Message message = NewDraft(Store(), folder, {"b@x.test"});
  Must(Store().DeleteFolder(folder));
  EXPECT_THAT(message.SaveChanges(), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(MessageObjects, AreRefusedUnknownFlags) {
  Message message = New();
  for (const std::uint32_t flags : {0x80U, 0x100U, 0x1000U}) {
    EXPECT_THAT(message.SaveChanges(flags), IsError(ErrorCode::kUnknownFlags)) << flags;
  }
  const EntryId id = Must(message.Id());
  EXPECT_THAT(message.SaveChanges(kMapiDeferredErrors), IsOk()) << "accepted, without effect";
  EXPECT_THAT(Store().OpenEntry(id, 0x2), IsError(ErrorCode::kUnknownFlags));
  EXPECT_THAT(Store().AbortSubmit(id, 1), IsError(ErrorCode::kUnknownFlags));
}

}  // namespace
}  // namespace bobbin

// Statements C116 to C119: SaveChanges when somebody else was there.
#include "tests/conformance/conformance.h"

namespace bobbin {
namespace {

EntryId SaveDraft(MessageStore& store, std::string_view subject) {
  Message message = NewDraft(store, {"b@x.test"}, subject);
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges());
  return id;
}

// C116: First of two concurrent savers succeeds, second gets MAPI_E_OBJECT_CHANGED and changes
// nothing; with FORCE_SAVE it overwrites. Both have changed a property and the recipients.
TEST_F(Conformance, C116_TheFirstSaverWinsAndForceSaveOverwrites) {
  const EntryId id = SaveDraft(Store(), "original");
  Message first = Must(Store().OpenMessage(id, kMapiModify));
  Message second = Must(Store().OpenMessage(id, kMapiModify));
  ASSERT_TRUE(SetProp(first, Property::Bytes(pr::kSubject, "first")));
  Must(first.ModifyRecipients(kModifyRecipientsReplace,
                              {MakeSmtpRecipient("one@x.test", kRecipientTo),
                               MakeSmtpRecipient("two@x.test", kRecipientTo)}));
  ASSERT_TRUE(SetProp(second, Property::Bytes(pr::kSubject, "second")));
  EXPECT_THAT(first.SaveChanges(), IsOk());
  const std::string before = Describe(Db(), id);
  EXPECT_THAT(second.SaveChanges(), IsError(ErrorCode::kObjectChanged));
  EXPECT_EQ(Describe(Db(), id), before);
  EXPECT_THAT(second.SaveChanges(kForceSave), IsOk());
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "second");
  // The recipients of the second object, which it never touched, are those of the original.
  const Message stored = Must(Db().OpenMessageForOperator(IdOf(id)));
  EXPECT_THAT(Must(stored.GetRecipientTable()), testing::SizeIs(1));
  EXPECT_EQ(Findings(Db()), "");
}

// C117: SaveChanges after deletion fails MAPI_E_OBJECT_DELETED, also with FORCE_SAVE.
TEST_F(Conformance, C117_SavingADeletedMessageFailsObjectDeleted) {
  const EntryId id = SaveDraft(Store(), "original");
  Message message = Must(Store().OpenMessage(id, kMapiModify));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "edited")));
  ASSERT_EQ(Must(Store().DeleteMessages(Store().Folders().outbox, std::vector{IdOf(id)})),
            Completion::kComplete);
  EXPECT_THAT(message.SaveChanges(), IsError(ErrorCode::kObjectDeleted));
  EXPECT_THAT(message.SaveChanges(kForceSave), IsError(ErrorCode::kObjectDeleted));
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kObjectDeleted));
  EXPECT_FALSE(IsStored(Db(), id));
  EXPECT_EQ(Findings(Db()), "");
}

// C118: After a failed SaveChanges the object is still open with its edits: they are read, and
// saved by the next SaveChanges that may.
TEST_F(Conformance, C118_AfterAFailedSaveTheObjectIsOpenWithItsEdits) {
  const EntryId id = SaveDraft(Store(), "original");
  Message first = Must(Store().OpenMessage(id, kMapiModify));
  Message second = Must(Store().OpenMessage(id, kMapiModify));
  Must(first.SaveChanges());
  ASSERT_TRUE(SetProp(second, Property::Bytes(pr::kSubject, "edited")));
  Must(second.ModifyRecipients(kModifyRecipientsAdd,
                               {MakeSmtpRecipient("added@x.test", kRecipientCc)}));
  ASSERT_THAT(second.SaveChanges(kKeepOpenReadOnly), IsError(ErrorCode::kObjectChanged));
  EXPECT_EQ(Must(second.Access()), AccessLevel::kModify);
  EXPECT_EQ(Must(second.GetProp(pr::kSubject)).bytes, "edited");
  EXPECT_THAT(Must(second.GetRecipientTable()), testing::SizeIs(2));
  EXPECT_THAT(second.SaveChanges(kForceSave), IsOk());
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "edited");
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kDisplayCc, {}), "added@x.test");
}

// C119: SaveChanges(KEEP_OPEN_READWRITE) never yields a read-only object; the other flags do.
TEST_F(Conformance, C119_KeepOpenReadWriteNeverYieldsAReadOnlyObject) {
  Message message = NewDraft(Store());
  for (int save = 0; save < 3; ++save) {
    Must(message.SaveChanges(kKeepOpenReadWrite));
    EXPECT_EQ(Must(message.GetProp(pr::kAccessLevel)).number, 1);
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, std::to_string(save))));
  }
  Must(message.SaveChanges(kKeepOpenReadOnly));
  EXPECT_EQ(Must(message.GetProp(pr::kAccessLevel)).number, 0);
  EXPECT_THAT(message.SaveChanges(kKeepOpenReadWrite), IsError(ErrorCode::kNoAccess));
}

// C120: PR_DISPLAY_CC of a message without Cc recipients reads as an empty string.
TEST_F(Conformance, C120_DisplayNamesOfNobodyAreEmptyStrings) {
  Message message = NewDraft(Store(), {"b@x.test"});
  const EntryId id = Must(message.Id());
  EXPECT_EQ(Must(message.GetProp(pr::kDisplayCc)), Property::Bytes(pr::kDisplayCc, ""));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  Must(message.SubmitMessage());
  for (const PropertyTag tag : {pr::kDisplayCc, pr::kDisplayBcc}) {
    EXPECT_EQ(Must(Must(Store().OpenMessage(id, 0)).GetProp(tag)), Property::Bytes(tag, ""));
  }
}

// C121: SetProps of PR_STORE_SUPPORT_MASK yields MAPI_E_COMPUTED in the problem array.
TEST_F(Conformance, C121_TheStoreSupportMaskIsComputed) {
  Message message = NewDraft(Store());
  const auto problems =
      Must(message.SetProps(std::vector{Property::Bytes(pr::kSubject, "the rest is set"),
                                        Property::Number(pr::kStoreSupportMask, 0)}));
  ASSERT_THAT(problems, testing::SizeIs(1));
  EXPECT_EQ(problems[0].tag, pr::kStoreSupportMask);
  EXPECT_EQ(problems[0].code, ErrorCode::kComputed);
  EXPECT_EQ(Must(message.GetProp(pr::kSubject)).bytes, "the rest is set");
}

// C122: SetProps cannot set or clear SUBMIT, nor UNSENT/RESEND/FROMME after the first save.
TEST_F(Conformance, C122_MessageFlagsAreTheStoresAfterTheFirstSave) {
  const auto set = [](Message& message, std::uint32_t flags) {
    const auto problems = Must(message.SetProps(
        std::vector{Property::Number(pr::kMessageFlags, static_cast<std::int64_t>(flags))}));
    return problems.size() == 1 && problems[0].code == ErrorCode::kComputed;
  };
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  EXPECT_TRUE(set(message, kMsgFlagSubmit | kMsgFlagUnsent | kMsgFlagFromMe))
      << "SUBMIT is not a wish";
  EXPECT_EQ(Must(message.GetProp(pr::kMessageFlags)).number, kMsgFlagUnsent | kMsgFlagFromMe);
  Must(message.SaveChanges(kKeepOpenReadWrite));
  for (const std::uint32_t wish :
       {kMsgFlagFromMe, kMsgFlagUnsent | kMsgFlagFromMe | kMsgFlagResend, kMsgFlagUnsent,
        kMsgFlagUnsent | kMsgFlagFromMe | kMsgFlagSubmit}) {
    EXPECT_TRUE(set(message, wish)) << wish;
  }
  EXPECT_FALSE(set(message, kMsgFlagUnsent | kMsgFlagFromMe)) << "as it is";
  Must(message.SaveChanges());
  EXPECT_EQ(StoredFlags(Db(), id) & ~kMsgFlagUnmodified, kMsgFlagUnsent | kMsgFlagFromMe);
}

// C123: UNMODIFIED is set after the first and clear after the second client save.
TEST_F(Conformance, C123_UnmodifiedEndsWithTheSecondSaveOfAClient) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_NE(StoredFlags(Db(), id) & kMsgFlagUnmodified, 0U);
  {
    const SpoolerSession session = Must(Db().OpenSpoolerSession());
    Message through_spooler = Must(session.OpenMessage(id));
    ASSERT_TRUE(SetProp(through_spooler, Property::Bytes(pr::kSubject, "by the spooler")));
    Must(through_spooler.SaveChanges());
    EXPECT_NE(StoredFlags(Db(), id) & kMsgFlagUnmodified, 0U) << "a save of the spooler counts";
  }
  Message again = Must(Store().OpenMessage(id, kMapiModify));
  Must(again.SaveChanges());
  EXPECT_EQ(StoredFlags(Db(), id) & kMsgFlagUnmodified, 0U);
}

}  // namespace
}  // namespace bobbin

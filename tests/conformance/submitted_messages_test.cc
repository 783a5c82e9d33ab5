// Statements C58 to C63: what folder operations do to submitted messages.
#include "tests/conformance/conformance.h"

namespace bobbin {
namespace {

// C58: DeleteMessages on a submitted message leaves it and returns MAPI_W_PARTIAL_COMPLETION. The
// drafts around it are deleted; a locked one is left like an unlocked one.
TEST_F(Conformance, C058_DeleteMessagesLeavesSubmittedMessages) {
  const FolderId outbox = Store().Folders().outbox;
  Message draft = NewDraft(Store(), outbox, {"b@x.test"});
  const EntryId draft_id = Must(draft.Id());
  Must(draft.SaveChanges());
  const EntryId queued = SubmitNew(Store());
  const EntryId locked = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Must(Lock(session, locked));
  const std::string before = Describe(Db(), queued) + Describe(Db(), locked);
  EXPECT_EQ(
      Must(Store().DeleteMessages(outbox, std::vector{IdOf(queued), IdOf(draft_id), IdOf(locked)})),
      Completion::kPartial);
  EXPECT_EQ(Describe(Db(), queued) + Describe(Db(), locked), before);
  EXPECT_FALSE(IsStored(Db(), draft_id));
  EXPECT_THAT(QueueOrder(Db()), testing::ElementsAre(IdOf(queued), IdOf(locked)));
  Must(Unlock(session, locked));
  // Not a lasting refusal: once aborted, it can be deleted.
  Must(Store().AbortSubmit(queued));
  EXPECT_EQ(Must(Store().DeleteMessages(outbox, std::vector{IdOf(queued)})), Completion::kComplete);
  EXPECT_FALSE(IsStored(Db(), queued));
  EXPECT_EQ(Findings(Db()), "");
}

// C63: A copy of a submitted message is an unsubmitted draft with the same search key and a
// different record key. It can be edited and submitted on its own.
TEST_F(Conformance, C063_ACopyOfASubmittedMessageIsADraft) {
  const EntryId original = SubmitNew(Store(), {"b@x.test", "c@x.test"}, "copied");
  std::vector<MessageId> copies;
  ASSERT_EQ(Must(Store().CopyMessages(Store().Folders().outbox, std::vector{IdOf(original)},
                                      Store().Folders().drafts, &copies)),
            Completion::kComplete);
  ASSERT_THAT(copies, testing::SizeIs(1));
  const EntryId copy = Store().EntryIdOf(copies[0].value);
  const PropertyList here = StoredProps(Db(), original);
  const PropertyList there = StoredProps(Db(), copy);
  EXPECT_EQ(there.NumberOr(pr::kMessageFlags, 0) & kMsgFlagSubmit, 0);
  EXPECT_NE(there.NumberOr(pr::kMessageFlags, 0) & kMsgFlagUnsent, 0);
  EXPECT_EQ(there.Find(pr::kSubmitFlags), nullptr);
  EXPECT_EQ(there.BytesOr(pr::kSearchKey, "a"), here.BytesOr(pr::kSearchKey, "b"));
  EXPECT_NE(there.BytesOr(pr::kRecordKey, {}), here.BytesOr(pr::kRecordKey, {}));
  EXPECT_EQ(there.BytesOr(pr::kSubject, {}), "copied");
  EXPECT_EQ(FolderOf(copy), Store().Folders().drafts);
  EXPECT_THAT(QueueOrder(Db()), testing::ElementsAre(IdOf(original)));
  Message editable = Must(Store().OpenMessage(copy, kMapiModify));
  EXPECT_THAT(Must(editable.GetRecipientTable()), testing::SizeIs(2));
  Must(editable.SubmitMessage());
  EXPECT_THAT(QueueOrder(Db()), testing::ElementsAre(IdOf(original), IdOf(copy)));
  EXPECT_EQ(Findings(Db()), "");
}

// C59: EmptyFolder leaves submitted messages in place and does not abort them.
TEST_F(Conformance, C059_EmptyFolderLeavesSubmittedMessages) {
  const EntryId queued = SubmitNew(Store());
  Message draft = NewDraft(Store());
  const EntryId draft_id = Must(draft.Id());
  Must(draft.SaveChanges());
  const std::string before = Describe(Db(), queued);
  EXPECT_EQ(Must(Store().EmptyFolder(Store().Folders().outbox)), Completion::kPartial);
  EXPECT_FALSE(IsStored(Db(), draft_id));
  EXPECT_EQ(Describe(Db(), queued), before);
  EXPECT_TRUE(IsQueued(queued));
  Must(Store().AbortSubmit(queued));
  EXPECT_EQ(Must(Store().EmptyFolder(Store().Folders().outbox)), Completion::kComplete);
}

// C60: SetReadFlag on a submitted message does not change READ.
TEST_F(Conformance, C060_TheReadFlagOfASubmittedMessageStays) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  const std::string before = Describe(Db(), id);
  Message reading = Must(Store().OpenMessage(id, 0));
  for (const std::uint32_t flags : {0U, kClearReadFlag, kSuppressReceipt}) {
    EXPECT_THAT(reading.SetReadFlag(flags), IsError(ErrorCode::kSubmitted));
    EXPECT_EQ(Must(Store().SetReadFlags(Store().Folders().outbox, {}, flags)),
              Completion::kPartial);
  }
  EXPECT_EQ(Describe(Db(), id), before);
}

// C61: SetReadFlag(CLEAR_READ_FLAG|GENERATE_RECEIPT_ONLY) and the other two listed combinations
// fail MAPI_E_INVALID_PARAMETER.
TEST_F(Conformance, C061_ReadFlagsThatExcludeEachOtherAreRefused) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  const std::string before = Describe(Db(), id);
  for (const std::uint32_t flags :
       {kClearReadFlag | kGenerateReceiptOnly, kSuppressReceipt | kClearReadFlag,
        kSuppressReceipt | kClearReadFlag | kGenerateReceiptOnly}) {
    EXPECT_THAT(message.SetReadFlag(flags), IsError(ErrorCode::kInvalidParameter));
    EXPECT_THAT(Store().SetReadFlags(Store().Folders().outbox, {}, flags),
                IsError(ErrorCode::kInvalidParameter));
  }
  EXPECT_THAT(message.SetReadFlag(0x2), IsError(ErrorCode::kUnknownFlags));
  EXPECT_EQ(Describe(Db(), id), before);
}

// C62: ModifyRecipients(MODRECIP_MODIFY) drops properties not listed in the entry.
TEST_F(Conformance, C062_AModifiedRecipientHasOnlyWhatTheEntryLists) {
  Message message = NewDraft(Store(), std::vector<std::string>{});
  RecipientRow row = MakeSmtpRecipient("b@x.test", kRecipientTo, "Bee");
  row.properties.Set(Property::Bytes(pr::kOriginalDisplayName, "Original"));
  Must(message.ModifyRecipients(kModifyRecipientsAdd, {row}));
  RecipientRow modified = Must(message.GetRecipientTable()).front();
  ASSERT_NE(modified.properties.Find(pr::kOriginalDisplayName), nullptr);
  modified.properties = {Property::Number(pr::kRecipientType, kRecipientCc),
                         Property::Bytes(pr::kEmailAddress, "c@x.test")};
  Must(message.ModifyRecipients(kModifyRecipientsModify, {modified}));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  const RecipientTable stored = Must(message.GetRecipientTable());
  ASSERT_THAT(stored, testing::SizeIs(1));
  EXPECT_EQ(stored[0].id, modified.id);
  EXPECT_EQ(stored[0].properties, modified.properties);
}

}  // namespace
}  // namespace bobbin

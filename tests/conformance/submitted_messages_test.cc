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

}  // namespace
}  // namespace bobbin

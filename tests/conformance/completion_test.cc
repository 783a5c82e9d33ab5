// Statements C88 to C96 and C98: FinishMessage and the sent mail table of specification 4.8.
#include <optional>

#include "tests/conformance/conformance.h"
#include "tests/support/fault_sweep.h"

namespace bobbin {
namespace {

class Wishes {
 public:
  Wishes(std::optional<EntryId> sent_mail, bool delete_after_submit)
      : sent_mail_(sent_mail), delete_after_submit_(delete_after_submit) {}
  void SetOn(Message& message) const {
    bool set = true;
    if (sent_mail_) {
      set = SetProp(message, Property::Bytes(pr::kSentMailEntryId, sent_mail_->ToBytes()));
    }
    if (delete_after_submit_) {
      set = set && SetProp(message, Property::Number(pr::kDeleteAfterSubmit, 1));
    }
    if (!set) throw std::runtime_error("SetProps: problems");
  }

 private:
  std::optional<EntryId> sent_mail_;
  bool delete_after_submit_;
};

// Submits with these wishes, locks and finishes.
struct Finished {
  EntryId id;
  PropertyList draft;
  FinishResult result;
};

Finished Finish(Database& database, MessageStore& store, const Wishes& wishes) {
  Message message = NewDraft(store, {"b@x.test", "c@x.test"}, "finished");
  wishes.SetOn(message);
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  PropertyList draft = Must(message.GetProps());
  Must(message.SubmitMessage());
  SpoolerSession session = Must(database.OpenSpoolerSession());
  Message opened = Must(session.OpenMessage(id));
  Must(session.SetLockState(opened, LockState::kLocked));
  const FinishResult result = Must(session.FinishMessage(id));
  return {id, std::move(draft), result};
}

// All messages of the store's Outbox and Sent Items.
std::vector<MessageId> ContentsOf(const MessageStore& store, FolderId folder) {
  std::vector<MessageId> ids;
  for (const ContentsRow& row : Must(store.GetContentsTable(folder, 100))) {
    ids.push_back(row.message);
  }
  return ids;
}

// C88: FinishedMsg, neither property: message stays in its folder.
TEST_F(Conformance, C088_WithNeitherPropertyTheMessageStaysInItsFolder) {
  const Finished finished = Finish(Db(), Store(), {std::nullopt, false});
  EXPECT_EQ(finished.result, FinishResult::kFinished);
  EXPECT_EQ(FolderOf(finished.id), Store().Folders().outbox);
  EXPECT_THAT(ContentsOf(Store(), Store().Folders().outbox),
              testing::ElementsAre(IdOf(finished.id)));
  EXPECT_THAT(QueueOrder(Db()), testing::IsEmpty());
  EXPECT_EQ(Findings(Db()), "");
}

// C89: FinishedMsg, sent folder set: message is in that folder and no longer in the old one.
TEST_F(Conformance, C089_WithASentFolderTheMessageIsMovedThere) {
  const EntryId sent = Store().EntryIdOf(Store().Folders().sent_items.value);
  const Finished finished = Finish(Db(), Store(), {sent, false});
  EXPECT_EQ(finished.result, FinishResult::kFinished);
  const std::vector<MessageId> there = ContentsOf(Store(), Store().Folders().sent_items);
  ASSERT_THAT(there, testing::SizeIs(1));
  EXPECT_THAT(ContentsOf(Store(), Store().Folders().outbox), testing::IsEmpty());
  const PropertyList props = StoredProps(Db(), Store().EntryIdOf(there[0].value));
  EXPECT_EQ(props.BytesOr(pr::kSubject, {}), "finished");
  EXPECT_EQ(props.BytesOr(pr::kParentEntryId, {}), sent.ToBytes());
  EXPECT_EQ(Must(Store().GetFolder(Store().Folders().sent_items)).content_count, 1U);
  EXPECT_EQ(Must(Store().GetFolder(Store().Folders().outbox)).content_count, 0U);
  EXPECT_EQ(Findings(Db()), "");
}

// C90: FinishedMsg, delete set: message is gone, from every folder, for good.
TEST_F(Conformance, C090_WithDeleteAfterSubmitTheMessageIsGone) {
  const Finished finished = Finish(Db(), Store(), {std::nullopt, true});
  EXPECT_EQ(finished.result, FinishResult::kFinished);
  EXPECT_FALSE(IsStored(Db(), finished.id));
  EXPECT_THAT(Store().OpenEntry(finished.id, 0), IsError(ErrorCode::kNotFound));
  EXPECT_EQ(Must(Db().CheckStore()).messages, 0U);
  EXPECT_EQ(Findings(Db()), "");
}

// C91: FinishedMsg, both: one copy in the sent folder, none in the original folder.
TEST_F(Conformance, C091_WithBothOneCopyIsInTheSentFolder) {
  const EntryId sent = Store().EntryIdOf(Store().Folders().sent_items.value);
  const Finished finished = Finish(Db(), Store(), {sent, true});
  EXPECT_EQ(finished.result, FinishResult::kFinished);
  EXPECT_THAT(ContentsOf(Store(), Store().Folders().sent_items), testing::SizeIs(1));
  EXPECT_THAT(ContentsOf(Store(), Store().Folders().outbox), testing::IsEmpty());
  EXPECT_EQ(Must(Db().CheckStore()).messages, 1U);
  EXPECT_EQ(Findings(Db()), "");
}

// C92: After completion SUBMIT and UNSENT are clear, READ is set, PR_SUBMIT_FLAGS absent. Of a
// message that was unread before, too, with the folder's count of unread messages right.
TEST_F(Conformance, C092_AfterCompletionTheFlagsSaySent) {
  const EntryId sent = Store().EntryIdOf(Store().Folders().sent_items.value);
  for (const Wishes& wishes : {Wishes{std::nullopt, false}, Wishes{sent, false}}) {
    Message message = NewDraft(Store());
    wishes.SetOn(message);
    ASSERT_TRUE(SetProp(message, Property::Number(pr::kMessageFlags, kMsgFlagUnsent)));
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    ASSERT_EQ(StoredFlags(Db(), id) & kMsgFlagRead, 0U);
    EXPECT_EQ(Must(Store().GetFolder(Store().Folders().outbox)).content_unread, 1U);
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Must(Lock(session, id));
    Must(session.FinishMessage(id));
    const PropertyList props = StoredProps(Db(), id);
    const auto flags = props.NumberOr(pr::kMessageFlags, 0);
    EXPECT_EQ(flags & (kMsgFlagSubmit | kMsgFlagUnsent), 0);
    EXPECT_NE(flags & kMsgFlagRead, 0);
    EXPECT_EQ(props.Find(pr::kSubmitFlags), nullptr);
    EXPECT_EQ(Must(Store().GetFolder(Store().Folders().outbox)).content_unread, 0U);
    EXPECT_EQ(Must(Store().GetFolder(Store().Folders().sent_items)).content_unread, 0U);
  }
  EXPECT_EQ(Findings(Db()), "");
}

// C93: PR_SEARCH_KEY of the sent copy equals that of the draft.
TEST_F(Conformance, C093_TheSentCopyHasTheSearchKeyOfTheDraft) {
  const EntryId sent = Store().EntryIdOf(Store().Folders().sent_items.value);
  for (const bool delete_after_submit : {false, true}) {
    const Finished finished = Finish(Db(), Store(), {sent, delete_after_submit});
    const auto there = ContentsOf(Store(), Store().Folders().sent_items);
    ASSERT_FALSE(there.empty());
    const PropertyList props = StoredProps(Db(), Store().EntryIdOf(there.back().value));
    ASSERT_FALSE(finished.draft.BytesOr(pr::kSearchKey, {}).empty());
    EXPECT_EQ(props.BytesOr(pr::kSearchKey, {}), finished.draft.BytesOr(pr::kSearchKey, {}));
  }
}

// C94: FinishedMsg on an unlocked or unqueued message fails and changes nothing: queued but not
// locked or locked by another session MAPI_E_NO_ACCESS; never submitted, sent, aborted
// MAPI_E_NOT_IN_QUEUE.
TEST_F(Conformance, C094_FinishingWhatIsNotLockedOrNotQueuedFails) {
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  SpoolerSession other = Must(Db().OpenSpoolerSession());
  const auto expect_refused = [&](const EntryId& id, ErrorCode code) {
    const std::string before = Describe(Db(), id);
    EXPECT_THAT(session.FinishMessage(id), IsError(code));
    EXPECT_EQ(Describe(Db(), id), before);
  };
  const EntryId queued = SubmitNew(Store());
  expect_refused(queued, ErrorCode::kNoAccess);
  Must(Lock(other, queued));
  expect_refused(queued, ErrorCode::kNoAccess);
  EXPECT_THAT(Store().AbortSubmit(queued), IsError(ErrorCode::kUnableToAbort))
      << "the other session's lock is gone";
  Must(Unlock(other, queued));
  Must(Store().AbortSubmit(queued));
  expect_refused(queued, ErrorCode::kNotInQueue);
  expect_refused(Finish(Db(), Store(), {std::nullopt, false}).id, ErrorCode::kNotInQueue);
  expect_refused(Finish(Db(), Store(), {std::nullopt, true}).id, ErrorCode::kNotInQueue);
  Message draft = NewDraft(Store());
  const EntryId draft_id = Must(draft.Id());
  Must(draft.SaveChanges());
  expect_refused(draft_id, ErrorCode::kNotInQueue);
  const EntryId locked = SubmitNew(Store());
  Must(Lock(session, locked));
  EXPECT_THAT(session.FinishMessage(locked, 1), IsError(ErrorCode::kUnknownFlags));
}

// C95: A vanished sent folder neither blocks completion nor triggers a resend. With and without the
// wish to delete: where the sent copy cannot be kept, the message is not thrown away either.
TEST_F(Conformance, C095_AVanishedSentFolderDoesNotBlockCompletion) {
  for (const bool delete_after_submit : {false, true}) {
    const FolderId gone = Must(Store().CreateFolder(Store().Folders().root, "Gone"));
    Message message = NewDraft(Store());
    Wishes(Store().EntryIdOf(gone.value), delete_after_submit).SetOn(message);
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    Must(Store().DeleteFolder(gone));
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Must(Lock(session, id));
    EXPECT_EQ(Must(session.FinishMessage(id)), FinishResult::kFinishedPartially);
    EXPECT_FALSE(IsQueued(id));
    EXPECT_FALSE(Must(session.NextDue(Clock().Now() + std::chrono::hours(1000))).message);
    EXPECT_EQ(FolderOf(id), Store().Folders().outbox);
    EXPECT_EQ(StoredFlags(Db(), id) & (kMsgFlagSubmit | kMsgFlagUnsent), 0U);
  }
  EXPECT_EQ(Findings(Db()), "");
}

// C96: Crash at any write of FinishedMsg: either still queued in the old folder or completely
// finished. Every write and every commit fails in turn, for each row of the table, of a message
// with content in rows of its own.
FaultSweep FinishSweep(bool sent_folder, bool delete_after_submit) {
  FaultSweep sweep;
  auto id = std::make_shared<EntryId>();
  sweep.prepare = [=](TemporaryDatabase& database) {
    MessageStore& store = database.Store();
    Message message = NewDraft(store, {"b@x.test", "c@x.test"});
    std::optional<EntryId> sent;
    if (sent_folder) sent = store.EntryIdOf(store.Folders().sent_items.value);
    Wishes(sent, delete_after_submit).SetOn(message);
    Must(message.SetProps(
        std::vector{Property::Number(pr::kMessageFlags, kMsgFlagUnsent)}));  // Unread.
    MessageBodyWriter writer = store.NewContent();
    Must(writer.Append(std::string(100'000, 'x')));
    Must(message.SetContent(Must(writer.Finish())));
    *id = Must(message.Id());
    Must(message.SubmitMessage());
  };
  sweep.step = [=](TemporaryDatabase& database) -> Result<void> {
    ASSIGN_OR_RETURN(SpoolerSession session, database.Database().OpenSpoolerSession());
    ASSIGN_OR_RETURN(Message message, session.OpenMessage(*id));
    RETURN_IF_ERROR(session.SetLockState(message, LockState::kLocked));
    RETURN_IF_ERROR(session.FinishMessage(*id));
    return {};
  };
  sweep.observe = [=](TemporaryDatabase& database) {
    const MessageStore& store = database.Store();
    std::string text = Describe(database.Database(), *id);
    for (const FolderId folder : {store.Folders().outbox, store.Folders().sent_items}) {
      const FolderInfo info = Must(store.GetFolder(folder));
      text += "folder " + std::to_string(info.content_count) + " unread " +
              std::to_string(info.content_unread) + " contents " +
              std::to_string(ContentsOf(store, folder).size()) + "\n";
    }
    text += "queued " + std::to_string(QueueOrder(database.Database()).size()) + "\n";
    text += "bodies " + std::to_string(Must(database.Database().CheckStore()).bodies) + "\n";
    return text;
  };
  return sweep;
}

TEST_F(Conformance, C096_ACrashAtAnyWriteOfFinishMessageLeavesAllOrNothing) {
  for (const bool sent_folder : {false, true}) {
    for (const bool delete_after_submit : {false, true}) {
      SCOPED_TRACE(testing::Message() << sent_folder << delete_after_submit);
      const FaultSweepCounts counts = Sweep(FinishSweep(sent_folder, delete_after_submit));
      EXPECT_GE(counts.writes, 4);  // Message, folder, queue row, due row.
      EXPECT_EQ(counts.commits, 2) << "FinishMessage is one transaction";
      EXPECT_GT(counts.after, 0);
    }
  }
}

// C98: A sent message can be opened MAPI_MODIFY again: where it stayed, and in the sent folder.
// What is written there is saved.
TEST_F(Conformance, C098_ASentMessageCanBeOpenedForWritingAgain) {
  const EntryId sent = Store().EntryIdOf(Store().Folders().sent_items.value);
  for (const Wishes& wishes : {Wishes{std::nullopt, false}, Wishes{sent, false}}) {
    const EntryId id = Finish(Db(), Store(), wishes).id;
    Message message = Must(Store().OpenMessage(id, kMapiModify));
    EXPECT_EQ(Must(message.GetProp(pr::kAccessLevel)).number, 1);
    ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "edited")));
    Must(message.SaveChanges());
    EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "edited");
    EXPECT_EQ(StoredFlags(Db(), id) & (kMsgFlagSubmit | kMsgFlagUnsent), 0U) << "still sent";
  }
  EXPECT_EQ(Findings(Db()), "");
}

}  // namespace
}  // namespace bobbin

// Statements C17 to C40: what SubmitMessage does, and what it leaves alone when it fails.
#include "engine/attachment.h"
#include "engine/kv/commit_fault.h"
#include "engine/recipient_view.h"
#include "tests/conformance/conformance.h"
#include "tests/support/fault_sweep.h"

namespace bobbin {
namespace {

RecipientTable StoredRecipients(const Database& database, const EntryId& id) {
  return Must(Must(database.OpenMessageForOperator(MessageId{id.Object()})).GetRecipientTable());
}

// C17: SubmitMessage on a message with no recipients fails MAPI_E_NO_RECIPIENTS; message not
// queued, flags unchanged, object still writable. For a new message and for a saved one.
TEST_F(Conformance, C017_SubmitMessageWithoutRecipientsFailsAndChangesNothing) {
  Message fresh = NewDraft(Store(), std::vector<std::string>{});
  const EntryId fresh_id = Must(fresh.Id());
  EXPECT_THAT(fresh.SubmitMessage(), IsError(ErrorCode::kNoRecipients));
  EXPECT_FALSE(IsStored(Db(), fresh_id));

  Message saved = NewDraft(Store(), std::vector<std::string>{});
  const EntryId saved_id = Must(saved.Id());
  Must(saved.SaveChanges(kKeepOpenReadWrite));
  const std::string before = Describe(Db(), saved_id);
  EXPECT_THAT(saved.SubmitMessage(), IsError(ErrorCode::kNoRecipients));
  EXPECT_EQ(Describe(Db(), saved_id), before);
  EXPECT_THAT(QueueOrder(Db()), testing::IsEmpty());

  for (Message* message : {&fresh, &saved}) {
    EXPECT_EQ(Must(message->Access()), AccessLevel::kModify);
    EXPECT_EQ(Must(message->GetProp(pr::kMessageFlags)).number & kMsgFlagSubmit, 0);
    EXPECT_TRUE(SetProp(*message, Property::Bytes(pr::kSubject, "still writable")));
    EXPECT_THAT(message->SaveChanges(), IsOk());
  }
}

// C18: SubmitMessage saves unsaved properties, recipients and saved attachments; no prior
// SaveChanges needed. The content is the third part here; attachments are proved with C25 and C38.
TEST_F(Conformance, C018_SubmitMessageSavesWhatIsPending) {
  // Never saved.
  Message fresh = NewDraft(Store(), {"b@x.test", "c@x.test"}, "never saved");
  MessageBodyWriter writer = Store().NewContent();
  Must(writer.Append("Subject: never saved\r\n\r\nHello.\r\n"));
  Must(fresh.SetContent(Must(writer.Finish())));
  Attachment attachment = Must(fresh.CreateAttachment());
  ASSERT_THAT(
      Must(attachment.SetProps(std::vector{Property::Bytes(pr::kAttachFilename, "saved.txt"),
                                           Property::Bytes(pr::kAttachDataBinary, "attached")})),
      testing::IsEmpty());
  Must(attachment.SaveChanges());
  Attachment unsaved = Must(fresh.CreateAttachment());
  ASSERT_THAT(
      Must(unsaved.SetProps(std::vector{Property::Bytes(pr::kAttachFilename, "unsaved.txt")})),
      testing::IsEmpty());
  const EntryId fresh_id = Must(fresh.Id());
  Must(fresh.SubmitMessage());
  // Saved, then edited.
  Message edited = NewDraft(Store(), std::vector<std::string>{}, "as saved");
  const EntryId edited_id = Must(edited.Id());
  Must(edited.SaveChanges(kKeepOpenReadWrite));
  ASSERT_TRUE(SetProp(edited, Property::Bytes(pr::kSubject, "as edited")));
  Must(
      edited.ModifyRecipients(kModifyRecipientsAdd, {MakeSmtpRecipient("d@x.test", kRecipientCc)}));
  Must(edited.SubmitMessage());

  database_.Reopen();
  EXPECT_EQ(StoredProps(Db(), fresh_id).BytesOr(pr::kSubject, {}), "never saved");
  EXPECT_THAT(StoredRecipients(Db(), fresh_id), testing::SizeIs(2));
  const Message queued = Must(Db().OpenMessageForOperator(IdOf(fresh_id)));
  const auto attachments = Must(queued.GetAttachmentTable());
  ASSERT_THAT(attachments, testing::SizeIs(1));
  EXPECT_EQ(attachments[0].BytesOr(pr::kAttachFilename, {}), "saved.txt");
  EXPECT_EQ(attachments[0].BytesOr(pr::kAttachDataBinary, {}), "attached");
  EXPECT_EQ(StoredProps(Db(), fresh_id).NumberOr(pr::kHasAttachment, 0), 1);
  MessageBodyReader content = Must(queued.OpenContent());
  EXPECT_EQ(Must(content.Next()), "Subject: never saved\r\n\r\nHello.\r\n");
  EXPECT_EQ(StoredProps(Db(), edited_id).BytesOr(pr::kSubject, {}), "as edited");
  ASSERT_THAT(StoredRecipients(Db(), edited_id), testing::SizeIs(1));
  EXPECT_EQ(StoredRecipients(Db(), edited_id)[0].EmailAddress(), "d@x.test");
  EXPECT_EQ(StoredProps(Db(), edited_id).BytesOr(pr::kDisplayCc, {}), "d@x.test");
}

// C19: After S_OK, PR_MESSAGE_FLAGS has SUBMIT and UNSENT.
TEST_F(Conformance, C019_SubmitAndUnsentAreSetAfterSubmitMessage) {
  const EntryId id = SubmitNew(Store());
  const auto flags = ClientProp(id, pr::kMessageFlags);
  EXPECT_NE(flags & kMsgFlagSubmit, 0);
  EXPECT_NE(flags & kMsgFlagUnsent, 0);
}

// C20: UNSENT is set at submit even if the client had cleared it.
TEST_F(Conformance, C020_UnsentIsSetAtSubmitEvenIfTheClientHadClearedIt) {
  Message message = NewDraft(Store());
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kMessageFlags, kMsgFlagRead)));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  EXPECT_NE(StoredFlags(Db(), id) & kMsgFlagUnsent, 0U);
}

// C21: After S_OK of a client's non-resend submit on an uncoupled store every recipient row has
// PR_RESPONSIBILITY = FALSE.
TEST_F(Conformance, C021_EveryRecipientIsUnservedAfterSubmitMessage) {
  const EntryId id = SubmitNew(Store(), {"b@x.test", "c@x.test", "d@x.test"});
  const RecipientTable rows = StoredRecipients(Db(), id);
  ASSERT_THAT(rows, testing::SizeIs(3));
  for (const RecipientRow& row : rows) {
    EXPECT_FALSE(row.delivery.responsibility);
    EXPECT_EQ(row.delivery.state, RecipientState::kPending);
    EXPECT_EQ(row.delivery.attempts, 0U);
  }
}

// C22: A client-supplied PR_RESPONSIBILITY = TRUE is reset to FALSE on a non-resend submit. Given
// as a property and as the typed field, and saved before so that it is what the store has.
TEST_F(Conformance, C022_AClientsResponsibilityIsReset) {
  Message message = NewDraft(Store(), std::vector<std::string>{});
  RecipientRow as_property = MakeSmtpRecipient("b@x.test", kRecipientTo);
  as_property.properties.Set(Property::Number(pr::kResponsibility, 1));
  RecipientRow as_field = MakeSmtpRecipient("c@x.test", kRecipientTo);
  as_field.delivery.responsibility = true;
  as_field.delivery.state = RecipientState::kDelivered;
  Must(message.ModifyRecipients(kModifyRecipientsReplace, {as_property, as_field}));
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  for (const RecipientRow& row : StoredRecipients(Db(), id)) {
    EXPECT_TRUE(row.delivery.responsibility) << "else the test proves nothing";
  }
  Must(message.SubmitMessage());
  for (const RecipientRow& row : StoredRecipients(Db(), id)) {
    EXPECT_FALSE(row.delivery.responsibility) << row.EmailAddress();
    EXPECT_EQ(row.delivery.state, RecipientState::kPending);
  }
}

// C23: PR_CLIENT_SUBMIT_TIME lies between call and return, UTC, replacing any client value. With
// the system's clock; the property counts in 100 ns.
TEST_F(Conformance, C023_ClientSubmitTimeIsTheTimeOfTheCall) {
  database_.Close();
  Database database = Must(Database::Open(database_.Path()));
  MessageStore store = Must(database.OpenMessageStore(TemporaryDatabase::kStoreName));
  Message message = NewDraft(store);
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kClientSubmitTime, 42)));
  const EntryId id = Must(message.Id());
  const std::int64_t before = ToFileTime(SystemClock().Now());
  Must(message.SubmitMessage());
  const std::int64_t after = ToFileTime(SystemClock().Now());
  const std::int64_t time = StoredProps(database, id).NumberOr(pr::kClientSubmitTime, 0);
  EXPECT_GE(time, before);
  EXPECT_LE(time, after);
}

// C24: After S_OK any method on the message object fails MAPI_E_INVALID_OBJECT.
TEST_F(Conformance, C024_EveryMethodOfASubmittedObjectFailsInvalidObject) {
  Message message = NewDraft(Store());
  Must(message.SubmitMessage());
  const auto invalid = IsError(ErrorCode::kInvalidObject);
  EXPECT_THAT(message.Id(), invalid);
  EXPECT_THAT(message.Access(), invalid);
  EXPECT_THAT(message.GetProps(), invalid);
  EXPECT_THAT(message.GetProp(pr::kSubject), invalid);
  EXPECT_THAT(message.SetProps(std::vector{Property::Bytes(pr::kSubject, "x")}), invalid);
  EXPECT_THAT(message.DeleteProps(std::vector{pr::kSubject}), invalid);
  EXPECT_THAT(message.ModifyRecipients(kModifyRecipientsReplace, {}), invalid);
  EXPECT_THAT(message.GetRecipientTable(), invalid);
  EXPECT_THAT(message.SetContent(MessageBody{}), invalid);
  EXPECT_THAT(message.OpenContent(), invalid);
  EXPECT_THAT(message.SaveChanges(), invalid);
  EXPECT_THAT(message.SubmitMessage(), invalid);
  Result<void> asynchronous;
  message.SubmitMessageAsync(0, [&](Result<void> outcome) { asynchronous = std::move(outcome); });
  EXPECT_THAT(asynchronous, invalid);
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  EXPECT_THAT(session.SetLockState(message, LockState::kLocked), invalid);
}

// C25: Open attachment, stream and table objects of that message are invalid too.
TEST_F(Conformance, C025_WhatIsOpenOfASubmittedMessageIsInvalidToo) {
  Message message = NewDraft(Store());
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kBody, "text")));
  MessageBodyReader stream = Must(message.OpenStream(pr::kBody));
  Attachment attachment = Must(message.CreateAttachment());
  ASSERT_THAT(
      Must(attachment.SetProps(std::vector{Property::Bytes(pr::kAttachDataBinary, "attached")})),
      testing::IsEmpty());
  const RecipientView table = Must(message.ViewRecipients());
  EXPECT_EQ(Must(table.RowCount()), 1U);
  MessageBodyReader data = Must(attachment.OpenStream(pr::kAttachDataBinary));
  Message embedded = Must(attachment.CreateEmbeddedMessage());
  Must(attachment.SaveChanges(kKeepOpenReadWrite));
  EXPECT_THAT(stream.Next(), IsOk());
  EXPECT_THAT(data.Next(), IsOk());
  stream.Rewind();
  data.Rewind();
  Must(message.SubmitMessage());
  EXPECT_THAT(stream.Next(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(table.QueryRows(1), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(data.Next(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(attachment.GetProps(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(attachment.Number(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(attachment.SaveChanges(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(embedded.GetProps(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(embedded.SaveChanges(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(message.GetAttachmentTable(), IsError(ErrorCode::kInvalidObject));
  EXPECT_THAT(message.GetRecipientTable(), IsError(ErrorCode::kInvalidObject));
}

// C26: After an error the object and subobjects remain usable: reading, editing, saving, and the
// same submission once its cause is gone.
TEST_F(Conformance, C026_AfterAnErrorTheObjectRemainsUsable) {
  Message message = NewDraft(Store(), std::vector<std::string>{}, "kept");
  const EntryId id = Must(message.Id());
  EXPECT_THAT(message.SubmitMessage(0x8000), IsError(ErrorCode::kUnknownFlags));
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kNoRecipients));
  EXPECT_EQ(Must(message.GetProp(pr::kSubject)).bytes, "kept");
  EXPECT_THAT(Must(message.GetRecipientTable()), testing::IsEmpty());
  EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "edited")));
  EXPECT_THAT(
      message.ModifyRecipients(kModifyRecipientsAdd, {MakeSmtpRecipient("b@x.test", kRecipientTo)}),
      IsOk());
  EXPECT_THAT(message.SaveChanges(kKeepOpenReadWrite), IsOk());
  EXPECT_THAT(message.SubmitMessage(), IsOk());
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "edited");
  EXPECT_TRUE(IsQueued(id));
}

// C27: The entry identifier read before submit still names the message for AbortSubmit.
TEST_F(Conformance, C027_TheEntryIdentifierReadBeforeSubmitNamesTheMessage) {
  Message message = NewDraft(Store());
  const EntryId before_any_save = Must(message.Id());
  const EntryId as_property = Must(EntryId::FromBytes(Must(message.GetProp(pr::kEntryId)).bytes));
  EXPECT_EQ(before_any_save, as_property);
  Must(message.SubmitMessage());
  EXPECT_THAT(Store().AbortSubmit(before_any_save), IsOk());
  EXPECT_THAT(Store().OpenMessage(before_any_save, kMapiModify), IsOk());
}

// C28: SubmitMessage on a read-only object fails MAPI_E_NO_ACCESS.
TEST_F(Conformance, C028_SubmitMessageOnAReadOnlyObjectFailsNoAccess) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadOnly));
  EXPECT_THAT(message.SubmitMessage(), IsError(ErrorCode::kNoAccess));
  Message opened = Must(Store().OpenMessage(id, 0));
  EXPECT_THAT(opened.SubmitMessage(), IsError(ErrorCode::kNoAccess));
  EXPECT_FALSE(IsQueued(id));
}

// C29: SubmitMessage on a second read/write handle of an already submitted message fails
// MAPI_E_SUBMITTED.
TEST_F(Conformance, C029_SubmittingThroughASecondHandleFailsSubmitted) {
  Message first = NewDraft(Store());
  const EntryId id = Must(first.Id());
  Must(first.SaveChanges(kKeepOpenReadWrite));
  Message second = Must(Store().OpenMessage(id, kMapiModify));
  Message edited = Must(Store().OpenMessage(id, kMapiModify));
  ASSERT_TRUE(SetProp(edited, Property::Bytes(pr::kSubject, "other")));
  Must(first.SubmitMessage());
  const std::string before = Describe(Db(), id);
  EXPECT_THAT(second.SubmitMessage(), IsError(ErrorCode::kSubmitted));
  EXPECT_THAT(edited.SubmitMessage(), IsError(ErrorCode::kSubmitted));
  EXPECT_EQ(Describe(Db(), id), before);
  EXPECT_THAT(QueueOrder(Db()), testing::ElementsAre(IdOf(id)));
}

// C30: SaveChanges on a stale read/write handle after submission fails MAPI_E_OBJECT_CHANGED, with
// FORCE_SAVE MAPI_E_SUBMITTED; stored content unchanged.
TEST_F(Conformance, C030_AStaleHandleCannotSaveIntoAQueuedMessage) {
  Message first = NewDraft(Store());
  const EntryId id = Must(first.Id());
  Must(first.SaveChanges(kKeepOpenReadWrite));
  Message stale = Must(Store().OpenMessage(id, kMapiModify));
  ASSERT_TRUE(SetProp(stale, Property::Bytes(pr::kSubject, "from the stale handle")));
  Must(stale.ModifyRecipients(kModifyRecipientsReplace, {}));
  Must(first.SubmitMessage());
  const std::string before = Describe(Db(), id);
  EXPECT_THAT(stale.SaveChanges(), IsError(ErrorCode::kObjectChanged));
  EXPECT_THAT(stale.SaveChanges(kForceSave), IsError(ErrorCode::kSubmitted));
  EXPECT_EQ(Describe(Db(), id), before);
}

// C31: SubmitMessage(FORCE_SUBMIT) behaves as SubmitMessage(0): the same outcome on success and
// on failure, and the same message but for its identity and its place in the queue.
TEST_F(Conformance, C031_ForceSubmitBehavesAsZero) {
  std::vector<PropertyList> stored;
  for (const std::uint32_t flags : {0U, kForceSubmit}) {
    Message empty = NewDraft(Store(), std::vector<std::string>{});
    EXPECT_THAT(empty.SubmitMessage(flags), IsError(ErrorCode::kNoRecipients));
    Message message = NewDraft(Store());
    const EntryId id = Must(message.Id());
    EXPECT_THAT(message.SubmitMessage(flags), IsOk());
    EXPECT_THAT(message.GetProps(), IsError(ErrorCode::kInvalidObject));
    PropertyList props = StoredProps(Db(), id);
    for (const PropertyTag own :
         {pr::kEntryId, pr::kRecordKey, pr::kSearchKey, pr::kInternetMessageId}) {
      EXPECT_NE(props.Find(own), nullptr);
      props.Erase(own);
    }
    stored.push_back(std::move(props));
  }
  EXPECT_EQ(stored[0], stored[1]);
  EXPECT_THAT(QueueOrder(Db()), testing::SizeIs(2));
}

// C36: A message submitted from any folder (Inbox, subfolder) is queued and treated as one from
// the Outbox: abortable, lockable, and finished in place.
TEST_F(Conformance, C036_AMessageIsQueuedFromAnyFolder) {
  const StandardFolders& folders = Store().Folders();
  const FolderId below_inbox = Must(Store().CreateFolder(folders.inbox, "Below"));
  const FolderId deeper = Must(Store().CreateFolder(below_inbox, "Deeper"));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  for (const FolderId folder : {folders.inbox, folders.drafts, folders.sent_items, folders.root,
                                folders.outbox, below_inbox, deeper}) {
    SCOPED_TRACE(folder.value);
    Message message = NewDraft(Store(), folder, {"b@x.test"});
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    EXPECT_TRUE(IsQueued(id));
    EXPECT_EQ(FolderOf(id), folder);
    Must(Store().AbortSubmit(id));
    Must(Must(Store().OpenMessage(id, kMapiModify)).SubmitMessage());
    const DueResult due = Must(session.NextDue(Clock().Now()));
    ASSERT_TRUE(due.message);
    EXPECT_EQ(due.message->entry_id, id);
    Must(Lock(session, id));
    EXPECT_EQ(Must(session.FinishMessage(id)), FinishResult::kFinished);
    EXPECT_EQ(FolderOf(id), folder);
    EXPECT_FALSE(IsQueued(id));
  }
  EXPECT_EQ(Findings(Db()), "");
}

// C37: An unsubmitted message in the Outbox is not in the queue table.
TEST_F(Conformance, C037_AnUnsubmittedMessageInTheOutboxIsNotQueued) {
  Message draft = NewDraft(Store(), Store().Folders().outbox, {"b@x.test"});
  const EntryId id = Must(draft.Id());
  Must(draft.SaveChanges());
  EXPECT_THAT(Must(Store().GetContentsTable(Store().Folders().outbox, 10)), testing::SizeIs(1));
  EXPECT_THAT(QueueOrder(Db()), testing::IsEmpty());
  EXPECT_THAT(Db().GetOutgoingQueue().Row(IdOf(id)), IsError(ErrorCode::kNotInQueue));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  EXPECT_FALSE(Must(session.NextDue(Clock().Now() + std::chrono::hours(1))).message);
}

// C38: SubmitMessage on an embedded message fails MAPI_E_NO_SUPPORT.
TEST_F(Conformance, C038_AnEmbeddedMessageCannotBeSubmitted) {
  Message outer = NewDraft(Store());
  Attachment attachment = Must(outer.CreateAttachment());
  Message embedded = Must(attachment.CreateEmbeddedMessage());
  Must(embedded.ModifyRecipients(kModifyRecipientsAdd,
                                 {MakeSmtpRecipient("b@x.test", kRecipientTo)}));
  EXPECT_THAT(embedded.SubmitMessage(), IsError(ErrorCode::kNoSupport));
  EXPECT_THAT(QueueOrder(Db()), testing::IsEmpty());
  ASSERT_TRUE(SetProp(embedded, Property::Bytes(pr::kSubject, "still usable")));
  Must(embedded.SaveChanges());
  Must(attachment.SaveChanges());
  Must(outer.SubmitMessage());
}

// C40: Crash injected at any write of SubmitMessage leaves either the pre-state or the fully queued
// state. Every write and every commit fails in turn: of a saved draft with edits pending, and of a
// message that was never saved; both with content in rows of its own.
FaultSweep SubmissionSweep(bool saved_before) {
  FaultSweep sweep;
  auto id = std::make_shared<EntryId>();
  const auto fill = [](MessageStore& store, Message& message) {
    MessageBodyWriter writer = store.NewContent();
    Must(writer.Append(std::string(100'000, 'x')));
    Must(message.SetContent(Must(writer.Finish())));
    Must(message.ModifyRecipients(kModifyRecipientsReplace,
                                  {MakeSmtpRecipient("b@x.test", kRecipientTo),
                                   MakeSmtpRecipient("c@x.test", kRecipientCc)}));
  };
  sweep.prepare = [=](TemporaryDatabase& database) {
    Message message = NewDraft(database.Store(), {"a@x.test"}, "before");
    *id = Must(message.Id());
    if (saved_before) {
      fill(database.Store(), message);
      Must(message.SaveChanges());
    }
  };
  sweep.step = [=](TemporaryDatabase& database) -> Result<void> {
    if (saved_before) {
      ASSIGN_OR_RETURN(Message message, database.Store().OpenMessage(*id, kMapiModify));
      fill(database.Store(), message);
      SetProp(message, Property::Bytes(pr::kSubject, "after"));
      return message.SubmitMessage();
    }
    Result<Message> message = database.Store().CreateMessage(database.Store().Folders().outbox);
    if (!message) return tl::unexpected<Error>(message.error());
    *id = Must(message->Id());
    fill(database.Store(), *message);
    return message->SubmitMessage();
  };
  sweep.observe = [=](TemporaryDatabase& database) {
    std::string text = Describe(database.Database(), *id);
    const FolderInfo outbox = Must(database.Store().GetFolder(database.Store().Folders().outbox));
    text += "outbox " + std::to_string(outbox.content_count);
    for (const MessageId queued : QueueOrder(database.Database())) {
      text += " queued " + std::to_string(queued.value);
    }
    return text;
  };
  return sweep;
}

TEST_F(Conformance, C040_ACrashAtAnyWriteOfSubmitMessageLeavesAllOrNothing) {
  for (const bool saved_before : {true, false}) {
    SCOPED_TRACE(saved_before ? "saved before" : "never saved");
    const FaultSweepCounts counts = Sweep(SubmissionSweep(saved_before));
    // Message, two recipients, content, contents row, counters, queue row, due row.
    EXPECT_GE(counts.writes, 8);
    EXPECT_GE(counts.commits, 2);
    EXPECT_GT(counts.after, 0) << "no lost answer of a submission that is durable";
  }
}

// C39: If SubmitMessage returns MAPI_E_CORRUPT_DATA, SetProps of all values + SaveChanges +
// SubmitMessage on the same object can succeed.
TEST_F(Conformance, C039_AfterCorruptDataTheClientWritesEverythingAgain) {
  Message message = NewDraft(Store(), {"b@x.test"}, "written twice");
  const EntryId id = Must(message.Id());
  const RecipientTable recipients = Must(message.GetRecipientTable());
  kv::FailWriteForTesting(*database_.Engine(), 1, ErrorCode::kCorruptData);
  ASSERT_THAT(message.SubmitMessage(), IsError(ErrorCode::kCorruptData));
  EXPECT_FALSE(IsStored(Db(), id));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "written twice")));
  Must(message.ModifyRecipients(kModifyRecipientsReplace, recipients));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  Must(message.SubmitMessage());
  EXPECT_TRUE(IsQueued(id));
  EXPECT_EQ(StoredProps(Db(), id).BytesOr(pr::kSubject, {}), "written twice");
  EXPECT_EQ(Findings(Db()), "");
}

}  // namespace
}  // namespace bobbin

// What callers get wrong: unknown flags, foreign and malformed identifiers, values of the wrong
// type or size, rows that do not exist. Each is refused with the documented error, changes nothing,
// and leaves the object usable.
//
// Method: everything that can be seen of a message, its folders and the queue is written down
// before a bad call and compared afterwards; at the end CheckStore is clean and the objects still
// work.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "engine/attachment.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kReadFlags = kSuppressReceipt | kClearReadFlag | kMapiDeferredErrors |
                                     kGenerateReceiptOnly | kClearReadReceiptPending |
                                     kClearNonReadReceiptPending;
constexpr std::uint32_t kSaveFlagChoices[] = {0, kKeepOpenReadOnly, kKeepOpenReadWrite,
                                              kMapiDeferredErrors};
constexpr std::uint32_t kModifyChoices[] = {kModifyRecipientsReplace, kModifyRecipientsAdd,
                                            kModifyRecipientsModify, kModifyRecipientsRemove};

class BadInput : public testing::Test {
 protected:
  BadInput()
      : draft_(NewDraft(Store(), {"b@x.test", "c@x.test"}, "draft")), draft_id_(IdOf(draft_)) {
    Must(draft_.SaveChanges(kKeepOpenReadWrite));
    queued_id_ = SubmitNew(Store());
  }
  // Whatever was refused, the draft can be saved and submitted, and nothing is damaged.
  void TearDown() override {
    EXPECT_TRUE(SetProp(draft_, Property::Bytes(pr::kSubject, "still usable")));
    EXPECT_THAT(draft_.SaveChanges(kKeepOpenReadWrite), IsOk());
    EXPECT_THAT(draft_.SubmitMessage(), IsOk());
    EXPECT_EQ(Findings(Db()), "");
  }

  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }
  static EntryId IdOf(const Message& message) { return Must(message.Id()); }
  static MessageId MessageOf(const EntryId& id) { return {id.Object()}; }
  EntryId Foreign(std::uint64_t object) { return {DatabaseId{{1, 2, 3}}, object}; }
  EntryId Unknown() { return Store().EntryIdOf(0x7FFF'FFFF); }
  EntryId OfAFolder() { return Store().EntryIdOf(Store().Folders().inbox.value); }

  EntryId SaveAnother() {
    Message message = NewDraft(Store());
    Must(message.SaveChanges());
    return IdOf(message);
  }

  std::string Observe() {
    std::string text = Describe(Db(), draft_id_) + Describe(Db(), queued_id_);
    for (const FolderInfo& folder : Must(Store().GetFolders(Store().Folders().ipm_subtree))) {
      text += folder.name + " " + std::to_string(folder.content_count) + "\n";
    }
    const auto holder = Must(Db().Statistics()).locks;
    return text + "queued " + std::to_string(QueueOrder(Db()).size()) + " locks " +
           std::to_string(holder) + "\n";
  }
  // Of the open object, edits included.
  std::string ObserveDraft() {
    std::string text;
    for (const Property& property : Must(draft_.GetProps())) {
      text += std::to_string(property.tag.value) + "=" + std::to_string(property.number) +
              property.bytes + "\n";
    }
    for (const RecipientRow& row : Must(draft_.GetRecipientTable())) {
      text += std::to_string(row.id.value) + ": " + std::string(row.EmailAddress()) + "\n";
    }
    return text;
  }
  template <class Call>
  void ExpectRefused(ErrorCode code, const Call& call, const std::string& what = {}) {
    const std::string stored = Observe();
    const std::string open = ObserveDraft();
    EXPECT_THAT(call(), IsError(code)) << what;
    EXPECT_EQ(Observe(), stored) << what;
    EXPECT_EQ(ObserveDraft(), open) << what;
  }
  // SetProps of one property that comes back as this problem.
  void ExpectProblem(ErrorCode code, const Property& property) {
    const std::string open = ObserveDraft();
    const auto problems = Must(draft_.SetProps(std::vector{property}));
    ASSERT_THAT(problems, SizeIs(1)) << std::hex << property.tag.value;
    EXPECT_EQ(problems[0].tag, property.tag);
    EXPECT_EQ(ErrorName(problems[0].code), ErrorName(code)) << std::hex << property.tag.value;
    EXPECT_EQ(ObserveDraft(), open) << std::hex << property.tag.value;
  }

  TemporaryDatabase database_;
  Message draft_;
  EntryId draft_id_;
  EntryId queued_id_;
};

TEST_F(BadInput, UndefinedFlagsAreUnknown) {
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  for (std::uint32_t flag = 1; flag != 0; flag <<= 1) {
    const auto expect_unknown = [&](std::uint32_t defined, const auto& call, const char* what) {
      if ((flag & defined) == 0) {
        ExpectRefused(ErrorCode::kUnknownFlags, call, what + std::to_string(flag));
      }
    };
    expect_unknown(
        kMapiModify | kMapiDeferredErrors | kMapiBestAccess,
        [&] { return Store().OpenEntry(draft_id_, flag); }, "OpenEntry ");
    expect_unknown(
        kKeepOpenReadOnly | kKeepOpenReadWrite | kForceSave | kMapiDeferredErrors,
        [&] { return draft_.SaveChanges(flag); }, "SaveChanges ");
    expect_unknown(
        kForceSubmit, [&] { return draft_.SubmitMessage(flag); }, "SubmitMessage ");
    expect_unknown(
        0, [&] { return Store().AbortSubmit(queued_id_, flag); }, "AbortSubmit ");
    expect_unknown(
        0, [&] { return session.FinishMessage(queued_id_, flag); }, "FinishMessage ");
    expect_unknown(
        kModifyRecipientsAdd | kModifyRecipientsModify | kModifyRecipientsRemove,
        [&] { return draft_.ModifyRecipients(flag, {}); }, "ModifyRecipients ");
    expect_unknown(
        kReadFlags, [&] { return draft_.SetReadFlag(flag); }, "SetReadFlag ");
    expect_unknown(
        kReadFlags, [&] { return Store().SetReadFlags(Store().Folders().outbox, {}, flag); },
        "SetReadFlags ");
  }
  for (const std::uint32_t both :
       {kModifyRecipientsAdd | kModifyRecipientsModify,
        kModifyRecipientsModify | kModifyRecipientsRemove,
        kModifyRecipientsAdd | kModifyRecipientsRemove,
        kModifyRecipientsAdd | kModifyRecipientsModify | kModifyRecipientsRemove}) {
    ExpectRefused(ErrorCode::kUnknownFlags, [&] { return draft_.ModifyRecipients(both, {}); });
  }
}

TEST_F(BadInput, ReadFlagsThatExcludeEachOtherAreRefused) {
  for (const std::uint32_t flags :
       {kSuppressReceipt | kClearReadFlag, kClearReadFlag | kGenerateReceiptOnly,
        kSuppressReceipt | kClearReadFlag | kGenerateReceiptOnly}) {
    for (const std::uint32_t other : {std::uint32_t{0}, kMapiDeferredErrors,
                                      kClearReadReceiptPending, kClearNonReadReceiptPending}) {
      const auto refused = [&](const auto& call) {
        ExpectRefused(ErrorCode::kInvalidParameter, call, std::to_string(flags | other));
      };
      refused([&] { return draft_.SetReadFlag(flags | other); });
      refused([&] { return Store().SetReadFlags(Store().Folders().outbox, {}, flags | other); });
    }
  }
}

TEST_F(BadInput, TheReadFlagOfWhatIsQueuedElsewhereOrGoneStays) {
  Message unsaved = NewDraft(Store());
  Message deleted = NewDraft(Store());
  const EntryId deleted_id = IdOf(deleted);
  Must(deleted.SaveChanges(kKeepOpenReadWrite));
  const FolderId outbox = Store().Folders().outbox;
  Must(Store().DeleteMessages(outbox, std::vector{MessageOf(deleted_id)}));
  Message queued = Must(Store().OpenMessage(queued_id_, 0));
  for (const std::uint32_t flags : {std::uint32_t{0}, kClearReadFlag, kSuppressReceipt,
                                    kGenerateReceiptOnly, kClearReadReceiptPending}) {
    ExpectRefused(ErrorCode::kObjectDeleted, [&] { return unsaved.SetReadFlag(flags); });
    ExpectRefused(ErrorCode::kObjectDeleted, [&] { return deleted.SetReadFlag(flags); });
    ExpectRefused(ErrorCode::kSubmitted, [&] { return queued.SetReadFlag(flags); });
    const std::string before = Observe();
    // Not in that folder; in it, but submitted; gone.
    EXPECT_EQ(Must(Store().SetReadFlags(Store().Folders().inbox, std::vector{MessageOf(draft_id_)},
                                        flags)),
              Completion::kPartial);
    EXPECT_EQ(Must(Store().SetReadFlags(
                  outbox, std::vector{MessageOf(queued_id_), MessageOf(deleted_id)}, flags)),
              Completion::kPartial);
    EXPECT_EQ(Observe(), before);
  }
  EXPECT_FALSE(IsStored(Db(), deleted_id));
  EXPECT_THAT(unsaved.SaveChanges(), IsOk());
}

// Whatever the flags: the object is open for writing still, and what is pending on it is pending.
TEST_F(BadInput, ASaveThatComesTooLateLosesNothing) {
  const EntryId deleted_id = SaveAnother();
  const EntryId changed_id = SaveAnother();
  const EntryId submitted_id = SaveAnother();
  const auto opened = [&](const EntryId& id) {
    Message message = Must(Store().OpenMessage(id, kMapiModify));
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "pending")));
    Must(message.ModifyRecipients(kModifyRecipientsAdd,
                                  {MakeSmtpRecipient("pending@x.test", kRecipientTo)}));
    return message;
  };
  Message deleted = opened(deleted_id);
  Message changed = opened(changed_id);
  Message submitted = opened(submitted_id);
  Must(Store().DeleteMessages(Store().Folders().outbox, std::vector{MessageOf(deleted_id)}));
  Must(Must(Store().OpenMessage(changed_id, kMapiModify)).SaveChanges());
  Must(Must(Store().OpenMessage(submitted_id, kMapiModify)).SubmitMessage());
  const std::string others = Describe(Db(), changed_id) + Describe(Db(), submitted_id);
  const auto refused = [&](ErrorCode code, Message& message, std::uint32_t flags) {
    ExpectRefused(
        code, [&] { return message.SaveChanges(flags); }, std::to_string(flags));
    EXPECT_EQ(Describe(Db(), changed_id) + Describe(Db(), submitted_id), others);
    EXPECT_EQ(Must(message.Access()), AccessLevel::kModify);
    EXPECT_EQ(Must(message.GetProp(pr::kSubject)).bytes, "pending");
    EXPECT_THAT(Must(message.GetRecipientTable()), SizeIs(2));
  };
  for (const std::uint32_t flags : kSaveFlagChoices) {
    refused(ErrorCode::kObjectDeleted, deleted, flags);
    refused(ErrorCode::kObjectDeleted, deleted, flags | kForceSave);
    refused(ErrorCode::kObjectChanged, changed, flags);
    refused(ErrorCode::kObjectChanged, submitted, flags);
    refused(ErrorCode::kSubmitted, submitted, flags | kForceSave);
  }
  EXPECT_FALSE(IsStored(Db(), deleted_id));
  EXPECT_THAT(changed.SaveChanges(kForceSave), IsOk());
  EXPECT_EQ(StoredProps(Db(), changed_id).BytesOr(pr::kSubject, {}), "pending");
}

TEST_F(BadInput, NothingIsStoredBeforeItIsSaved) {
  const std::string before = Observe();
  const RecipientRow row = MakeSmtpRecipient("d@x.test", kRecipientTo);
  ASSERT_TRUE(SetProp(draft_, Property::Bytes(pr::kSubject, "pending")));
  ASSERT_THAT(Must(draft_.DeleteProps(std::vector{pr::kBody})), IsEmpty());
  Must(draft_.ModifyRecipients(kModifyRecipientsReplace, {row, row}));
  EXPECT_EQ(Observe(), before);
}

TEST_F(BadInput, MalformedIdentifiersAreInvalid) {
  EXPECT_THAT(EntryId::FromBytes(""), IsError(ErrorCode::kInvalidEntryId));
  EXPECT_THAT(EntryId::FromBytes(std::string(23, 'x')), IsError(ErrorCode::kInvalidEntryId));
  EXPECT_THAT(EntryId::FromBytes(std::string(25, 'x')), IsError(ErrorCode::kInvalidEntryId));
  EXPECT_THAT(EntryId::FromHex(std::string(48, 'g')), IsError(ErrorCode::kInvalidEntryId));
  for (const std::string& bytes :
       {std::string(), std::string(23, 'x'), std::string(24, 'x'), Foreign(7).ToBytes()}) {
    ExpectProblem(ErrorCode::kInvalidEntryId, Property::Bytes(pr::kSentMailEntryId, bytes));
  }
}

TEST_F(BadInput, IdentifiersOfAnotherDatabaseAreInvalidInEveryCall) {
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  const EntryId foreign = Foreign(queued_id_.Object());
  const std::vector<RecipientRowId> rows{{0}};
  ASSERT_EQ(foreign.Object(), queued_id_.Object()) << "the same object, but for the database";
  const auto invalid = [&](const auto& call, const char* what) {
    ExpectRefused(ErrorCode::kInvalidEntryId, call, what);
  };
  invalid([&] { return Store().OpenEntry(foreign, 0); }, "OpenEntry");
  invalid([&] { return Store().OpenMessage(foreign, kMapiModify); }, "OpenMessage");
  invalid([&] { return Store().AbortSubmit(foreign); }, "AbortSubmit");
  invalid([&] { return session.OpenMessage(foreign); }, "SpoolerSession::OpenMessage");
  invalid([&] { return session.FinishMessage(foreign); }, "FinishMessage");
  invalid([&] { return session.BeginPreprocessing(foreign); }, "BeginPreprocessing");
  invalid([&] { return session.MarkInDoubt(foreign, rows, {}); }, "MarkInDoubt");
  invalid([&] { return session.CommitAttempt(foreign, {}); }, "CommitAttempt");

  TemporaryDatabase other;
  const EntryId there = SubmitNew(other.Store());
  SpoolerSession other_session = Must(other.Database().OpenSpoolerSession());
  Message message = Must(other_session.OpenMessage(there));
  invalid([&] { return session.SetLockState(message, LockState::kLocked); }, "SetLockState");
  EXPECT_THAT(other_session.SetLockState(message, LockState::kLocked), IsOk());
}

TEST_F(BadInput, IdentifiersOfAnotherStoreAreInvalid) {
  MessageStore other = Must(Db().CreateMessageStore("other"));
  ExpectRefused(ErrorCode::kInvalidEntryId, [&] { return other.OpenEntry(draft_id_, 0); });
  ExpectRefused(ErrorCode::kInvalidEntryId, [&] { return other.OpenEntry(OfAFolder(), 0); });
  ExpectRefused(ErrorCode::kInvalidEntryId, [&] { return other.AbortSubmit(queued_id_); });
  const FolderId outbox = Store().Folders().outbox;
  const std::vector<MessageId> messages{MessageOf(draft_id_)};
  const auto missing = [&](const auto& call) { ExpectRefused(ErrorCode::kNotFound, call); };
  missing([&] { return other.CreateMessage(outbox); });
  missing([&] { return other.DeleteMessages(outbox, messages); });
  missing([&] { return other.EmptyFolder(outbox); });
  missing([&] { return other.CopyMessages(outbox, messages, other.Folders().inbox); });
  missing([&] { return Store().CopyMessages(outbox, messages, other.Folders().inbox); });
  missing([&] { return Store().MoveMessages(outbox, messages, other.Folders().inbox); });
  missing([&] { return other.GetContentsTable(outbox, 1); });
  missing([&] { return other.SetReadFlags(outbox, messages); });
}

TEST_F(BadInput, IdentifiersOfNothingAreNotFoundAndThoseOfFoldersNoMessages) {
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  const auto missing = [&](const auto& call) { ExpectRefused(ErrorCode::kNotFound, call); };
  missing([&] { return Store().OpenEntry(Unknown(), 0); });
  missing([&] { return Store().AbortSubmit(Unknown()); });
  missing([&] { return Db().AbortSubmit(MessageOf(Unknown())); });
  missing([&] { return session.OpenMessage(Unknown()); });
  missing([&] { return session.OpenMessage(OfAFolder()); });
  missing([&] { return Store().AbortSubmit(OfAFolder()); });
  ExpectRefused(ErrorCode::kInvalidEntryId, [&] { return Store().OpenMessage(OfAFolder(), 0); });
  for (const EntryId& id : {Unknown(), OfAFolder(), draft_id_}) {
    const auto not_queued = [&](const auto& call) { ExpectRefused(ErrorCode::kNotInQueue, call); };
    not_queued([&] { return session.FinishMessage(id); });
    not_queued([&] { return session.BeginPreprocessing(id); });
    not_queued([&] { return session.CommitAttempt(id, {}); });
    not_queued([&] { return Db().GetOutgoingQueue().Row(MessageOf(id)); });
    not_queued([&] { return Db().GetOutgoingQueue().Hold(MessageOf(id)); });
    not_queued([&] { return Db().GetOutgoingQueue().Release(MessageOf(id)); });
    not_queued([&] { return Db().GetOutgoingQueue().Retry(MessageOf(id)); });
  }
  const std::vector<MessageId> nothing{MessageOf(Unknown()), MessageOf(OfAFolder())};
  const std::string before = Observe();
  EXPECT_EQ(Must(Store().DeleteMessages(Store().Folders().outbox, nothing)), Completion::kPartial);
  EXPECT_EQ(Must(Store().MoveMessages(Store().Folders().outbox, nothing, Store().Folders().inbox)),
            Completion::kPartial);
  EXPECT_EQ(Must(Store().CopyMessages(Store().Folders().outbox, nothing, Store().Folders().inbox)),
            Completion::kPartial);
  EXPECT_EQ(Must(Store().SetReadFlags(Store().Folders().outbox, nothing)), Completion::kPartial);
  EXPECT_EQ(Observe(), before);
}

// An embedded message is reached through its attachment only, although it has an identifier inside.
TEST_F(BadInput, AnEmbeddedMessageHasNoIdentifierForOthers) {
  Attachment attachment = Must(draft_.CreateAttachment());
  Message embedded = Must(attachment.CreateEmbeddedMessage());
  const EntryId inside = IdOf(embedded);
  Must(embedded.SaveChanges());
  Must(attachment.SaveChanges());
  Must(draft_.SaveChanges(kKeepOpenReadWrite));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  ExpectRefused(ErrorCode::kNotFound, [&] { return Store().OpenEntry(inside, 0); });
  ExpectRefused(ErrorCode::kNotFound, [&] { return Store().AbortSubmit(inside); });
  ExpectRefused(ErrorCode::kNotFound, [&] { return session.OpenMessage(inside); });
  const std::vector<MessageId> messages{MessageOf(inside)};
  for (const FolderId folder : {Store().Folders().outbox, Store().Folders().inbox}) {
    EXPECT_EQ(Must(Store().DeleteMessages(folder, messages)), Completion::kPartial);
    EXPECT_EQ(Must(Store().CopyMessages(folder, messages, folder)), Completion::kPartial);
  }
  const Attachment again = Must(draft_.OpenAttachment(Must(attachment.Number())));
  EXPECT_THAT(again.OpenEmbeddedMessage(), IsOk()) << "still there";
}

TEST_F(BadInput, SetPropsRefusesWholeWhatIsMalformed) {
  const Property good = Property::Bytes(pr::kSubject, "not set");
  const auto set = [&](const Property& bad) {
    ExpectRefused(ErrorCode::kInvalidParameter, [&] {
      return draft_.SetProps(std::vector{good, bad});
    });
  };
  set(Property::Bytes(pr::kMessageRecipients, ""));
  set(Property::Bytes(PropertyTag{0x6600000D}, "object"));
  set(Property::Bytes(PropertyTag{0x6600100D}, "objects"));
  set(Property::Bytes(PropertyTag{0x6600101F}, ""));
  set(Property::Bytes(pr::kMessageFlags.WithType(PropertyType::kObject), ""));
  ExpectRefused(ErrorCode::kInvalidParameter, [&] { return draft_.SetProps({}); });
  ExpectRefused(ErrorCode::kInvalidParameter, [&] { return draft_.DeleteProps({}); });
  ExpectRefused(ErrorCode::kNotEnoughMemory, [&] {
    return draft_.SetProps(std::vector{
        good, Property::Bytes(pr::kBody, std::string(Message::kPropertyBytesMax, 'x'))});
  });
  // The flags, which this object could still set, are no exception.
  Message unsaved = NewDraft(Store());
  const auto flags_before = Must(unsaved.GetProp(pr::kMessageFlags)).number;
  EXPECT_THAT(
      unsaved.SetProps(std::vector{Property::Number(pr::kMessageFlags, flags_before ^ kMsgFlagRead),
                                   Property::Bytes(pr::kMessageRecipients, "")}),
      IsError(ErrorCode::kInvalidParameter));
  EXPECT_EQ(Must(unsaved.GetProp(pr::kMessageFlags)).number, flags_before);
  const std::string before_skipped = ObserveDraft();
  EXPECT_THAT(Must(draft_.SetProps(std::vector{Property::Number(PropertyTag{0x00000001}, 7),
                                               Property::Number(PropertyTag{0x0037000A}, 7)})),
              IsEmpty())
      << "PR_NULL and PT_ERROR are skipped";
  EXPECT_EQ(ObserveDraft(), before_skipped);
}

TEST_F(BadInput, PropertiesThatCannotBeSetAreProblems) {
  for (const PropertyTag tag : {pr::kEntryId, pr::kRecordKey, pr::kParentEntryId, pr::kStoreEntryId,
                                pr::kDisplayTo, pr::kNormalizedSubject}) {
    ExpectProblem(ErrorCode::kComputed, Property::Bytes(tag, "x"));
  }
  for (const PropertyTag tag : {pr::kSubmitFlags, pr::kMessageSize, pr::kHasAttachment,
                                pr::kStoreSupportMask, pr::kPreprocess, pr::kAccessLevel}) {
    ExpectProblem(ErrorCode::kComputed, Property::Number(tag, 1));
  }
  ExpectProblem(ErrorCode::kInvalidType, Property::Number(PropertyTag{0x66000099}, 1));
  ExpectProblem(ErrorCode::kInvalidParameter, Property::Bytes(PropertyTag{0x66000048}, "short"));
  ExpectProblem(ErrorCode::kInvalidParameter, Property::Bytes(PropertyTag{0x66001003}, "1234567"));
  for (const std::string& bad : {std::string(), std::string(256, 'x'), std::string("IPM."),
                                 std::string("IPM.\x7F"), std::string("IPM.\n.x")}) {
    ExpectProblem(ErrorCode::kInvalidParameter, Property::Bytes(pr::kMessageClass, bad));
  }
  const auto problems = Must(draft_.DeleteProps(std::vector{pr::kEntryId, pr::kMessageFlags}));
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_EQ(problems[0].code, ErrorCode::kComputed);
  EXPECT_EQ(problems[1].code, ErrorCode::kComputed);
  // What the message does not have is one as well; the rest is done.
  const auto missing =
      Must(draft_.DeleteProps(std::vector{pr::kImportance, pr::kMessageRecipients, pr::kSubject}));
  ASSERT_THAT(missing, SizeIs(2));
  EXPECT_EQ(missing[0].tag, pr::kImportance);
  EXPECT_EQ(missing[0].code, ErrorCode::kNotFound);
  EXPECT_EQ(missing[1].code, ErrorCode::kComputed);
  EXPECT_THAT(draft_.GetProp(pr::kSubject), IsError(ErrorCode::kNotFound));
}

// Stored with another type, it would be obeyed by nobody, and nobody would say so.
TEST_F(BadInput, WhatSteersASubmissionHasItsType) {
  for (const PropertyTag tag : {pr::kMessageFlags, pr::kDeleteAfterSubmit, pr::kDeferredSendTime,
                                pr::kDeferredSendNumber, pr::kDeferredSendUnits, pr::kPriority}) {
    ExpectProblem(ErrorCode::kInvalidType,
                  Property::Bytes(tag.WithType(PropertyType::kUnicode), "1"));
  }
  for (const PropertyTag tag : {pr::kMessageClass, pr::kSentMailEntryId, pr::kInternetMessageId}) {
    ExpectProblem(ErrorCode::kInvalidType, Property::Number(tag.WithType(PropertyType::kLong), 1));
  }
  const auto stream = [&](PropertyTag tag) {
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append("value"));
    return draft_.SetStream(tag, Must(writer.Finish()));
  };
  for (const PropertyTag tag : {pr::kSentMailEntryId, pr::kMessageClass,
                                pr::kMessageFlags.WithType(PropertyType::kUnicode)}) {
    ExpectRefused(ErrorCode::kInvalidType, [&] { return stream(tag); });
  }
  ExpectRefused(ErrorCode::kInvalidType, [&] { return stream(pr::kImportance); });
  ExpectRefused(ErrorCode::kComputed, [&] { return stream(pr::kDisplayTo); });
  EXPECT_THAT(draft_.OpenStream(PropertyTag{0x6600001F}), IsError(ErrorCode::kNotFound));
}

TEST_F(BadInput, TimesThatNoClockHasAreTheFirstOrTheLast) {
  for (const std::int64_t ticks : {std::numeric_limits<std::int64_t>::max(), std::int64_t{0},
                                   std::numeric_limits<std::int64_t>::min()}) {
    Message message = NewDraft(Store());
    ASSERT_TRUE(SetProp(message, Property::Number(pr::kDeferredSendTime, ticks)));
    const EntryId id = IdOf(message);
    Must(message.SubmitMessage());
    const Time due = Must(Db().GetOutgoingQueue().Row(MessageOf(id))).due;
    EXPECT_EQ(due > database_.Clock().Now(), ticks > 0) << ticks;
    EXPECT_THAT(Store().AbortSubmit(id), IsOk());
  }
  Message message = NewDraft(Store());
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kDeferredSendNumber, INT64_MAX)));
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kDeferredSendUnits, INT64_MIN)));
  EXPECT_THAT(message.SubmitMessage(), IsOk()) << "units that are none count as absent";
}

TEST_F(BadInput, RecipientRowsThatDoNotExistChangeNothing) {
  const RecipientTable rows = Must(draft_.GetRecipientTable());
  ASSERT_THAT(rows, SizeIs(2));
  RecipientRow unknown = MakeSmtpRecipient("d@x.test", kRecipientCc);
  unknown.id = {4711};
  for (const std::uint32_t flags : {kModifyRecipientsModify, kModifyRecipientsRemove}) {
    ExpectRefused(ErrorCode::kNotFound, [&] {
      return draft_.ModifyRecipients(flags, {rows[0], unknown});
    });
  }
  ExpectRefused(ErrorCode::kNotFound, [&] {
    return draft_.ModifyRecipients(kModifyRecipientsRemove, {rows[0], rows[0]});
  });
  // MODIFY and REMOVE without a row id mean no row, also not the first.
  const RecipientRow unnamed = MakeSmtpRecipient("d@x.test", kRecipientCc);
  for (const std::uint32_t flags : {kModifyRecipientsModify, kModifyRecipientsRemove}) {
    ExpectRefused(ErrorCode::kInvalidParameter, [&] {
      return draft_.ModifyRecipients(flags, {rows[1], unnamed});
    });
  }
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message locked = Must(session.OpenMessage(queued_id_));
  Must(session.SetLockState(locked, LockState::kLocked));
  const std::vector<RecipientRowId> unknown_ids{{0}, {4711}};
  ExpectRefused(ErrorCode::kInvalidParameter,
                [&] { return session.MarkInDoubt(queued_id_, unknown_ids, {}); });
  Attempt attempt;
  attempt.updates = {{RecipientRowId{0}, {}}, {RecipientRowId{4711}, {}}};
  ExpectRefused(ErrorCode::kInvalidParameter,
                [&] { return session.CommitAttempt(queued_id_, attempt); });
  ExpectRefused(ErrorCode::kInvalidParameter,
                [&] { return session.SetLockState(locked, static_cast<LockState>(7)); });
}

TEST_F(BadInput, RecipientRowsThatCannotBeAreRefusedWhole) {
  const auto row_with = [](Property property) {
    RecipientRow row = MakeSmtpRecipient("d@x.test", kRecipientTo);
    row.properties.Set(std::move(property));
    return row;
  };
  const RecipientTable rows = Must(draft_.GetRecipientTable());
  const auto refused = [&](ErrorCode code, RecipientRow bad) {
    const RecipientRow good = MakeSmtpRecipient("e@x.test", kRecipientTo);
    bad.id = rows[0].id;
    for (const std::uint32_t flags : {kModifyRecipientsReplace, kModifyRecipientsAdd}) {
      ExpectRefused(code, [&] { return draft_.ModifyRecipients(flags, {good, bad}); });
    }
    ExpectRefused(code, [&] { return draft_.ModifyRecipients(kModifyRecipientsModify, {bad}); });
  };
  refused(ErrorCode::kInvalidParameter, row_with(Property::Number(PropertyTag{0x66000001}, 0)));
  refused(ErrorCode::kInvalidParameter, row_with(Property::Number(PropertyTag{0x00000001}, 0)));
  refused(ErrorCode::kInvalidParameter, row_with(Property::Bytes(PropertyTag{0x6600000D}, "")));
  refused(ErrorCode::kInvalidParameter, row_with(Property::Number(PropertyTag{0x66000099}, 0)));
  refused(ErrorCode::kInvalidParameter, row_with(Property::Bytes(PropertyTag{0x6600101F}, "")));
  refused(ErrorCode::kTooBig,
          row_with(Property::Bytes(pr::kDisplayName, std::string(50'000, 'x'))));
  RecipientRow untyped = MakeSmtpRecipient("d@x.test", kRecipientTo);
  untyped.properties.Erase(pr::kRecipientType);
  refused(ErrorCode::kInvalidParameter, untyped);

  ExpectRefused(ErrorCode::kTooBig, [&] {
    return draft_.ModifyRecipients(
        kModifyRecipientsAdd, RecipientTable(kRecipientCountMax, MakeSmtpRecipient("d@x.test", 1)));
  });
}

TEST_F(BadInput, NullRecipientsAndErrorColumnsAreLeftOut) {
  RecipientRow row = MakeSmtpRecipient("d@x.test", kRecipientTo);
  row.properties.Set(Property::Number(PropertyTag{0x3A20000A}, 7));
  row.properties.Set(Property::Number(pr::kRowId, 4711));
  row.properties.Set(Property::Bytes(pr::kResponsibility.WithType(PropertyType::kUnicode), "?"));
  RecipientRow errors_only;
  errors_only.properties.Set(Property::Number(PropertyTag{0x3001000A}, 7));
  Must(draft_.ModifyRecipients(kModifyRecipientsAdd, {RecipientRow{}, row, errors_only}));
  // Null recipients of MODIFY, too, whatever row they name.
  errors_only.id = {4711};
  Must(draft_.ModifyRecipients(kModifyRecipientsModify, {RecipientRow{}, errors_only}));
  const RecipientTable rows = Must(draft_.GetRecipientTable());
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[2].properties, MakeSmtpRecipient("d@x.test", kRecipientTo).properties);
  EXPECT_NE(rows[2].id.value, 4711U);
}

TEST_F(BadInput, ReadOnlyObjectsTakeNoEdit) {
  Message message = Must(Store().OpenMessage(draft_id_, 0));
  const auto refused = [&](const auto& call) { ExpectRefused(ErrorCode::kNoAccess, call); };
  MessageBody body = Must(Store().NewContent().Finish());
  refused([&] { return message.SetProps(std::vector{Property::Bytes(pr::kSubject, "x")}); });
  refused([&] { return message.DeleteProps(std::vector{pr::kSubject}); });
  const RecipientRow row = Must(message.GetRecipientTable())[0];
  for (const std::uint32_t flags : kModifyChoices) {
    refused([&] { return message.ModifyRecipients(flags, {row}); });
    refused([&] { return message.ModifyRecipients(flags, {}); });
  }
  for (const std::uint32_t flags : kSaveFlagChoices) {
    refused([&] { return message.SaveChanges(flags); });
    refused([&] { return message.SaveChanges(flags | kForceSave); });
  }
  refused([&] { return message.SetStream(pr::kBody, body); });
  refused([&] { return message.SetContent(body); });
  refused([&] { return message.CreateAttachment(); });
  refused([&] { return message.DeleteAttachment(0); });
  refused([&] { return message.SubmitMessage(); });
  EXPECT_THAT(message.GetProps(), IsOk());
}

TEST_F(BadInput, NamesThatAreTooLongOrNoTextAreRefused) {
  const FolderId parent = Store().Folders().ipm_subtree;
  for (const std::string& name :
       {std::string(), std::string(256, 'x'), std::string("\xFF"), std::string(1'000'000, 'x')}) {
    const auto invalid = [&](const auto& call) {
      ExpectRefused(ErrorCode::kInvalidParameter, call);
    };
    invalid([&] { return Store().CreateFolder(parent, name); });
    invalid([&] { return Db().CreateMessageStore(name); });
    invalid([&] { return Db().GetAddressBook().CreateList(name); });
  }
  EXPECT_THAT(Must(Db().GetAddressBook().GetLists()), IsEmpty());
  EXPECT_THAT(Must(Db().ListMessageStores()), SizeIs(1));
  Must(Db().GetAddressBook().CreateList("list"));
  const RecipientRow huge = MakeSmtpRecipient(std::string(70'000, 'x'), kRecipientTo);
  ExpectRefused(ErrorCode::kTooBig, [&] { return Db().GetAddressBook().AddMember("list", huge); });
  EXPECT_THAT(Must(Db().GetAddressBook().GetList("list")).members, IsEmpty());
}

TEST_F(BadInput, TablesOfNoRowsAndUnknownOrdersAreRefused) {
  const OutgoingQueue queue = Db().GetOutgoingQueue();
  ExpectRefused(ErrorCode::kInvalidParameter, [&] { return queue.Rows(0); });
  ExpectRefused(ErrorCode::kInvalidParameter, [&] { return queue.Rows(1, /*after=*/1); });
  const std::vector<SortOrder> by_subject{{pr::kSubject}};
  ExpectRefused(ErrorCode::kTooComplex, [&] { return queue.SortTable(by_subject); });
}

}  // namespace
}  // namespace bobbin

// Attachments, embedded messages and streams: what is saved when, and what a copy or a deletion
// does to the rows they share.
#include "engine/attachment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

class AttachmentTest : public testing::Test {
 protected:
  MessageStore& Store() { return database_.Store(); }

  MessageBody Body(std::string_view bytes) {
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(bytes));
    return Must(writer.Finish());
  }

  // An attachment with that name and content, saved into `message`.
  std::uint32_t Attach(Message& message, std::string_view name, std::string_view bytes) {
    Attachment attachment = Must(message.CreateAttachment());
    const std::vector<Property> properties{
        Property::Bytes(pr::kAttachLongFilename, std::string(name)),
        Property::Number(pr::kAttachMethod, kAttachByValue)};
    EXPECT_THAT(Must(attachment.SetProps(properties)), testing::IsEmpty());
    Must(attachment.SetStream(pr::kAttachDataBinary, Body(bytes)));
    Must(attachment.SaveChanges());
    return Must(attachment.Number());
  }

  static std::string Data(const Message& message, std::uint32_t number) {
    MessageBodyReader reader =
        Must(Must(message.OpenAttachment(number)).OpenStream(pr::kAttachDataBinary));
    std::string bytes;
    for (;;) {
      const std::string_view piece = Must(reader.Next());
      if (piece.empty()) return bytes;
      bytes += piece;
    }
  }

  static std::vector<std::string> Names(const Message& message) {
    std::vector<std::string> names;
    for (const PropertyList& row : Must(message.GetAttachmentTable())) {
      names.emplace_back(row.BytesOr(pr::kAttachLongFilename, "?"));
    }
    return names;
  }

  Message Open(const EntryId& id, std::uint32_t flags = 0) {
    return Must(Store().OpenMessage(id, flags));
  }

  std::uint64_t Bodies() { return Must(database_.Database().CheckStore()).bodies; }

  void TearDown() override { EXPECT_EQ(Findings(database_.Database()), ""); }

  TemporaryDatabase database_;
};

const std::string kLong(100'000, 'x');

TEST_F(AttachmentTest, IsThereAfterBothSavesAndOnlyThen) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  Attachment unsaved = Must(message.CreateAttachment());
  ASSERT_THAT(Must(unsaved.SetProps(std::vector{Property::Number(pr::kRenderingPosition, -1)})),
              testing::IsEmpty());
  EXPECT_THAT(Names(message), testing::IsEmpty());
  Attach(message, "short.txt", "short");
  Attach(message, "long.bin", kLong);
  EXPECT_THAT(Names(message), testing::ElementsAre("short.txt", "long.bin"));
  EXPECT_THAT(Names(Open(id)), testing::IsEmpty());

  Must(message.SaveChanges(kKeepOpenReadWrite));
  database_.Reopen();

  const Message stored = Open(id);
  EXPECT_THAT(Names(stored), testing::ElementsAre("short.txt", "long.bin"));
  EXPECT_EQ(Data(stored, 1), "short");
  EXPECT_EQ(Data(stored, 2), kLong);
  EXPECT_EQ(Must(stored.GetProp(pr::kHasAttachment)).number, 1);
  EXPECT_NE(StoredFlags(database_.Database(), id) & kMsgFlagHasAttach, 0U);
  EXPECT_THAT(Must(stored.OpenAttachment(2)).GetProp(pr::kAttachDataBinary),
              IsError(ErrorCode::kNotEnoughMemory));
  EXPECT_THAT(stored.OpenAttachment(0), IsError(ErrorCode::kNotFound));
}

TEST_F(AttachmentTest, IsEditedReplacedAndDeletedThroughTheMessage) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  const std::uint32_t first = Attach(message, "first", kLong);
  const std::uint32_t second = Attach(message, "second", "second");
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_EQ(Bodies(), 1U);

  Attachment edited = Must(message.OpenAttachment(first));
  Must(edited.SetStream(pr::kAttachDataBinary, Body(kLong + "more")));
  Must(edited.SaveChanges());
  Must(message.DeleteAttachment(second));
  EXPECT_EQ(Data(Open(id), first), kLong);
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_EQ(Data(Open(id), first), kLong + "more");
  EXPECT_THAT(Names(Open(id)), testing::ElementsAre("first"));
  EXPECT_EQ(Bodies(), 1U);

  Attachment orphan = Must(message.OpenAttachment(first));
  Must(message.DeleteAttachment(first));
  EXPECT_THAT(orphan.SaveChanges(), IsError(ErrorCode::kObjectDeleted));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_EQ(StoredFlags(database_.Database(), id) & kMsgFlagHasAttach, 0U);
  EXPECT_EQ(Bodies(), 0U);
  EXPECT_EQ(Must(Must(message.CreateAttachment()).Number()), 2U);  // Numbers are not used again.
}

TEST_F(AttachmentTest, ReadOnlyObjectsRefuseEveryEdit) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  const std::uint32_t number = Attach(message, "a", "a");
  Must(message.SaveChanges());
  Message reading = Open(id);
  EXPECT_THAT(reading.CreateAttachment(), IsError(ErrorCode::kNoAccess));
  EXPECT_THAT(reading.DeleteAttachment(number), IsError(ErrorCode::kNoAccess));
  Attachment attachment = Must(reading.OpenAttachment(number));
  EXPECT_THAT(attachment.SetProps(std::vector{Property::Bytes(pr::kAttachFilename, "b")}),
              IsError(ErrorCode::kNoAccess));
  EXPECT_THAT(attachment.SaveChanges(), IsError(ErrorCode::kNoAccess));
  EXPECT_THAT(attachment.CreateEmbeddedMessage(), IsError(ErrorCode::kNoAccess));
  EXPECT_EQ(Must(attachment.GetProp(pr::kAccessLevel)).number, 0);
}

TEST_F(AttachmentTest, ComputedPropertiesAreProblems) {
  Message message = NewDraft(Store());
  Attachment attachment = Must(message.CreateAttachment());
  const auto problems = Must(attachment.SetProps(std::vector{
      Property::Number(pr::kAttachNumber, 7), Property::Bytes(pr::kAttachFilename, "a.txt")}));
  ASSERT_THAT(problems, testing::SizeIs(1));
  EXPECT_EQ(problems[0].code, ErrorCode::kComputed);
  EXPECT_EQ(Must(attachment.GetProp(pr::kAttachFilename)).bytes, "a.txt");
  EXPECT_THAT(attachment.SetProps(std::vector{Property::Number(pr::kAttachDataObject, 0)}),
              IsError(ErrorCode::kInvalidParameter));
  EXPECT_THAT(attachment.SaveChanges(0x4000), IsError(ErrorCode::kUnknownFlags));
}

TEST_F(AttachmentTest, ACopySharesTheRowsAndDeletingEitherKeepsTheOther) {
  Message message = NewDraft(Store());
  const std::uint32_t number = Attach(message, "long", kLong);
  Attachment holder = Must(message.CreateAttachment());
  Message inner = Must(holder.CreateEmbeddedMessage());
  Attach(inner, "inner", kLong);
  Must(inner.SetStream(pr::kBody, Body(kLong)));
  Must(inner.SaveChanges());
  Must(holder.SaveChanges());
  Must(message.SetStream(pr::kBody, Body(kLong)));
  const MessageId id{Must(message.Id()).Object()};
  Must(message.SaveChanges());
  EXPECT_EQ(Bodies(), 4U);

  const FolderId outbox = Store().Folders().outbox;
  const FolderId drafts = Store().Folders().drafts;
  std::vector<MessageId> copies;
  Must(Store().CopyMessages(outbox, std::vector{id}, drafts, &copies));
  ASSERT_THAT(copies, testing::SizeIs(1));
  EXPECT_EQ(Bodies(), 4U);
  Must(Store().DeleteMessages(outbox, std::vector{id}));
  EXPECT_EQ(Bodies(), 4U);
  const Message copy = Open(Store().EntryIdOf(copies[0].value));
  EXPECT_EQ(Data(copy, number), kLong);
  const Message copied_inner = Must(Must(copy.OpenAttachment(number + 1)).OpenEmbeddedMessage());
  EXPECT_EQ(Data(copied_inner, 0), kLong);
  EXPECT_EQ(Findings(database_.Database()), "");
  Must(Store().DeleteMessages(drafts, copies));
  const CheckReport report = Must(database_.Database().CheckStore());
  EXPECT_EQ(report.bodies, 0U);
  EXPECT_EQ(report.messages, 0U);
}

TEST_F(AttachmentTest, EmbeddedMessagesNestAndKeepTheirOwnParts) {
  Message outer = NewDraft(Store());
  const EntryId id = Must(outer.Id());
  Attachment first = Must(outer.CreateAttachment());
  Message middle = Must(first.CreateEmbeddedMessage());
  ASSERT_TRUE(SetProp(middle, Property::Bytes(pr::kSubject, "middle")));
  Must(
      middle.ModifyRecipients(kModifyRecipientsAdd, {MakeSmtpRecipient("m@x.test", kRecipientTo)}));
  Attachment second = Must(middle.CreateAttachment());
  Message inner = Must(second.CreateEmbeddedMessage());
  ASSERT_TRUE(SetProp(inner, Property::Bytes(pr::kSubject, "inner")));
  Must(inner.SaveChanges(kKeepOpenReadWrite));
  ASSERT_TRUE(SetProp(inner, Property::Bytes(pr::kSubject, "edited after its save")));
  Must(second.SaveChanges());
  Must(middle.SaveChanges(kKeepOpenReadWrite));
  Must(first.SaveChanges(kKeepOpenReadWrite));
  Must(outer.SaveChanges(kKeepOpenReadWrite));
  EXPECT_THAT(middle.GetProps(), IsError(ErrorCode::kInvalidObject));

  database_.Reopen();
  const Message stored = Open(id);
  const Message stored_middle = Must(Must(stored.OpenAttachment(0)).OpenEmbeddedMessage());
  EXPECT_EQ(Must(stored_middle.GetProp(pr::kSubject)).bytes, "middle");
  EXPECT_THAT(Must(stored_middle.GetRecipientTable()), testing::SizeIs(1));
  EXPECT_EQ(Must(stored_middle.GetProp(pr::kDisplayTo)).bytes, "m@x.test");
  EXPECT_THAT(stored_middle.GetProp(pr::kEntryId), IsError(ErrorCode::kNotFound));
  const Message stored_inner = Must(Must(stored_middle.OpenAttachment(0)).OpenEmbeddedMessage());
  EXPECT_EQ(Must(stored_inner.GetProp(pr::kSubject)).bytes, "inner");
  EXPECT_EQ(Must(stored_inner.Access()), AccessLevel::kReadOnly);
}

TEST_F(AttachmentTest, AnEmbeddedMessageIsEditedInPlaceAndReplaced) {
  Message outer = NewDraft(Store());
  const EntryId id = Must(outer.Id());
  Attachment holder = Must(outer.CreateAttachment());
  Message inner = Must(holder.CreateEmbeddedMessage());
  Attach(inner, "kept", kLong);
  Must(inner.SaveChanges());
  Must(holder.SaveChanges());
  Must(outer.SaveChanges());

  Message again = Open(id, kMapiModify);
  Attachment edited_holder = Must(again.OpenAttachment(0));
  Message edited = Must(edited_holder.OpenEmbeddedMessage());
  ASSERT_TRUE(SetProp(edited, Property::Bytes(pr::kSubject, "edited")));
  Must(edited.SaveChanges());
  Must(edited_holder.SaveChanges(kKeepOpenReadWrite));
  Must(again.SaveChanges(kKeepOpenReadWrite));
  const Message read = Must(Must(Open(id).OpenAttachment(0)).OpenEmbeddedMessage());
  EXPECT_EQ(Must(read.GetProp(pr::kSubject)).bytes, "edited");
  EXPECT_EQ(Data(read, 0), kLong);
  EXPECT_EQ(Findings(database_.Database()), "");

  Attachment replaced_holder = Must(again.OpenAttachment(0));
  Message replacement = Must(replaced_holder.CreateEmbeddedMessage());
  ASSERT_TRUE(SetProp(replacement, Property::Bytes(pr::kSubject, "another")));
  Must(replacement.SaveChanges());
  Must(replaced_holder.SaveChanges());
  Must(again.SaveChanges());
  const Message other = Must(Must(Open(id).OpenAttachment(0)).OpenEmbeddedMessage());
  EXPECT_EQ(Must(other.GetProp(pr::kSubject)).bytes, "another");
  EXPECT_EQ(Bodies(), 0U);
  EXPECT_EQ(Must(database_.Database().CheckStore()).messages, 2U);
}

TEST_F(AttachmentTest, NestingHasALimit) {
  Message outer = NewDraft(Store());
  std::vector<Attachment> holders;
  std::vector<Message> messages;
  messages.push_back(std::move(outer));
  for (int depth = 0; depth < kEmbeddedDepthMax; ++depth) {
    holders.push_back(Must(messages.back().CreateAttachment()));
    messages.push_back(Must(holders.back().CreateEmbeddedMessage()));
  }
  Attachment last = Must(messages.back().CreateAttachment());
  EXPECT_THAT(last.CreateEmbeddedMessage(), IsError(ErrorCode::kTooComplex));
}

TEST_F(AttachmentTest, StreamsAreSetReplacedAndDeleted) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.SetStream(pr::kBody, Body(kLong)));
  EXPECT_EQ(Must(message.OpenStream(pr::kBody)).Bytes(), kLong.size());
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_THAT(Open(id).GetProp(pr::kBody), IsError(ErrorCode::kNotEnoughMemory));
  EXPECT_EQ(Must(Open(id).OpenStream(pr::kBody)).Bytes(), kLong.size());
  // A short value takes the place of the stream, and a stream that of a short value.
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kBody, "short")));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_EQ(Must(Open(id).GetProp(pr::kBody)).bytes, "short");
  EXPECT_EQ(Must(Must(Open(id).OpenStream(pr::kBody)).Next()), "short");
  EXPECT_EQ(Bodies(), 0U);
  Must(message.SetStream(pr::kBody, Body(kLong)));
  Must(message.SaveChanges(kKeepOpenReadWrite));
  EXPECT_THAT(Open(id).GetProp(pr::kBody), IsError(ErrorCode::kNotEnoughMemory));
  EXPECT_THAT(Must(message.DeleteProps(std::vector{pr::kBody})), testing::IsEmpty());
  EXPECT_THAT(message.OpenStream(pr::kBody), IsError(ErrorCode::kNotFound));
  Must(message.SaveChanges());
  EXPECT_THAT(Open(id).GetProp(pr::kBody), IsError(ErrorCode::kNotFound));
  EXPECT_EQ(Bodies(), 0U);
}

TEST_F(AttachmentTest, StreamsRefuseWhatIsNoStringOrBinary) {
  Message message = NewDraft(Store());
  EXPECT_THAT(message.SetStream(pr::kImportance, Body("x")), IsError(ErrorCode::kInvalidType));
  EXPECT_THAT(message.SetStream(pr::kDisplayTo, Body("x")), IsError(ErrorCode::kComputed));
  EXPECT_THAT(message.OpenStream(pr::kSubjectPrefix), IsError(ErrorCode::kNotFound));
}

TEST_F(AttachmentTest, TheListOfTagsKnowsTheTypesOfStreams) {
  constexpr PropertyTag kNumbers{0x36111003};
  Message message = NewDraft(Store());
  const std::vector<Property> values(10'000, Property::Number(PropertyTag{0x36110003}, 7));
  const Property packed = Property::Multiple(kNumbers, values);
  Must(message.SetStream(kNumbers, Body(packed.bytes)));
  Must(message.SetStream(pr::kBody, Body(kLong)));
  const std::uint32_t number = Attach(message, "a", kLong);
  const auto expect = [&](const Message& shown) {
    EXPECT_THAT(Must(shown.GetPropList()),
                testing::IsSupersetOf({pr::kBody, kNumbers, pr::kSubject, pr::kEntryId}));
    EXPECT_EQ(Must(shown.GetPropList()).size(), Must(shown.GetProps()).Size());
    EXPECT_THAT(Must(Must(shown.OpenAttachment(number)).GetPropList()),
                testing::IsSupersetOf({pr::kAttachDataBinary, pr::kAttachMethod}));
    EXPECT_EQ(Must(shown.OpenStream(kNumbers)).Bytes(), packed.bytes.size());
  };
  expect(message);
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges());
  expect(Open(id));
}

TEST_F(AttachmentTest, ShortValuesAreStreamsWhenTheMessageIsFull) {
  Message message = NewDraft(Store());
  std::vector<PropertyTag> tags;
  for (std::uint32_t i = 0; i < 40; ++i) tags.push_back({0x6000001F + (i << 16)});
  for (const PropertyTag tag : tags) Must(message.SetStream(tag, Body(std::string(2'000, 'x'))));
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges());
  const Message stored = Open(id);
  EXPECT_EQ(Must(stored.GetProp(tags.front())).bytes.size(), 2'000U);
  EXPECT_THAT(stored.GetProp(tags.back()), IsError(ErrorCode::kNotEnoughMemory));
  EXPECT_EQ(Must(stored.OpenStream(tags.back())).Bytes(), 2'000U);
}

TEST_F(AttachmentTest, ASecondSaverOfAnAttachmentIsTold) {
  Message message = NewDraft(Store());
  const EntryId id = Must(message.Id());
  Must(message.SaveChanges());
  Message first = Open(id, kMapiModify);
  Message second = Open(id, kMapiModify);
  Attach(first, "first", kLong);
  Must(first.SaveChanges());
  Attach(second, "second", kLong);
  EXPECT_THAT(second.SaveChanges(), IsError(ErrorCode::kObjectChanged));
  EXPECT_THAT(Names(Open(id)), testing::ElementsAre("first"));
  Must(second.SaveChanges(kForceSave));
  EXPECT_THAT(Names(Open(id)), testing::ElementsAre("second"));
  EXPECT_EQ(Bodies(), 1U);
}

}  // namespace
}  // namespace bobbin

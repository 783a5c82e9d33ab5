// SetReadFlag's table (specification 4.3), and that each read report is sent at most once.
#include <gmock/gmock.h>

#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class ReadFlag : public testing::Test {
 protected:
  void SetUp() override {
    Must(Store().SetTightlyCoupled(true));
    bob_.emplace(Must(database_.Database().CreateMessageStore("bob@a.test")));
  }
  void TearDown() override { EXPECT_EQ(Findings(database_.Database()), ""); }

  MessageStore& Store() { return database_.Store(); }

  // A message in Bob's Inbox, unread, from alice@a.test.
  EntryId Deliver(bool receipt_requested) {
    Message message = NewDraft(Store(), {"bob@a.test"}, "question");
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSenderEmailAddress, "alice@a.test")));
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSenderAddressType, "SMTP")));
    EXPECT_TRUE(SetProp(message, Property::Number(pr::kDeleteAfterSubmit, 1)));
    EXPECT_TRUE(SetProp(message, Property::Number(pr::kReadReceiptRequested, receipt_requested)));
    Must(message.SubmitMessage());
    const auto inbox = Must(bob_->GetContentsTable(bob_->Folders().inbox, 100));
    return bob_->EntryIdOf(inbox.back().message.value);
  }
  Message Open(const EntryId& id) { return Must(bob_->OpenMessage(id, kMapiModify)); }
  bool IsRead(const EntryId& id) {
    return (StoredFlags(database_.Database(), id) & kMsgFlagRead) != 0;
  }
  // Subjects of the reports in the queue.
  std::vector<std::string> Reports() {
    std::vector<std::string> subjects;
    for (const QueueRow& row : Must(database_.Database().GetOutgoingQueue().Rows(100))) {
      subjects.push_back(row.subject);
    }
    return subjects;
  }

  TemporaryDatabase database_;
  std::optional<MessageStore> bob_;
};

TEST_F(ReadFlag, IsSetAndTheReportSentOnce) {
  const EntryId id = Deliver(true);
  Message message = Open(id);
  Must(message.SetReadFlag());
  EXPECT_TRUE(IsRead(id));
  ASSERT_THAT(Reports(), testing::ElementsAre("Read: question"));
  const QueueRow row = Must(database_.Database().GetOutgoingQueue().Rows(1)).front();
  EXPECT_EQ(row.display_to, "alice@a.test");
  EXPECT_EQ(StoredProps(database_.Database(), row.entry_id).BytesOr(pr::kMessageClass, {}),
            "REPORT.IPM.Note.IPNRN");
  Must(message.SetReadFlag());
  Must(message.SetReadFlag(kClearReadFlag));
  EXPECT_FALSE(IsRead(id));
  Must(message.SetReadFlag());
  Must(message.SetReadFlag(kGenerateReceiptOnly));
  EXPECT_THAT(Reports(), SizeIs(1));
  // What the flag does is durable at once, and no conflict for the object that did it.
  Must(message.SaveChanges());
}

TEST_F(ReadFlag, WithoutARequestSendsNothing) {
  const EntryId id = Deliver(false);
  Must(Open(id).SetReadFlag());
  EXPECT_TRUE(IsRead(id));
  EXPECT_THAT(Reports(), IsEmpty());
}

TEST_F(ReadFlag, SuppressCancelsTheReportForGood) {
  const EntryId id = Deliver(true);
  Must(Open(id).SetReadFlag(kSuppressReceipt));
  EXPECT_TRUE(IsRead(id));
  Must(Open(id).SetReadFlag(kClearReadFlag));
  Must(Open(id).SetReadFlag());
  EXPECT_THAT(Reports(), IsEmpty());
}

TEST_F(ReadFlag, GenerateOnlySendsWithoutReading) {
  const EntryId id = Deliver(true);
  Must(Open(id).SetReadFlag(kGenerateReceiptOnly));
  EXPECT_FALSE(IsRead(id));
  EXPECT_THAT(Reports(), SizeIs(1));
  const EntryId other = Deliver(true);
  Must(Open(other).SetReadFlag(kSuppressReceipt | kGenerateReceiptOnly));
  EXPECT_FALSE(IsRead(other));
  EXPECT_FALSE(StoredProps(database_.Database(), other).FlagOr(pr::kReadReceiptRequested, true));
  Must(Open(other).SetReadFlag());
  EXPECT_THAT(Reports(), SizeIs(1));
}

TEST_F(ReadFlag, PendingReportsCanBeCancelledOneByOne) {
  const EntryId id = Deliver(true);
  Must(Open(id).SetReadFlag(kClearReadReceiptPending));
  EXPECT_FALSE(IsRead(id));
  Must(Open(id).SetReadFlag());
  EXPECT_THAT(Reports(), IsEmpty());
  const EntryId other = Deliver(true);
  Must(Open(other).SetReadFlag(kClearNonReadReceiptPending));
  Must(bob_->DeleteMessages(bob_->Folders().inbox, std::vector{MessageId{other.Object()}}));
  EXPECT_THAT(Reports(), IsEmpty());
}

// Ruling A27.
TEST_F(ReadFlag, DeletingAnUnreadMessageReportsItAndAReadOneNot) {
  const EntryId read = Deliver(true);
  Must(Open(read).SetReadFlag(kSuppressReceipt));
  const EntryId unread = Deliver(true);
  const EntryId unwanted = Deliver(false);
  const auto ids = std::vector{MessageId{read.Object()}, MessageId{unread.Object()},
                               MessageId{unwanted.Object()}};
  EXPECT_EQ(Must(bob_->DeleteMessages(bob_->Folders().inbox, ids)), Completion::kComplete);
  EXPECT_THAT(Reports(), testing::ElementsAre("Not read: question"));
}

TEST_F(ReadFlag, OfAFolderIsSetOnAllOrOnThoseNamed) {
  const EntryId first = Deliver(false);
  const EntryId second = Deliver(true);
  const FolderId inbox = bob_->Folders().inbox;
  EXPECT_EQ(Must(bob_->SetReadFlags(inbox, std::vector{MessageId{second.Object()}})),
            Completion::kComplete);
  EXPECT_FALSE(IsRead(first));
  EXPECT_EQ(Must(bob_->SetReadFlags(inbox, {})), Completion::kComplete);
  EXPECT_TRUE(IsRead(first));
  EXPECT_EQ(Must(bob_->GetFolder(inbox)).content_unread, 0U);
  EXPECT_THAT(Reports(), SizeIs(1));
  EXPECT_EQ(Must(bob_->SetReadFlags(inbox, std::vector{MessageId{1}})), Completion::kPartial);
}

TEST_F(ReadFlag, OfAMessageThatIsGoneCannotBeSet) {
  const EntryId id = Deliver(false);
  Message message = Open(id);
  Must(bob_->DeleteMessages(bob_->Folders().inbox, std::vector{MessageId{id.Object()}}));
  EXPECT_THAT(message.SetReadFlag(), IsError(ErrorCode::kObjectDeleted));
}

}  // namespace
}  // namespace bobbin

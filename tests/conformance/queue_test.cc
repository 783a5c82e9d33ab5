// Statements C41 to C49: the outgoing queue table and its order. What is told about it (C43 to
// C45): notification_test.cc.
#include "tests/conformance/conformance.h"

namespace bobbin {
namespace {

// C41: Queue rows are ordered by ascending PR_CLIENT_SUBMIT_TIME; equal times keep submit order.
// The clock advances, stands still, and steps back: the order is that of the submissions.
TEST_F(Conformance, C041_TheQueueIsInSubmitOrderWhateverTheClockDoes) {
  std::vector<MessageId> submitted;
  for (const auto step :
       {std::chrono::seconds(0), std::chrono::seconds(60), std::chrono::seconds(0),
        std::chrono::seconds(0), std::chrono::seconds(-3600), std::chrono::seconds(0),
        std::chrono::seconds(1), std::chrono::seconds(7200)}) {
    Clock().Advance(step);
    // Created in an order of their own, so that identifiers do not happen to give the order.
    Message later = NewDraft(Store());
    Message sooner = NewDraft(Store());
    submitted.push_back(IdOf(Must(sooner.Id())));
    Must(sooner.SubmitMessage());
    submitted.push_back(IdOf(Must(later.Id())));
    Must(later.SubmitMessage());
  }
  EXPECT_EQ(QueueOrder(Db()), submitted);
  const std::vector<QueueRow> rows = Must(Db().GetOutgoingQueue().Rows(100));
  for (std::size_t i = 1; i < rows.size(); ++i) {
    EXPECT_LE(rows[i - 1].client_submit_time, rows[i].client_submit_time) << i;
    EXPECT_LT(rows[i - 1].sequence, rows[i].sequence) << i;
  }
  // The spooler takes them in the same order.
  Clock().Advance(std::chrono::hours(24));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  std::vector<MessageId> taken;
  for (std::size_t i = 0; i < submitted.size(); ++i) {
    const DueResult due = Must(session.NextDue(Clock().Now()));
    ASSERT_TRUE(due.message);
    taken.push_back(due.message->message);
    Must(Lock(session, due.message->entry_id));
    Must(session.FinishMessage(due.message->entry_id));
  }
  EXPECT_EQ(taken, submitted);
}

// C42: All eleven required columns are present in the default column set, with the message's
// values.
TEST_F(Conformance, C042_TheQueueTableHasTheElevenRequiredColumns) {
  Message message = NewDraft(Store(), std::vector<std::string>{}, "the subject");
  Must(message.ModifyRecipients(kModifyRecipientsReplace,
                                {MakeSmtpRecipient("to@x.test", kRecipientTo, "The To"),
                                 MakeSmtpRecipient("cc@x.test", kRecipientCc, "The Cc"),
                                 MakeSmtpRecipient("bcc@x.test", kRecipientBcc, "The Bcc")}));
  ASSERT_TRUE(SetProp(message, Property::Number(pr::kPriority, 1)));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSenderName, "Alice")));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());

  const PropertyList row = Must(Db().GetOutgoingQueue().Rows(10)).at(0).AsProperties();
  EXPECT_EQ(row.NumberOr(pr::kClientSubmitTime, 0), ToFileTime(Clock().Now()));
  EXPECT_EQ(row.BytesOr(pr::kDisplayTo, "absent"), "The To");
  EXPECT_EQ(row.BytesOr(pr::kDisplayCc, "absent"), "The Cc");
  EXPECT_EQ(row.BytesOr(pr::kDisplayBcc, "absent"), "The Bcc");
  EXPECT_EQ(row.BytesOr(pr::kEntryId, "absent"), id.ToBytes());
  EXPECT_EQ(row.NumberOr(pr::kMessageFlags, 0) & kMsgFlagSubmit, kMsgFlagSubmit);
  EXPECT_GT(row.NumberOr(pr::kMessageSize, 0), 0);
  EXPECT_EQ(row.NumberOr(pr::kPriority, 0), 1);
  EXPECT_EQ(row.BytesOr(pr::kSenderName, "absent"), "Alice");
  EXPECT_EQ(row.BytesOr(pr::kSubject, "absent"), "the subject");
  EXPECT_EQ(row.NumberOr(pr::kSubmitFlags, -1), 0);
}

// C46: The queue after restart equals the set of messages carrying SUBMIT, same order. Two stores,
// with messages submitted, aborted, finished, locked and only saved; the set is taken from the
// contents of all folders.
TEST_F(Conformance, C046_TheQueueAfterRestartIsTheSetOfSubmittedMessages) {
  MessageStore other = Must(Db().CreateMessageStore("bob@b.test"));
  std::vector<MessageId> expected_here;
  std::vector<MessageId> expected_other;
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    for (int i = 0; i < 24; ++i) {
      MessageStore& store = i % 3 == 0 ? other : Store();
      const EntryId id = SubmitNew(store);
      const int fate = i / 3 % 4;
      if (fate == 1) {
        Must(store.AbortSubmit(id));
      } else if (fate == 2) {
        Must(Lock(session, id));
        Must(session.FinishMessage(id));
      } else {
        if (fate == 3) Must(Lock(session, id));
        (i % 3 == 0 ? expected_other : expected_here).push_back(IdOf(id));
      }
      Must(NewDraft(store).SaveChanges());
    }
  }
  other = Store();  // Lets go of the database.
  database_.Reopen();
  other = Must(Db().OpenMessageStore("bob@b.test"));

  const auto order = [&](const MessageStore& store) {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    std::vector<MessageId> ids;
    for (const QueueRow& row : Must(session.GetOutgoingQueue(store.Id()).Rows(100))) {
      ids.push_back(row.message);
    }
    return ids;
  };
  const auto submitted = [](const MessageStore& store) {
    std::vector<MessageId> ids;
    for (const ContentsRow& row : Must(store.GetContentsTable(store.Folders().outbox, 100))) {
      if ((row.message_flags & kMsgFlagSubmit) != 0) ids.push_back(row.message);
    }
    return ids;
  };
  EXPECT_EQ(order(Store()), expected_here);
  EXPECT_EQ(order(other), expected_other);
  EXPECT_THAT(submitted(Store()), testing::UnorderedElementsAreArray(expected_here));
  EXPECT_THAT(submitted(other), testing::UnorderedElementsAreArray(expected_other));
  EXPECT_EQ(Findings(Db()), "");
}

// C47: PR_PRIORITY does not change queue order.
TEST_F(Conformance, C047_PriorityDoesNotChangeTheOrder) {
  std::vector<MessageId> submitted;
  for (const std::int64_t priority : {0, -1, 1, 0, 1}) {
    Message message = NewDraft(Store());
    ASSERT_TRUE(SetProp(message, Property::Number(pr::kPriority, priority)));
    submitted.push_back(IdOf(Must(message.Id())));
    Must(message.SubmitMessage());
  }
  EXPECT_EQ(QueueOrder(Db()), submitted);
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(submitted[2])).priority, 1);
  const SpoolerSession session = Must(Db().OpenSpoolerSession());
  EXPECT_EQ(Must(session.NextDue(Clock().Now())).message->message, submitted[0]);
}

// C49: Sorting the queue table by PR_CLIENT_SUBMIT_TIME is accepted; an unsupported sort fails
// MAPI_E_TOO_COMPLEX and keeps the old order.
TEST_F(Conformance, C049_TheQueueIsSortedBySubmitTimeOnly) {
  for (int i = 0; i < 3; ++i) SubmitNew(Store());
  const std::vector<MessageId> order = QueueOrder(Db());
  const OutgoingQueue queue = Db().GetOutgoingQueue();
  Must(queue.SortTable(std::vector<SortOrder>{{pr::kClientSubmitTime}}));
  const std::vector<std::vector<SortOrder>> others{{},
                                                   {{pr::kSubject}},
                                                   {{pr::kClientSubmitTime, true}},
                                                   {{pr::kClientSubmitTime}, {pr::kSubject}}};
  for (const auto& other : others) {
    EXPECT_THAT(queue.SortTable(other), IsError(ErrorCode::kTooComplex));
    EXPECT_EQ(QueueOrder(Db()), order);
  }
}

}  // namespace
}  // namespace bobbin

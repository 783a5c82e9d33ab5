// bobbin abort: cancelled, too late, or in doubt, whatever has happened to the message before.
//
// Method: a spooler session of this process takes the message as far as a test needs it; then the
// real program is asked to take it back.

#include "engine/database.h"
#include "tests/support/matchers.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

class UndoTest : public CliTest {
 protected:
  UndoTest() {
    Init();
    database_object_.emplace(Must(Database::Open(database_)));
    session_.emplace(Must(database_object_->OpenSpoolerSession()));
  }

  // Locks the only message there is, whenever it is due.
  DueMessage Lock() {
    const DueResult due = Must(session_->NextDue(SystemClock().Now() + std::chrono::hours(48)));
    Must(session_->LockDue(due.message.value()));
    return *due.message;
  }
  std::vector<RecipientRowId> Rows(const DueMessage& due) const {
    std::vector<RecipientRowId> ids;
    const Message message = Must(database_object_->OpenMessageForOperator(due.message));
    for (const RecipientRow& row : Must(message.GetRecipientTable())) ids.push_back(row.id);
    return ids;
  }
  // An attempt in which these recipients are delivered to.
  void Deliver(const DueMessage& due, const std::vector<RecipientRowId>& rows,
               RecipientState state = RecipientState::kDelivered) {
    Attempt attempt;
    attempt.next_due = SystemClock().Now();
    for (const RecipientRowId row : rows) {
      RecipientUpdate update{row, {}};
      update.delivery.responsibility = true;
      update.delivery.state = state;
      attempt.updates.push_back(update);
    }
    Must(session_->CommitAttempt(due.entry_id, attempt));
  }

  bool IsInSentItems(const DueMessage& due) const {
    const MessageStore store = Must(
        database_object_->OpenMessageStore(Must(database_object_->ListMessageStores()).at(0).name));
    const Message message = Must(database_object_->OpenMessageForOperator(due.message));
    return Must(message.GetProps()).BytesOr(pr::kParentEntryId, {}) ==
           store.EntryIdOf(store.Folders().sent_items.value).ToBytes();
  }

  struct Answered {
    int exit_code;
    nlohmann::ordered_json json;
  };
  Answered Abort(const std::string& queue_id) const {
    const Ended run = Bobbin({"abort", "--json", queue_id});
    const auto answers = ParseLines(run.out);
    EXPECT_EQ(answers.size(), 1U);
    EXPECT_THAT(answers.at(0), HasTheFieldsOf("step"));
    return {run.exit_code, answers.at(0)};
  }

  std::optional<Database> database_object_;
  std::optional<SpoolerSession> session_;
};

TEST_F(UndoTest, AScheduledMessageIsCancelledAndStaysSo) {
  const std::string queue_id = Submit(kMessage, {"--send-at", "+2h", "b@x.test", "c@x.test"});
  const Answered first = Abort(queue_id);
  EXPECT_EQ(first.exit_code, 0);
  EXPECT_EQ(first.json["ok"], true);
  EXPECT_EQ(first.json["outcome"], "cancelled");
  EXPECT_EQ(QueuedIds(), "");
  const Answered again = Abort(queue_id);
  EXPECT_EQ(again.exit_code, 66);
  EXPECT_EQ(again.json["ok"], false);
  EXPECT_EQ(again.json["outcome"], "cancelled");
}

TEST_F(UndoTest, WhatWasSentIsTooLateWhetherItWasKeptOrNot) {
  for (const bool keep : {true, false}) {
    std::vector<std::string> arguments{"b@x.test"};
    if (keep) arguments.insert(arguments.begin(), "--keep");
    const std::string queue_id = Submit(kMessage, arguments);
    const DueMessage due = Lock();
    Deliver(due, Rows(due));
    const Answered answer = Abort(queue_id);
    EXPECT_EQ(answer.exit_code, 66);
    EXPECT_EQ(answer.json["error"], keep ? "MAPI_E_NOT_IN_QUEUE" : "MAPI_E_NOT_FOUND");
    EXPECT_TRUE(!keep || IsInSentItems(due));
    EXPECT_EQ(answer.json["outcome"], "too late");
  }
}

TEST_F(UndoTest, WhatNobodyGotIsTooLateAndSaysSo) {
  const std::string queue_id = Submit(kMessage, {"--keep", "b@x.test"});
  const DueMessage due = Lock();
  Deliver(due, Rows(due), RecipientState::kFailed);
  const Answered answer = Abort(queue_id);
  EXPECT_EQ(answer.json["outcome"], "too late");
  EXPECT_THAT(Bobbin({"abort", queue_id}).out + Bobbin({"abort", queue_id}).err,
              HasSubstr("nobody has it"));
}

TEST_F(UndoTest, WhatSomeRecipientsHaveIsTooLateForThem) {
  const std::string queue_id = Submit(kMessage, {"b@x.test", "c@x.test", "d@x.test"});
  const DueMessage due = Lock();
  Deliver(due, {Rows(due).at(1)});
  const Ended run = Bobbin({"abort", queue_id});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.out, HasSubstr("too late: 1 of 3 recipients have it"));
  EXPECT_THAT(run.err, HasSubstr("too late"));
  EXPECT_EQ(QueuedIds(), "") << "the others do not get it";
  EXPECT_EQ(Abort(queue_id).json["outcome"], "too late");
}

TEST_F(UndoTest, WhatIsBeingDeliveredIsInDoubt) {
  const std::string queue_id = Submit(kMessage);
  const DueMessage due = Lock();
  const Answered answer = Abort(queue_id);
  EXPECT_EQ(answer.exit_code, 75);
  EXPECT_EQ(answer.json["error"], "MAPI_E_UNABLE_TO_ABORT");
  EXPECT_EQ(answer.json["outcome"], "in doubt");
  session_->Unlock(due.entry_id);
  EXPECT_EQ(Abort(queue_id).json["outcome"], "cancelled");
}

TEST_F(UndoTest, ADeliveryThatEndedWithoutAnAnswerIsInDoubt) {
  const std::string queue_id = Submit(kMessage, {"b@x.test", "c@x.test"});
  const DueMessage due = Lock();
  Must(session_->MarkInDoubt(due.entry_id, std::vector{Rows(due).at(0)}, SystemClock().Now()));
  session_->Unlock(due.entry_id);  // As the end of its process would.
  const Answered answer = Abort(queue_id);
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_EQ(answer.json["ok"], true);
  EXPECT_EQ(answer.json["outcome"], "in doubt");
  EXPECT_EQ(Bobbin({"abort", "--ids", queue_id}).out, "") << "it was not cancelled";
}

TEST_F(UndoTest, WhatNeverWasHasNoOutcome) {
  const Answered unknown = Abort("ZZZZZZ");
  EXPECT_EQ(unknown.exit_code, 66);
  EXPECT_EQ(unknown.json["outcome"], nullptr);
  MessageStore store = Must(database_object_->CreateMessageStore("drafts"));
  Message draft = Must(store.CreateMessage(store.Folders().drafts));
  Must(draft.SaveChanges());
  const Answered never = Abort(ToQueueId(MessageId{Must(draft.Id()).Object()}));
  EXPECT_EQ(never.exit_code, 66);
  EXPECT_EQ(never.json["outcome"], nullptr);
  Message received = Must(store.CreateMessage(store.Folders().inbox));
  const std::vector<Property> of_elsewhere{Property::Number(pr::kMessageFlags, kMsgFlagRead),
                                           Property::Number(pr::kClientSubmitTime, 1)};
  EXPECT_TRUE(Must(received.SetProps(of_elsewhere)).empty());
  Must(received.SaveChanges());
  const Answered elsewhere = Abort(ToQueueId(MessageId{Must(received.Id()).Object()}));
  EXPECT_EQ(elsewhere.json["outcome"], nullptr);
  EXPECT_EQ(ParseLines(Bobbin({"hold", "--json", Submit(kMessage)}).out).at(0)["outcome"], nullptr);
}

}  // namespace
}  // namespace bobbin::test

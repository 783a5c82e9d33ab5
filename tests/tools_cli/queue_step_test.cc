// bobbin abort, hold, release, retry, delete.
//
// Method: apply them to a few messages with the real program and look at the queue after each;
// locks are held by a spooler session of this process.

#include "engine/database.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::HasSubstr;

class QueueStepTest : public CliTest {
 protected:
  QueueStepTest() { Init(); }
};

TEST_F(QueueStepTest, AbortTakesAMessageOutOfTheQueueAndKeepsIt) {
  const std::string queue_id = Submit(kMessage);
  const Ended run = Bobbin({"abort", queue_id});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr(queue_id));
  EXPECT_EQ(QueuedIds(), "");
  EXPECT_THAT(Bobbin({"message", "show", queue_id}).out, HasSubstr("draft"));
  const Ended again = Bobbin({"abort", queue_id});
  EXPECT_EQ(again.exit_code, 66);
  EXPECT_THAT(again.err, HasSubstr("MAPI_E_NOT_IN_QUEUE"));
}

TEST_F(QueueStepTest, AbortOfALockedMessageSaysThatItIsBeingDelivered) {
  const std::string queue_id = Submit(kMessage);
  const Database database = Database::Open(database_).value();
  Database other = database;
  SpoolerSession session = std::move(*other.OpenSpoolerSession());
  const DueResult due = session.NextDue(SystemClock().Now()).value();
  ASSERT_TRUE(due.message.has_value());
  auto locked = session.LockDue(*due.message);
  ASSERT_TRUE(locked.has_value() && locked->has_value());
  const Ended run = Bobbin({"abort", queue_id});
  EXPECT_EQ(run.exit_code, 75);
  EXPECT_THAT(run.err, HasSubstr("MAPI_E_UNABLE_TO_ABORT"));
  EXPECT_THAT(run.err, HasSubstr("it is being delivered right now; try again, or hold it"));
  session.Unlock(due.message->entry_id);
  EXPECT_EQ(Bobbin({"abort", queue_id}).exit_code, 0);
}

TEST_F(QueueStepTest, HoldReleaseAndRetryMoveAMessageBetweenStates) {
  const std::string queue_id = Submit(kMessage);
  const auto state_after = [&](const std::string& command) {
    const Ended run = Bobbin({command, queue_id});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return std::string(ShowJson(queue_id)["state"]);
  };
  EXPECT_EQ(state_after("hold"), "held");
  EXPECT_EQ(ShowJson(queue_id)["due"], nullptr);
  EXPECT_EQ(state_after("release"), "due");
  EXPECT_EQ(state_after("hold"), "held");
  EXPECT_EQ(state_after("retry"), "due");
}

TEST_F(QueueStepTest, DeleteTakesWhatIsNotQueuedAndNothingElse) {
  const std::string queue_id = Submit(kMessage);
  const Ended refused = Bobbin({"delete", queue_id});
  EXPECT_EQ(refused.exit_code, 73);
  EXPECT_THAT(refused.err, HasSubstr("MAPI_E_SUBMITTED"));
  EXPECT_THAT(refused.err, HasSubstr("abort it first"));
  EXPECT_EQ(ShowJson(queue_id)["state"], "due");

  EXPECT_EQ(Bobbin({"abort", queue_id}).exit_code, 0);
  EXPECT_EQ(Bobbin({"message", "show", queue_id}).exit_code, 0);
  const Ended deleted = Bobbin({"delete", queue_id});
  EXPECT_EQ(deleted.exit_code, 0) << deleted.err;
  EXPECT_EQ(deleted.out, queue_id + "  deleted\n");
  EXPECT_EQ(Bobbin({"message", "show", queue_id}).exit_code, 66);
  EXPECT_EQ(Bobbin({"delete", queue_id}).exit_code, 66);
  EXPECT_EQ(Bobbin({"check", "--deep"}).exit_code, 0);
}

TEST_F(QueueStepTest, EveryIdIsAnsweredAndTheFirstFailureIsTheExitCode) {
  const std::string first = Submit(kMessage);
  const std::string last = Submit(kMessage);
  const Ended run = Bobbin({"hold", "--json", first, "ZZZZ", "no!id", last});
  EXPECT_EQ(run.exit_code, 66);
  const auto answers = ParseLines(run.out);
  ASSERT_EQ(answers.size(), 4U);
  ASSERT_THAT(answers, testing::Each(HasTheFieldsOf("step")));
  EXPECT_EQ(answers[0]["ok"], true);
  EXPECT_EQ(answers[0]["error"], nullptr);
  EXPECT_EQ(answers[1]["error"], "MAPI_E_NOT_IN_QUEUE");
  EXPECT_EQ(answers[2]["error"], "MAPI_E_INVALID_PARAMETER");
  EXPECT_EQ(answers[3]["ok"], true);
  EXPECT_THAT(run.err, HasSubstr("bobbin: hold ZZZZ: "));
  EXPECT_THAT(run.err, HasSubstr("bobbin: hold no!id: "));
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--held"}).out, first + "\n" + last + "\n");
}

TEST_F(QueueStepTest, IdsPrintsThoseThatSucceededAsTheQueueCallsThem) {
  const std::string queue_id = Submit(kMessage);
  std::string lower = queue_id;
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  EXPECT_EQ(Bobbin({"retry", "--ids", lower, "ZZZZ"}).out, queue_id + "\n");
}

}  // namespace
}  // namespace bobbin::test

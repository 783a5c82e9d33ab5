// bobbin queue list, queue show, stat: what is queued, for people and for programs.
//
// Method: a queue of a few messages in several states, made with the program itself and, for
// locks and outcomes of recipients, through a spooler session of this process beside it.

#include <latch>

#include "engine/database.h"
#include "tests/tools_cli/cli_test.h"

namespace bobbin::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class QueueTest : public CliTest {
 protected:
  QueueTest() { Init(); }

  // A spooler in this process that has locked `queue_id`.
  class LockHolder {
   public:
    LockHolder(const std::filesystem::path& path, const std::string& queue_id)
        : database_(Database::Open(path).value()), session_(*database_.OpenSpoolerSession()) {
      const QueueRow row = *database_.GetOutgoingQueue().Row(*ParseQueueId(queue_id));
      entry_id_ = row.entry_id;
      DueMessage due;
      due.entry_id = row.entry_id;
      due.message = row.message;
      due.store = row.store;
      due.due = row.due;
      due.sequence = row.sequence;
      locked_ = session_.LockDue(due)->has_value();
    }
    bool Locked() const { return locked_; }
    SpoolerSession& Session() { return session_; }
    const EntryId& Id() const { return entry_id_; }

   private:
    Database database_;
    SpoolerSession session_;
    EntryId entry_id_;
    bool locked_ = false;
  };
};

TEST_F(QueueTest, TheTableNamesSenderRecipientsAndSubject) {
  const std::string queue_id = Submit(kMessage, {"-f", "a@x.test", "b@x.test", "c@x.test"});
  const Ended run = Bobbin({"queue", "list"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, testing::StartsWith("QUEUE ID  STATE"));
  for (const std::string& part : {queue_id, std::string("a@x.test"), std::string("(2)"),
                                  std::string("Tea"), std::string("1 message")}) {
    EXPECT_THAT(run.out, HasSubstr(part));
  }
}

TEST_F(QueueTest, AnEmptyQueueIsAnEmptyListInEveryFormat) {
  EXPECT_EQ(Bobbin({"queue", "list"}).out, "0 messages\n");
  EXPECT_EQ(Bobbin({"queue", "list", "--json"}).out, "");
  EXPECT_EQ(Bobbin({"queue", "list", "--ids"}).out, "");
}

TEST_F(QueueTest, JsonHasTheDocumentedFieldsInSubmitOrder) {
  const std::string first = Submit(kMessage);
  const std::string second = Submit("Subject: =?utf-8?q?T=C3=A9?=\n\nHello\n", {"c@x.test"});
  const auto rows = ParseLines(Bobbin({"queue", "list", "--json"}).out);
  ASSERT_EQ(rows.size(), 2U);
  ASSERT_THAT(rows, testing::Each(HasTheFieldsOf("queue list")));
  EXPECT_EQ(rows[0]["queue_id"], first);
  EXPECT_EQ(rows[1]["queue_id"], second);
  EXPECT_EQ(rows[1]["subject"], "T\xC3\xA9");
  EXPECT_EQ(rows[1]["recipient_count"], 1);
}

TEST_F(QueueTest, StatesAreToldApartAndSelected) {
  const std::string due = Submit(kMessage);
  const std::string held = Submit(kMessage);
  const std::string locked = Submit(kMessage);
  ASSERT_EQ(Bobbin({"hold", held}).exit_code, 0);
  const LockHolder holder(database_, locked);
  ASSERT_TRUE(holder.Locked());
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--held"}).out, held + "\n");
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--locked"}).out, locked + "\n");
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--due"}).out, due + "\n");
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--held", "--due"}).out, due + "\n" + held + "\n");
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--waiting"}).out, "");
  EXPECT_EQ(ShowJson(locked)["state"], "locked");
}

TEST_F(QueueTest, LimitStoreAndSenderSelectRows) {
  const std::string first = Submit(kMessage);
  const std::string second = Submit(kMessage, {"-f", "z@x.test", "--store", "other", "b@x.test"});
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--limit", "1"}).out, first + "\n");
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--store", "other"}).out, second + "\n");
  EXPECT_EQ(Bobbin({"queue", "list", "--ids", "--sender", "z@x.test"}).out, second + "\n");
  const Ended unknown = Bobbin({"queue", "list", "--store", "nowhere"});
  EXPECT_EQ(unknown.exit_code, 66);
  EXPECT_THAT(unknown.err, HasSubstr("nowhere"));
}

TEST_F(QueueTest, ShowTellsTheTruthAboutEveryRecipient) {
  const std::string queue_id = Submit(kMessage, {"-f", "a@x.test", "b@x.test", "c@x.test"});
  {
    LockHolder holder(database_, queue_id);
    ASSERT_TRUE(holder.Locked());
    const Time now = SystemClock().Now();
    Attempt attempt;
    attempt.next_due = now + std::chrono::hours(1);
    RecipientDelivery delivered{true,
                                RecipientState::kDelivered,
                                1,
                                now,
                                {},
                                now,
                                {250, "2.0.0", "queued as 12"},
                                "mx.x.test[192.0.2.1]:25"};
    RecipientDelivery pending{false,
                              RecipientState::kPending,
                              1,
                              now,
                              attempt.next_due,
                              {},
                              {450, "4.2.1", "mailbox busy\n\x1b[31mred\ntry later"},
                              "mx.x.test[192.0.2.1]:25"};
    const auto rows = holder.Session().OpenMessage(holder.Id())->GetRecipientTable().value();
    attempt.updates = {{rows.at(0).id, delivered}, {rows.at(1).id, pending}};
    ASSERT_TRUE(holder.Session().CommitAttempt(holder.Id(), attempt).has_value());
  }
  const auto shown = ShowJson(queue_id);
  EXPECT_EQ(shown["state"], "waiting");
  const auto& recipients = shown["recipients"];
  ASSERT_EQ(recipients.size(), 2U);
  ASSERT_THAT(recipients[0], HasTheFieldsOf("recipient"));
  ASSERT_THAT(recipients[1]["last_reply"], HasTheFieldsOf("last_reply"));
  EXPECT_EQ(recipients[0]["state"], "delivered");
  EXPECT_EQ(recipients[0]["responsibility"], true);
  EXPECT_EQ(recipients[1]["attempts"], 1);
  EXPECT_EQ(recipients[1]["last_reply"]["text"], "mailbox busy\n\x1b[31mred\ntry later");

  const Ended run = Bobbin({"queue", "show", queue_id});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  for (const char* part :
       {"delivered", "250 2.0.0 queued as 12", "450 4.2.1 mailbox busy", "450 4.2.1 \\x1b[31mred",
        "450 4.2.1 try later", "mx.x.test[192.0.2.1]:25", "next attempt:"}) {
    EXPECT_THAT(run.out, HasSubstr(part));
  }
  EXPECT_THAT(run.out, Not(HasSubstr("\x1b")));
}

TEST_F(QueueTest, ShowJsonHasTheFieldsOfListAndTheRecipients) {
  std::vector<std::string> fields = DocumentedFields("queue list");
  fields.push_back(DocumentedFields("queue show").at(0));
  EXPECT_EQ(FieldsOf(ShowJson(Submit(kMessage))), fields);
}

TEST_F(QueueTest, ShowOfWhatIsNotQueuedIsExit66) {
  const Ended run = Bobbin({"queue", "show", "ZZZZ"});
  EXPECT_EQ(run.exit_code, 66);
  EXPECT_THAT(run.err, HasSubstr("bobbin: show ZZZZ: MAPI_E_NOT_IN_QUEUE"));
}

TEST_F(QueueTest, MoreRowsThanAreReadAtOnceAreAllListed) {
  Database database = Database::Open(database_).value();
  MessageStore store = database.OpenOrCreateMessageStore("outgoing").value();
  constexpr std::ptrdiff_t kMessages = 2'500;
  std::latch submitted(kMessages);
  std::vector<std::string> ids;
  for (std::ptrdiff_t i = 0; i < kMessages; ++i) {
    Message message = store.CreateMessage(store.Folders().outbox).value();
    ASSERT_TRUE(
        message.ModifyRecipients(0, {MakeSmtpRecipient("b@x.test", kRecipientTo)}).has_value());
    ids.push_back(ToQueueId(MessageId{message.Id()->Object()}));
    message.SubmitMessageAsync(0, [&submitted](const Result<void>& result) {
      EXPECT_TRUE(result.has_value());
      submitted.count_down();
    });
  }
  submitted.wait();
  std::string expected;
  for (const std::string& id : ids) expected += id + "\n";
  EXPECT_EQ(QueuedIds(), expected);
}

TEST_F(QueueTest, StatCountsTheQueue) {
  Submit(kMessage);
  ASSERT_EQ(Bobbin({"hold", Submit(kMessage)}).exit_code, 0);
  const auto objects = ParseLines(Bobbin({"stat", "--json"}).out);
  ASSERT_EQ(objects.size(), 1U);
  ASSERT_THAT(objects[0], HasTheFieldsOf("stat"));
  EXPECT_EQ(objects[0]["queued"], 2);
  EXPECT_EQ(objects[0]["held"], 1);
  EXPECT_EQ(objects[0]["database_id"].get<std::string>().size(), 32U);
  EXPECT_THAT(Bobbin({"stat"}).out, HasSubstr("Queued        2"));
}

TEST_F(QueueTest, OutputThatCannotBeWrittenIsExit74) {
  Submit(kMessage);
  const std::string command = std::string(BOBBIN_PROGRAM) + " queue list > /dev/full";
  const Ended run = RunProgram(
      {{"sh", "-c", command}, {}, directory_, {"BOBBIN_DATABASE=" + database_.string()}});
  EXPECT_EQ(run.exit_code, 74);
  EXPECT_THAT(run.err, HasSubstr("standard output"));
}

}  // namespace
}  // namespace bobbin::test

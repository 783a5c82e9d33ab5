#include "tests/tools_cli/mail_database.h"

#include <algorithm>
#include <regex>
#include <sstream>

#include "tests/support/corpus.h"

namespace bobbin::test {

namespace fs = std::filesystem;

void MailDatabaseTest::FillWithMail(std::size_t count) {
  std::vector<fs::path> files = CorpusMessages();
  ASSERT_GE(files.size(), 5U);
  count = std::min(count, files.size());
  for (std::size_t i = 0; i < count; ++i) files[i] = files[i * files.size() / count];
  files.resize(count);
  for (const char* made : {"tests/tools_cli/mail_database.h", "tests/tools_cli/mail_database.cc",
                           "tests/tools_cli/cli_test.h", "tests/tools_cli/msg_maker.h"}) {
    files.push_back(fs::path(BOBBIN_SOURCE_DIRECTORY) / made);  // Text is mail, too.
  }
  std::vector<std::string> ids;
  for (const fs::path& file : files) {
    const Ended run = Bobbin({"submit", "-f", "a@x.test", "b@x.test", "c@x.test"}, file);
    ASSERT_EQ(run.exit_code, 0) << file << run.err;
    ids.push_back(run.out.substr(0, run.out.find('\n')));
  }
  aborted_ = ids[ids.size() - 1];
  held_ = ids[ids.size() - 2];
  in_doubt_ = ids[0];
  waiting_ = ids[1];
  ASSERT_EQ(Bobbin({"abort", aborted_}).exit_code, 0);
  ASSERT_EQ(Bobbin({"hold", held_}).exit_code, 0);
  TryToDeliver(in_doubt_, [](RecipientRow& row) {
    row.delivery.state = RecipientState::kInDoubt;
    row.delivery.last_reply = {0, "", "the connection was lost"};
  });
  TryToDeliver(waiting_, [](RecipientRow& row) {
    row.delivery.responsibility = row.id.value == 0;
    if (row.id.value == 0) row.delivery.state = RecipientState::kDelivered;
    row.delivery.last_reply = {450, "4.2.0", "greylisted\nin two lines"};
  });
}

void MailDatabaseTest::TryToDeliver(const std::string& queue_id,
                                    const std::function<void(RecipientRow&)>& outcome) {
  Database database = Database::Open(database_).value();
  SpoolerSession session = std::move(*database.OpenSpoolerSession());
  const MessageId message = ParseQueueId(queue_id).value();
  const Time now = SystemClock().Now();
  DueResult due = session.NextDue(now).value();
  while (due.message && due.message->message != message) {
    due = session.NextDue(now, &*due.message).value();
  }
  ASSERT_TRUE(due.message.has_value()) << queue_id;
  std::optional<Message> locked = session.LockDue(*due.message).value();
  ASSERT_TRUE(locked.has_value());
  Attempt attempt;
  attempt.next_due = now + std::chrono::hours(1);
  RecipientTable recipients = locked->GetRecipientTable().value();
  for (RecipientRow& row : recipients) {
    row.delivery.attempts = 1;
    row.delivery.last_attempt = now;
    row.delivery.next_attempt = attempt.next_due;
    outcome(row);
    attempt.updates.push_back({row.id, row.delivery});
  }
  const Result<FinishResult> ended = session.CommitAttempt(due.message->entry_id, attempt);
  ASSERT_TRUE(ended) << ToString(ended.error());
}

std::string MailDatabaseTest::FindingsOf(const fs::path& database) const {
  const Ended run = Bobbin({"check", "--database", database.string()});
  EXPECT_TRUE(run.exit_code == 0 || run.exit_code == 1) << run.err;
  // How many pages hold the records, and which, is no finding.
  static const std::regex pages(R"([0-9]+ pages \([0-9]+ free\), |  [0-9]+ +(?=table ))");
  return run.exit_code == 0 ? "" : std::regex_replace(run.out, pages, "");
}

std::string MailDatabaseTest::DumpOf(const fs::path& database) const {
  const Ended run = Bobbin({"dump", "--database", database.string()});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return run.out;
}

}  // namespace bobbin::test

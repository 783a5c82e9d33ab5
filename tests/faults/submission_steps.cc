#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "engine/database.h"
#include "engine/mapi_flags.h"
#include "tests/faults/workloads.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin::faults {
namespace {

namespace fs = std::filesystem;

// Each step changes one message, named by a letter, and leaves it in the state told here.
struct StepPlan {
  const char* name;
  char message;
  const char* after;
};
constexpr StepPlan kSteps[] = {
    {"submit-a", 'a', "queued pending pending"},
    {"submit-b", 'b', "queued pending"},
    {"mark-a", 'a', "queued in doubt in doubt"},
    {"attempt-a", 'a', "queued delivered pending"},
    {"mark-a-again", 'a', "queued delivered in doubt"},
    {"finish-a", 'a', "sent delivered delivered"},
    {"abort-b", 'b', "draft pending"},
    {"delete-b", 'b', "absent"},
    {"submit-c", 'c', "queued pending"},
};

// a: beside its record, b: written ahead, c: in rows of the same transaction.
std::string ContentOf(char message) {
  const std::size_t bytes = message == 'a' ? 500 : message == 'b' ? 300'000 : 20'000;
  return "Subject: test\r\n\r\n" + std::string(bytes, message) + "\r\n";
}

std::string ReadContent(const Message& message) {
  MessageBodyReader reader = Must(message.OpenContent());
  std::string content;
  for (;;) {
    const std::string_view piece = Must(reader.Next());
    if (piece.empty()) return content;
    content += piece;
  }
}

class SubmissionProcess {
 public:
  SubmissionProcess(const fs::path& path, const Journal& journal)
      : journal_(journal), path_(path) {}

  void Run() {
    if (!Take("open", Open())) return;
    for (const StepPlan& step : kSteps) {
      if (!MayTry(step)) continue;
      journal_.Say("begin", step.name);
      if (!Take(step.name, Try(step))) failed_.insert(step.message);
    }
  }

 private:
  // A step whose message is not where it has to be is left out, but not on a database that has
  // failed: there everything is tried, because nothing may succeed.
  bool MayTry(const StepPlan& step) const {
    if (!ids_.contains(step.message)) return std::string_view(step.name).starts_with("submit");
    return store_failed_ || !failed_.contains(step.message);
  }

  bool Take(const char* step, const Result<void>& result) {
    if (result) {
      journal_.Say("acknowledged", step);
      return true;
    }
    store_failed_ = store_failed_ || result.error().code == ErrorCode::kStoreFailed;
    journal_.Say("refused", ErrorName(result.error().code));
    return false;
  }

  Result<void> Open() {
    ASSIGN_OR_RETURN(database_, Database::Open(path_));
    ASSIGN_OR_RETURN(store_, database_->OpenOrCreateMessageStore("alice@a.test"));
    ASSIGN_OR_RETURN(session_, database_->OpenSpoolerSession());
    return {};
  }

  Result<void> Try(const StepPlan& step) {
    const std::string_view name = step.name;
    if (name == "submit-a") return Submit('a', {"1@x.test", "2@x.test"});
    if (name == "submit-b" || name == "submit-c") return Submit(step.message, {"1@x.test"});
    const EntryId id = ids_.at(step.message);
    if (name == "mark-a") return Mark(id, {RecipientRowId{0}, RecipientRowId{1}});
    if (name == "attempt-a") return Commit(id, RecipientRowId{0});
    if (name == "mark-a-again") return Mark(id, {RecipientRowId{1}});
    if (name == "finish-a") return Commit(id, RecipientRowId{1});
    if (name == "abort-b") return store_->AbortSubmit(id);
    return Delete(id);
  }

  Result<void> Submit(char letter, const std::vector<std::string>& addresses) {
    ASSIGN_OR_RETURN(Message message, store_->CreateMessage(store_->Folders().outbox));
    ASSIGN_OR_RETURN(const EntryId id, message.Id());
    ids_[letter] = id;
    journal_.Say("id", std::string(1, letter) + std::to_string(id.Object()));
    std::vector<RecipientRow> rows;
    for (const std::string& address : addresses) {
      rows.push_back(MakeSmtpRecipient(address, kRecipientTo));
    }
    RETURN_IF_ERROR(message.ModifyRecipients(kModifyRecipientsAdd, std::move(rows)));
    MessageBodyWriter writer = store_->NewContent();
    RETURN_IF_ERROR(writer.Append(ContentOf(letter)));
    ASSIGN_OR_RETURN(MessageBody content, writer.Finish());
    RETURN_IF_ERROR(message.SetContent(std::move(content)));
    return message.SubmitMessage();
  }

  Result<void> Mark(const EntryId& id, const std::vector<RecipientRowId>& rows) {
    if (!locked_) {
      ASSIGN_OR_RETURN(Message message, session_->OpenMessage(id));
      RETURN_IF_ERROR(session_->SetLockState(message, LockState::kLocked));
      locked_ = true;
    }
    return session_->MarkInDoubt(id, rows, SystemClock().Now());
  }

  // `row` has been delivered, every other one that was offered is to be tried again.
  Result<void> Commit(const EntryId& id, RecipientRowId row) {
    Attempt attempt;
    attempt.keep_locked = true;
    for (const RecipientRowId each : {RecipientRowId{0}, RecipientRowId{1}}) {
      if (each.value < row.value) continue;
      RecipientDelivery delivery;
      delivery.attempts = 1;
      delivery.responsibility = each == row;
      delivery.state = each == row ? RecipientState::kDelivered : RecipientState::kPending;
      attempt.updates.push_back({each, delivery});
    }
    ASSIGN_OR_RETURN(const FinishResult finished, session_->CommitAttempt(id, attempt));
    static_cast<void>(finished);
    return {};
  }

  Result<void> Delete(const EntryId& id) {
    const std::array<MessageId, 1> messages{MessageId{id.Object()}};
    ASSIGN_OR_RETURN(const Completion completion,
                     store_->DeleteMessages(store_->Folders().outbox, messages));
    if (completion == Completion::kComplete) return {};
    return Fail(ErrorCode::kCallFailed, "not deleted");
  }

  const Journal& journal_;
  const fs::path path_;
  std::optional<Database> database_;
  std::optional<MessageStore> store_;
  std::optional<SpoolerSession> session_;
  std::map<char, EntryId> ids_;
  std::set<char> failed_;
  bool locked_ = false;
  bool store_failed_ = false;
};

std::string StateOf(const Database& database, MessageId id, char letter) {
  Result<Message> opened = database.OpenMessageForOperator(id);
  if (!opened && opened.error().code == ErrorCode::kNotFound) return "absent";
  const Message message = Must(std::move(opened));
  const auto flags = static_cast<std::uint32_t>(Must(message.GetProp(pr::kMessageFlags)).number);
  const bool queued = database.GetOutgoingQueue().Row(id).has_value();
  EXPECT_EQ(queued, (flags & kMsgFlagSubmit) != 0);
  EXPECT_TRUE(ReadContent(message) == ContentOf(letter)) << letter;
  std::string state = queued ? "queued" : (flags & kMsgFlagUnsent) != 0 ? "draft" : "sent";
  for (const RecipientRow& row : Must(message.GetRecipientTable())) {
    state += " " + std::string(ToString(row.delivery.state));
  }
  return state;
}

class SubmissionSteps final : public Workload {
 public:
  void Prepare(const fs::path& path) const override {
    Must(Database::Create(path));
    Must(Must(Database::Open(path)).CreateMessageStore("alice@a.test"));
  }

  void Run(const fs::path& path, const Journal& journal) const override {
    SubmissionProcess(path, journal).Run();
  }

  void Check(const fs::path& path, const FaultedRun& run) const override {
    Database database = Must(Database::Open(path));
    EXPECT_EQ(Findings(database), "");
    const Expected expected = ExpectedAfter(run);
    for (const auto& [letter, states] : expected.states) {
      const std::string state = expected.ids.contains(letter)
                                    ? StateOf(database, expected.ids.at(letter), letter)
                                    : "absent";
      EXPECT_TRUE(states.contains(state)) << letter << " is " << state;
    }
    std::uint64_t queued = 0;
    for (const auto& [letter, id] : expected.ids) {
      queued += StateOf(database, id, letter).starts_with("queued") ? 1 : 0;
    }
    EXPECT_EQ(Must(database.GetOutgoingQueue().Count()), queued) << "mail that nobody submitted";
    MessageStore store = Must(database.OpenMessageStore("alice@a.test"));
    SubmitNew(store);
    Must(database.CollectAbandonedBodies());
    const CheckReport report = Must(database.CheckStore());
    EXPECT_EQ(report.abandoned_bodies, 0U);
    EXPECT_TRUE(report.findings.empty()) << Findings(database);
  }

 private:
  struct Expected {
    std::map<char, std::set<std::string>> states{
        {'a', {"absent"}}, {'b', {"absent"}}, {'c', {"absent"}}};
    std::map<char, MessageId> ids;
  };

  static const StepPlan* PlanOf(std::string_view name) {
    for (const StepPlan& step : kSteps) {
      if (step.name == name) return &step;
    }
    return nullptr;
  }

  // What was acknowledged has happened. What was refused has not, except the one step whose
  // outcome nobody knows: the first with kStoreFailed, or the one that the process died in.
  static Expected ExpectedAfter(const FaultedRun& run) {
    Expected expected;
    const StepPlan* begun = nullptr;
    bool unknown = false;
    const auto may_have_happened = [&] {
      if (begun != nullptr && !unknown) expected.states[begun->message].insert(begun->after);
      unknown = true;
    };
    for (const JournalLine& line : run.journal) {
      if (line.what == "id") {
        expected.ids[line.which[0]] = MessageId{std::stoull(line.which.substr(1))};
      } else if (line.what == "begin") {
        begun = PlanOf(line.which);
      } else if (line.what == "acknowledged" && begun != nullptr) {
        EXPECT_FALSE(unknown) << line.which << " was acknowledged on a database that has failed";
        expected.states[begun->message] = {begun->after};
        begun = nullptr;
      } else if (line.what == "refused" && line.which == ErrorName(ErrorCode::kStoreFailed)) {
        may_have_happened();
        begun = nullptr;
      } else if (line.what == "refused") {
        begun = nullptr;
      }
    }
    if (begun != nullptr) may_have_happened();
    return expected;
  }
};

}  // namespace

std::unique_ptr<Workload> NewSubmissionSteps() { return std::make_unique<SubmissionSteps>(); }

}  // namespace bobbin::faults

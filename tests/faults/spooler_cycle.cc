#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/database.h"
#include "tests/faults/workloads.h"
#include "tests/support/manual_clock.h"
#include "tests/support/matchers.h"
#include "tests/support/scripted_spooler.h"
#include "tests/support/temporary_database.h"

namespace bobbin::faults {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStore = "alice@a.test";

// Every address is that of one recipient: what its name says becomes of it.
const std::vector<std::vector<std::string>> kMessages = {
    {"taken1@x.test", "refused1@x.test"},
    {"taken2@x.test"},
    {"taken3@x.test", "later3@x.test"},
    {"taken4@x.test", "refused4@x.test", "taken5@x.test"},
};

OutcomeKind OutcomeOf(std::string_view address) {
  if (address.starts_with("taken")) return OutcomeKind::kDelivered;
  if (address.starts_with("refused")) return OutcomeKind::kFailed;
  return OutcomeKind::kRetryLater;
}

// Marks, then hands over: `hand_over` is told of every address that has left.
void HandOver(TransportScript& script, const std::function<void(const std::string&)>& hand_over) {
  script.outcome = [](const OutboundRecipient& recipient) { return OutcomeOf(recipient.address); };
  script.during = [&script, hand_over](OutboundMessage& message) {
    std::vector<RecipientRowId> rows;
    for (const OutboundRecipient& recipient : message.Recipients()) rows.push_back(recipient.row);
    const bool marked = message.MarkInDoubt(rows).has_value();
    script.status = marked ? SubmitStatus::kDone : SubmitStatus::kBusy;
    if (!marked) return;
    for (const OutboundRecipient& recipient : message.Recipients()) hand_over(recipient.address);
  };
}

// After it a transport that was busy is asked again, and what is to be tried again still waits.
constexpr std::chrono::seconds kBusyPause{30};

struct StoredRecipient {
  RecipientState state = RecipientState::kPending;
  bool responsibility = false;
  std::uint32_t attempts = 0;
};

// By address, of what is queued or kept; not of reports.
std::map<std::string, StoredRecipient> StoredRecipients(const Database& database,
                                                        const MessageStore& store) {
  std::map<std::string, StoredRecipient> stored;
  for (const ContentsRow& row : Must(store.GetContentsTable(store.Folders().outbox, 100))) {
    const Message message = Must(database.OpenMessageForOperator(row.message));
    for (const RecipientRow& recipient : Must(message.GetRecipientTable())) {
      const RecipientDelivery& delivery = recipient.delivery;
      stored[std::string(recipient.EmailAddress())] = {delivery.state, delivery.responsibility,
                                                       delivery.attempts};
    }
  }
  return stored;
}

class SpoolerCycle final : public Workload {
 public:
  void Prepare(const fs::path& path) const override {
    Must(Database::Create(path));
    Database database = Must(Database::Open(path));
    MessageStore store = Must(database.CreateMessageStore(kStore));
    for (const auto& addresses : kMessages) SubmitNew(store, addresses);
  }

  void Run(const fs::path& path, const Journal& journal) const override {
    Result<Database> database = Database::Open(path);
    if (!database) return journal.Say("refused", ErrorName(database.error().code));
    TransportScript script;
    HandOver(script, [&](const std::string& address) { journal.Say("handed", address); });
    ScriptedSpooler spooler(*database, script);
    for (int step = 0; step < 20; ++step) {
      const StepResult result = spooler->RunOnce(SystemClock().Now());
      // It goes on all the same: nothing more may leave.
      if (result.store_failed) journal.Say("store-failed");
      if (!result.worked && !result.store_failed) break;
    }
    journal.Say("idle");
  }

  void Check(const fs::path& path, const FaultedRun& run) const override {
    Database database = Must(Database::Open(path));
    const MessageStore store = Must(database.OpenMessageStore(kStore));
    EXPECT_EQ(Findings(database), "");
    std::multiset<std::string> handed;
    for (const JournalLine& line : run.journal) {
      if (line.what == "handed") handed.insert(line.which);
    }
    const auto before = StoredRecipients(database, store);
    EXPECT_EQ(before.size(), 8U);
    for (const auto& [address, recipient] : before) {
      EXPECT_TRUE(!handed.contains(address) || recipient.attempts > 0)
          << address << " has left, and the database does not know";
      EXPECT_TRUE(handed.contains(address) || !recipient.responsibility)
          << address << " is done, and has not left";
    }
    Finish(database, before, handed);
    ExpectEnd(database, store, before, handed);
  }

 private:
  // A new spooler goes on; what is to be tried again stays.
  static void Finish(Database& database, const std::map<std::string, StoredRecipient>& before,
                     std::multiset<std::string>& handed) {
    TransportScript script;
    HandOver(script, [&](const std::string& address) {
      EXPECT_FALSE(before.at(address).responsibility) << address << " was TRUE, and is offered";
      handed.insert(address);
    });
    ScriptedSpooler spooler(database, script);
    spooler.RunUntilIdle(SystemClock().Now() + kBusyPause);
  }

  static void ExpectEnd(Database& database, const MessageStore& store,
                        const std::map<std::string, StoredRecipient>& before,
                        const std::multiset<std::string>& handed) {
    const auto after = StoredRecipients(database, store);
    for (const auto& [address, recipient] : before) {
      const bool in_doubt = recipient.state == RecipientState::kInDoubt;
      const std::size_t times = handed.count(address);
      EXPECT_TRUE(times == 1 || (times == 2 && in_doubt))
          << address << " left " << times << " times";
      const bool done = OutcomeOf(address) != OutcomeKind::kRetryLater;
      EXPECT_EQ(after.at(address).responsibility, done) << address;
    }
    // The reports of the refused ones, once each.
    EXPECT_EQ(Must(store.GetContentsTable(store.Folders().inbox, 100)).size(), 2U);
    EXPECT_EQ(Must(database.GetOutgoingQueue().Count()), 1U);
    EXPECT_EQ(Findings(database), "");
  }
};

}  // namespace

std::unique_ptr<Workload> NewSpoolerCycle() { return std::make_unique<SpoolerCycle>(); }

}  // namespace bobbin::faults

// bobbin queue list, bobbin queue show: what is queued, and the truth about each recipient.
#include <fmt/core.h>

#include <cstdint>
#include <limits>
#include <memory>

#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/queue_view.h"

namespace bobbin::cli {
namespace {

struct ListOptions {
  std::string store;   // Empty: all.
  std::string sender;  // Empty: any.
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
  bool held = false;
  bool locked = false;
  bool waiting = false;
  bool due = false;
};

// Rows read at a time: a long list is a sequence of short snapshots, never one long reader that
// would keep the database from reusing space.
constexpr std::uint32_t kRowsPerRead = 1'000;

bool IsWanted(const ListOptions& options, const QueueRow& row, Time now) {
  if (!options.sender.empty() && row.sender_address != options.sender) return false;
  if (!options.held && !options.locked && !options.waiting && !options.due) return true;
  const std::string_view state = StateOf(row, now);
  return (options.held && state == "held") || (options.locked && state == "locked") ||
         (options.waiting && state == "waiting") || (options.due && state == "due");
}

class QueueList {
 public:
  QueueList(const Database& database, const StoreNames& names, Output& output,
            const ListOptions& options)
      : database_(database), names_(names), output_(output), options_(options) {}

  ExitCode Run() {
    Table table(output_, {{"QUEUE ID"},
                          {"STATE"},
                          {"SUBMITTED"},
                          {"DUE"},
                          {"SIZE", true},
                          {"SENDER", false, 30},
                          {"RECIPIENTS", false, 36},
                          {"SUBJECT"}});
    for (const auto& [store, name] : names_) {
      if (!options_.store.empty() && options_.store != name) continue;
      const ExitCode code = ListStore(store, table);
      if (code != ExitCode::kOk) return code;
    }
    table.Flush();
    if (output_.Format() == OutputFormat::kTable) {
      output_.Line(output_.Styled(Style::kDim,
                                  fmt::format("{} message{}", printed_, printed_ == 1 ? "" : "s")));
      TellOfQuarantine();
    }
    const ExitCode written = output_.Finish();
    return damage_ != ExitCode::kOk ? damage_ : written;
  }

 private:
  // Those are not in the queue, but whoever misses one looks here first.
  void TellOfQuarantine() {
    std::vector<Error> damaged;
    const auto kept = database_.GetQuarantine().Messages(&damaged);
    const std::size_t count = kept ? kept->size() + damaged.size() : 0;
    if (count == 0) return;
    output_.Line(output_.Styled(Style::kBad,
                                fmt::format("{} in quarantine: bobbin quarantine list", count)));
  }

  ExitCode ListStore(StoreId store, Table& table) {
    const OutgoingQueue queue(database_.State(), store);
    for (std::uint64_t after = 0; printed_ < options_.limit && !output_.Failed();) {
      std::vector<Error> damaged;
      ASSIGN_OR_COMPLAIN(const std::vector<QueueRow> rows, "read the queue",
                         queue.Rows(kRowsPerRead, after, &damaged));
      for (const Error& error : damaged) damage_ = Complain("read a queued message", error);
      for (const QueueRow& row : rows) {
        if (printed_ < options_.limit && IsWanted(options_, row, now_)) Print(row, table);
        after = row.sequence;
      }
      // A page that lost rows to damage may be short; only an empty one is the end.
      if (rows.empty()) break;
    }
    return ExitCode::kOk;
  }

  void Print(const QueueRow& row, Table& table) {
    ++printed_;
    const std::string queue_id = ToQueueId(row.message);
    if (output_.Format() == OutputFormat::kIds) return output_.Line(queue_id);
    if (output_.Format() == OutputFormat::kJson) {
      return output_.PrintJson(QueueRowJson(row, names_, now_));
    }
    const std::string_view state = StateOf(row, now_);
    table.AddRow({{queue_id},
                  {std::string(state), StyleOf(state)},
                  {FormatRelative(row.client_submit_time, now_)},
                  {state == "waiting" ? FormatRelative(row.due, now_) : "-"},
                  {FormatBytes(row.message_bytes)},
                  {row.sender_address.empty() ? "<>" : row.sender_address},
                  {RecipientsText(row)},
                  {row.subject}});
  }

  const Database& database_;
  const StoreNames& names_;
  Output& output_;
  const ListOptions& options_;
  const Time now_ = SystemClock().Now();
  std::uint64_t printed_ = 0;
  ExitCode damage_ = ExitCode::kOk;
};

ExitCode RunQueueList(const CommandLine& line, const ListOptions& options) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const StoreNames names, "list the stores", ReadStoreNames(database));
  if (!options.store.empty()) {
    COMPLAIN_IF_ERROR("open store " + options.store, database.OpenMessageStore(options.store));
  }
  Output output(line.Format());
  return QueueList(database, names, output, options).Run();
}

void PrintQueueRow(Output& output, const QueueRow& row, const StoreNames& names, Time now) {
  const auto print = [&output](std::string_view label, const std::string& value) {
    output.Line(fmt::format("{:<12} {}", label, value));
  };
  const auto time = [now](Time value) {
    return fmt::format("{} ({})", FormatTime(value), FormatRelative(value, now));
  };
  const std::string_view state = StateOf(row, now);
  print("Queue id", ToQueueId(row.message));
  print("Entry id", row.entry_id.ToHex());
  print("State", output.Styled(StyleOf(state), state));
  print("Submitted", time(row.client_submit_time));
  if (row.lane != DueLane::kHeld) print("Due", time(row.due));
  print("Size", FormatBytes(row.message_bytes));
  print("Store", EscapeForTerminal(StoreNameOf(names, row.store)));
  print("Sender", "<" + EscapeForTerminal(row.sender_address) + ">");
  print("Subject", EscapeForTerminal(row.subject));
}

ExitCode RunQueueShow(const CommandLine& line, const std::string& queue_id) {
  const std::string what = "show " + queue_id;
  ASSIGN_OR_COMPLAIN(const MessageId id, what, ParseMessageId(queue_id));
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  ASSIGN_OR_COMPLAIN(const StoreNames names, "list the stores", ReadStoreNames(database));
  ASSIGN_OR_COMPLAIN(const QueueRow row, what, database.GetOutgoingQueue().Row(id));
  ASSIGN_OR_COMPLAIN(const Message message, what, database.OpenMessageForOperator(id));
  ASSIGN_OR_COMPLAIN(const RecipientTable recipients, what, message.GetRecipientTable());
  const Time now = SystemClock().Now();
  Output output(line.Format());
  if (line.json) {
    Json object = QueueRowJson(row, names, now);
    object["recipients"] = Json::array();
    for (const RecipientRow& recipient : recipients) {
      object["recipients"].push_back(RecipientJson(recipient));
    }
    output.PrintJson(object);
  } else {
    PrintQueueRow(output, row, names, now);
    PrintRecipients(output, recipients, now);
  }
  return output.Finish();
}

void AddQueueList(CLI::App& queue, CommandLine& line) {
  CLI::App* list = AddCommand(queue, line, "list", "What is queued, oldest submission first");
  auto options = std::make_shared<ListOptions>();
  list->add_option("--store", options->store, "Only of this message store");
  list->add_option("--sender", options->sender, "Only from this envelope sender, exactly");
  list->add_option("--limit", options->limit, "At most so many rows");
  list->add_flag("--held", options->held, "Those held by an operator");
  list->add_flag("--locked", options->locked, "Those being delivered right now");
  list->add_flag("--waiting", options->waiting, "Those due later");
  list->add_flag("--due", options->due, "Those due now");
  AddJsonOption(*list, line);
  AddIdsOption(*list, line);
  list->callback(
      [&line, options] { line.run = [&line, options] { return RunQueueList(line, *options); }; });
}

}  // namespace

ExitCode ListWholeQueue(const CommandLine& line) { return RunQueueList(line, ListOptions{}); }

void AddQueueCommands(CLI::App& app, CommandLine& line) {
  CLI::App* queue = AddCommand(app, line, "queue", "Look at the outgoing queue");
  queue->require_subcommand(1);
  AddQueueList(*queue, line);
  CLI::App* show =
      AddCommand(*queue, line, "show", "One queued message and the truth about its recipients");
  auto queue_id = std::make_shared<std::string>();
  show->add_option("ID", *queue_id, "Queue id")->required();
  AddJsonOption(*show, line);
  show->callback([&line, queue_id] {
    line.run = [&line, queue_id] { return RunQueueShow(line, *queue_id); };
  });
}

}  // namespace bobbin::cli

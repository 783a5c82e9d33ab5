#include "spooler/transports/command.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <sysexits.h>

#include <algorithm>
#include <array>

#include "engine/check.h"
#include "spooler/internet_message.h"
#include "spooler/reply_text.h"
#include "spooler/transports/program_run.h"

namespace bobbin {
namespace {

struct ExitMeaning {
  int status;
  OutcomeKind kind;
  const char* enhanced_code;
  const char* text;
};

constexpr std::array<ExitMeaning, 18> kExitMeanings = {{
    {EX_OK, OutcomeKind::kDelivered, "2.0.0", "delivered by the program"},
    {EX_USAGE, OutcomeKind::kFailed, "5.3.0", "command line usage error"},
    {EX_DATAERR, OutcomeKind::kFailed, "5.6.0", "data format error"},
    {EX_NOINPUT, OutcomeKind::kFailed, "5.3.0", "cannot open input"},
    {EX_NOUSER, OutcomeKind::kFailed, "5.1.1", "user unknown"},
    {EX_NOHOST, OutcomeKind::kFailed, "5.1.2", "host name unknown"},
    {EX_UNAVAILABLE, OutcomeKind::kFailed, "5.3.0", "service unavailable"},
    {EX_SOFTWARE, OutcomeKind::kFailed, "5.3.0", "internal software error"},
    {EX_OSERR, OutcomeKind::kRetryLater, "4.3.0", "system error"},
    {EX_OSFILE, OutcomeKind::kRetryLater, "4.3.0", "critical system file missing"},
    {EX_CANTCREAT, OutcomeKind::kRetryLater, "4.3.0", "cannot create output file"},
    {EX_IOERR, OutcomeKind::kRetryLater, "4.3.0", "input or output error"},
    {EX_TEMPFAIL, OutcomeKind::kRetryLater, "4.3.0", "temporary failure"},
    {EX_PROTOCOL, OutcomeKind::kFailed, "5.5.0", "remote error in protocol"},
    {EX_NOPERM, OutcomeKind::kFailed, "5.7.0", "permission denied"},
    {EX_CONFIG, OutcomeKind::kRetryLater, "4.3.5", "configuration error"},
    // What shells say of a program they cannot run: a script's mistake, not the message's.
    {126, OutcomeKind::kRetryLater, "4.3.5", "a program could not be executed"},
    {127, OutcomeKind::kRetryLater, "4.3.5", "a program was not found"},
}};

RecipientOutcome ByExitStatus(int status, const std::string& output) {
  const std::string said = PrintableText(output, ProgramRun::kOutputBytesMax);
  if (!WIFEXITED(status)) {
    std::string text = fmt::format("the program was ended by signal {}", WTERMSIG(status));
    if (!said.empty()) text += ": " + said;
    return {OutcomeKind::kRetryLater, {0, "4.3.0", std::move(text)}, {}};
  }
  const int code = WEXITSTATUS(status);
  const auto meaning = std::find_if(kExitMeanings.begin(), kExitMeanings.end(),
                                    [code](const ExitMeaning& m) { return m.status == code; });
  if (meaning == kExitMeanings.end()) {
    return {OutcomeKind::kFailed,
            {0, "5.3.0", said.empty() ? fmt::format("the program exited with {}", code) : said},
            {}};
  }
  return {meaning->kind, {0, meaning->enhanced_code, said.empty() ? meaning->text : said}, {}};
}

RecipientOutcome Later(std::string enhanced_code, std::string text) {
  return {OutcomeKind::kRetryLater, {0, std::move(enhanced_code), std::move(text)}, {}};
}

class CommandTransport final : public TransportProvider {
 public:
  explicit CommandTransport(CommandOptions options)
      : options_(std::move(options)), stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    BOBBIN_CHECK(stop_);
  }

  std::string_view Name() const override { return "command"; }
  std::vector<std::string> AddressTypes() const override { return {"SMTP"}; }
  SubmitResult SubmitMessage(OutboundMessage& message) override;
  void TransportNotify(TransportNotification notification,
                       const NotificationData& /*data*/) override {
    if (notification == TransportNotification::kCancelMessage) eventfd_write(stop_.Get(), 1);
    if (notification == TransportNotification::kBeginOutbound) (void)TakeStop();
  }

 private:
  // Whether the message was cancelled; the next one is not.
  bool TakeStop() {
    eventfd_t count = 0;
    return eventfd_read(stop_.Get(), &count) == 0;
  }

  // kNotServed: stopped on request, and the program did not see the end of the message.
  RecipientOutcome Deliver(OutboundMessage& message, const OutboundRecipient& recipient);
  RecipientOutcome Run(OutboundMessage& message, RecipientRowId row,
                       const std::vector<std::string>& arguments);
  // Gives the program the message. An outcome: it is not to see the end.
  std::optional<RecipientOutcome> Feed(OutboundMessage& message, RecipientRowId row,
                                       ProgramRun& run);
  RecipientOutcome Stopped(OutcomeKind when_requested);

  const CommandOptions options_;
  const FileDescriptor stop_;
  std::chrono::steady_clock::time_point deadline_;
  bool stop_requested_ = false;
};

constexpr std::string_view kSender = "{sender}";
constexpr std::string_view kRecipient = "{recipient}";
constexpr std::string_view kQueueId = "{queue_id}";

// The argument with its placeholders replaced, in one pass: what was put in is not looked at.
//   kInvalidParameter  it would become an option
Result<std::string> Expand(std::string_view argument, OutboundMessage& message,
                           const OutboundRecipient& recipient) {
  std::string expanded;
  for (std::size_t at = 0; at < argument.size();) {
    const std::string_view rest = argument.substr(at);
    const std::size_t before = expanded.size();
    if (rest.starts_with(kSender)) {
      expanded += message.ReversePath();
      at += kSender.size();
    } else if (rest.starts_with(kRecipient)) {
      expanded += recipient.address;
      at += kRecipient.size();
    } else if (rest.starts_with(kQueueId)) {
      expanded += message.QueueId();
      at += kQueueId.size();
    } else {
      expanded.push_back(argument[at++]);
      continue;
    }
    if (before == 0 && expanded.starts_with('-')) {
      return Fail(ErrorCode::kInvalidParameter, "an address that begins with '-' is not passed on");
    }
  }
  return expanded;
}

SubmitResult CommandTransport::SubmitMessage(OutboundMessage& message) {
  stop_requested_ = false;
  std::vector<RecipientOutcome> outcomes;
  bool anything_done = false;
  for (const OutboundRecipient& recipient : message.Recipients()) {
    outcomes.push_back(stop_requested_ ? RecipientOutcome() : Deliver(message, recipient));
    anything_done = anything_done || outcomes.back().kind != OutcomeKind::kNotServed;
  }
  (void)TakeStop();
  if (!anything_done) return {SubmitStatus::kCancelled, {}, {}, {}};
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].kind == OutcomeKind::kNotServed) {
      outcomes[i] = Later("4.3.2", "stopped on request");
    }
    outcomes[i].remote_host = options_.command[0];
    message.StatusRecipient(message.Recipients()[i].row, std::move(outcomes[i]));
  }
  return {};
}

RecipientOutcome CommandTransport::Deliver(OutboundMessage& message,
                                           const OutboundRecipient& recipient) {
  if (auto address = CheckAddress(recipient.address, true); !address) {
    return {
        OutcomeKind::kFailed, {0, "5.1.3", "bad recipient address: " + address.error().detail}, {}};
  }
  std::vector<std::string> arguments;
  for (const std::string& argument : options_.command) {
    auto expanded = Expand(argument, message, recipient);
    if (!expanded) return {OutcomeKind::kFailed, {0, "5.1.3", expanded.error().detail}, {}};
    arguments.push_back(*std::move(expanded));
  }
  return Run(message, recipient.row, arguments);
}

RecipientOutcome CommandTransport::Run(OutboundMessage& message, RecipientRowId row,
                                       const std::vector<std::string>& arguments) {
  deadline_ = std::chrono::steady_clock::now() + options_.time_limit;
  auto run = ProgramRun::Start(arguments, deadline_, stop_.Get());
  if (!run) {
    return Later("4.3.5", fmt::format("cannot start {}: {}", arguments[0], run.error().detail));
  }
  if (auto outcome = Feed(message, row, *run)) {
    run->Kill();  // Before the pipe is closed: that would look like the end of the message.
    return *std::move(outcome);
  }
  run->CloseInput();
  if (const std::optional<int> status = run->Wait()) return ByExitStatus(*status, run->Output());
  return Stopped(OutcomeKind::kInDoubt);
}

std::optional<RecipientOutcome> CommandTransport::Feed(OutboundMessage& message, RecipientRowId row,
                                                       ProgramRun& run) {
  ContentSource& content = message.Content();
  content.Rewind();
  std::string input;
  for (auto progress = ProgramRun::Progress::kWritten;
       progress == ProgramRun::Progress::kWritten;) {
    const auto piece = content.Next();
    if (!piece) {
      return Later("4.3.0", fmt::format("the stored content could not be read ({})",
                                        ErrorName(piece.error().code)));
    }
    if (piece->empty()) break;
    input.assign(*piece);
    input.erase(std::remove(input.begin(), input.end(), '\r'), input.end());
    progress = run.Write(input);
    if (progress == ProgramRun::Progress::kStopped) return Stopped(OutcomeKind::kNotServed);
  }
  if (auto marked = message.MarkInDoubt(std::span(&row, 1)); !marked) {
    return Later("4.3.0", fmt::format("the attempt could not be recorded ({})",
                                      ErrorName(marked.error().code)));
  }
  return std::nullopt;
}

RecipientOutcome CommandTransport::Stopped(OutcomeKind when_requested) {
  if (std::chrono::steady_clock::now() >= deadline_) {
    return Later("4.3.0", fmt::format("the program was killed after {} seconds",
                                      options_.time_limit.count()));
  }
  stop_requested_ = true;
  return {when_requested, {0, "4.3.2", "stopped on request before the program ended"}, {}};
}

}  // namespace

Result<TransportFactory> NewCommandTransport(const CommandOptions& options) {
  if (options.command.empty() || options.command[0].empty() ||
      options.command[0].find('{') != std::string::npos) {
    return Fail(ErrorCode::kInvalidParameter, "command: the first word must name a program");
  }
  return TransportFactory([options] { return std::make_unique<CommandTransport>(options); });
}

}  // namespace bobbin

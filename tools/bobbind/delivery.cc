#include "tools/bobbind/delivery.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "engine/check.h"
#include "engine/entry_id.h"
#include "spooler/preprocessors/dkim.h"
#include "spooler/preprocessors/footer.h"
#include "spooler/transports/command.h"
#include "spooler/transports/discard.h"
#include "spooler/transports/drop_directory.h"
#include "spooler/transports/smtp.h"

namespace bobbin::daemon {
namespace {

Result<Destination> RelayTo(const Configuration& configuration) {
  SmtpOptions options;
  options.next_hop_url = configuration.next_hop;
  options.tls = configuration.next_hop_tls == "required" ? SmtpTls::kRequired
                : configuration.next_hop_tls == "off"    ? SmtpTls::kOff
                                                         : SmtpTls::kOpportunistic;
  options.ca_file = configuration.next_hop_ca_file;
  options.username = configuration.next_hop_username;
  options.ehlo_name = configuration.hostname;
  if (!configuration.next_hop_password_file.empty()) {
    std::ifstream file(configuration.next_hop_password_file);
    if (!std::getline(file, options.password)) {
      return Fail(ErrorCode::kInvalidParameter,
                  "next-hop-password-file: " + configuration.next_hop_password_file +
                      " has no first line that can be read; write the password into it");
    }
  }
  Result<TransportFactory> transport = NewSmtpTransport(options);
  if (!transport) {
    return Fail(ErrorCode::kInvalidParameter, "next-hop: " + transport.error().detail);
  }
  return Destination{*std::move(transport), configuration.next_hop};
}

Result<Destination> HandToCommand(const Configuration& configuration) {
  Result<TransportFactory> transport = NewCommandTransport({.command = configuration.command});
  if (!transport) {
    return Fail(ErrorCode::kInvalidParameter, "command: " + transport.error().detail);
  }
  return Destination{*std::move(transport), "the program " + configuration.command.front()};
}

Destination DropInto(const Configuration& configuration) {
  std::string root = configuration.maildir;
  if (root.empty()) {
    std::filesystem::path database(configuration.database);
    if (database.filename().empty()) database = database.parent_path();  // "data/"
    root = (database.parent_path() / "maildir").string();
  }
  return {NewDropDirectoryTransport({.root = root}), "Maildirs, " + root + "/<recipient>/"};
}

Result<std::string> ReadSettingFile(const std::string& setting, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.good() || file.eof()) return text;
  return Fail(ErrorCode::kInvalidParameter,
              setting + ": " + path + " cannot be read; name a file that may be");
}

// In the order they run: what is signed last is what is sent.
Result<void> AddPreprocessors(const Configuration& configuration, SpoolerOptions& options) {
  if (!configuration.footer_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadSettingFile("footer-file", configuration.footer_file));
    options.preprocessors.emplace_back([text] { return NewFooterPreprocessor(text); });
  }
  const bool signs = !configuration.dkim_domain.empty() || !configuration.dkim_selector.empty() ||
                     !configuration.dkim_key_file.empty();
  if (!signs) return {};
  if (configuration.dkim_key_file.empty()) {
    return Fail(
        ErrorCode::kInvalidParameter,
        "dkim-key-file is not set; dkim-domain, dkim-selector and dkim-key-file go together");
  }
  ASSIGN_OR_RETURN(const std::string key,
                   ReadSettingFile("dkim-key-file", configuration.dkim_key_file));
  Result<std::function<std::unique_ptr<Preprocessor>()>> dkim =
      NewDkimPreprocessor({configuration.dkim_domain, configuration.dkim_selector, key});
  if (!dkim) {
    return Fail(ErrorCode::kInvalidParameter, "dkim-key-file: " + dkim.error().detail);
  }
  options.preprocessors.push_back(*std::move(dkim));
  return {};
}

std::string_view EventName(SpoolerEventKind kind) {
  switch (kind) {
    case SpoolerEventKind::kRecipientDelivered:
      return "delivered";
    case SpoolerEventKind::kRecipientFailed:
      return "failed";
    case SpoolerEventKind::kRecipientExpired:
      return "expired";
    case SpoolerEventKind::kRecipientRetry:
      return "retry";
    case SpoolerEventKind::kRecipientInDoubt:
      return "in-doubt";
    case SpoolerEventKind::kTransportUnavailable:
      return "transport-unavailable";
    case SpoolerEventKind::kReportCreated:
      return "report-created";
    case SpoolerEventKind::kMessageFinished:
      return "finished";
    case SpoolerEventKind::kMessageDeferred:
      return "deferred";
    case SpoolerEventKind::kMessageQuarantined:
      return "quarantined";
    case SpoolerEventKind::kQueueMended:
      return "queue-mended";
    case SpoolerEventKind::kError:
      return "spooler-error";
  }
  return "spooler";
}

LogLevel EventLevel(SpoolerEventKind kind) {
  switch (kind) {
    case SpoolerEventKind::kRecipientFailed:
    case SpoolerEventKind::kRecipientExpired:
    case SpoolerEventKind::kRecipientInDoubt:
    case SpoolerEventKind::kTransportUnavailable:
    case SpoolerEventKind::kQueueMended:
      return LogLevel::kWarning;
    case SpoolerEventKind::kMessageQuarantined:
    case SpoolerEventKind::kError:
      return LogLevel::kError;
    default:
      return LogLevel::kInfo;
  }
}

void LogSpoolerEvent(EventLog& log, const SpoolerEvent& event) {
  const Reply& reply = event.delivery.last_reply;
  log.Write(
      EventLevel(event.kind), EventName(event.kind),
      {{"id", ToQueueId(event.message)},
       {"recipient", event.recipient},
       {"transport", event.transport},
       {"host", event.delivery.remote_host},
       {"attempts", event.recipient.empty() ? "" : std::to_string(event.delivery.attempts)},
       {"reply", reply.code == 0 ? reply.text : std::to_string(reply.code) + " " + reply.text},
       {"detail", event.detail}});
}

}  // namespace

Result<Destination> ChooseDestination(const Configuration& configuration) {
  std::string chosen;
  const std::pair<const char*, bool> choices[] = {{"next-hop", !configuration.next_hop.empty()},
                                                  {"command", !configuration.command.empty()},
                                                  {"discard", configuration.discard},
                                                  {"maildir", !configuration.maildir.empty()}};
  for (const auto& [name, given] : choices) {
    if (!given) continue;
    if (!chosen.empty()) {
      return Fail(
          ErrorCode::kInvalidParameter,
          chosen + " and " + name + " are both set, and mail goes to one of them; keep one");
    }
    chosen = name;
  }
  if (chosen == "next-hop") return RelayTo(configuration);
  if (chosen == "command") return HandToCommand(configuration);
  if (chosen == "discard") {
    return Destination{[] { return std::make_unique<DiscardTransport>(); },
                       "nowhere (it is discarded)"};
  }
  return DropInto(configuration);
}

Result<std::unique_ptr<Delivery>> Delivery::Open(
    const Configuration& configuration, const Database& database, const Destination& destination,
    EventLog& log, std::function<void(const Error&)> on_store_failed) {
  SpoolerOptions options;
  options.retry.first = std::chrono::seconds(configuration.retry_first_seconds);
  options.retry.longest = std::chrono::seconds(configuration.retry_longest_seconds);
  options.retry.expire_after = std::chrono::seconds(configuration.expire_after_seconds);
  options.delay_report_after = std::chrono::seconds(configuration.delay_report_after_seconds);
  options.in_doubt =
      configuration.in_doubt == "hold" ? InDoubtPolicy::kHold : InDoubtPolicy::kResend;
  options.reporting_host = configuration.hostname;

  RETURN_IF_ERROR(AddPreprocessors(configuration, options));

  std::unique_ptr<Delivery> delivery(new Delivery(std::move(on_store_failed)));
  for (std::uint64_t i = 0; i < configuration.workers; ++i) {
    Database opened = database;
    ASSIGN_OR_RETURN(SpoolerSession session, opened.OpenSpoolerSession());
    auto worker = std::make_unique<Worker>(std::move(session));
    std::vector<std::unique_ptr<TransportProvider>> transports;
    transports.push_back(destination.transport());
    auto generator = std::make_shared<std::mt19937_64>(std::random_device{}());
    worker->spooler = std::make_unique<Spooler>(
        std::move(opened), worker->session, delivery->shared_, std::move(transports), options,
        [generator] { return std::uniform_real_distribution<double>()(*generator); },
        [&log](const SpoolerEvent& event) { LogSpoolerEvent(log, event); });
    delivery->workers_.push_back(std::move(worker));
  }
  return delivery;
}

Delivery::~Delivery() {
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void Delivery::Start() {
  running_ = workers_.size();
  for (const auto& worker : workers_) {
    worker->thread = std::thread([this, &spooler = *worker->spooler] {
      if (const Result<void> ran = spooler.Run(clock_); !ran) on_store_failed_(ran.error());
      --running_;
    });
  }
}

void Delivery::Stop() {
  for (const auto& worker : workers_) worker->spooler->Stop();
}

void Delivery::Cancel() {
  for (const auto& worker : workers_) worker->spooler->Cancel();
}

}  // namespace bobbin::daemon

// bobbind: takes mail over SMTP, keeps it until it is delivered, and delivers it.
//
//   standard output  three lines when it is ready: where it listens, where mail goes, a command
//                    to try
//   standard error   the event log (event_log.h)
//
//   signal           effect
//   SIGTERM, SIGINT  no new mail; what is in progress may finish, for at most kShutdownTime; exit
//                    0. A second one: exit at once. Nothing that was answered 250 is lost by
//                    either.
//   SIGHUP           none: configuration is read at start only
//
//   exit code        meaning (sysexits.h)
//   0                stopped on request
//   64 EX_USAGE      the command line is wrong
//   66 EX_NOINPUT    no database there
//   69 EX_UNAVAILABLE  written by a newer Bobbin, or a listen address cannot be had
//   71 EX_OSERR      it cannot start now: no memory, no space, somebody else's lock
//   74 EX_IOERR      reading or writing failed, a stored record is damaged, or a page of the
//                    database is gone (engine/lost_pages.h)
//   75 EX_TEMPFAIL   kExitStoreFailed, and nothing else: a commit failed or its outcome is unknown.
//                    Clients were answered 451; start again, which opens the database anew
//   77 EX_NOPERM     no permission
//   78 EX_CONFIG     the configuration is wrong
//
// A start after anything but a clean stop takes no mail before the database in memory has been
// compared with that on its disk, unless the machine was restarted meanwhile: after a failed write
// the two may differ (engine/kv/disk_verification.h). Where they did, CheckStore must be clean,
// too.
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "engine/identity_file.h"
#include "engine/kv/clean_mark.h"
#include "engine/kv/disk_verification.h"
#include "engine/lock_table.h"
#include "engine/lost_pages.h"
#include "spooler/internet_message.h"
#include "tools/bobbind/configuration.h"
#include "tools/bobbind/delivery.h"
#include "tools/bobbind/event_log.h"
#include "tools/bobbind/run_marker.h"
#include "tools/bobbind/scrubber.h"
#include "tools/bobbind/smtp_listener.h"

namespace bobbin::daemon {
namespace {

constexpr int kExitStoreFailed = EX_TEMPFAIL;

// Of kShutdownTime, what is in progress has kGraceTime to finish by itself; then clients are
// answered 421 and transports cancelled.
constexpr std::chrono::seconds kShutdownTime{10};
constexpr std::chrono::seconds kGraceTime{8};
constexpr std::chrono::milliseconds kDrainPoll{10};
constexpr std::chrono::seconds kCollectInterval{60};

int Complain(int exit_code, const std::string& text) {
  std::fprintf(stderr, "bobbind: %s\n", text.c_str());
  return exit_code;
}

int ExitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kNotADatabase:
      return EX_NOINPUT;
    case ErrorCode::kVersion:
    case ErrorCode::kNetworkError:
      return EX_UNAVAILABLE;
    case ErrorCode::kNoAccess:
      return EX_NOPERM;
    case ErrorCode::kInvalidParameter:
      return EX_CONFIG;
    case ErrorCode::kCorruptData:
    case ErrorCode::kCorruptStore:
    case ErrorCode::kDiskError:
      return EX_IOERR;
    case ErrorCode::kStoreFailed:
      return kExitStoreFailed;
    default:
      return EX_OSERR;
  }
}

std::string DatabaseProblem(const std::string& path, const Error& error) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return "no database at " + path + ": create one with: bobbin init --database " + path;
  }
  std::string text = "cannot open the database " + path + ": " + ToString(error);
  if (error.code == ErrorCode::kNotADatabase) {
    text += "; name the directory that bobbin init has made";
  } else if (error.code == ErrorCode::kVersion) {
    text += "; use the Bobbin that wrote it, or a newer one";
  } else if (error.code == ErrorCode::kNoAccess) {
    text += "; run bobbind as the owner of the directory";
  } else if (error.code == ErrorCode::kCorruptStore) {
    text += "; `bobbin check` lists all of it, `bobbin restore` or `bobbin salvage` make it anew";
  }
  return text;
}

// --- Signals ---

sigset_t WaitedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, signal);
  return signals;
}

// Before any thread starts, so that all inherit the mask and main alone takes signals.
void BlockSignals() {
  const sigset_t signals = WaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // A file at its size limit is an error of that write.
}

// 0 when none came in time.
int WaitForSignal(std::chrono::milliseconds timeout) {
  const sigset_t signals = WaitedSignals();
  timespec time{};
  time.tv_sec = timeout.count() / 1'000;
  time.tv_nsec = timeout.count() % 1'000 * 1'000'000;
  const int signal = sigtimedwait(&signals, nullptr, &time);
  return signal < 0 ? 0 : signal;
}

// --- The daemon ---

class Daemon {
 public:
  Daemon(const Configuration& configuration, EventLog& log)
      : configuration_(configuration), log_(log), marker_(configuration.database) {}

  int Run(const Destination& destination);

 private:
  bool MemoryMayBeWrong() const;
  Result<void> OpenDatabase();
  Result<void> Open(const Destination& destination);
  void PrintReady(const Destination& destination) const;
  void OnStoreFailed(const Error& error);
  void WaitUntilAskedToStop();
  int Stop();

  const Configuration& configuration_;
  EventLog& log_;
  const RunMarker marker_;
  std::atomic<bool> store_failed_{false};
  std::optional<Database> database_;
  std::unique_ptr<SmtpListener> listener_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<Scrubber> scrubber_;  // None: not asked for.
};

// After a write that failed memory may show what the disk has not. bobbind's own end is in its
// marker. A command or another program that came to one has left its locks in memory, and has not
// said that what it closed was sound.
bool Daemon::MemoryMayBeWrong() const {
  if (marker_.WasLeftBehind()) return true;
  const std::filesystem::path path = configuration_.database;
  const Result<Identity> identity = ReadIdentityFile(path);
  return identity && HasVolatileState(identity->database) && !kv::IsMarkedClean(path) &&
         !kv::IsOpenElsewhere(path);
}

Result<void> Daemon::OpenDatabase() {
  kv::DiskVerification verified;
  if (MemoryMayBeWrong()) {
    ASSIGN_OR_RETURN(verified, kv::VerifyAgainstDisk(
                                   std::filesystem::path(configuration_.database) / "data.mdb"));
    log_.Write(LogLevel::kInfo, "verified",
               {{"bytes", std::to_string(verified.bytes)},
                {"stale", std::to_string(verified.stale_bytes)},
                {"compared", verified.compared ? "yes" : "no"}});
  }
  // Both limits end in the same refusal; the listener's comes first, before the content is sent.
  DatabaseOptions options;
  options.free_bytes_min = std::min(options.free_bytes_min, configuration_.disk_free_bytes_min);
  ASSIGN_OR_RETURN(database_, Database::Open(configuration_.database, options));
  marker_.Set();
  if (verified.stale_bytes == 0) return {};
  ASSIGN_OR_RETURN(const CheckReport report, database_->CheckStore());
  if (report.findings.empty()) return {};
  return Fail(ErrorCode::kCorruptData,
              "a write had not reached the disk, and what the disk has is damaged: " +
                  report.findings.front().detail + "; `bobbin check` lists all of it");
}

Result<void> Daemon::Open(const Destination& destination) {
  ASSIGN_OR_RETURN(MessageStore store, database_->OpenOrCreateMessageStore(configuration_.store));
  ASSIGN_OR_RETURN(ClientNetworks trusted, ClientNetworks::Parse(configuration_.trusted_clients));
  SmtpListenerOptions options;
  options.addresses = configuration_.listen;
  options.limits = configuration_.Limits();
  options.hostname = configuration_.hostname;
  options.trusted_clients = std::move(trusted);
  options.database = configuration_.database;
  options.free_bytes = [this] { return database_->FreeBytes(); };
  options.disk_free_bytes_min = configuration_.disk_free_bytes_min;
  const auto on_store_failed = [this](const Error& error) { OnStoreFailed(error); };
  ASSIGN_OR_RETURN(listener_,
                   SmtpListener::Open(std::move(options), std::move(store), log_, on_store_failed));
  ASSIGN_OR_RETURN(delivery_,
                   Delivery::Open(configuration_, *database_, destination, log_, on_store_failed));
  if (configuration_.scrub_interval_seconds == 0) return {};
  ASSIGN_OR_RETURN(scrubber_,
                   Scrubber::Open(*database_,
                                  {std::chrono::seconds(configuration_.scrub_interval_seconds),
                                   configuration_.scrub_mib_per_second << 20},
                                  log_));
  return {};
}

void Daemon::OnStoreFailed(const Error& error) {
  if (store_failed_.exchange(true)) return;
  log_.Write(LogLevel::kError, "store-failed", {{"error", ToString(error)}});
  kill(getpid(), SIGUSR1);  // Wakes main.
}

void Daemon::PrintReady(const Destination& destination) const {
  const std::vector<std::string> addresses = listener_->Addresses();
  std::string all;
  for (const std::string& address : addresses) all += (all.empty() ? "" : ", ") + address;
  std::string to_try = addresses.front();
  if (to_try.rfind("0.0.0.0:", 0) == 0) to_try.replace(0, 7, "127.0.0.1");
  if (to_try.rfind("[::]:", 0) == 0) to_try.replace(0, 4, "[::1]");
  std::printf("bobbind listens on %s (SMTP)\n", all.c_str());
  std::printf("mail goes to %s\n", destination.description.c_str());
  std::printf(
      "try: printf 'Subject: hello\\r\\n\\r\\nhello\\r\\n' | curl -sS smtp://%s "
      "--mail-from a@x.test --mail-rcpt b@x.test -T -\n",
      to_try.c_str());
  std::fflush(stdout);
}

void Daemon::WaitUntilAskedToStop() {
  auto next_collection = std::chrono::steady_clock::now() + kCollectInterval;
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(next_collection - now);
    const int signal = WaitForSignal(std::max(wait, std::chrono::milliseconds(0)));
    if (store_failed_) return;
    if (signal == SIGTERM || signal == SIGINT) {
      log_.Write(LogLevel::kInfo, "stopping", {{"signal", strsignal(signal)}});
      return;
    }
    if (signal == SIGHUP) {
      log_.Write(LogLevel::kWarning, "hangup-ignored",
                 {{"detail", "the configuration is read at start only; restart to change it"}});
    }
    if (std::chrono::steady_clock::now() < next_collection) continue;
    next_collection = std::chrono::steady_clock::now() + kCollectInterval;
    const Result<std::uint64_t> collected = database_->CollectAbandonedBodies();
    if (!collected) {
      log_.Write(LogLevel::kError, "collect-failed", {{"error", ToString(collected.error())}});
    } else if (*collected > 0) {
      log_.Write(LogLevel::kInfo, "collected", {{"bodies", std::to_string(*collected)}});
    }
  }
}

int Daemon::Stop() {
  const auto start = std::chrono::steady_clock::now();
  const int exit_code = store_failed_ ? kExitStoreFailed : 0;
  scrubber_.reset();
  listener_->Shutdown();
  delivery_->Stop();
  bool cancelled = false;
  while (!listener_->IsDrained() || !delivery_->IsStopped()) {
    const int signal = WaitForSignal(kDrainPoll);
    const auto elapsed = std::chrono::steady_clock::now() - start;
    const bool again = signal == SIGTERM || signal == SIGINT;
    if (again || elapsed >= kShutdownTime) {
      log_.Write(LogLevel::kWarning, "stopped-early",
                 {{"detail", "what was in progress will be done again after the next start"}});
      std::_Exit(store_failed_ ? kExitStoreFailed : again ? 128 + signal : 0);
    }
    if (!cancelled && elapsed >= kGraceTime) {
      listener_->End();
      delivery_->Cancel();
      cancelled = true;
    }
  }
  listener_.reset();
  delivery_.reset();
  database_.reset();
  if (!store_failed_) marker_.Clear();
  log_.Write(LogLevel::kInfo, "stopped", {{"exit", std::to_string(exit_code)}});
  return store_failed_ ? kExitStoreFailed : exit_code;
}

int Daemon::Run(const Destination& destination) {
  if (const Result<void> opened = OpenDatabase(); !opened) {
    return Complain(ExitCodeOf(opened.error().code),
                    DatabaseProblem(configuration_.database, opened.error()));
  }
  if (const Result<void> opened = Open(destination); !opened) {
    return Complain(ExitCodeOf(opened.error().code), opened.error().detail);
  }
  delivery_->Start();
  listener_->Start();
  PrintReady(destination);
  if (scrubber_) scrubber_->Start();
  log_.Write(LogLevel::kInfo, "started",
             {{"database", configuration_.database}, {"listen", listener_->Addresses().front()}});
  WaitUntilAskedToStop();
  return Stop();
}

// What the file and the flags leave open.
void FillDefaults(Configuration& configuration) {
  const char* database = std::getenv("BOBBIN_DATABASE");
  if (configuration.database.empty() && database != nullptr) configuration.database = database;
  if (configuration.hostname.empty()) {
    char name[256] = "";
    const bool known = gethostname(name, sizeof name - 1) == 0 && name[0] != '\0';
    configuration.hostname = known ? name : "localhost";
  }
}

Result<void> CheckConfiguration(const Configuration& configuration) {
  const auto bad = [](std::string detail) {
    return Fail(ErrorCode::kInvalidParameter, std::move(detail));
  };
  if (configuration.database.empty()) {
    return bad("database: not set; give --database DIR or set BOBBIN_DATABASE");
  }
  if (configuration.listen.empty()) return bad("listen: empty; name at least one address");
  for (const std::string& address : configuration.listen) {
    if (const auto parsed = ParseListenAddress(address); !parsed) {
      return bad("listen: " + parsed.error().detail);
    }
  }
  for (const char c : configuration.hostname) {
    if (c <= ' ' || c == 127)
      return bad("hostname: has blanks or control characters; take them out");
  }
  if (configuration.retry_first_seconds > configuration.retry_longest_seconds) {
    return bad("retry-first-seconds is over retry-longest-seconds; lower it");
  }
  const auto trusted = ClientNetworks::Parse(configuration.trusted_clients);
  if (!trusted) return bad("trusted-clients: " + trusted.error().detail);
  return {};
}

// One descriptor for each client, and a few; the soft limit is often 1,024.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

LogLevel ToLogLevel(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

int Main(int argument_count, char** arguments) {
  auto line = ParseCommandLine(argument_count, arguments);
  if (!line)
    return Complain(line.error().in_command_line ? EX_USAGE : EX_CONFIG, line.error().detail);
  if (!line->information.empty()) {
    std::fputs(line->information.c_str(), stdout);
    return 0;
  }
  Configuration& configuration = line->configuration;
  FillDefaults(configuration);
  const Result<void> checked = CheckConfiguration(configuration);
  if (!checked) return Complain(EX_CONFIG, checked.error().detail);
  const Result<Destination> destination = ChooseDestination(configuration);
  if (!destination) return Complain(EX_CONFIG, destination.error().detail);
  if (line->check_config) {
    std::fputs(ToToml(configuration).c_str(), stdout);
    return 0;
  }
  EndOnLostPages("bobbind");
  BlockSignals();
  RaiseDescriptorLimit();
  InitializeInternetMessage();
  EventLog log(ToLogLevel(configuration.log_level));
  Daemon daemon(configuration, log);
  return daemon.Run(*destination);
}

}  // namespace
}  // namespace bobbin::daemon

int main(int argument_count, char** arguments) {
  return bobbin::daemon::Main(argument_count, arguments);
}

#include "tools/bobbind/scrubber.h"

#include <algorithm>
#include <utility>

namespace bobbin::daemon {
namespace {

constexpr std::chrono::minutes kAfterStart{10};

}  // namespace

Result<std::unique_ptr<Scrubber>> Scrubber::Open(const Database& database, Options options,
                                                 EventLog& log) {
  Database opened = database;
  ASSIGN_OR_RETURN(SpoolerSession session, opened.OpenSpoolerSession());
  return std::unique_ptr<Scrubber>(
      new Scrubber(std::move(opened), std::move(session), options, log));
}

Scrubber::~Scrubber() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Scrubber::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Scrubber::Run() {
  std::chrono::nanoseconds least = std::chrono::nanoseconds(options_.interval) / 10;
  least = std::min<std::chrono::nanoseconds>(least, kAfterStart);
  for (; Wait(std::max(UntilNext(), least)); least = {}) ScrubOnce();
}

bool Scrubber::Wait(std::chrono::nanoseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return stop_; });
  return !stop_;
}

std::chrono::nanoseconds Scrubber::UntilNext() const {
  const Result<ScrubEnd> last = database_.LastScrub();
  if (!last) return options_.interval;
  const std::chrono::nanoseconds since = SystemClock().Now() - last->time;
  return std::clamp<std::chrono::nanoseconds>(options_.interval - since,
                                              std::chrono::nanoseconds(0), options_.interval);
}

void Scrubber::ScrubOnce() {
  ScrubOptions options;
  options.bytes_per_second = options_.bytes_per_second;
  options.clock.wait = [this](std::chrono::nanoseconds time) { return Wait(time); };
  options.page_finding = [this](const kv::PageFinding& finding) {
    Tell(finding.table, {}, "page " + std::to_string(finding.page) + ": " + finding.detail);
  };
  options.finding = [this](const Finding& finding) {
    Tell(finding.table, finding.key, finding.Text());
    if (finding.message.value != 0) SetAside(finding.message);
  };
  const Result<ScrubReport> report = database_.Scrub(options);
  if (!report) {
    log_.Write(LogLevel::kError, "scrub-failed", {{"error", ToString(report.error())}});
    Wait(options_.interval);
  } else if (report->has_ended) {
    log_.Write(report->Findings() == 0 ? LogLevel::kInfo : LogLevel::kError, "scrubbed",
               {{"bytes", std::to_string(report->bytes)},
                {"records", std::to_string(report->records.records)},
                {"findings", std::to_string(report->Findings())}});
  }
}

void Scrubber::Tell(const std::string& table, const std::string& key, const std::string& detail) {
  if (!told_.insert(table + ' ' + (key.empty() ? detail : key)).second) return;
  log_.Write(LogLevel::kError, "scrub-finding",
             {{"table", table}, {"key", key}, {"detail", detail}});
}

void Scrubber::SetAside(MessageId message) {
  const Result<bobbin::SetAside> done = session_.SetAsideDamaged(message);
  if (!done) {
    log_.Write(LogLevel::kError, "scrub-failed", {{"error", ToString(done.error())}});
  } else if (done->outcome == SetAsideOutcome::kQuarantined) {
    log_.Write(LogLevel::kError, "quarantined",
               {{"id", ToQueueId(message)}, {"detail", done->detail}});
  } else if (done->outcome == SetAsideOutcome::kMended) {
    log_.Write(LogLevel::kWarning, "queue-mended",
               {{"id", ToQueueId(message)}, {"detail", done->detail}});
  }
}

}  // namespace bobbin::daemon

// The real spooler on scripted transports.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "engine/database.h"
#include "spooler/spooler.h"
#include "tests/support/scripted_transport.h"

namespace bobbin {

// A spooler with its session, on scripted transports in their order; a new one is a restarted
// spooler.
class ScriptedSpooler {
 public:
  ScriptedSpooler(const Database& database, TransportScript& script,
                  SpoolerOptions options = Options())
      : ScriptedSpooler(database, std::vector<TransportScript*>{&script}, std::move(options)) {}
  ScriptedSpooler(const Database& database, const std::vector<TransportScript*>& scripts,
                  SpoolerOptions options = Options(), SpoolerShared* shared = nullptr)
      : session_(OpenSession(database)),
        spooler_(
            std::in_place, database, session_, shared == nullptr ? shared_ : *shared,
            Transports(scripts), std::move(options), [] { return 0.5; },
            [this](const SpoolerEvent& event) {
              const std::lock_guard lock(mutex_);
              events_.push_back(event);
            }) {}

  static SpoolerOptions Options() {
    SpoolerOptions options;
    options.reporting_host = "mail.a.test";
    return options;
  }

  // Steps until there is nothing to do at `now`; what the last step said.
  StepResult RunUntilIdle(Time now) {
    for (int steps = 0; steps < 10'000; ++steps) {
      StepResult step = spooler_->RunOnce(now);
      if (!step.worked) return step;
    }
    throw std::runtime_error("the spooler does not come to rest");
  }
  Spooler& operator*() { return *spooler_; }
  Spooler* operator->() { return &*spooler_; }
  SpoolerSession& Session() { return session_; }
  void LogOff() { spooler_.reset(); }
  std::vector<SpoolerEvent> Events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  static SpoolerSession OpenSession(Database database) {
    Result<SpoolerSession> session = database.OpenSpoolerSession();
    if (!session) throw std::runtime_error(ToString(session.error()));
    return *std::move(session);
  }
  static std::vector<std::unique_ptr<TransportProvider>> Transports(
      const std::vector<TransportScript*>& scripts) {
    std::vector<std::unique_ptr<TransportProvider>> transports;
    transports.reserve(scripts.size());
    for (TransportScript* script : scripts) {
      transports.push_back(std::make_unique<ScriptedTransport>(*script));
    }
    return transports;
  }

  mutable std::mutex mutex_;
  SpoolerShared shared_;
  SpoolerSession session_;
  std::vector<SpoolerEvent> events_;
  std::optional<Spooler> spooler_;
};

}  // namespace bobbin

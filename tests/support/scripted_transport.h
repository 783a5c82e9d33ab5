// A transport provider that does what a test tells it, and remembers what it was offered.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/database.h"
#include "spooler/spooler.h"
#include "spooler/transport_provider.h"

namespace bobbin {

struct TransportScript {
  struct Offer {
    MessageId message;
    std::vector<std::string> addresses;
    friend bool operator==(const Offer&, const Offer&) = default;
  };
  std::vector<std::string> address_types{"SMTP"};
  std::function<OutcomeKind(const OutboundRecipient&)> outcome = [](const OutboundRecipient&) {
    return OutcomeKind::kDelivered;
  };
  // Runs before the outcomes are set.
  std::function<void(OutboundMessage&)> during = [](OutboundMessage&) {};
  SubmitStatus status = SubmitStatus::kDone;
  std::vector<Offer> offers;
};

class ScriptedTransport final : public TransportProvider {
 public:
  explicit ScriptedTransport(TransportScript& script) : script_(script) {}

  std::string_view Name() const override { return "scripted"; }
  std::vector<std::string> AddressTypes() const override { return script_.address_types; }
  SubmitResult SubmitMessage(OutboundMessage& message) override {
    TransportScript::Offer offer{MessageId{message.Id().Object()}, {}};
    for (const OutboundRecipient& recipient : message.Recipients()) {
      offer.addresses.push_back(recipient.address);
    }
    script_.offers.push_back(std::move(offer));
    script_.during(message);
    if (script_.status != SubmitStatus::kDone) return {script_.status, {}, {}, {}};
    for (const OutboundRecipient& recipient : message.Recipients()) {
      message.SetOutcome(recipient.row, {script_.outcome(recipient), {250, "", "as told"}, "test"});
    }
    return {};
  }

 private:
  TransportScript& script_;
};

// A spooler with its session, on one scripted transport; a new one is a restarted spooler.
class ScriptedSpooler {
 public:
  ScriptedSpooler(const Database& database, TransportScript& script)
      : session_(OpenSession(database)),
        spooler_(
            database, session_, shared_, Transports(script), Options(), [] { return 0.5; },
            [this](const SpoolerEvent& event) { events_.push_back(event); }) {}

  // Steps until there is nothing to do at `now`; what the last step said.
  StepResult RunUntilIdle(Time now) {
    for (int steps = 0; steps < 10'000; ++steps) {
      StepResult step = spooler_.RunOnce(now);
      if (!step.worked) return step;
    }
    throw std::runtime_error("the spooler does not come to rest");
  }
  const std::vector<SpoolerEvent>& Events() const { return events_; }

 private:
  static SpoolerSession OpenSession(Database database) {
    Result<SpoolerSession> session = database.OpenSpoolerSession();
    if (!session) throw std::runtime_error(ToString(session.error()));
    return *std::move(session);
  }
  static std::vector<std::unique_ptr<TransportProvider>> Transports(TransportScript& script) {
    std::vector<std::unique_ptr<TransportProvider>> transports;
    transports.push_back(std::make_unique<ScriptedTransport>(script));
    return transports;
  }
  static SpoolerOptions Options() {
    SpoolerOptions options;
    options.reporting_host = "mail.a.test";
    return options;
  }

  SpoolerShared shared_;
  SpoolerSession session_;
  std::vector<SpoolerEvent> events_;
  Spooler spooler_;
};

}  // namespace bobbin

// Transport providers that do what a test tells them, and remember every call.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/check.h"
#include "engine/database.h"
#include "spooler/spooler.h"
#include "spooler/transport_provider.h"

namespace bobbin {

// "TransportNotify 2" and the others, as the scripts log them.
inline std::string Notice(TransportNotification which) {
  return "TransportNotify " + std::to_string(static_cast<std::uint32_t>(which));
}

struct TransportScript {
  struct Offer {
    MessageId message;
    std::vector<std::string> addresses;
    friend bool operator==(const Offer&, const Offer&) = default;
  };
  std::string name = "scripted";
  std::vector<std::string> address_types{"SMTP"};
  std::vector<std::string> uids;
  std::uint32_t wishes = 0;
  std::function<OutcomeKind(const OutboundRecipient&)> outcome = [](const OutboundRecipient&) {
    return OutcomeKind::kDelivered;
  };
  std::function<void(TransportSupport&)> on_logon = [](TransportSupport&) {};
  // Runs before the outcomes are set.
  std::function<void(OutboundMessage&)> during = [](OutboundMessage&) {};
  std::function<void(TransportNotification)> on_notify = [](TransportNotification) {};
  SubmitStatus status = SubmitStatus::kDone;
  std::chrono::seconds retry_after{0};
  std::deque<EndResult> ends;     // One for each EndMessage; then kSent.
  std::deque<std::string> inbox;  // Subjects that StartMessage has to bring, one each.
  std::function<void(std::uint32_t)> on_flush = [](std::uint32_t) {};
  bool config_changed = false;  // What ValidateState answers.

  std::vector<Offer> offers;
  TransportSupport* support = nullptr;

  // "TransportLogon", "AddressTypes", "TransportNotify 2", "SubmitMessage", "EndMessage 7", ...
  std::vector<std::string> Calls() const {
    const std::lock_guard lock(log->mutex);
    return log->calls;
  }
  std::size_t Count(const std::string& call) const {
    const std::vector<std::string> all = Calls();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), call));
  }
  void Log(std::string call) const {
    const std::lock_guard lock(log->mutex);
    log->calls.push_back(std::move(call));
  }

  // Calls may come from several threads.
  struct CallLog {
    std::mutex mutex;
    std::vector<std::string> calls;
  };
  std::shared_ptr<CallLog> log = std::make_shared<CallLog>();
  std::vector<std::pair<TransportNotification, NotificationData>> notices;
};

class ScriptedTransport final : public TransportProvider {
 public:
  explicit ScriptedTransport(TransportScript& script) : script_(script) {}

  std::string_view Name() const override { return script_.name; }
  Result<std::uint32_t> TransportLogon(TransportSupport& support) override {
    script_.Log("TransportLogon");
    script_.support = &support;
    script_.on_logon(support);
    return script_.wishes;
  }
  void TransportLogoff() override { script_.Log("TransportLogoff"); }
  std::vector<std::string> AddressTypes() const override {
    script_.Log("AddressTypes");
    return script_.address_types;
  }
  std::vector<std::string> Uids() const override { return script_.uids; }
  SubmitResult SubmitMessage(OutboundMessage& message) override {
    script_.Log(message.BeginsDeferred() ? "SubmitMessage deferred" : "SubmitMessage");
    TransportScript::Offer offer{MessageId{message.Id().Object()}, {}};
    for (const OutboundRecipient& recipient : message.Recipients()) {
      offer.addresses.push_back(recipient.address);
    }
    script_.offers.push_back(std::move(offer));
    script_.during(message);
    if (script_.status != SubmitStatus::kDone) {
      return {script_.status, {0, "4.0.0", "as told"}, {}, script_.retry_after};
    }
    for (const OutboundRecipient& recipient : message.Recipients()) {
      message.StatusRecipient(recipient.row,
                              {script_.outcome(recipient), {250, "", "as told"}, "test"});
    }
    return {};
  }
  EndResult EndMessage(std::uint32_t reference) override {
    script_.Log("EndMessage " + std::to_string(reference));
    if (script_.ends.empty()) return EndResult::kSent;
    const EndResult end = script_.ends.front();
    script_.ends.pop_front();
    return end;
  }
  void TransportNotify(TransportNotification notification, const NotificationData& data) override {
    script_.Log(Notice(notification));
    {
      const std::lock_guard lock(script_.log->mutex);
      script_.notices.emplace_back(notification, data);
    }
    script_.on_notify(notification);
  }
  void Idle() override { script_.Log("Idle"); }
  bool Poll() override {
    script_.Log("Poll");
    return !script_.inbox.empty();
  }
  Result<void> StartMessage(Message& message, std::uint32_t reference) override {
    script_.Log("StartMessage " + std::to_string(reference));
    if (script_.inbox.empty()) return {};
    const std::vector<Property> subject{Property::Bytes(pr::kSubject, script_.inbox.front())};
    script_.inbox.pop_front();
    ASSIGN_OR_RETURN(const auto problems, message.SetProps(subject));
    static_cast<void>(problems);
    return message.SaveChanges();
  }
  void FlushQueues(std::uint32_t flags) override {
    script_.Log("FlushQueues " + std::to_string(flags));
    script_.on_flush(flags);
  }
  bool ValidateState() override {
    script_.Log("ValidateState");
    return script_.config_changed;
  }

 private:
  TransportScript& script_;
};

}  // namespace bobbin

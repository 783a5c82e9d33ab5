#include "spooler/deferred_messages.h"

#include <algorithm>

namespace bobbin {

void DeferredMessages::Defer(MessageId message, std::size_t transport, Owner owner) {
  const std::lock_guard lock(mutex_);
  messages_[message.value].transports[transport] = {owner, State::kHeld};
}

bool DeferredMessages::SentDeferred(MessageId message, std::size_t transport, Owner owner) {
  const std::lock_guard lock(mutex_);
  const auto deferral = messages_.find(message.value);
  if (deferral == messages_.end()) return false;
  const auto entry = deferral->second.transports.find(transport);
  if (entry == deferral->second.transports.end() || entry->second.owner != owner ||
      entry->second.state != State::kHeld) {
    return false;
  }
  entry->second.state = State::kReturned;
  deferral->second.all_held = false;
  return true;
}

void DeferredMessages::Drop(MessageId message, std::size_t transport, Owner owner) {
  const std::lock_guard lock(mutex_);
  messages_[message.value].transports[transport] = {owner, State::kDropped};
}

void DeferredMessages::Offered(MessageId message, std::size_t transport, Owner owner) {
  const std::lock_guard lock(mutex_);
  const auto deferral = messages_.find(message.value);
  if (deferral == messages_.end()) return;
  const auto entry = deferral->second.transports.find(transport);
  if (entry == deferral->second.transports.end() || entry->second.owner != owner) return;
  if (entry->second.state != State::kReturned) return;
  deferral->second.transports.erase(entry);
  if (deferral->second.transports.empty()) messages_.erase(deferral);
}

void DeferredMessages::Forget(MessageId message) {
  const std::lock_guard lock(mutex_);
  messages_.erase(message.value);
}

DeferredMessages::Turn DeferredMessages::TurnOf(MessageId message, std::size_t transport,
                                                Owner owner) const {
  const std::lock_guard lock(mutex_);
  const auto deferral = messages_.find(message.value);
  if (deferral == messages_.end()) return Turn::kOrdinary;
  const auto entry = deferral->second.transports.find(transport);
  if (entry == deferral->second.transports.end()) return Turn::kOrdinary;
  const bool is_returned = entry->second.state == State::kReturned && entry->second.owner == owner;
  return is_returned ? Turn::kBeginDeferred : Turn::kWait;
}

std::vector<MessageId> DeferredMessages::HeldBy(Owner owner) const {
  const std::lock_guard lock(mutex_);
  std::vector<MessageId> held;
  for (const auto& [message, deferral] : messages_) {
    for (const auto& [transport, entry] : deferral.transports) {
      if (entry.owner == owner && entry.state != State::kDropped) held.push_back({message});
    }
  }
  return held;
}

void DeferredMessages::ForgetOwner(Owner owner) {
  const std::lock_guard lock(mutex_);
  for (auto deferral = messages_.begin(); deferral != messages_.end();) {
    std::erase_if(deferral->second.transports,
                  [&](const auto& entry) { return entry.second.owner == owner; });
    deferral->second.all_held = false;
    deferral =
        deferral->second.transports.empty() ? messages_.erase(deferral) : std::next(deferral);
  }
}

void DeferredMessages::SetAllHeld(MessageId message) {
  const std::lock_guard lock(mutex_);
  const auto deferral = messages_.find(message.value);
  if (deferral == messages_.end()) return;
  const auto& entries = deferral->second.transports;
  // What has been returned since is its owner's to offer.
  deferral->second.all_held = std::none_of(entries.begin(), entries.end(), [](const auto& entry) {
    return entry.second.state == State::kReturned;
  });
}

bool DeferredMessages::AreAllHeld(MessageId message) const {
  const std::lock_guard lock(mutex_);
  const auto deferral = messages_.find(message.value);
  return deferral != messages_.end() && deferral->second.all_held;
}

}  // namespace bobbin

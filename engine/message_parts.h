// MessageParts: which message a row is a part of, or keeps in quarantine, and which messages are
// there, as far as the rows that were walked before it told. Internal to the check.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "engine/rows.h"

namespace bobbin {

class MessageParts {
 public:
  void AddQueued(std::uint64_t message, std::uint64_t sequence) { queued_[sequence] = message; }
  void AddEmbedded(std::uint64_t message, std::uint64_t outer) { outer_[message] = outer; }
  void AddBody(std::uint64_t body, std::uint64_t message) { bodies_[body] = message; }

  // 0: of none that is known.
  MessageId MessageOf(kv::TableId table, std::string_view key) const;

  Result<void> ReadQuarantine(RowReader& rows);
  bool IsQuarantined(std::uint64_t message) const { return quarantined_.contains(message); }
  // The end of a finding about `message`; empty when it is not in quarantine.
  std::string WhereItIs(std::uint64_t message) const;

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> queued_;  // By sequence.
  std::unordered_map<std::uint64_t, std::uint64_t> outer_;
  std::unordered_map<std::uint64_t, std::uint64_t> bodies_;
  std::unordered_set<std::uint64_t> quarantined_;
};

}  // namespace bobbin

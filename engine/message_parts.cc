#include "engine/message_parts.h"

#include "engine/attachment.h"

namespace bobbin {
namespace {

std::uint64_t Look(const std::unordered_map<std::uint64_t, std::uint64_t>& map,
                   std::uint64_t number) {
  const auto at = map.find(number);
  return at == map.end() ? 0 : at->second;
}

}  // namespace

MessageId MessageParts::MessageOf(kv::TableId table, std::string_view key) const {
  if (table == table::kIndex) {
    const bool is_quarantine = !key.empty() && key[0] == 'q';
    const Result<std::uint64_t> quarantined = KeyNumber8(key, 1);
    return {is_quarantine && quarantined ? *quarantined : 0};
  }
  const bool is_due = table == table::kDue;
  const bool by_sequence = is_due || table == table::kQueue;
  const Result<std::uint64_t> number = KeyNumber8(key, is_due ? 9 : by_sequence ? 8 : 0);
  if (!number) return {};
  if (by_sequence) return {Look(queued_, *number)};
  std::uint64_t message = *number;
  if (table == table::kBodies) {
    message = Look(bodies_, *number);
  } else if (table != table::kMessages && table != table::kRecipients &&
             table != table::kAttachments) {
    return {};
  }
  int depth = kEmbeddedDepthMax;
  for (std::uint64_t outer = Look(outer_, message); outer != 0 && depth-- > 0;) {
    message = outer;
    outer = Look(outer_, message);
  }
  return {message};
}

Result<void> MessageParts::ReadQuarantine(RowReader& rows) {
  quarantined_.clear();
  return rows.Scan(table::kIndex, "q", "r",
                   [&](std::string_view key, std::string_view) -> Result<bool> {
                     const Result<std::uint64_t> message = KeyNumber8(key, 1);
                     if (message) quarantined_.insert(*message);
                     return true;
                   });
}

std::string MessageParts::WhereItIs(std::uint64_t message) const {
  if (!IsQuarantined(message)) return {};
  return "; the message is in quarantine: bobbin quarantine show " + ToQueueId(MessageId{message});
}

}  // namespace bobbin

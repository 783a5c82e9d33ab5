#include "tools/bobbin/queue_view.h"

#include <fmt/core.h>

#include "tools/bobbin/display_text.h"

namespace bobbin::cli {
namespace {

std::string_view TypeName(std::int64_t recipient_type) {
  switch (recipient_type) {
    case kRecipientOrig:
      return "orig";
    case kRecipientCc:
      return "cc";
    case kRecipientBcc:
      return "bcc";
    default:
      return "to";
  }
}

Style StyleOf(RecipientState state) {
  switch (state) {
    case RecipientState::kPending:
      return Style::kWaiting;
    case RecipientState::kDelivered:
      return Style::kGood;
    case RecipientState::kInDoubt:
    case RecipientState::kFailed:
    case RecipientState::kExpired:
      break;
  }
  return Style::kBad;
}

bool HasReply(const Reply& reply) {
  return reply.code != 0 || !reply.enhanced_code.empty() || !reply.text.empty();
}

// A reply of several lines stays one: each under the other, none able to look like ours.
void PrintReply(Output& output, const Reply& reply) {
  std::string prefix;
  if (reply.code != 0) prefix = fmt::format("{} ", reply.code);
  if (!reply.enhanced_code.empty()) prefix += EscapeForTerminal(reply.enhanced_code) + " ";
  std::string_view label = "last reply:";
  std::string_view rest = reply.text;
  for (bool more = true; more; label = "") {
    const std::size_t end = rest.find('\n');
    more = end != std::string_view::npos;
    output.Line(
        fmt::format("    {:<13} {}{}", label, prefix, EscapeForTerminal(rest.substr(0, end))));
    if (more) rest.remove_prefix(end + 1);
  }
}

void PrintRecipient(Output& output, const RecipientRow& recipient, Time now) {
  const RecipientDelivery& delivery = recipient.delivery;
  const std::string address = EscapeForTerminal(
      recipient.EmailAddress().empty() ? recipient.DisplayName() : recipient.EmailAddress());
  output.Line(fmt::format("  {:<4} {}  {}", TypeName(recipient.Type()), address,
                          output.Styled(StyleOf(delivery.state), ToString(delivery.state))));
  const auto print = [&output](std::string_view label, const std::string& value) {
    output.Line(fmt::format("    {:<13} {}", label, value));
  };
  const auto print_time = [&](std::string_view label, Time time) {
    print(label, fmt::format("{} ({})", FormatTime(time), FormatRelative(time, now)));
  };
  print("attempts:", fmt::format("{}", delivery.attempts));
  if (delivery.last_attempt != Time{}) print_time("last attempt:", delivery.last_attempt);
  if (!delivery.responsibility && delivery.next_attempt != Time{}) {
    print_time("next attempt:", delivery.next_attempt);
  }
  if (delivery.completed != Time{}) print_time("completed:", delivery.completed);
  if (!delivery.remote_host.empty()) print("remote host:", EscapeForTerminal(delivery.remote_host));
  if (HasReply(delivery.last_reply)) PrintReply(output, delivery.last_reply);
}

}  // namespace

Result<StoreNames> ReadStoreNames(const Database& database) {
  ASSIGN_OR_RETURN(const std::vector<MessageStoreInfo> stores, database.ListMessageStores());
  StoreNames names;
  for (const MessageStoreInfo& store : stores) names[store.id] = store.name;
  return names;
}

std::string StoreNameOf(const StoreNames& names, StoreId id) {
  const auto found = names.find(id);
  return found == names.end() ? std::string() : found->second;
}

std::string_view StateOf(const QueueRow& row, Time now) {
  if ((row.submit_flags & kSubmitFlagLocked) != 0) return "locked";
  if (row.lane == DueLane::kHeld) return "held";
  return row.due > now ? "waiting" : "due";
}

Style StyleOf(std::string_view state) {
  if (state == "locked") return Style::kGood;
  if (state == "held") return Style::kBad;
  return state == "waiting" ? Style::kWaiting : Style::kPlain;
}

Json TimeJson(Time time) { return time == Time{} ? Json() : Json(FormatTime(time)); }

Json QueueRowJson(const QueueRow& row, const StoreNames& names, Time now) {
  return {{"queue_id", ToQueueId(row.message)},
          {"entry_id", row.entry_id.ToHex()},
          {"store", StoreNameOf(names, row.store)},
          {"sequence", row.sequence},
          {"state", StateOf(row, now)},
          {"due", row.lane == DueLane::kHeld ? Json() : TimeJson(row.due)},
          {"submitted", TimeJson(row.client_submit_time)},
          {"size_bytes", row.message_bytes},
          {"priority", row.priority},
          {"sender_name", row.sender_name},
          {"sender_address", row.sender_address},
          {"recipient_count", row.recipient_count},
          {"display_to", row.display_to},
          {"display_cc", row.display_cc},
          {"display_bcc", row.display_bcc},
          {"subject", row.subject},
          {"message_flags", row.message_flags},
          {"submit_flags", row.submit_flags}};
}

Json RecipientJson(const RecipientRow& recipient) {
  const RecipientDelivery& delivery = recipient.delivery;
  Json reply;
  if (HasReply(delivery.last_reply)) {
    reply = {{"code", delivery.last_reply.code == 0 ? Json() : Json(delivery.last_reply.code)},
             {"enhanced_code", delivery.last_reply.enhanced_code},
             {"text", delivery.last_reply.text}};
  }
  return {{"row", recipient.id.value},
          {"type", TypeName(recipient.Type())},
          {"address_type", recipient.AddressType()},
          {"address", recipient.EmailAddress()},
          {"display_name", recipient.DisplayName()},
          {"state", ToString(delivery.state)},
          {"responsibility", delivery.responsibility},
          {"attempts", delivery.attempts},
          {"last_attempt", TimeJson(delivery.last_attempt)},
          {"next_attempt", TimeJson(delivery.next_attempt)},
          {"completed", TimeJson(delivery.completed)},
          {"remote_host", delivery.remote_host},
          {"last_reply", reply}};
}

void PrintRecipients(Output& output, const RecipientTable& recipients, Time now) {
  output.Line(output.Styled(Style::kTitle, fmt::format("Recipients ({})", recipients.size())));
  for (const RecipientRow& recipient : recipients) PrintRecipient(output, recipient, now);
}

std::string RecipientsText(const QueueRow& row) {
  std::string text = row.display_to;
  for (const std::string& more : {row.display_cc, row.display_bcc}) {
    if (more.empty()) continue;
    if (!text.empty()) text += "; ";
    text += more;
  }
  return row.recipient_count > 1 ? fmt::format("({}) {}", row.recipient_count, text) : text;
}

}  // namespace bobbin::cli

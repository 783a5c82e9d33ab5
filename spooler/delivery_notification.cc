#include "spooler/delivery_notification.h"

#include <fmt/format.h>

#include <algorithm>

#include "spooler/reply_text.h"

namespace bobbin {
namespace {

constexpr std::size_t kEnvelopeIdCharactersMax = 100;         // RFC 3461 4.4.
constexpr std::size_t kOriginalRecipientCharactersMax = 500;  // RFC 3461 4.2.

char ToUpper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool IsWord(std::string_view text, std::string_view upper_case) {
  return std::equal(text.begin(), text.end(), upper_case.begin(), upper_case.end(),
                    [](char a, char b) { return ToUpper(a) == b; });
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsXchar(char c) { return c > ' ' && c <= '~' && c != '='; }  // "+" is judged by DecodeXtext.

// An RFC 822 atom: what an address type is made of.
bool IsAtom(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' &&
           std::string_view("()<>@,;:\\\".[]=").find(c) == std::string_view::npos;
  });
}

std::string NotifyWords(const NotifyRequest& request) {
  std::string words;
  if (request.success) words += ",SUCCESS";
  if (request.failure) words += ",FAILURE";
  if (request.delay) words += ",DELAY";
  return words.empty() ? "NEVER" : words.substr(1);
}

// "type;xtext". Bytes outside ASCII are left where they may be.
std::string EncodeOriginalRecipient(std::string_view original, bool utf8) {
  const std::size_t semicolon = std::min(original.find(';'), original.size());
  const std::string_view type = original.substr(0, semicolon);
  const std::string address = IsWord(type, "UTF-8") && !utf8
                                  ? EscapeUtf8(original.substr(semicolon))
                                  : std::string(original.substr(semicolon));
  std::string encoded(type);
  for (const char c : address) {
    encoded += (c & 0x80) != 0 ? std::string(1, c) : EncodeXtext({&c, 1});
  }
  return encoded;
}

bool IsPrintableAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

std::optional<std::string> DecodeXtext(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '+') {
      decoded.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    const int byte = high * 16 + low;
    if (byte < ' ' || byte == 127) return std::nullopt;
    decoded.push_back(static_cast<char>(byte));
    i += 2;
  }
  return decoded;
}

std::optional<NotifyRequest> ParseNotify(std::string_view text) {
  NotifyRequest request;
  if (IsWord(text, "NEVER")) return request;
  for (;;) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, end);
    bool* const asked = IsWord(word, "SUCCESS")   ? &request.success
                        : IsWord(word, "FAILURE") ? &request.failure
                        : IsWord(word, "DELAY")   ? &request.delay
                                                  : nullptr;
    if (asked == nullptr || *asked) return std::nullopt;
    *asked = true;
    if (end == text.size()) return request;
    text.remove_prefix(end + 1);
  }
}

std::optional<ReturnContent> ParseReturnContent(std::string_view text) {
  if (IsWord(text, "FULL")) return ReturnContent::kFull;
  if (IsWord(text, "HDRS")) return ReturnContent::kHeaders;
  return std::nullopt;
}

std::optional<std::string> ParseEnvelopeId(std::string_view xtext) {
  if (xtext.empty() || xtext.size() > kEnvelopeIdCharactersMax) return std::nullopt;
  if (!std::all_of(xtext.begin(), xtext.end(), IsXchar)) return std::nullopt;
  std::optional<std::string> decoded = DecodeXtext(xtext);
  if (decoded && !IsPrintableAscii(*decoded)) return std::nullopt;
  return decoded;
}

std::optional<std::string> ParseOriginalRecipient(std::string_view text, bool utf8) {
  const std::size_t semicolon = text.find(';');
  if (semicolon == std::string_view::npos || text.size() > kOriginalRecipientCharactersMax) {
    return std::nullopt;
  }
  const std::string_view type = text.substr(0, semicolon);
  const std::string_view address = text.substr(semicolon + 1);
  const bool may_be_utf8 = utf8 && IsWord(type, "UTF-8");
  if (!IsAtom(type) || address.empty()) return std::nullopt;
  if (!std::all_of(address.begin(), address.end(),
                   [&](char c) { return IsXchar(c) || (may_be_utf8 && c < 0); })) {
    return std::nullopt;
  }
  const std::optional<std::string> decoded = DecodeXtext(address);
  if (!decoded) return std::nullopt;
  const bool fits = may_be_utf8 ? PrintableLine(*decoded, decoded->size()) == *decoded
                                : IsPrintableAscii(*decoded);
  if (!fits) return std::nullopt;
  return std::string(type) + ";" + *decoded;
}

void SetNotification(const RecipientNotification& notification, PropertyList& recipient) {
  if (notification.notify) {
    recipient.Set(Property::Number(pr::kOriginatorDeliveryReportRequested,
                                   notification.notify->success ? 1 : 0));
    recipient.Set(Property::Number(pr::kOriginatorNonDeliveryReportRequested,
                                   notification.notify->failure ? 1 : 0));
    recipient.Set(Property::Number(pr::kDelayReportRequested, notification.notify->delay ? 1 : 0));
  }
  if (!notification.original_recipient.empty()) {
    recipient.Set(Property::Bytes(pr::kOriginalRecipient, notification.original_recipient));
  }
}

void SetNotification(const MessageNotification& notification, PropertyList& message) {
  if (notification.content) {
    message.Set(Property::Number(pr::kReportHeadersOnly,
                                 *notification.content == ReturnContent::kHeaders ? 1 : 0));
  }
  if (!notification.envelope_id.empty()) {
    message.Set(Property::Bytes(pr::kEnvelopeId, notification.envelope_id));
  }
}

RecipientNotification NotificationOf(const PropertyList& recipient, const PropertyList& message) {
  RecipientNotification notification;
  const auto is_set = [&](PropertyTag tag) {
    return recipient.Find(tag) != nullptr || message.Find(tag) != nullptr;
  };
  const auto flag = [&](PropertyTag tag, bool unsaid) {
    return recipient.FlagOr(tag, message.FlagOr(tag, unsaid));
  };
  // Of a delay only the recipient's own row speaks, as for our own reports.
  if (is_set(pr::kOriginatorDeliveryReportRequested) ||
      is_set(pr::kOriginatorNonDeliveryReportRequested) ||
      recipient.Find(pr::kDelayReportRequested) != nullptr) {
    notification.notify = {.success = flag(pr::kOriginatorDeliveryReportRequested, false),
                           .failure = flag(pr::kOriginatorNonDeliveryReportRequested, true),
                           .delay = recipient.FlagOr(pr::kDelayReportRequested, false)};
  }
  notification.original_recipient = recipient.BytesOr(pr::kOriginalRecipient, {});
  return notification;
}

MessageNotification NotificationOf(const PropertyList& message) {
  MessageNotification notification;
  if (message.Find(pr::kReportHeadersOnly) != nullptr) {
    notification.content = message.FlagOr(pr::kReportHeadersOnly, false) ? ReturnContent::kHeaders
                                                                         : ReturnContent::kFull;
  }
  notification.envelope_id = message.BytesOr(pr::kEnvelopeId, {});
  return notification;
}

std::string EncodeXtext(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (IsXchar(c) && c != '+') {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("+{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::string EscapeUtf8(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    if (first < 0x80) {
      escaped.push_back(text[i++]);
      continue;
    }
    const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    std::uint32_t character = first & (0xFFu >> (bytes + 1));
    for (std::size_t k = 1; k < bytes && i + k < text.size(); ++k) {
      character = character << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3Fu);
    }
    escaped += fmt::format("\\x{{{:X}}}", character);
    i += bytes;
  }
  return escaped;
}

std::string MailParameters(const MessageNotification& notification) {
  std::string parameters;
  if (notification.content) {
    parameters += *notification.content == ReturnContent::kHeaders ? " RET=HDRS" : " RET=FULL";
  }
  const std::string envelope_id = EncodeXtext(notification.envelope_id);
  if (ParseEnvelopeId(envelope_id)) parameters += " ENVID=" + envelope_id;
  return parameters;
}

std::string RcptParameters(const RecipientNotification& notification, bool utf8) {
  std::string parameters;
  if (notification.notify) parameters += " NOTIFY=" + NotifyWords(*notification.notify);
  const std::string original = EncodeOriginalRecipient(notification.original_recipient, utf8);
  if (ParseOriginalRecipient(original, utf8)) parameters += " ORCPT=" + original;
  return parameters;
}

}  // namespace bobbin

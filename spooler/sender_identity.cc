#include "spooler/sender_identity.h"

namespace bobbin {
namespace {

constexpr std::string_view kUnknown = "Unknown";

}  // namespace

PropertyList MissingSender(const PropertyList& message, const std::string& identity) {
  PropertyList missing;
  const Property* given = message.Find(pr::kSenderEmailAddress);
  const std::string address = given != nullptr ? given->bytes : identity;
  if (given == nullptr && !identity.empty()) {
    missing.Set(Property::Bytes(pr::kSenderEmailAddress, identity));
    missing.Set(Property::Bytes(pr::kSenderAddressType, "SMTP"));
  }
  if (message.Find(pr::kSenderName) == nullptr) {
    missing.Set(
        Property::Bytes(pr::kSenderName, address.empty() ? std::string(kUnknown) : address));
  }
  return missing;
}

PropertyList OutboundProperties(const PropertyList& message, const std::string& identity,
                                const std::string& host) {
  PropertyList outbound = message;
  for (const Property& property : MissingSender(message, identity)) outbound.Set(property);
  if (outbound.Find(pr::kSentRepresentingName) != nullptr ||
      outbound.Find(pr::kSentRepresentingEmailAddress) != nullptr) {
    return outbound;
  }
  std::string address(outbound.BytesOr(pr::kSenderEmailAddress, {}));
  if (address.empty()) address = "MAILER-DAEMON@" + host;
  outbound.Set(Property::Bytes(pr::kSentRepresentingName,
                               std::string(outbound.BytesOr(pr::kSenderName, kUnknown))));
  outbound.Set(Property::Bytes(pr::kSentRepresentingAddressType,
                               std::string(outbound.BytesOr(pr::kSenderAddressType, "SMTP"))));
  if (const Property* smtp = outbound.Find(pr::kSenderSmtpAddress)) {
    outbound.Set(Property::Bytes(pr::kSentRepresentingSmtpAddress, smtp->bytes));
  }
  outbound.Set(Property::Bytes(pr::kSentRepresentingEmailAddress, std::move(address)));
  return outbound;
}

}  // namespace bobbin

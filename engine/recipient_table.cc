#include "engine/recipient_table.h"

#include <algorithm>

namespace bobbin {

std::string_view ToString(RecipientState state) {
  switch (state) {
    case RecipientState::kPending:
      return "pending";
    case RecipientState::kInDoubt:
      return "in doubt";
    case RecipientState::kDelivered:
      return "delivered";
    case RecipientState::kFailed:
      return "failed";
    case RecipientState::kExpired:
      return "expired";
  }
  return "unknown";
}

RecipientRow MakeSmtpRecipient(std::string_view address, std::int64_t recipient_type,
                               std::string_view display_name) {
  RecipientRow row;
  row.properties.Set(Property::Number(pr::kRecipientType, recipient_type));
  row.properties.Set(Property::Bytes(pr::kDisplayName,
                                     std::string(display_name.empty() ? address : display_name)));
  row.properties.Set(Property::Bytes(pr::kAddressType, "SMTP"));
  row.properties.Set(Property::Bytes(pr::kEmailAddress, std::string(address)));
  row.properties.Set(Property::Bytes(pr::kSearchKey, MakeSearchKey("SMTP", address)));
  return row;
}

std::string MakeSearchKey(std::string_view address_type, std::string_view address) {
  std::string key;
  key.reserve(address_type.size() + address.size() + 2);
  key.append(address_type).append(":").append(address);
  // ASCII only: case mapping of other scripts is not part of the canonical form.
  for (char& c : key) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  key.push_back('\0');
  return key;
}

}  // namespace bobbin

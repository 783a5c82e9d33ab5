#include "engine/transport_profile.h"

#include <algorithm>

namespace bobbin {
namespace {

// MAPI's ENTRYID: 4 bytes of flags, then the provider's MAPIUID.
constexpr std::size_t kUidOffset = 4;
constexpr std::size_t kUidBytes = 16;

}  // namespace

std::string_view RecipientUid(const RecipientRow& row) {
  const std::string_view id = row.properties.BytesOr(pr::kEntryId, {});
  return id.size() < kUidOffset + kUidBytes ? std::string_view() : id.substr(kUidOffset, kUidBytes);
}

std::vector<std::size_t> MatchingTransports(const TransportProfile& profile,
                                            const RecipientRow& row) {
  std::vector<std::size_t> matching;
  const auto add = [&](std::size_t transport) {
    if (std::find(matching.begin(), matching.end(), transport) == matching.end()) {
      matching.push_back(transport);
    }
  };
  const auto has = [](const std::vector<std::string>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  const std::string_view uid = RecipientUid(row);
  for (std::size_t i = 0; i < profile.transports.size(); ++i) {
    if (!uid.empty() && has(profile.transports[i].uids, uid)) add(i);
  }
  for (std::size_t i = 0; i < profile.transports.size(); ++i) {
    const TransportEntry& entry = profile.transports[i];
    if (entry.any_address_type || has(entry.address_types, row.AddressType())) add(i);
  }
  return matching;
}

bool Matches(const PreprocessorMatch& match, const RecipientRow& row) {
  if (match.uid.empty() && match.address_type.empty()) return true;
  return (!match.uid.empty() && match.uid == RecipientUid(row)) ||
         (!match.address_type.empty() && match.address_type == row.AddressType());
}

bool NeedsPreprocessing(const TransportProfile& profile, const RecipientTable& recipients) {
  const bool any =
      std::any_of(profile.transports.begin(), profile.transports.end(),
                  [](const TransportEntry& entry) { return !entry.preprocessors.empty(); });
  if (!any) return false;
  return std::any_of(recipients.begin(), recipients.end(), [&](const RecipientRow& row) {
    if (row.delivery.responsibility) return false;
    const std::vector<std::size_t> matching = MatchingTransports(profile, row);
    if (matching.empty()) return false;
    const auto& preprocessors = profile.transports[matching.front()].preprocessors;
    return std::any_of(preprocessors.begin(), preprocessors.end(),
                       [&](const PreprocessorMatch& match) { return Matches(match, row); });
  });
}

}  // namespace bobbin

// One-off entry identifiers (MS-OXCDATA 2.2.5.1): how MAPI names an address that no address book
// holds, as in PR_REPORT_ENTRYID.
//
//   flags(4)=0  812B1FA4-BEA3-1019-9D6E-00DD010F5402  version(2)=0  flags(2)
//   display name, address type, address: each ends with NUL; UTF-16LE when flags has 0x8000
//
// Threads  Any number. Errors  Empty when it is something else, or is not text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bobbin {

struct OneOffAddress {
  std::string display_name;
  std::string address_type;
  std::string address;
};

std::optional<OneOffAddress> ParseOneOffEntryId(std::string_view bytes);

}  // namespace bobbin

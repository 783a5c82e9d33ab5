// One-off entry identifiers (MS-OXCDATA 2.2.5.1): how MAPI names an address that no address book
// holds, as in PR_ENTRYID of a recipient and PR_REPORT_ENTRYID.
//
//   flags(4)=0  812B1FA4-BEA3-1019-9D6E-00DD010F5402  version(2)=0  flags(2)
//   display name, address type, address: each ends with NUL; UTF-16LE when flags has 0x8000
//
// Two of the same address need not be the same bytes: the name counts, and how it is written. Who
// compares recipients compares search keys.
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

  friend bool operator==(const OneOffAddress&, const OneOffAddress&) = default;
};

std::optional<OneOffAddress> ParseOneOffEntryId(std::string_view bytes);

// With 8-bit strings when all of them are ASCII, which reads the same in every code page and takes
// half the space. 0x0001 (MAPI_ONE_OFF_NO_RICH_INFO) is set: Bobbin sends no TNEF. Empty, too, for
// text with a NUL in it.
std::optional<std::string> MakeOneOffEntryId(const OneOffAddress& address);

}  // namespace bobbin

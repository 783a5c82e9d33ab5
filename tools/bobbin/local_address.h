// Addresses as people and programs type them, made into envelope addresses.
//
// Errors  kInvalidParameter  cannot be an address; the detail says why
//         kCallFailed        the system does not know who runs this, or what it is called
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/recipient_table.h"
#include "engine/result.h"

namespace bobbin::cli {

// This machine's name, as the domain of local names.
Result<std::string> HostName();

// "user@hostname" of whoever runs this.
Result<std::string> DefaultSender();

// "a@x.test", "Amy <a@x.test>, b@x.test", "root" (becomes "root@" + hostname): envelope
// addresses, at least one, each checked.
Result<std::vector<std::string>> ParseRecipients(const std::string& text);

// The same as recipient rows (kRecipientTo), with the display names: `Amy <a@x.test>`,
// `"Smith, Amy" <a@x.test>`, `a@x.test (Amy)`.
Result<RecipientTable> ParseMailboxes(const std::string& text);

// As for one address; "" and "<>" are the null reverse-path (empty).
Result<std::string> ParseSender(const std::string& text);

// "list:NAME" names a distribution list (engine/address_book.h): its name. Nothing for any other
// text; with a ';', which no name has, it is a group of addresses as mail headers have them.
inline constexpr std::string_view kListPrefix = "list:";
std::optional<std::string> ListNameOf(std::string_view text);

// An address out of a header: checked, and given this host's domain when it has none.
Result<std::string> CompleteAddress(std::string_view address);

}  // namespace bobbin::cli

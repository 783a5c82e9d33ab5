// How many addresses a list names, counted apart from the parser that reads them.
//
// The parser leaves out what it cannot read. In mail that is only shown this does no harm; where
// the list says who gets the message (-t), a recipient would be lost without a word. Whoever
// reads recipients compares his number with this one.
#pragma once

#include <cstddef>
#include <string_view>

namespace bobbin::cli {

// Of a field value or an argument: what commas and semicolons separate, outside of quoted strings,
// comments, angle brackets and domain literals, group names left out. Unfolding is not needed.
std::size_t CountAddresses(std::string_view list);

// In all To, Cc and Bcc fields of a header section.
std::size_t CountRecipients(std::string_view header_section);

}  // namespace bobbin::cli

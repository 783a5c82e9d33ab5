// What servers and programs say, made fit for records, terminals and reports.
//
// Threads  Any number. Errors  None.
#pragma once

#include <string>
#include <string_view>

#include "engine/recipient_table.h"

namespace bobbin {

inline constexpr std::size_t kReplyTextBytesMax = 2'000;  // Of Reply::text.

// Valid UTF-8 without control characters but '\n', without blanks at either end, cut at a
// character within `bytes_max`. What cannot be shown becomes '?'.
std::string PrintableText(std::string_view text, std::size_t bytes_max = kReplyTextBytesMax);

// As PrintableText, on one line.
std::string PrintableLine(std::string_view text, std::size_t bytes_max);

// A reply from its lines as received: "550-5.1.1 no such" and "550 5.1.1 user" become code 550,
// enhanced code "5.1.1", text "no such\nuser". `lines` are joined by '\n'.
Reply ParseReply(std::string_view lines);

// 5 for a permanent failure, 4 for a transient one, 2 for success, 0 for no code at all.
inline int ReplyClass(const Reply& reply) { return reply.code / 100; }

}  // namespace bobbin

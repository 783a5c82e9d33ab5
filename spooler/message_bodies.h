// The text of a message composed of properties: PR_BODY, PR_HTML, PR_RTF_COMPRESSED.
#pragma once

#include <optional>
#include <string>

#include "engine/message.h"

namespace bobbin {

struct MessageBodies {
  std::optional<std::string> plain;  // UTF-8.
  std::optional<std::string> html;   // In `html_charset`.
  std::string html_charset;
  std::optional<std::string> rtf;  // Only when there is nothing else.
};

// PR_HTML keeps its bytes and the charset of PR_INTERNET_CPID, unless mail cannot carry it: then it
// becomes UTF-8. What is missing is taken out of PR_RTF_COMPRESSED, if that is HTML or text in
// RTF's clothes. RTF that cannot be read is as if it were not there.
Result<MessageBodies> ReadBodies(const Message& message);

}  // namespace bobbin

// HTML or plain text inside RTF, as Outlook keeps bodies that came as one of these (MS-OXRTFEX).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bobbin {

struct RtfContent {
  bool is_html = false;
  std::string text;  // UTF-8.
};

// Nothing when `rtf` is RTF in its own right. Malformed input gives what can be read of it.
std::optional<RtfContent> ExtractFromRtf(std::string_view rtf);

}  // namespace bobbin

#include "spooler/message_bodies.h"

#include <utility>

#include "engine/ascii.h"
#include "engine/utf8.h"
#include "spooler/code_page.h"
#include "spooler/compressed_rtf.h"
#include "spooler/encapsulated_rtf.h"
#include "spooler/stream_text.h"

namespace bobbin {
namespace {

constexpr std::uint32_t kCodePageAscii = 20127;

void SetHtml(MessageBodies& bodies, std::string html, std::uint32_t code_page) {
  if (code_page == 0 || code_page == kCodePageAscii || !IsKnownCodePage(code_page)) {
    // What it says cannot be, or it says nothing.
    code_page = IsAscii(html) ? kCodePageAscii : IsUtf8(html) ? kCodePageUtf8 : kCodePageWestern;
  }
  bodies.html_charset = std::string(CharsetOf(code_page));
  if (bodies.html_charset.empty()) {
    html = DecodeText(code_page, html);
    bodies.html_charset = "utf-8";
  }
  bodies.html = std::move(html);
}

void AddFromRtf(MessageBodies& bodies, std::string_view compressed) {
  Result<std::string> rtf = DecompressRtf(compressed);
  if (!rtf) return;
  std::optional<RtfContent> content = ExtractFromRtf(*rtf);
  if (content && content->is_html) {
    if (!bodies.html) SetHtml(bodies, std::move(content->text), kCodePageUtf8);
  } else if (content) {
    if (!bodies.plain) bodies.plain = std::move(content->text);
  } else if (!bodies.plain && !bodies.html) {
    bodies.rtf = *std::move(rtf);
  }
}

}  // namespace

Result<MessageBodies> ReadBodies(const Message& message) {
  MessageBodies bodies;
  ASSIGN_OR_RETURN(bodies.plain, ReadWhole(message, pr::kBody));
  ASSIGN_OR_RETURN(std::optional<std::string> html, ReadWhole(message, pr::kHtml));
  if (html && !html->empty()) {
    ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
    SetHtml(bodies, *std::move(html),
            static_cast<std::uint32_t>(properties.NumberOr(pr::kInternetCodePage, 0)));
  } else {
    ASSIGN_OR_RETURN(std::optional<std::string> text, ReadWhole(message, pr::kBodyHtml));
    if (text && !text->empty()) SetHtml(bodies, *std::move(text), kCodePageUtf8);
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> rtf, ReadWhole(message, pr::kRtfCompressed));
  if (rtf && !bodies.html) AddFromRtf(bodies, *rtf);
  return bodies;
}

}  // namespace bobbin

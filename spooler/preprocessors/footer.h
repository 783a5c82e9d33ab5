// Footer: puts a text under every message that goes out. The smallest complete preprocessor, to
// start one's own from.
//
//   a message composed of properties   PR_BODY is longer by it, until RemovePreprocessInfo
//   an RFC 5322 original               is not touched: pr::kAddedFooter is what is sent behind it;
//                                      only when its body is plain text that needs no encoding,
//                                      and can carry the footer; else it goes without
#pragma once

#include <memory>
#include <string>

#include "spooler/preprocessor.h"

namespace bobbin {

// `text`: UTF-8; its line ends become CRLF.
std::unique_ptr<Preprocessor> NewFooterPreprocessor(const std::string& text);

}  // namespace bobbin

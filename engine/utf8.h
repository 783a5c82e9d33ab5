// Whether bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
#pragma once

#include <string_view>

namespace bobbin {

bool IsUtf8(std::string_view bytes);

}  // namespace bobbin

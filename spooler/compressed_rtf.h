// PR_RTF_COMPRESSED: RTF in the form MAPI stores it (MS-OXRTFCP).
#pragma once

#include <string>
#include <string_view>

#include "engine/result.h"

namespace bobbin {

// At most nine bytes for each byte of `compressed`, so its length bounds the result.
//   kCorruptData  neither LZFu nor MELA, or cut short
Result<std::string> DecompressRtf(std::string_view compressed);

}  // namespace bobbin

// What people call MAPI's properties and types.
#pragma once

#include <string>
#include <string_view>

#include "engine/property_tag.h"

namespace bobbin::cli {

// "PR_SUBJECT"; empty when the identifier is not a well-known one.
std::string_view KnownNameOf(PropertyTag tag);

// "PT_UNICODE", "PT_MV_LONG".
std::string TypeName(PropertyTag tag);

}  // namespace bobbin::cli

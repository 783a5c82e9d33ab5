// The named properties of a .msg file: its storage __nameid_version1.0 (MS-OXMSG 2.2.3).
#pragma once

#include <cstdint>
#include <map>

#include "engine/named_property.h"
#include "tools/bobbin/compound_file.h"

namespace bobbin::cli {

// By the identifiers they have in the file; empty when it names none.
//   kCorruptData
Result<std::map<std::uint16_t, PropertyName>> ReadMsgNames(const CompoundStorage& file);

}  // namespace bobbin::cli

// Whether every record that belongs to a message opens and holds what the others say of it: the
// message, its recipients, its attachments with what is embedded in them, all of its content, and
// its folder. Its rows of the queue are not looked at. Internal to engine/.
#pragma once

#include <optional>
#include <string>

#include "engine/rows.h"

namespace bobbin {

struct Damage {
  std::string table;  // Empty when no one row is known to be the cause.
  std::string key;    // As it is in the table.
  std::string detail;
};

// The first damage there is; empty when the message is whole. Reads all of its content.
//   kDiskError and others  nobody knows; only a record that was read and does not open is damage
Result<std::optional<Damage>> FirstDamage(RowReader& rows, MessageId id);

}  // namespace bobbin

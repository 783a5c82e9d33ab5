// What only a sum over all rows can tell: that a row vanished as a whole, that an older state of a
// page came back, and that the intervals of deleted messages are as they should be. Of CheckStore.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <vector>

#include "engine/row_records.h"
#include "engine/rows.h"
#include "engine/store_check.h"

namespace bobbin {

class TotalsCheck {
 public:
  void Add(kv::TableId table, std::string_view value) { totals_[table.index].Add(value); }
  // A record of it does not open: its checksum is no use, and a finding already.
  void AddDamaged(kv::TableId table) { has_damaged_[table.index] = true; }
  // The highest first, as the keys are.
  void AddDeleted(DeletedMessages deleted) { deleted_.push_back(deleted); }

  // When every row of `rows` was added.
  Result<void> Compare(RowReader& rows, std::uint64_t next_object, CheckReport& report) const;

 private:
  Result<void> CheckDeleted(RowReader& rows, std::uint64_t next_object, CheckReport& report) const;

  TableTotals totals_{};
  std::array<bool, std::tuple_size_v<TableTotals>> has_damaged_{};
  std::vector<DeletedMessages> deleted_;
};

}  // namespace bobbin

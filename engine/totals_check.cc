#include "engine/totals_check.h"

#include <optional>
#include <string>
#include <utility>

#include "engine/database_state.h"

namespace bobbin {
namespace {

void Find(CheckReport& report, std::string_view table, std::string key, std::string detail,
          std::string_view advice = kSalvageAdvice) {
  report.findings.push_back(
      {std::string(table), std::move(key), std::move(detail), {}, 0, std::string(advice)});
}

void FindRowCount(CheckReport& report, std::size_t table, std::uint64_t is,
                  std::uint64_t should_be) {
  Find(report, table::kNames[table], {},
       "it has " + std::to_string(is) + " rows, and " + std::to_string(should_be) +
           " were committed",
       "restore a backup, or salvage what is there");
}

// Nothing: they are missing or damaged, which is a finding.
Result<std::optional<TableTotals>> ReadTotals(RowReader& rows, CheckReport& report) {
  Result<std::optional<TableTotals>> totals = rows.Totals();
  if (!totals && totals.error().code != ErrorCode::kCorruptData) return totals;
  if (totals && *totals) return totals;
  Find(report, "main", ToHex(kTotalsKey),
       totals ? "the totals row is missing" : totals.error().detail);
  return std::optional<TableTotals>();
}

Result<bool> HasMessage(RowReader& rows, std::uint64_t first, std::uint64_t last) {
  bool found = false;
  RETURN_IF_ERROR(rows.Scan(table::kMessages, Key8(first), Key8(last + 1),
                            [&](std::string_view, std::string_view) -> Result<bool> {
                              found = true;
                              return false;
                            }));
  return found;
}

}  // namespace

Result<void> TotalsCheck::CheckDeleted(RowReader& rows, std::uint64_t next_object,
                                       CheckReport& report) const {
  std::uint64_t above = next_object;  // The next interval must end below it.
  for (const DeletedMessages& deleted : deleted_) {
    const std::string key = ToHex(DeletedKey(deleted.first));
    if (deleted.first > deleted.last || deleted.last >= above) {
      Find(report, "index", key, "it is no interval of deleted messages below the next one");
    } else {
      ASSIGN_OR_RETURN(const bool has_living, HasMessage(rows, deleted.first, deleted.last));
      if (has_living) {
        Find(report, "index", key, "a message is there that it says is deleted",
             "export it: a salvage would leave it out");
      }
      const bool is_last = above == next_object;
      ASSIGN_OR_RETURN(const bool is_apart, HasMessage(rows, deleted.last + 1, above - 1));
      if (!is_last && !is_apart) {
        Find(report, "index", key, "no message lives between these deleted ones and the next");
      }
    }
    above = deleted.first;
  }
  return {};
}

Result<void> TotalsCheck::Compare(RowReader& rows, std::uint64_t next_object,
                                  CheckReport& report) const {
  RETURN_IF_ERROR(CheckDeleted(rows, next_object, report));
  ASSIGN_OR_RETURN(const std::optional<TableTotals> totals, ReadTotals(rows, report));
  if (!totals) return {};
  for (std::size_t i = 0; i < totals_.size(); ++i) {
    const TableTotal& is = totals_[i];
    const TableTotal& should_be = (*totals)[i];
    if (is.rows != should_be.rows) {
      FindRowCount(report, i, is.rows, should_be.rows);
    } else if (is.checksums != should_be.checksums && !has_damaged_[i]) {
      Find(report, table::kNames[i], {},
           "rows of it are not those last committed: an older state of a page may be back, or a "
           "row whose checksum was damaged has been deleted",
           "compare with a backup, then restore that, or dump and load");
    }
  }
  return {};
}

Result<CheckReport> CompareRowCounts(DatabaseState& database) {
  CheckReport report;
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    report = CheckReport{};
    ASSIGN_OR_RETURN(const std::optional<TableTotals> totals, ReadTotals(rows, report));
    if (!totals) return {};
    for (std::size_t i = 0; i < totals->size(); ++i) {
      const std::uint64_t should_be = (*totals)[i].rows;
      const std::uint64_t is =
          rows.RowCount(kv::TableId{static_cast<std::uint8_t>(i)}).value_or(should_be);
      if (is != should_be) FindRowCount(report, i, is, should_be);
    }
    return {};
  }));
  return report;
}

}  // namespace bobbin

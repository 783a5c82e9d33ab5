// The totals of the tables: kept in memory by the writers of one transaction, written once at its
// end. What a table has and what its total says then differ only if rows vanished or came back
// without a writer.
#include "engine/check.h"
#include "engine/rows.h"
#include "schema/bobbin_generated.h"

namespace bobbin {
namespace {

class AddAtEnd final : public kv::LastStep {
 public:
  explicit AddAtEnd(const RecordCodec& codec) : codec_(codec) {}
  Result<void> Run(kv::WriteTransaction& transaction) override {
    return RowWriter(codec_, transaction).AddToTotals(change);
  }
  TableTotals change{};

 private:
  const RecordCodec codec_;  // The closures' own may be gone by the end.
};

}  // namespace

Result<std::optional<TableTotals>> RowReader::Totals() {
  ASSIGN_OR_RETURN(const auto payload, GetPayload(RecordKind::kTotals, table::kMain, kTotalsKey));
  if (!payload) return std::optional<TableTotals>();
  ASSIGN_OR_RETURN(const TableTotals totals, DecodeTotals(*payload));
  return std::optional(totals);
}

TableTotals& RowWriter::TotalsChange() {
  std::unique_ptr<kv::LastStep>& step = transaction_.AtEnd();
  if (step == nullptr) step = std::make_unique<AddAtEnd>(codec_);
  return static_cast<AddAtEnd&>(*step).change;
}

Result<void> RowWriter::AddToTotals(const TableTotals& change) {
  Result<std::optional<TableTotals>> totals = Totals();
  // A damaged one stays as it is, for the check to name; it must not stop the mail.
  if (!totals && totals.error().code == ErrorCode::kCorruptData) return {};
  if (!totals) return tl::unexpected<Error>(totals.error());
  TableTotals sum = totals->value_or(TableTotals{});
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i].Add(change[i]);
  return PutTotals(sum);
}

Result<bool> RowWriter::PutSealed(kv::TableId table, std::string_view key) {
  TableTotal former;
  RETURN_IF_ERROR(
      transaction_.Replace(table, key, sealed_, [&](kv::Bytes value) { former.Add(value); }));
  if (table == table::kMain) return former.rows == 0;
  TableTotal& change = TotalsChange()[table.index];
  change.Add(sealed_);
  change.Subtract(former);
  return former.rows == 0;
}

Result<bool> RowWriter::EraseRow(kv::TableId table, std::string_view key) {
  TableTotal former;
  RETURN_IF_ERROR(transaction_.Remove(table, key, [&](kv::Bytes value) { former.Add(value); }));
  if (former.rows != 0) TotalsChange()[table.index].Subtract(former);
  return former.rows != 0;
}

}  // namespace bobbin

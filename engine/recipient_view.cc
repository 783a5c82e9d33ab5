#include "engine/recipient_view.h"

#include <algorithm>
#include <utility>

#include "engine/message_object.h"

namespace bobbin {
namespace {

constexpr PropertyTag kNoColumn{0x00000001};  // PR_NULL.

Property Cell(const RecipientRow& row, PropertyTag column) {
  if (column == kNoColumn) return Property::Number(kNoColumn, 0);
  if (std::optional<Property> value = ColumnOf(row, column)) return *std::move(value);
  return Property::Number(column.WithType(PropertyType::kError),
                          static_cast<std::int64_t>(ErrorCode::kNotFound));
}

}  // namespace

RecipientView::RecipientView(std::shared_ptr<const MessageObject> object)
    : object_(std::move(object)), columns_{pr::kRowId,       pr::kRecipientType, pr::kDisplayName,
                                           pr::kAddressType, pr::kEmailAddress,  pr::kEntryId,
                                           pr::kSearchKey,   pr::kResponsibility} {}

Result<RecipientView> Message::ViewRecipients() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  return RecipientView(object_);
}

Result<void> RecipientView::SetColumns(std::span<const PropertyTag> columns) {
  RETURN_IF_ERROR(object_->CheckOpen());
  if (columns.empty()) return Fail(ErrorCode::kInvalidParameter, "no columns given");
  columns_.assign(columns.begin(), columns.end());
  return {};
}

Result<std::vector<PropertyTag>> RecipientView::Columns() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  return columns_;
}

Result<void> RecipientView::Restrict(std::optional<Restriction> restriction) {
  RETURN_IF_ERROR(object_->CheckOpen());
  if (restriction) RETURN_IF_ERROR(restriction->Check());
  restriction_ = std::move(restriction);
  return {};
}

Result<std::vector<const RecipientRow*>> RecipientView::Shown() const {
  RETURN_IF_ERROR(object_->CheckOpen());
  std::vector<const RecipientRow*> shown;
  for (const RecipientRow& row : object_->recipients) {
    if (!restriction_ || restriction_->Matches(row)) shown.push_back(&row);
  }
  return shown;
}

Result<std::uint32_t> RecipientView::RowCount() const {
  ASSIGN_OR_RETURN(const auto shown, Shown());
  return static_cast<std::uint32_t>(shown.size());
}

Result<std::vector<RecipientColumns>> RecipientView::QueryRows(std::uint32_t rows_max,
                                                               std::uint32_t first) const {
  if (rows_max == 0) return Fail(ErrorCode::kInvalidParameter, "no rows asked for");
  ASSIGN_OR_RETURN(const auto shown, Shown());
  std::vector<RecipientColumns> rows;
  for (std::size_t i = first; i < shown.size() && rows.size() < rows_max; ++i) {
    RecipientColumns& cells = rows.emplace_back();
    for (const PropertyTag column : columns_) cells.push_back(Cell(*shown[i], column));
  }
  return rows;
}

Result<std::uint32_t> RecipientView::FindRow(const Restriction& wanted, std::uint32_t first) const {
  RETURN_IF_ERROR(wanted.Check());
  ASSIGN_OR_RETURN(const auto shown, Shown());
  for (std::size_t i = first; i < shown.size(); ++i) {
    if (wanted.Matches(*shown[i])) return static_cast<std::uint32_t>(i);
  }
  return Fail(ErrorCode::kNotFound, "no row matches");
}

}  // namespace bobbin

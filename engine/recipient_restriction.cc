#include "engine/recipient_restriction.h"

#include <algorithm>
#include <string>

namespace bobbin {
namespace {

constexpr int kDepthMax = 32;

bool IsString(PropertyType type) {
  return type == PropertyType::kUnicode || type == PropertyType::kString8;
}

bool IsOfType(PropertyTag stored, PropertyTag wanted) {
  return wanted.Type() == PropertyType::kUnspecified || stored == wanted ||
         (IsString(stored.Type()) && IsString(wanted.Type()));
}

}  // namespace

std::optional<Property> ColumnOf(const RecipientRow& row, PropertyTag tag) {
  const auto as_asked = [tag](Property property) -> std::optional<Property> {
    if (!IsOfType(property.tag, tag)) return std::nullopt;
    if (tag.Type() != PropertyType::kUnspecified) property.tag = tag;
    return property;
  };
  if (tag.Id() == pr::kRowId.Id()) return as_asked(Property::Number(pr::kRowId, row.id.value));
  if (tag.Id() == pr::kResponsibility.Id()) {
    return as_asked(Property::Number(pr::kResponsibility, row.delivery.responsibility ? 1 : 0));
  }
  for (const Property& property : row.properties) {
    if (property.tag.Id() == tag.Id()) return as_asked(property);
  }
  return std::nullopt;
}

Result<void> Restriction::Check() const { return CheckAt(1); }

Result<void> Restriction::CheckAt(int depth) const {
  if (depth > kDepthMax) {
    return Fail(ErrorCode::kTooComplex,
                "a restriction is at most " + std::to_string(kDepthMax) + " deep");
  }
  if (const auto* junction = std::get_if<Junction>(&term_)) {
    if (junction->parts.empty()) return Fail(ErrorCode::kInvalidParameter, "AND or OR of nothing");
    for (const Restriction& part : junction->parts) RETURN_IF_ERROR(part.CheckAt(depth + 1));
    return {};
  }
  const auto* comparison = std::get_if<Comparison>(&term_);
  if (comparison == nullptr) return {};
  const PropertyTag tag = comparison->property.tag;
  if (tag.IsMultiValue()) {
    return Fail(ErrorCode::kTooComplex, "multi-values cannot be compared in a recipient table");
  }
  if (ShapeOf(tag.Type()) == ValueShape::kNone || tag.Type() == PropertyType::kError) {
    return Fail(ErrorCode::kInvalidParameter, "a value of that type cannot be compared");
  }
  if (comparison->relation == Relation::kEqual || comparison->relation == Relation::kNotEqual) {
    return {};
  }
  return Fail(ErrorCode::kTooComplex, "recipient tables compare with = and <> only");
}

bool Restriction::Matches(const RecipientRow& row) const {
  if (const auto* junction = std::get_if<Junction>(&term_)) {
    const auto matches = [&](const Restriction& part) { return part.Matches(row); };
    return junction->all ? std::all_of(junction->parts.begin(), junction->parts.end(), matches)
                         : std::any_of(junction->parts.begin(), junction->parts.end(), matches);
  }
  if (const auto* existence = std::get_if<Existence>(&term_)) {
    return ColumnOf(row, existence->tag).has_value();
  }
  const Comparison& comparison = std::get<Comparison>(term_);
  const std::optional<Property> value = ColumnOf(row, comparison.property.tag);
  if (!value) return false;
  const bool equal =
      value->number == comparison.property.number && value->bytes == comparison.property.bytes;
  if (comparison.relation == Relation::kEqual) return equal;
  return comparison.relation == Relation::kNotEqual && !equal;
}

}  // namespace bobbin

#include "engine/property.h"

#include <algorithm>

namespace bobbin {
namespace {

auto Position(auto& properties, PropertyTag tag) {
  return std::lower_bound(properties.begin(), properties.end(), tag.Id(),
                          [](const Property& p, std::uint16_t id) { return p.tag.Id() < id; });
}

// Packed values: numbers as 8 bytes little-endian; bytes behind their length in 4.
void AppendNumber(std::string& out, std::uint64_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}

std::uint64_t TakeNumber(std::string_view& in, std::size_t bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    number |= std::uint64_t{static_cast<std::uint8_t>(in[i])} << (8 * i);
  }
  in.remove_prefix(bytes);
  return number;
}

}  // namespace

Property Property::Multiple(PropertyTag tag, std::span<const Property> values) {
  Property packed{tag, 0, {}};
  const bool as_bytes = ShapeOf(tag.SingleType()) == ValueShape::kBytes;
  for (const Property& value : values) {
    if (as_bytes) {
      AppendNumber(packed.bytes, value.bytes.size(), 4);
      packed.bytes += value.bytes;
    } else {
      AppendNumber(packed.bytes, static_cast<std::uint64_t>(value.number), 8);
    }
  }
  return packed;
}

Result<std::vector<Property>> Property::Values() const {
  if (!tag.IsMultiValue()) return std::vector<Property>{*this};
  const PropertyTag single = tag.WithType(tag.SingleType());
  const bool as_bytes = ShapeOf(tag.SingleType()) == ValueShape::kBytes;
  std::vector<Property> values;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const std::size_t head = as_bytes ? 4 : 8;
    if (rest.size() < head) return Fail(ErrorCode::kCorruptData, "a multi-value is cut short");
    const std::uint64_t taken = TakeNumber(rest, head);
    if (!as_bytes) {
      values.push_back(Property::Number(single, static_cast<std::int64_t>(taken)));
      continue;
    }
    if (rest.size() < taken) return Fail(ErrorCode::kCorruptData, "a multi-value is cut short");
    values.push_back(Property::Bytes(single, std::string(rest.substr(0, taken))));
    rest.remove_prefix(taken);
  }
  return values;
}

PropertyList::PropertyList(std::initializer_list<Property> properties) {
  for (const Property& property : properties) Set(property);
}

void PropertyList::Set(Property property) {
  const auto at = Position(properties_, property.tag);
  if (at != properties_.end() && at->tag.Id() == property.tag.Id()) {
    *at = std::move(property);
  } else {
    properties_.insert(at, std::move(property));
  }
}

void PropertyList::Erase(PropertyTag tag) {
  const auto at = Position(properties_, tag);
  if (at != properties_.end() && at->tag.Id() == tag.Id()) properties_.erase(at);
}

const Property* PropertyList::Find(PropertyTag tag) const {
  const auto at = Position(properties_, tag);
  return at != properties_.end() && at->tag == tag ? &*at : nullptr;
}

std::int64_t PropertyList::NumberOr(PropertyTag tag, std::int64_t fallback) const {
  const Property* property = Find(tag);
  return property != nullptr ? property->number : fallback;
}

std::string_view PropertyList::BytesOr(PropertyTag tag, std::string_view fallback) const {
  const Property* property = Find(tag);
  return property != nullptr ? std::string_view(property->bytes) : fallback;
}

std::size_t PropertyList::ByteCount() const {
  std::size_t bytes = 0;
  for (const Property& property : properties_) bytes += 24 + property.bytes.size();
  return bytes;
}

}  // namespace bobbin

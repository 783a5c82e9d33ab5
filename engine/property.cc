#include "engine/property.h"

#include <algorithm>

namespace bobbin {
namespace {

auto Position(auto& properties, PropertyTag tag) {
  return std::lower_bound(properties.begin(), properties.end(), tag.Id(),
                          [](const Property& p, std::uint16_t id) { return p.tag.Id() < id; });
}

}  // namespace

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

#include "engine/named_property.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/database.h"
#include "engine/database_state.h"
#include "engine/utf8.h"

namespace bobbin {
namespace {

constexpr PropertyTag kUnknownName{static_cast<std::uint32_t>(PropertyType::kError)};

PropertyTag TagOf(std::uint16_t identifier) { return PropertyTag{std::uint32_t{identifier} << 16}; }

Result<void> CheckName(const PropertyName& name) {
  if (const auto* text = std::get_if<std::string>(&name.name)) {
    if (text->empty() || text->size() > kPropertyNameBytesMax || !IsUtf8(*text)) {
      return Fail(
          ErrorCode::kInvalidParameter,
          fmt::format("the name of a property is 1 to {} bytes of UTF-8", kPropertyNameBytesMax));
    }
  }
  if (name.set != kMapiPropertySet) return {};
  const auto* number = std::get_if<std::uint32_t>(&name.name);
  if (number == nullptr || *number == 0 || *number >= kNamedPropertyFirst) {
    return Fail(ErrorCode::kInvalidParameter, "a name in PS_MAPI is a number below 0x8000");
  }
  return {};
}

// The tags that are known; true when none is missing.
Result<bool> LookUp(RowReader& rows, std::span<const PropertyName> names,
                    std::vector<PropertyTag>& tags) {
  bool all = true;
  tags.clear();
  for (const PropertyName& name : names) {
    if (name.set == kMapiPropertySet) {
      tags.push_back(TagOf(static_cast<std::uint16_t>(std::get<std::uint32_t>(name.name))));
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<std::uint16_t> identifier, rows.PropertyNamed(name));
    tags.push_back(identifier ? TagOf(*identifier) : kUnknownName);
    all = all && identifier;
  }
  return all;
}

Result<void> CreateMissing(RowWriter& rows, std::span<const PropertyName> names,
                           std::vector<PropertyTag>& tags) {
  ASSIGN_OR_RETURN(const bool all, LookUp(rows, names, tags));
  if (all) return {};
  ASSIGN_OR_RETURN(CountersRecord counters, rows.Counters());
  std::uint32_t next = std::max<std::uint32_t>(counters.next_named_property, kNamedPropertyFirst);
  // Everything is decided before the first write: a refusal costs its neighbours nothing.
  std::map<PropertyName, std::uint16_t> created;  // The same name twice in one call is one name.
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (tags[i] != kUnknownName) continue;
    const auto [at, is_new] = created.try_emplace(names[i], static_cast<std::uint16_t>(next));
    if (is_new && next++ > kNamedPropertyLast) {
      return Fail(ErrorCode::kNotEnoughResources,
                  "all identifiers for named properties are given away");
    }
    tags[i] = TagOf(at->second);
  }
  for (const auto& [name, identifier] : created) {
    RETURN_IF_ERROR(rows.PutPropertyName(identifier, name));
  }
  counters.next_named_property = next;
  return rows.PutCounters(counters);
}

}  // namespace

Result<ClassId> ClassId::FromBytes(std::string_view bytes) {
  ClassId id;
  if (bytes.size() != id.bytes.size()) {
    return Fail(ErrorCode::kInvalidParameter, "a GUID is 16 bytes");
  }
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

std::string ClassId::ToBytes() const { return {bytes.begin(), bytes.end()}; }

std::string ClassId::ToText() const {
  constexpr std::array<int, 16> kOrder{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
  std::string text = "{";
  for (std::size_t i = 0; i < kOrder.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02X}", bytes[static_cast<std::size_t>(kOrder[i])]);
  }
  return text + "}";
}

Result<std::vector<PropertyTag>> GetIdsFromNames(const Database& database,
                                                 std::span<const PropertyName> names,
                                                 std::uint32_t flags) {
  if ((flags & ~kMapiCreate) != 0) {
    return Fail(ErrorCode::kUnknownFlags, "only MAPI_CREATE is defined here");
  }
  for (const PropertyName& name : names) RETURN_IF_ERROR(CheckName(name));
  std::vector<PropertyTag> tags;
  bool all = false;
  // Most names are known after the first message that had them, and reading waits for nobody.
  RETURN_IF_ERROR(database.State()->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(all, LookUp(rows, names, tags));
    return {};
  }));
  if (all || (flags & kMapiCreate) == 0) return tags;
  RETURN_IF_ERROR(
      database.State()->Update([&](RowWriter& rows) { return CreateMissing(rows, names, tags); }));
  return tags;
}

Result<std::vector<std::optional<PropertyName>>> GetNamesFromIds(
    const Database& database, std::span<const PropertyTag> tags) {
  std::vector<std::optional<PropertyName>> names;
  RETURN_IF_ERROR(database.State()->View([&](RowReader& rows) -> Result<void> {
    names.clear();
    for (const PropertyTag tag : tags) {
      if (!tag.IsNamed()) {
        names.push_back(PropertyName{kMapiPropertySet, std::uint32_t{tag.Id()}});
        continue;
      }
      ASSIGN_OR_RETURN(std::optional<PropertyName> name, rows.PropertyNameOf(tag.Id()));
      names.push_back(std::move(name));
    }
    return {};
  }));
  return names;
}

}  // namespace bobbin

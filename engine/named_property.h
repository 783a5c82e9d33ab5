// Named properties: identifiers from 0x8000 on, which mean what their name says (MAPI:
// IMAPIProp::GetIDsFromNames, GetNamesFromIDs).
//
// A name is a property set (a GUID) and a number or a string in it. A database gives each name an
// identifier of its own when it is first asked to; the two belong together from then on, in every
// message store of the database and for as long as it exists.
//
// Durability  New identifiers are durable when GetIdsFromNames returns: all of one call in one
//             transaction.
// Threads     Any number. Processes  Any number; one name never gets two identifiers.
// Errors      Those listed; kCorruptData, kDiskError, kNotEnoughDisk, kStoreFailed as everywhere.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/property_tag.h"
#include "engine/result.h"

namespace bobbin {

class Database;

// A GUID as PT_CLSID has it: the first three fields little-endian.
struct ClassId {
  std::array<std::uint8_t, 16> bytes{};

  // kInvalidParameter  not 16 bytes
  static Result<ClassId> FromBytes(std::string_view bytes);
  std::string ToBytes() const;
  std::string ToText() const;  // "{00020328-0000-0000-C000-000000000046}"

  friend auto operator<=>(const ClassId&, const ClassId&) = default;
};

// What Microsoft's own sets end in.
constexpr ClassId MicrosoftPropertySet(std::uint32_t first) {
  ClassId id;
  for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(first >> (8 * i));
  id.bytes[8] = 0xC0;
  id.bytes[15] = 0x46;
  return id;
}
// PS_MAPI: the number in it is the identifier itself, below 0x8000.
inline constexpr ClassId kMapiPropertySet = MicrosoftPropertySet(0x00020328);
inline constexpr ClassId kPublicStringsPropertySet = MicrosoftPropertySet(0x00020329);

struct PropertyName {
  ClassId set;
  std::variant<std::uint32_t, std::string> name;  // A string is UTF-8, compared byte for byte.

  friend auto operator<=>(const PropertyName&, const PropertyName&) = default;
};

inline constexpr std::uint16_t kNamedPropertyFirst = 0x8000;
inline constexpr std::uint16_t kNamedPropertyLast = 0xFFFE;
inline constexpr std::size_t kPropertyNameBytesMax = 480;  // It is part of a key.

// The tags for `names`, in that order, of type PT_UNSPECIFIED. A name without an identifier gets
// one if `flags` is kMapiCreate; without it, its tag is PT_ERROR with identifier 0.
//   kUnknownFlags
//   kInvalidParameter    an empty string, one that is not UTF-8 or over kPropertyNameBytesMax, or a
//                        name in PS_MAPI that is no number below 0x8000; nothing is created
//   kNotEnoughResources  all identifiers are given away; nothing is created
Result<std::vector<PropertyTag>> GetIdsFromNames(const Database& database,
                                                 std::span<const PropertyName> names,
                                                 std::uint32_t flags = 0);

// The names behind `tags`, in that order; absent for an identifier that no name has. The type of a
// tag does not matter.
Result<std::vector<std::optional<PropertyName>>> GetNamesFromIds(const Database& database,
                                                                 std::span<const PropertyTag> tags);

}  // namespace bobbin

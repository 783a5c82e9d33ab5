// MAPI properties: tags, values, and lists of them (specification, section 2).
//
// Strings are UTF-8 whatever their MAPI type; PT_SYSTIME is 100 ns ticks since
// 1601-01-01 UTC (engine/clock.h converts). Types beyond those of PropertyType are
// refused with kInvalidType.
//
//   type                                            value
//   SHORT LONG BOOLEAN I8 SYSTIME CURRENCY ERROR    Property::number
//   FLOAT DOUBLE APPTIME                            Property::number, the bits of a double: Real()
//   UNICODE STRING8 BINARY, CLSID (16 bytes), and   Property::bytes
//   OBJECT as a handle only
//   multi-value of any of these (MV_FLAG)           Property::bytes, packed: Values() unpacks
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mapi_flags.h"
#include "engine/property_tag.h"
#include "engine/result.h"

namespace bobbin {

struct Property {
  PropertyTag tag;
  std::int64_t number = 0;
  std::string bytes;

  static Property Number(PropertyTag tag, std::int64_t number) { return {tag, number, {}}; }
  static Property Real(PropertyTag tag, double value) {
    return {tag, std::bit_cast<std::int64_t>(value), {}};
  }
  static Property Bytes(PropertyTag tag, std::string bytes) { return {tag, 0, std::move(bytes)}; }
  // Of a multi-value tag; every value has the tag's single type (its own tag is ignored).
  static Property Multiple(PropertyTag tag, std::span<const Property> values);

  double Real() const { return std::bit_cast<double>(number); }
  // The values of a multi-value property, each with the single type; of any other property: itself.
  //   kCorruptData  `bytes` is not what Multiple makes
  Result<std::vector<Property>> Values() const;

  friend bool operator==(const Property&, const Property&) = default;
};

// A property that SetProps could not set, and why; the call as a whole succeeded.
struct PropertyProblem {
  PropertyTag tag;
  ErrorCode code;
};

// At most one value per property identifier, ascending tag.
class PropertyList {
 public:
  PropertyList() = default;
  PropertyList(std::initializer_list<Property> properties);

  void Set(Property property);  // Replaces a value of the same identifier, whatever its type.
  void Erase(PropertyTag tag);
  const Property* Find(PropertyTag tag) const;  // Null when absent or of another type.

  // The value, or the fallback when absent.
  std::int64_t NumberOr(PropertyTag tag, std::int64_t fallback) const;
  bool FlagOr(PropertyTag tag, bool fallback) const { return NumberOr(tag, fallback ? 1 : 0) != 0; }
  std::string_view BytesOr(PropertyTag tag, std::string_view fallback) const;

  auto begin() const { return properties_.begin(); }  // NOLINT(readability-identifier-naming)
  auto end() const { return properties_.end(); }      // NOLINT(readability-identifier-naming)
  std::size_t Size() const { return properties_.size(); }
  std::size_t ByteCount() const;  // What storing them takes, roughly.

  friend bool operator==(const PropertyList&, const PropertyList&) = default;

 private:
  std::vector<Property> properties_;
};

}  // namespace bobbin

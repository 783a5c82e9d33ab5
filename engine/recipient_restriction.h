// Restrictions: which rows of a recipient table a view shows (MAPI: SRestriction).
//
//   Restriction::And({Restriction::Exists(pr::kEmailAddress),
//                     Restriction::Compare(Relation::kNotEqual,
//                                          Property::Number(pr::kResponsibility, 1))})
//
// AND, OR, EXIST, and PROPERTY with = and <> are what a store that takes submissions must offer on
// recipients (specification 2.4); they work on every column. Strings and binaries are equal byte
// for byte, PT_STRING8 and PT_UNICODE alike. A row that does not have a property, or has it with a
// type that cannot be compared, is neither equal nor unequal to anything: PROPERTY leaves it out.
//
// Threads  Values: as any other.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "engine/property.h"
#include "engine/recipient_table.h"
#include "engine/result.h"

namespace bobbin {

enum class Relation : std::uint32_t {  // RELOP_...
  kLess = 0,
  kLessOrEqual = 1,
  kGreater = 2,
  kGreaterOrEqual = 3,
  kEqual = 4,
  kNotEqual = 5,
};

class Restriction {
 public:
  static Restriction And(std::vector<Restriction> parts) {
    return {Junction{true, std::move(parts)}};
  }
  static Restriction Or(std::vector<Restriction> parts) {
    return {Junction{false, std::move(parts)}};
  }
  static Restriction Exists(PropertyTag tag) { return {Existence{tag}}; }
  static Restriction Compare(Relation relation, Property property) {
    return {Comparison{relation, std::move(property)}};
  }

  // Whether a recipient table can be restricted so.
  //   kTooComplex        another relation than = and <>, a multi-value, or over 32 deep
  //   kInvalidParameter  AND or OR of nothing, or a value that no property has
  Result<void> Check() const;

  bool Matches(const RecipientRow& row) const;  // What Check refuses matches nothing.

 private:
  struct Junction {
    bool all;  // AND; else OR.
    std::vector<Restriction> parts;
  };
  struct Existence {
    PropertyTag tag;
  };
  struct Comparison {
    Relation relation;
    Property property;
  };
  using Term = std::variant<Junction, Existence, Comparison>;

  Restriction(Term term) : term_(std::move(term)) {}  // NOLINT(google-explicit-constructor)
  Result<void> CheckAt(int depth) const;

  Term term_;
};

// The value of a recipient's column, PR_ROWID and PR_RESPONSIBILITY included, under the tag asked
// for: PT_STRING8 and PT_UNICODE name the same strings, PT_UNSPECIFIED whatever type it has.
std::optional<Property> ColumnOf(const RecipientRow& row, PropertyTag tag);

}  // namespace bobbin

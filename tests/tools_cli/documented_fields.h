// The field tables of docs/cli.md, so that what is printed and what is documented stay the same.
#pragma once

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bobbin::test {

// Names in the order of the table under "<!-- fields: NAME -->".
std::vector<std::string> DocumentedFields(const std::string& table);

std::vector<std::string> FieldsOf(const nlohmann::ordered_json& object);

// One object per line; whatever does not parse fails the test.
std::vector<nlohmann::ordered_json> ParseLines(const std::string& text);

MATCHER_P(HasTheFieldsOf, table,
          "has the fields that docs/cli.md lists for " + std::string(table)) {
  *result_listener << arg.dump();
  return !DocumentedFields(table).empty() && FieldsOf(arg) == DocumentedFields(table);
}

}  // namespace bobbin::test

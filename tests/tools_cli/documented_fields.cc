#include "tests/tools_cli/documented_fields.h"

#include <fstream>
#include <sstream>

namespace bobbin::test {

std::vector<std::string> DocumentedFields(const std::string& table) {
  std::ifstream file(BOBBIN_SOURCE_DIRECTORY "/docs/cli.md");
  std::vector<std::string> fields;
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "<!-- fields: " + table + " -->") {
      here = true;
    } else if (here && line.empty()) {
      break;
    } else if (here && line.rfind("| `", 0) == 0) {
      fields.push_back(line.substr(3, line.find('`', 3) - 3));
    }
  }
  return fields;
}

std::vector<std::string> FieldsOf(const nlohmann::ordered_json& object) {
  std::vector<std::string> fields;
  for (const auto& item : object.items()) fields.push_back(item.key());
  return fields;
}

std::vector<nlohmann::ordered_json> ParseLines(const std::string& text) {
  std::vector<nlohmann::ordered_json> objects;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    objects.push_back(nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false));
    EXPECT_TRUE(objects.back().is_object()) << line;
  }
  return objects;
}

}  // namespace bobbin::test

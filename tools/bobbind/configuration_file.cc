#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "tools/bobbind/setting_table.h"

namespace bobbin::daemon {
namespace {

std::string At(const std::string& name, const toml::source_region& source) {
  return name + ":" + std::to_string(source.begin.line) + ": ";
}

SettingValue ToValue(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<std::int64_t>()) return *number;
  if (const auto flag = node.value_exact<bool>()) return *flag;
  std::vector<std::string> list;
  const toml::array* array = node.as_array();
  if (array == nullptr) return std::monostate();
  for (const toml::node& element : *array) {
    const auto text = element.value_exact<std::string>();
    if (!text) return std::monostate();
    list.push_back(*text);
  }
  return list;
}

}  // namespace

Result<void> ApplyToml(std::string_view text, const std::string& name,
                       Configuration& configuration) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    return Fail(ErrorCode::kInvalidParameter, At(name, parsed.error().source()) +
                                                  std::string(parsed.error().description()) +
                                                  "; correct the TOML");
  }
  for (const auto& [key, node] : parsed.table()) {
    const std::string where = At(name, key.source());
    const Setting* setting = FindSetting(key.str());
    if (setting == nullptr) {
      return Fail(ErrorCode::kInvalidParameter, where + UnknownSetting(key.str()));
    }
    if (const Result<void> assigned = AssignSetting(*setting, ToValue(node), configuration);
        !assigned) {
      return Fail(ErrorCode::kInvalidParameter,
                  where + setting->name + ": " + assigned.error().detail);
    }
  }
  return {};
}

}  // namespace bobbin::daemon

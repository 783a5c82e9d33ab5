// The table of settings: what flags and the file have in common. Internal to the configuration.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/bobbind/configuration.h"

namespace bobbin::daemon {

struct Setting {
  std::string name;
  std::variant<std::string Configuration::*, std::vector<std::string> Configuration::*,
               std::uint64_t Configuration::*, bool Configuration::*>
      member;
  std::string help;
  std::vector<std::string> choices = {};  // Of a string; empty: any.
  std::uint64_t least = 0;                // Of a number.
  std::uint64_t most = 0;
};

// std::monostate: something no setting can be.
using SettingValue =
    std::variant<std::monostate, std::string, std::int64_t, bool, std::vector<std::string>>;

const std::vector<Setting>& Settings();
const Setting* FindSetting(std::string_view name);  // Null when unknown.

//   kInvalidParameter  the wrong type, out of range, or not one of the choices
Result<void> AssignSetting(const Setting& setting, SettingValue value,
                           Configuration& configuration);

// "unknown setting 'x'; did you mean 'y'?"
std::string UnknownSetting(std::string_view name);

}  // namespace bobbin::daemon

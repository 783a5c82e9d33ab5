#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>

#include "tools/bobbind/setting_table.h"

namespace bobbin::daemon {
namespace {

using Error = ConfigurationError;

tl::unexpected<Error> Usage(std::string detail) {
  return tl::unexpected<Error>(Error{std::move(detail), true});
}

struct Flags {
  std::string config;
  bool check_config = false;
  std::map<std::string, std::vector<std::string>> values;  // By setting.
  std::map<std::string, bool> switches;
};

void Describe(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", "bobbind " BOBBIN_VERSION);
  app.add_option("--config", flags.config, "TOML file with the settings below")->type_name("FILE");
  app.add_flag("--check-config", flags.check_config,
               "Print the configuration in effect, as TOML, and exit");
  const Configuration defaults;
  for (const Setting& setting : Settings()) {
    if (std::holds_alternative<bool Configuration::*>(setting.member)) {
      app.add_flag("--" + setting.name, flags.switches[setting.name], setting.help);
      continue;
    }
    const bool is_list =
        std::holds_alternative<std::vector<std::string> Configuration::*>(setting.member);
    const bool is_number = std::holds_alternative<std::uint64_t Configuration::*>(setting.member);
    std::string help = setting.help;
    for (const std::string& choice : setting.choices) {
      help += (&choice == &setting.choices.front() ? ": " : ", ") + choice;
    }
    if (const auto* number = std::get_if<std::uint64_t Configuration::*>(&setting.member)) {
      help += ". Default: " + std::to_string(defaults.*(*number));
    }
    app.add_option("--" + setting.name, flags.values[setting.name], help)
        ->type_name(is_number ? "NUMBER" : "TEXT")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(is_list ? CLI::MultiOptionPolicy::TakeAll
                                      : CLI::MultiOptionPolicy::TakeLast);
  }
}

tl::expected<void, Error> ApplyFile(const std::string& path, Configuration& configuration) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof()) {
    return tl::unexpected<Error>(
        Error{path + ": cannot be read: " + std::generic_category().message(errno) +
                  "; name a file that exists and may be read",
              false});
  }
  if (const Result<void> applied = ApplyToml(text, path, configuration); !applied) {
    return tl::unexpected<Error>(Error{applied.error().detail, false});
  }
  return {};
}

SettingValue ToValue(const Setting& setting, const std::vector<std::string>& words) {
  if (std::holds_alternative<std::vector<std::string> Configuration::*>(setting.member)) {
    return words;
  }
  const std::string& word = words.back();
  if (!std::holds_alternative<std::uint64_t Configuration::*>(setting.member)) return word;
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || stop != word.data() + word.size()) return word;  // Refused as text.
  return number;
}

tl::expected<void, Error> ApplyFlags(const Flags& flags, Configuration& configuration) {
  for (const auto& [name, words] : flags.values) {
    if (words.empty()) continue;
    const Setting& setting = *FindSetting(name);
    const Result<void> assigned = AssignSetting(setting, ToValue(setting, words), configuration);
    if (!assigned) return Usage("--" + name + ": " + assigned.error().detail);
  }
  for (const auto& [name, set] : flags.switches) {
    if (!set) continue;
    const Result<void> assigned = AssignSetting(*FindSetting(name), true, configuration);
    if (!assigned) return Usage("--" + name + ": " + assigned.error().detail);
  }
  return {};
}

}  // namespace

tl::expected<CommandLine, Error> ParseCommandLine(int argument_count,
                                                  const char* const* arguments) {
  CommandLine line;
  Flags flags;
  CLI::App app("bobbind takes mail over SMTP, keeps it until it is delivered, and delivers it.",
               "bobbind");
  app.allow_extras();
  Describe(app, flags);
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::CallForHelp&) {
    line.information = app.help();
    return line;
  } catch (const CLI::CallForVersion&) {
    line.information = std::string("bobbind " BOBBIN_VERSION "\n");
    return line;
  } catch (const CLI::ParseError& error) {
    return Usage(std::string(error.what()) + "; see bobbind --help");
  }
  for (const std::string& extra : app.remaining()) {
    if (extra.substr(0, 2) != "--") {
      return Usage("'" + extra + "' is not expected here; see bobbind --help");
    }
    return Usage(UnknownSetting(extra.substr(2, extra.find('=') - 2)));
  }
  line.check_config = flags.check_config;
  if (!flags.config.empty()) {
    if (auto applied = ApplyFile(flags.config, line.configuration); !applied) {
      return tl::unexpected<Error>(applied.error());
    }
  }
  if (auto applied = ApplyFlags(flags, line.configuration); !applied) {
    return tl::unexpected<Error>(applied.error());
  }
  return line;
}

}  // namespace bobbin::daemon

#include "tools/bobbind/configuration.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <variant>

#include "engine/check.h"
#include "tools/bobbind/setting_table.h"

namespace bobbin::daemon {
namespace {

constexpr std::uint64_t kDaySeconds = 86'400;
constexpr std::uint64_t kYearSeconds = 365 * kDaySeconds;

using C = Configuration;

std::vector<Setting> PlacesAndDestinations() {
  return {
      {"database", &C::database, "Directory of the database. Default: BOBBIN_DATABASE"},
      {"store", &C::store, "Message store that takes the mail; made if it is not there"},
      {"listen", &C::listen, "Address to take SMTP on: 127.0.0.1:2525, [::1]:2525; port 0: any"},
      {"hostname", &C::hostname, "Name in greetings and trace fields. Default: this machine's"},
      {"next-hop", &C::next_hop, "Server to relay to: smtp://host[:port] or smtps://host[:port]"},
      {"next-hop-tls",
       &C::next_hop_tls,
       "STARTTLS with the next hop",
       {"opportunistic", "required", "off"}},
      {"next-hop-ca-file", &C::next_hop_ca_file,
       "PEM file of authorities to trust. Default: the system's"},
      {"next-hop-username", &C::next_hop_username, "User name for the next hop"},
      {"next-hop-password-file", &C::next_hop_password_file,
       "File whose first line is the password for the next hop"},
      {"command", &C::command,
       "Program to give mail to, then its arguments, one --command each; {sender}, {recipient} "
       "and {queue_id} are replaced"},
      {"discard", &C::discard, "Throw all mail away"},
      {"maildir", &C::maildir,
       "Deliver to Maildirs in this directory. Default, with no other destination: maildir beside "
       "the database"},
      {"footer-file", &C::footer_file, "File with a text to put under every plain text message"},
      {"dkim-domain", &C::dkim_domain,
       "Sign mail of this domain with DKIM; needs dkim-selector and dkim-key-file"},
      {"dkim-selector", &C::dkim_selector, "Selector of the DKIM key"},
      {"dkim-key-file", &C::dkim_key_file, "File with the DKIM key: RSA, private, PEM"},
  };
}

std::vector<Setting> DeliverySettings() {
  return {
      {"workers", &C::workers, "Messages delivered at the same time", {}, 1, 256},
      {"retry-first-seconds",
       &C::retry_first_seconds,
       "From the first attempt to the second; "
       "doubles with each",
       {},
       1,
       kDaySeconds},
      {"retry-longest-seconds",
       &C::retry_longest_seconds,
       "The most between two attempts",
       {},
       1,
       7 * kDaySeconds},
      {"expire-after-seconds",
       &C::expire_after_seconds,
       "From submission to giving up, with a report to the sender",
       {},
       1,
       kYearSeconds},
      {"delay-report-after-seconds",
       &C::delay_report_after_seconds,
       "From submission to telling a sender who asked to know of a delay",
       {},
       1,
       kYearSeconds},
      {"in-doubt",
       &C::in_doubt,
       "What to do with mail that may have been delivered before a crash",
       {"resend", "hold"}},
  };
}

std::vector<Setting> ClientLimits() {
  return {
      {"message-bytes-max",
       &C::message_bytes_max,
       "Largest message",
       {},
       1'024,
       SmtpLimits{}.message_bytes_max},
      {"recipients-max",
       &C::recipients_max,
       "Most recipients of a message",
       {},
       1,
       kRecipientCountMax},
      {"connections-max", &C::connections_max, "Most clients at the same time", {}, 1, 100'000},
      {"command-line-bytes-max",
       &C::command_line_bytes_max,
       "Longest command line",
       {},
       512,
       65'536},
      {"errors-max", &C::errors_max, "Errors after which a client is disconnected", {}, 1, 10'000},
      {"idle-seconds",
       &C::idle_seconds,
       "Silence after which a client is disconnected",
       {},
       1,
       kDaySeconds},
      {"trusted-clients", &C::trusted_clients,
       "Addresses or blocks (192.0.2.0/24) that may use XCLIENT and XFORWARD"},
      {"disk-free-bytes-min",
       &C::disk_free_bytes_min,
       "Take no mail with less disk free",
       {},
       0,
       std::uint64_t{1} << 60},
      {"scrub-interval-seconds",
       &C::scrub_interval_seconds,
       "From one verification of the whole database to the next; 0: none",
       {},
       0,
       kYearSeconds},
      {"scrub-mib-per-second",
       &C::scrub_mib_per_second,
       "Verify at most so much in a second",
       {},
       1,
       100'000},
      {"log-level",
       &C::log_level,
       "Least important events to log",
       {"debug", "info", "warning", "error"}},
  };
}

}  // namespace

const std::vector<Setting>& Settings() {
  static const std::vector<Setting> settings = [] {
    std::vector<Setting> all = PlacesAndDestinations();
    for (const auto& part : {DeliverySettings(), ClientLimits()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return settings;
}

namespace {

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

Result<void> Assign(const Setting& setting, SettingValue value, std::string Configuration::*member,
                    Configuration& configuration) {
  auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return Fail(ErrorCode::kInvalidParameter, "not a string; put it in quotes");
  const bool known =
      setting.choices.empty() ||
      std::find(setting.choices.begin(), setting.choices.end(), *text) != setting.choices.end();
  if (!known) {
    return Fail(ErrorCode::kInvalidParameter,
                "'" + *text + "' is not one of " + Join(setting.choices) + "; choose one of them");
  }
  if (text->find('\0') != std::string::npos) {
    return Fail(ErrorCode::kInvalidParameter, "it contains a NUL; take it out");
  }
  configuration.*member = std::move(*text);
  return {};
}

Result<void> Assign(const Setting& /*setting*/, SettingValue value,
                    std::vector<std::string> Configuration::*member, Configuration& configuration) {
  if (auto* text = std::get_if<std::string>(&value)) {
    configuration.*member = {std::move(*text)};
  } else if (auto* list = std::get_if<std::vector<std::string>>(&value)) {
    configuration.*member = std::move(*list);
  } else {
    return Fail(ErrorCode::kInvalidParameter, "not a list of strings; write [\"one\", \"two\"]");
  }
  return {};
}

Result<void> Assign(const Setting& setting, const SettingValue& value,
                    std::uint64_t Configuration::*member, Configuration& configuration) {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr) {
    return Fail(ErrorCode::kInvalidParameter,
                "not a whole number; write it without quotes or unit");
  }
  if (*number < 0 || static_cast<std::uint64_t>(*number) < setting.least ||
      static_cast<std::uint64_t>(*number) > setting.most) {
    return Fail(ErrorCode::kInvalidParameter,
                std::to_string(*number) + " is out of range; choose " +
                    std::to_string(setting.least) + " to " + std::to_string(setting.most));
  }
  configuration.*member = static_cast<std::uint64_t>(*number);
  return {};
}

Result<void> Assign(const Setting& /*setting*/, const SettingValue& value,
                    bool Configuration::*member, Configuration& configuration) {
  const auto* flag = std::get_if<bool>(&value);
  if (flag == nullptr) return Fail(ErrorCode::kInvalidParameter, "write true or false");
  configuration.*member = *flag;
  return {};
}

// TOML's basic string.
std::string Quote(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') quoted += '\\';
    if (byte < ' ' || byte == 127) {
      quoted += std::string("\\u00") + kDigits[byte >> 4] + kDigits[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string TomlValue(const std::string& value) { return Quote(value); }
std::string TomlValue(std::uint64_t value) { return std::to_string(value); }
std::string TomlValue(bool value) { return value ? "true" : "false"; }
std::string TomlValue(const std::vector<std::string>& value) {
  std::vector<std::string> quoted;
  quoted.reserve(value.size());
  for (const std::string& word : value) quoted.push_back(Quote(word));
  return "[" + Join(quoted) + "]";
}

// Levenshtein: the fewest insertions, deletions and replacements.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Result<void> AssignSetting(const Setting& setting, SettingValue value,
                           Configuration& configuration) {
  return std::visit(
      [&](auto member) { return Assign(setting, std::move(value), member, configuration); },
      setting.member);
}

const Setting* FindSetting(std::string_view name) {
  const auto found = std::find_if(Settings().begin(), Settings().end(),
                                  [&](const Setting& setting) { return setting.name == name; });
  return found == Settings().end() ? nullptr : &*found;
}

std::string UnknownSetting(std::string_view name) {
  const std::string nearest = NearestSetting(name);
  std::string text = "unknown setting '" + std::string(name) + "'";
  return nearest.empty() ? text + "; --help lists those that are known"
                         : text + "; did you mean '" + nearest + "'?";
}

std::string NearestSetting(std::string_view name) {
  std::string nearest;
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const Setting& setting : Settings()) {
    const std::size_t distance = EditDistance(name, setting.name);
    if (distance >= least) continue;
    least = distance;
    nearest = setting.name;
  }
  return nearest;
}

std::string ToToml(const Configuration& configuration) {
  std::string toml;
  for (const Setting& setting : Settings()) {
    toml += setting.name + " = ";
    toml +=
        std::visit([&](auto member) { return TomlValue(configuration.*member); }, setting.member);
    toml += '\n';
  }
  return toml;
}

SmtpLimits Configuration::Limits() const {
  SmtpLimits limits;
  limits.connections_max = connections_max;
  limits.recipients_max = recipients_max;
  limits.message_bytes_max = message_bytes_max;
  limits.command_line_bytes_max = command_line_bytes_max;
  limits.idle = std::chrono::seconds(idle_seconds);
  limits.errors_max = errors_max;
  return limits;
}

}  // namespace bobbin::daemon

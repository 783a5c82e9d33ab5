// Configuration of bobbind: flags and one TOML file, the same names in both.
//
//   bobbind --config FILE --workers 8        workers = 8  in FILE would say the same
//
// Flags win over the file. A list is given by repeating its flag, or as a TOML array. Sizes,
// times and counts are whole numbers, with their unit in the name. docs/operations.md has the
// table of settings; `bobbind --check-config` prints those in effect, as TOML.
//
// To add a setting: a member here, and its line in the table of configuration.cc.
//
// Errors  kInvalidParameter: "FILE:LINE: setting: what is wrong; what to do". An unknown setting is
//         an error and names the nearest one that is known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/result.h"
#include "tools/bobbind/smtp_limits.h"

namespace bobbin::daemon {

struct Configuration {
  std::string database;            // Empty: BOBBIN_DATABASE of the environment.
  std::string store = "outgoing";  // Opened, or created.
  std::vector<std::string> listen = {"127.0.0.1:2525"};
  std::string hostname;  // Empty: the name of this machine.

  // Where mail goes: at most one of next_hop, command, discard and maildir.
  std::string next_hop;                        // "smtp://host[:port]" or "smtps://host[:port]"
  std::string next_hop_tls = "opportunistic";  // or "required", "off"
  std::string next_hop_ca_file;
  std::string next_hop_username;
  std::string next_hop_password_file;  // Its first line.
  std::vector<std::string> command;
  bool discard = false;
  std::string maildir;  // Empty: "maildir" beside the database.

  // What is done to mail before it goes out.
  std::string footer_file;  // Its text goes under every message.
  std::string dkim_domain;  // With the two below: signed.
  std::string dkim_selector;
  std::string dkim_key_file;

  std::uint64_t workers = 4;
  std::uint64_t retry_first_seconds = 60;
  std::uint64_t retry_longest_seconds = 4'000;
  std::uint64_t expire_after_seconds = 432'000;
  std::uint64_t delay_report_after_seconds = 14'400;
  std::string in_doubt = "resend";  // or "hold"

  std::uint64_t message_bytes_max = SmtpLimits{}.message_bytes_max;
  std::uint64_t recipients_max = SmtpLimits{}.recipients_max;
  std::uint64_t connections_max = SmtpLimits{}.connections_max;
  std::uint64_t command_line_bytes_max = SmtpLimits{}.command_line_bytes_max;
  std::uint64_t errors_max = SmtpLimits{}.errors_max;
  std::uint64_t idle_seconds = 300;
  std::vector<std::string> trusted_clients;  // May use XCLIENT and XFORWARD.
  std::uint64_t disk_free_bytes_min = std::uint64_t{64} << 20;
  // Mail that only lies there is read by nobody else; at this rate that costs next to nothing.
  std::uint64_t scrub_interval_seconds = 604'800;  // 0: never.
  std::uint64_t scrub_mib_per_second = 8;
  std::string log_level = "info";  // or "debug", "warning", "error"

  SmtpLimits Limits() const;
};

// What a command line asks for beside its settings.
struct CommandLine {
  Configuration configuration;
  bool check_config = false;
  std::string information;  // --help, --version: print this, exit 0.
};

// Reads the file of --config first, then the flags.
struct ConfigurationError {
  std::string detail;
  bool in_command_line = false;  // EX_USAGE, else EX_CONFIG.
};
tl::expected<CommandLine, ConfigurationError> ParseCommandLine(int argument_count,
                                                               const char* const* arguments);

// Sets what `toml` sets. `name` is how errors call it.
Result<void> ApplyToml(std::string_view toml, const std::string& name,
                       Configuration& configuration);

// Every setting on a line of its own; ApplyToml reads it back.
std::string ToToml(const Configuration& configuration);

// The known setting whose name needs the fewest changes to become `name`; empty when none is near.
std::string NearestSetting(std::string_view name);

}  // namespace bobbin::daemon

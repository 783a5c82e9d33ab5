#include "tools/bobbin/command_line.h"

#include <cstdlib>
#include <system_error>

namespace bobbin::cli {
namespace {

constexpr const char* kDefaultDatabase = "./data";

}  // namespace

std::filesystem::path DatabasePath(const CommandLine& line) {
  if (!line.database.empty()) return line.database;
  const char* variable = std::getenv("BOBBIN_DATABASE");
  if (variable != nullptr && *variable != '\0') return variable;
  return kDefaultDatabase;
}

Result<Database> OpenDatabase(const CommandLine& line, const DatabaseOptions& options) {
  const std::filesystem::path path = DatabasePath(line);
  std::error_code ignored;
  if (path == kDefaultDatabase && !std::filesystem::exists(path, ignored)) {
    return Fail(ErrorCode::kNotADatabase,
                "neither --database nor BOBBIN_DATABASE is given, and there is no ./data here");
  }
  Result<Database> database = Database::Open(path, options);
  if (database) return database;
  Error error = std::move(database).error();
  if (error.detail.find(path.string()) == std::string::npos) {
    error.detail = path.string() + ": " + error.detail;
  }
  return tl::unexpected<Error>(std::move(error));
}

Result<MessageId> ParseMessageId(const std::string& queue_id) {
  Result<MessageId> id = ParseQueueId(queue_id);
  if (id) return id;
  return Fail(ErrorCode::kInvalidParameter,
              "not a queue id (digits and letters as `bobbin queue list` prints them)");
}

CLI::App* AddCommand(CLI::App& app, CommandLine& line, const std::string& name,
                     const std::string& description) {
  CLI::App* command = app.add_subcommand(name, description);
  command->add_option("--database", line.database,
                      "Directory of the database [BOBBIN_DATABASE, else ./data]");
  return command;
}

void AddJsonOption(CLI::App& command, CommandLine& line) {
  command.add_flag("--json", line.json, "One JSON object per line");
}

void AddIdsOption(CLI::App& command, CommandLine& line) {
  CLI::Option* ids = command.add_flag("--ids", line.ids, "One queue id per line");
  if (CLI::Option* json = command.get_option_no_throw("--json")) ids->excludes(json);
}

}  // namespace bobbin::cli

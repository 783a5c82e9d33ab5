// bobbin dump, load: a database as text on standard output, and a new database of such text.
#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/dump.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/display_text.h"
#include "tools/bobbin/progress.h"

namespace bobbin::cli {
namespace {

constexpr std::uint64_t kSecondsMaxDefault = 3600;

Result<DumpReport> Dump(const CommandLine& line, const Database& database,
                        std::chrono::seconds age_max, Output& output) {
  Progress progress;
  std::uint64_t lines = 0;
  return DumpDatabase(
      database, DatabasePath(line), age_max, [&](std::string_view text) -> Result<void> {
        output.Bytes(text);
        progress.Show("dumping", lines++);
        if (!output.Failed()) return {};
        return Fail(ErrorCode::kDiskError, std::string("standard output: ") + std::strerror(errno));
      });
}

ExitCode RunDump(const CommandLine& line, std::uint64_t seconds_max) {
  ASSIGN_OR_COMPLAIN(const Database database, "open the database", OpenDatabase(line));
  Output output(line.Format());
  const Result<DumpReport> report = Dump(line, database, std::chrono::seconds(seconds_max), output);
  if (!report && report.error().code == ErrorCode::kTimeout) {
    return Complain(ExitCode::kTemporary, "dump the database", report.error().detail,
                    "write to a file that takes it faster, or allow more with --max-age");
  }
  COMPLAIN_IF_ERROR("dump the database", report);
  for (const Error& damage : report->damaged) {
    Complain(ExitCode::kFindings, "dump the database", ToString(damage),
             "the dump has it as it lies");
  }
  const ExitCode written = output.Finish();
  if (written != ExitCode::kOk) return written;
  return report->damaged.empty() ? ExitCode::kOk : ExitCode::kFindings;
}

// A text file by lines of any length.
class LineFile {
 public:
  explicit LineFile(const std::string& path)
      : file_(path.empty() ? stdin : std::fopen(path.c_str(), "re")) {}
  ~LineFile() {
    std::free(buffer_);
    if (file_ != nullptr && file_ != stdin) std::fclose(file_);
  }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  bool IsOpen() const { return file_ != nullptr; }

  Result<bool> Next(std::string& line) {
    const ssize_t bytes = getline(&buffer_, &buffer_bytes_, file_);
    if (bytes < 0) {
      if (std::ferror(file_) == 0) return false;
      return Fail(ErrorCode::kDiskError, std::string("reading: ") + std::strerror(errno));
    }
    line.assign(buffer_, static_cast<std::size_t>(bytes));
    if (line.ends_with('\n')) line.pop_back();
    return true;
  }

 private:
  std::FILE* file_;
  char* buffer_ = nullptr;
  std::size_t buffer_bytes_ = 0;
};

ExitCode RunLoad(const CommandLine& line, const std::string& path) {
  LineFile file(path);
  const std::string what = "load " + (path.empty() ? "standard input" : path);
  if (!file.IsOpen()) {
    return Complain(ExitCode::kNoInput, what, std::strerror(errno), "name a file that dump wrote");
  }
  const std::filesystem::path target = DatabasePath(line);
  Result<std::uint64_t> loaded = 0;
  {
    Progress progress;
    std::uint64_t lines = 0;
    loaded = LoadDatabase(target, [&](std::string& text) {
      progress.Show("loading", lines++);
      return file.Next(text);
    });
  }
  if (!loaded && loaded.error().code == ErrorCode::kCorruptData) {
    return Complain(ExitCode::kDataError, what, loaded.error().detail, "no database was made");
  }
  COMPLAIN_IF_ERROR(what, loaded);
  Output output(line.Format());
  if (line.json) {
    output.PrintJson({{"database", target.string()}, {"records", *loaded}});
  } else {
    output.Line(
        fmt::format("Loaded {} records into {}.", *loaded, EscapeForTerminal(target.string())));
  }
  return output.Finish();
}

}  // namespace

void AddDumpCommands(CLI::App& app, CommandLine& line) {
  CLI::App* dump = AddCommand(app, line, "dump", "Write the whole database as text, with its key");
  auto seconds_max = std::make_shared<std::uint64_t>(kSecondsMaxDefault);
  dump->add_option("--max-age", *seconds_max,
                   "Give up after so many seconds: the database grows meanwhile [3600]");
  dump->callback([&line, seconds_max] {
    line.run = [&line, seconds_max] { return RunDump(line, *seconds_max); };
  });

  CLI::App* load = AddCommand(app, line, "load", "Make a new database of what dump wrote");
  auto path = std::make_shared<std::string>();
  load->add_option("FILE", *path, "What dump wrote [standard input]");
  AddJsonOption(*load, line);
  load->callback([&line, path] { line.run = [&line, path] { return RunLoad(line, *path); }; });
}

}  // namespace bobbin::cli

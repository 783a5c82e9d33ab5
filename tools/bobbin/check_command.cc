// bobbin check: the pages make sound trees, every record opens, every index agrees with the rows.
// Changes nothing.
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "engine/identity_file.h"
#include "engine/kv/lmdb_file_check.h"
#include "tools/bobbin/check_report.h"
#include "tools/bobbin/command_line.h"
#include "tools/bobbin/progress.h"

namespace bobbin::cli {
namespace {

enum class Depth { kQuick, kNormal, kDeep };

// What keeps a database from being opened is damage, too. That a directory is one's its identity
// file says: without it there is nothing to check.
std::optional<Finding> WhyItDoesNotOpen(const std::filesystem::path& path, const Error& error) {
  if (error.code != ErrorCode::kNotADatabase || !ReadIdentityFile(path)) return {};
  Finding finding{std::string(kNoTable), "", error.detail};
  const Result<kv::LmdbPageFile> file = kv::LmdbPageFile::Open(path / "data.mdb");
  if (!file) {
    finding.advice = "restore a backup, or salvage what is there";
    return finding;
  }
  if (!kv::CheckLmdbFile(*file)) finding.advice.clear();  // The error has it.
  const Result<kv::LmdbMetaPages> pages = kv::ReadLmdbMetaPages(*file);
  if (pages && pages->wrong[0].empty() && !pages->wrong[1].empty()) finding.page = 1;
  return finding;
}

Result<Checked> Check(const CommandLine& line, Depth depth) {
  Progress progress;
  Checked checked;
  DatabaseOptions options;
  options.walked = [&](const kv::PageWalkReport& report) { checked.pages = report; };
  options.walk_progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.Show("checking pages", done, total);
  };
  // What the disk cannot read would end the process when its content is looked at.
  options.walk_every_page = depth == Depth::kDeep;
  progress.Show("checking pages", 0, 1);
  const Result<Database> database = OpenDatabase(line, options);
  // Damage that the walk found is what was asked for, no failure to find it.
  if (!checked.pages.IsClean()) return checked;
  if (!database) {
    std::optional<Finding> finding = WhyItDoesNotOpen(DatabasePath(line), database.error());
    if (!finding) return tl::unexpected<Error>(database.error());
    checked.records.findings.push_back(*std::move(finding));
    return checked;
  }
  if (depth == Depth::kQuick) {
    ASSIGN_OR_RETURN(checked.records, CompareRowCounts(*database->State()));
    return checked;
  }
  CheckOptions check;
  check.contents = depth == Depth::kDeep;
  check.progress = [&](std::uint64_t records) {
    progress.Show("checking records", records, checked.pages.rows);
  };
  check.progress(0);
  ASSIGN_OR_RETURN(checked.records, database->CheckStore(check));
  return checked;
}

ExitCode RunCheck(const CommandLine& line, Depth depth) {
  ASSIGN_OR_COMPLAIN(const Checked checked, "open the database", Check(line, depth));
  return PrintChecked(line, checked);
}

}  // namespace

void AddCheckCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, line, "check", "Verify every page, record and index; changes nothing");
  AddJsonOption(*command, line);
  auto depth = std::make_shared<Depth>(Depth::kNormal);
  CLI::Option* quick = command->add_flag_callback(
      "--quick", [depth] { *depth = Depth::kQuick; },
      "Only the structure of the pages, and how many rows there are");
  command
      ->add_flag_callback(
          "--deep", [depth] { *depth = Depth::kDeep; }, "Every byte of long content, too")
      ->excludes(quick);
  command->callback(
      [&line, depth] { line.run = [&line, depth] { return RunCheck(line, *depth); }; });
}

}  // namespace bobbin::cli

// docs/submission.md names only what there is: files, names in them, statements, tests.
//
// Method: a check of one table row against the sources returns what is wrong with it. It is first
// shown rows that are wrong, then the document.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace bobbin {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Complaints = std::vector<std::string>;

const fs::path kRoot = BOBBIN_SOURCE_ROOT;

std::string ReadText(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> Matches(const std::string& text, const std::string& pattern) {
  std::vector<std::string> found;
  const std::regex regex(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

std::vector<std::string> Quoted(const std::string& cell) { return Matches(cell, "`([^`]+)`"); }

std::set<std::string> TestNames() {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = ReadText(entry.path());
    for (std::string& name : Matches(text, "\nTEST(?:_F|_P)?\\(\\w+,\\s*(\\w+)\\)")) {
      names.insert(std::move(name));
    }
  }
  return names;
}

std::set<std::string> Statements() {
  const std::string text = ReadText(kRoot / "tests/conformance/statements.tsv");
  const std::vector<std::string> found = Matches(text, "\n(C\\d+)\t");
  return {found.begin(), found.end()};
}

// The tables' rows, cell by cell, without titles.
std::vector<std::vector<std::string>> TableRows(const std::string& document) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(document);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| ", 0) != 0 || line.rfind("| MAPI |", 0) == 0) continue;
    rows.push_back(Matches(line, "\\| ([^|]*) (?=\\|)"));
  }
  return rows;
}

Complaints CheckRow(const std::vector<std::string>& row) {
  static const std::set<std::string> tests = TestNames();
  static const std::set<std::string> statements = Statements();
  Complaints complaints;
  if (row.size() != 5) return {"a row has " + std::to_string(row.size()) + " cells, not 5"};
  std::string sources;
  for (const std::string& file : Quoted(row[2])) {
    if (!fs::is_regular_file(kRoot / file)) complaints.push_back("there is no file " + file);
    sources += ReadText(kRoot / file);
  }
  for (const std::string& name : Quoted(row[1])) {
    const std::size_t scope = name.rfind("::");
    const std::string last = scope == std::string::npos ? name : name.substr(scope + 2);
    if (!std::regex_search(sources, std::regex("\\b" + last + "\\b"))) {
      complaints.push_back("`" + name + "` is not in " + row[2]);
    }
  }
  for (const std::string& statement : Matches(row[3], "(C\\d+)")) {
    if (!statements.contains(statement)) complaints.push_back("there is no " + statement);
  }
  for (const std::string& test : Quoted(row[4])) {
    if (!tests.contains(test)) complaints.push_back("there is no test " + test);
  }
  return complaints;
}

TEST(SubmissionDocument, NamesOnlyWhatThereIs) {
  const std::string file = "`engine/message.h`";
  const std::string test = "`NamesOnlyWhatThereIs`";
  EXPECT_THAT(CheckRow({"a", "`Message::SaveChanges`", file, "C1", test}), IsEmpty());
  EXPECT_THAT(CheckRow({"a", "`Message::SaveChange`", file, "C1", test}),
              Contains(HasSubstr("is not in")));
  EXPECT_THAT(CheckRow({"a", "`Message`", "`engine/gone.h`", "C1", test}),
              Contains("there is no file engine/gone.h"));
  EXPECT_THAT(CheckRow({"a", "`Message`", file, "C1, C124", test}), Contains("there is no C124"));
  EXPECT_THAT(CheckRow({"a", "`Message`", file, "C1", "`NoSuchTest`"}),
              Contains("there is no test NoSuchTest"));
  EXPECT_THAT(CheckRow({"a", "b"}), Contains(HasSubstr("2 cells")));

  const auto rows = TableRows(ReadText(kRoot / "docs/submission.md"));
  EXPECT_GT(rows.size(), 100U) << "the document is not where it is looked for";
  for (const std::vector<std::string>& row : rows) {
    EXPECT_THAT(CheckRow(row), IsEmpty()) << testing::PrintToString(row);
  }
}

}  // namespace
}  // namespace bobbin

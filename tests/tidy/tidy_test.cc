// The source keeps its own rules: layers, sizes, names, includes.
//
// Method: each rule is a function of a file's path and text that returns what is wrong. It is first
// shown text that breaks it, then every source file of the project.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

namespace bobbin {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Complaints = std::vector<std::string>;

struct SourceFile {
  std::string path;  // From the project's root.
  std::string text;
};

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool IsIn(const std::string& path, const std::string& folder) {
  return path.rfind(folder + "/", 0) == 0;
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// The paths a file includes with quotes.
std::vector<std::string> Includes(const SourceFile& file) {
  std::vector<std::string> paths;
  for (const std::string& line : Lines(file.text)) {
    if (line.rfind("#include \"", 0) != 0) continue;
    paths.push_back(line.substr(10, line.rfind('"') - 10));
  }
  return paths;
}

// What each layer may include; the first match decides. Nothing includes tests or bench but they.
Complaints CheckLayers(const SourceFile& file) {
  struct Layer {
    std::string folder;
    std::vector<std::string> may_include;
  };
  static const std::vector<Layer> layers = {
      {"engine/kv", {"engine/kv", "engine/result.h", "engine/check.h"}},
      {"engine", {"engine", "schema"}},
      {"spooler", {"spooler", "engine", "schema"}},
      {"tools", {"tools", "spooler", "engine", "schema"}},
      {"bench", {"bench", "tests", "tools", "spooler", "engine", "schema"}},
      {"tests", {"bench", "tests", "tools", "spooler", "engine", "schema"}},
  };
  Complaints complaints;
  for (const Layer& layer : layers) {
    if (!IsIn(file.path, layer.folder)) continue;
    for (const std::string& path : Includes(file)) {
      bool allowed = false;
      for (const std::string& may : layer.may_include) {
        allowed = allowed || path == may || IsIn(path, may);
      }
      if (!allowed) complaints.push_back(file.path + " must not include " + path);
    }
    return complaints;
  }
  return {file.path + " is in no layer"};
}

Complaints CheckSizes(const SourceFile& file) {
  const bool header = EndsWith(file.path, ".h");
  const std::size_t limit = header ? 200 : IsIn(file.path, "tests") ? 800 : 600;
  Complaints complaints;
  const std::vector<std::string> lines = Lines(file.text);
  if (lines.size() > limit) {
    complaints.push_back(file.path + " has " + std::to_string(lines.size()) + " lines, more than " +
                         std::to_string(limit));
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::size_t columns = 0;  // Characters, not bytes: comments may hold UTF-8.
    for (const char c : lines[i]) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (columns > 100) {
      complaints.push_back(file.path + ":" + std::to_string(i + 1) + " is longer than 100 columns");
    }
  }
  return complaints;
}

// Without lines that are comments: they may speak of what code may not do.
std::string Code(const std::string& text) {
  std::string code;
  for (const std::string& line : Lines(text)) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos || line.compare(begin, 2, "//") != 0) code += line + "\n";
  }
  return code;
}

// Words that have no place in any source; split here so that this file passes.
Complaints CheckWords(const SourceFile& file) {
  Complaints complaints;
  for (const std::string& word : {std::string("TO") + "DO", std::string("FIX") + "ME",
                                  std::string("XX") + "X:", std::string("HA") + "CK"}) {
    if (file.text.find(word) != std::string::npos) {
      complaints.push_back(file.path + " contains " + word);
    }
  }
  const bool library = IsIn(file.path, "engine") || IsIn(file.path, "spooler");
  if (!library) return complaints;
  for (const std::string word : {"std::cout", "std::cerr", "spdlog", "throw ", " printf("}) {
    if (Code(file.text).find(word) != std::string::npos) {
      complaints.push_back(file.path + ": a library must not use " + word);
    }
  }
  return complaints;
}

Complaints CheckNames(const SourceFile& file) {
  Complaints complaints;
  for (const fs::path& part : fs::path(file.path)) {
    const std::string stem = part.stem().string();
    for (const std::string bad : {"util", "utils", "common", "helper", "helpers", "misc"}) {
      if (stem == bad) complaints.push_back(file.path + ": name it after its concept");
    }
  }
  if (EndsWith(file.path, ".h") && file.text.find("#pragma once") == std::string::npos) {
    complaints.push_back(file.path + " has no #pragma once");
  }
  return complaints;
}

std::vector<SourceFile> SourceFiles() {
  std::vector<SourceFile> files;
  for (const std::string folder : {"engine", "spooler", "tools", "bench", "tests"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(BOBBIN_SOURCE_ROOT) / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cc") continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      files.push_back({fs::relative(entry.path(), BOBBIN_SOURCE_ROOT).string(), text.str()});
    }
  }
  return files;
}

Complaints CheckAll(const std::function<Complaints(const SourceFile&)>& rule) {
  Complaints all;
  const std::vector<SourceFile> files = SourceFiles();
  EXPECT_GT(files.size(), 100U) << "the sources are not where they are looked for";
  for (const SourceFile& file : files) {
    const Complaints some = rule(file);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

TEST(Tidy, DependenciesGoOneWay) {
  EXPECT_THAT(CheckLayers({"engine/message.h", "#include \"spooler/spooler.h\"\n"}),
              Contains(HasSubstr("must not include")));
  EXPECT_THAT(CheckLayers({"engine/kv/lmdb_engine.cc", "#include \"engine/message.h\"\n"}),
              Contains(HasSubstr("must not include")));
  EXPECT_THAT(CheckLayers({"spooler/spooler.cc", "#include \"tests/support/x.h\"\n"}),
              Contains(HasSubstr("must not include")));
  EXPECT_THAT(CheckLayers({"tools/bobbin/main.cc", "#include \"output.h\"\n"}),
              Contains(HasSubstr("must not include")));
  EXPECT_THAT(CheckAll(CheckLayers), IsEmpty());
}

TEST(Tidy, FilesAndLinesStaySmall) {
  EXPECT_THAT(CheckSizes({"engine/a.h", std::string(201, '\n')}),
              Contains(HasSubstr("more than 200")));
  EXPECT_THAT(CheckSizes({"engine/a.cc", std::string(101, 'x')}),
              Contains(HasSubstr("100 columns")));
  EXPECT_THAT(CheckAll(CheckSizes), IsEmpty());
}

TEST(Tidy, NoWordsThatBelongElsewhere) {
  EXPECT_THAT(CheckWords({"tools/a.cc", std::string("// TO") + "DO later"}),
              Contains(HasSubstr("contains")));
  EXPECT_THAT(CheckWords({"engine/a.cc", "throw 1;"}), Contains(HasSubstr("must not use")));
  EXPECT_THAT(CheckAll(CheckWords), IsEmpty());
}

TEST(Tidy, FilesAreNamedAfterTheirConcept) {
  EXPECT_THAT(CheckNames({"engine/utils/a.cc", ""}), Contains(HasSubstr("concept")));
  EXPECT_THAT(CheckNames({"engine/a.h", "int a;"}), Contains(HasSubstr("#pragma once")));
  EXPECT_THAT(CheckAll(CheckNames), IsEmpty());
}

TEST(Tidy, EverySourceIsBuilt) {
  std::string lists;
  for (const std::string folder : {"engine", "spooler", "tools", "bench", "tests"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(BOBBIN_SOURCE_ROOT) / folder)) {
      if (entry.path().filename() != "CMakeLists.txt") continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      lists += text.str();
    }
  }
  for (const SourceFile& file : SourceFiles()) {
    if (!EndsWith(file.path, ".cc")) continue;
    const std::string name = fs::path(file.path).filename().string();
    EXPECT_NE(lists.find(name), std::string::npos) << file.path << " is in no CMakeLists.txt";
  }
}

TEST(Tidy, EveryDocumentHasOneTitle) {
  const auto titles = [](const std::string& text) {
    int count = 0;
    bool code = false;
    for (const std::string& line : Lines(text)) {
      if (line.rfind("```", 0) == 0) code = !code;
      count += !code && line.rfind("# ", 0) == 0;
    }
    return count;
  };
  EXPECT_EQ(titles("# a\n# b\n```\n# c\n```\n"), 2);
  std::vector<fs::path> documents = {fs::path(BOBBIN_SOURCE_ROOT) / "README.md"};
  for (const auto& entry : fs::directory_iterator(fs::path(BOBBIN_SOURCE_ROOT) / "docs")) {
    if (entry.path().extension() == ".md") documents.push_back(entry.path());
  }
  for (const fs::path& document : documents) {
    std::ostringstream text;
    text << std::ifstream(document).rdbuf();
    EXPECT_EQ(titles(text.str()), 1) << document;
  }
}

}  // namespace
}  // namespace bobbin

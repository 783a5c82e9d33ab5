#include "tests/support/corpus.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace bobbin {

namespace fs = std::filesystem;

std::vector<fs::path> CorpusMessages() {
  const char* corpus = std::getenv("BOBBIN_CORPUS");
  const bool full = corpus != nullptr && fs::is_directory(corpus);
  const fs::path root = full ? fs::path(corpus) : fs::path(BOBBIN_SMALL_CORPUS);
  if (!full) {
    std::cout << "NOTE: BOBBIN_CORPUS is not set: this ran on the small set in " << root.string()
              << " only\n";
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".eml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace bobbin

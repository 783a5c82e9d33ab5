// Real mail for tests: the corpus that BOBBIN_CORPUS names, or the small set that is kept here,
// which is said on standard output.
#pragma once

#include <filesystem>
#include <vector>

namespace bobbin {

// Every .eml of it, in order.
std::vector<std::filesystem::path> CorpusMessages();

}  // namespace bobbin

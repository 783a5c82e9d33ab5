// Damage to the pages of a data.mdb: of every kind, to pages of every use.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/kv/lmdb_page_file.h"
#include "tests/support/file_bytes.h"
#include "tests/support/temporary_directory.h"

namespace bobbin::kv::test {

namespace fs = std::filesystem;
using Random = std::mt19937_64;

inline constexpr std::size_t kPage = 4096;

enum class Kind { kBit, kZeros, kGarbage, kOtherPage, kTruncation };

// Every page by what it is used for; free ones are not among them.
inline void AddPages(const std::string& file, std::uint64_t number, const std::string& group,
                     std::map<std::string, std::vector<std::uint64_t>>& groups) {
  const std::string_view page = std::string_view(file).substr(number * kPage, kPage);
  const auto header = lmdb::LoadAt<lmdb::PageHeader>(page, 0);
  const bool is_branch = (header.flags & lmdb::kBranchPage) != 0;
  groups[group == "free list" ? group : is_branch ? "branch" : "leaf"].push_back(number);
  for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
    const auto node = *lmdb::NodeAt(page, lmdb::LoadAt<std::uint16_t>(page, slot), is_branch);
    if (is_branch) {
      AddPages(file, node.child, group, groups);
    } else if ((node.flags & lmdb::kDataIsTree) != 0) {
      const auto tree = lmdb::LoadAt<lmdb::Tree>(node.data, 0);
      if (tree.root != lmdb::kNoPage) AddPages(file, tree.root, group, groups);
    } else if ((node.flags & lmdb::kDataOnOverflowPages) != 0) {
      groups[group == "free list" ? group : "overflow"].push_back(node.data_page);
    }
  }
}

inline std::map<std::string, std::vector<std::uint64_t>> PagesByGroup(const fs::path& path) {
  const std::string bytes = ReadFile(path);
  const auto file = LmdbPageFile::Open(path);
  const auto metas = ReadLmdbMetaPages(*file);
  std::map<std::string, std::vector<std::uint64_t>> groups{{"meta", {0, 1}}};
  AddPages(bytes, metas->Newest().main.root, "rows", groups);
  AddPages(bytes, metas->Newest().free_pages.root, "free list", groups);
  return groups;
}

// A file that is damaged again and again, a page at a time.
class DamagedCopy {
 public:
  explicit DamagedCopy(std::string sound) : sound_(std::move(sound)) { WriteFile(Path(), sound_); }

  fs::path Directory() const { return directory_.Path(); }
  fs::path Path() const { return Directory() / "data.mdb"; }

  // False when nothing changed.
  bool Damage(std::uint64_t page, Kind kind, Random& random) {
    if (rewritten_) WriteFile(Path(), sound_);
    rewritten_ = kind == Kind::kTruncation;
    if (rewritten_) {
      fs::resize_file(Path(), page * kPage + random() % kPage);
      return true;
    }
    Put(last_page_, sound_.substr(last_page_ * kPage, kPage));
    last_page_ = page;
    const std::string now = DamagedPage(page, kind, random);
    Put(page, now);
    return now != sound_.substr(page * kPage, kPage);
  }

  void WillBeWritten() {
    rewritten_ = true;
    fs::remove(Directory() / "lock.mdb");
  }

 private:
  void Put(std::uint64_t page, const std::string& bytes) const {
    std::fstream file(Path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(page * kPage)).write(bytes.data(), std::ssize(bytes));
  }

  std::string DamagedPage(std::uint64_t page, Kind kind, Random& random) const {
    if (kind == Kind::kOtherPage) {
      return sound_.substr(random() % (sound_.size() / kPage) * kPage, kPage);
    }
    if (kind == Kind::kZeros) return std::string(kPage, '\0');
    std::string bytes = sound_.substr(page * kPage, kPage);
    if (kind == Kind::kGarbage) {
      for (char& byte : bytes) byte = static_cast<char>(random());
    } else {
      // Half of them where the structure is densest.
      bytes[random() % (random() % 2 == 0 ? kPage : 160)] ^= static_cast<char>(1 << random() % 8);
    }
    return bytes;
  }

  const std::string sound_;
  TemporaryDirectory directory_;
  std::uint64_t last_page_ = 0;
  bool rewritten_ = false;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kDamageCases = 20;  // Each is a process, which the sanitizers make slow.
#else
inline constexpr int kDamageCases = 300;
#endif

// Calls `use(group, kind)` with `copy` damaged: so many cases of each kind on pages of each group.
// Ends early when the test has failed.
template <class Use>
void ForEachDamage(DamagedCopy& copy,
                   const std::map<std::string, std::vector<std::uint64_t>>& groups, Random& random,
                   const Use& use) {
  for (const auto& [group, pages] : groups) {
    for (const Kind kind :
         {Kind::kBit, Kind::kZeros, Kind::kGarbage, Kind::kOtherPage, Kind::kTruncation}) {
      for (int i = 0; i < kDamageCases;) {
        const std::uint64_t page = pages[random() % pages.size()];
        if (!copy.Damage(page, kind, random)) continue;
        ++i;
        SCOPED_TRACE(testing::Message() << group << " page " << page << ", damage "
                                        << static_cast<int>(kind) << ", case " << i);
        use(group, kind);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace bobbin::kv::test

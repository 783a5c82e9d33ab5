// What a transaction can read, as one number: a hash over the root page and all pages of its trees,
// free pages included. Two states of a file with the same one have the same rows.
//
// Pages are known by their hashes: what a page refers to is looked up once for each content.
//
// Threads  One at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bobbin::powerloss {

class SnapshotHash {
 public:
  // `file` is whole; `hashes` has one number for each of its pages. 0: this transaction has no root
  // page there, or its trees lead out of the file.
  std::uint64_t Of(std::string_view file, const std::vector<std::uint64_t>& hashes,
                   std::uint64_t transaction);

 private:
  struct Reference {
    std::uint64_t page;
    std::uint64_t count;  // 0: a tree's page; else so many pages of a long value.
  };
  using References = std::vector<Reference>;

  bool Add(std::uint64_t page);
  const References& ReferencesOf(std::uint64_t page);

  std::unordered_map<std::uint64_t, References> known_;  // By the hash of the page.
  std::string_view file_;
  const std::vector<std::uint64_t>* hashes_ = nullptr;
  std::size_t pages_left_ = 0;  // None is met twice, so what goes round in circles ends.
  std::uint64_t hash_ = 0;
};

}  // namespace bobbin::powerloss

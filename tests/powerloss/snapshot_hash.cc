#include "tests/powerloss/snapshot_hash.h"

#include <algorithm>

#include "engine/kv/lmdb_pages.h"
#include "tests/powerloss/disk_model.h"

namespace bobbin::powerloss {
namespace {

namespace lmdb = kv::lmdb;

constexpr std::size_t kKnownMax = 200'000;

}  // namespace

const SnapshotHash::References& SnapshotHash::ReferencesOf(std::uint64_t page) {
  const auto [known, is_new] = known_.try_emplace((*hashes_)[page]);
  if (!is_new) return known->second;
  References& references = known->second;
  const std::string_view bytes = file_.substr(page * kPageBytes, kPageBytes);
  const auto header = lmdb::LoadAt<lmdb::PageHeader>(bytes, 0);
  const bool is_branch = (header.flags & lmdb::kBranchPage) != 0;
  for (std::size_t slot = sizeof(header); slot + 2 <= header.lower; slot += 2) {
    const auto node = lmdb::NodeAt(bytes, lmdb::LoadAt<std::uint16_t>(bytes, slot), is_branch);
    if (!node) {
      references.push_back({lmdb::kNoPage, 1});
    } else if (is_branch) {
      references.push_back({node->child, 0});
    } else if ((node->flags & lmdb::kDataOnOverflowPages) != 0) {
      references.push_back({node->data_page, lmdb::OverflowPagesFor(node->data_bytes, kPageBytes)});
    } else if ((node->flags & lmdb::kDataIsTree) != 0) {
      const auto tree = lmdb::LoadAt<lmdb::Tree>(node->data, 0);
      if (tree.root != lmdb::kNoPage) references.push_back({tree.root, 0});
    }
  }
  return references;
}

bool SnapshotHash::Add(std::uint64_t page) {
  if (page >= hashes_->size() || pages_left_ == 0) return false;
  --pages_left_;
  hash_ = (hash_ ^ (*hashes_)[page] ^ page * 0xC2B2AE3D27D4EB4FU) * 0xFF51AFD7ED558CCDU;
  hash_ ^= hash_ >> 32;
  return true;
}

std::uint64_t SnapshotHash::Of(std::string_view file, const std::vector<std::uint64_t>& hashes,
                               std::uint64_t transaction) {
  file_ = file;
  hashes_ = &hashes;
  pages_left_ = hashes.size();
  hash_ = 0;
  if (known_.size() > kKnownMax) known_.clear();
  const std::uint64_t root = transaction % lmdb::kMetaPages;
  if (file.size() % kPageBytes != 0 || !Add(root)) return 0;
  const auto meta = lmdb::LoadAt<lmdb::Meta>(file, root * kPageBytes + sizeof(lmdb::PageHeader));
  if (meta.transaction != transaction) return 0;
  std::vector<Reference> open{{meta.main.root, 0}};
  if (meta.free_pages.root != lmdb::kNoPage) open.push_back({meta.free_pages.root, 0});
  while (!open.empty()) {
    const Reference next = open.back();
    open.pop_back();
    for (std::uint64_t i = 0; i < std::max<std::uint64_t>(next.count, 1); ++i) {
      if (!Add(next.page + i)) return 0;
    }
    if (next.count != 0) continue;
    const References& found = ReferencesOf(next.page);
    open.insert(open.end(), found.begin(), found.end());
  }
  return hash_ == 0 ? 1 : hash_;
}

}  // namespace bobbin::powerloss

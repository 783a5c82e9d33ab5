#include "engine/kv/lmdb_page_nodes.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/kv/lmdb_pages.h"

namespace bobbin::kv::lmdb {

std::string_view PageNodes::WhatIsWrongWith(std::string_view page, bool in_branch) {
  const auto header = LoadAt<PageHeader>(page, 0);
  if (header.lower % 2 != 0 || header.lower < sizeof(header) || header.lower > header.upper ||
      header.upper > page.size()) {
    return "its free space cannot be where it says";
  }
  places_.clear();
  bool descending = true;
  for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
    const auto offset = LoadAt<std::uint16_t>(page, slot);
    const std::optional<Node> node = NodeAt(page, offset, in_branch);
    if (!node || offset < header.upper) return "a node lies outside of it";
    descending = descending && (places_.empty() || offset < places_.back().first);
    places_.emplace_back(offset, node->bytes);
  }
  if (descending) {
    std::reverse(places_.begin(), places_.end());
  } else {
    std::sort(places_.begin(), places_.end());
  }
  std::size_t end = header.upper;
  for (const auto& [offset, bytes] : places_) {
    if (offset != end) return "its nodes do not lie one after the other";
    end = offset + bytes;
  }
  return end == page.size() ? "" : "its nodes do not end where it ends";
}

}  // namespace bobbin::kv::lmdb

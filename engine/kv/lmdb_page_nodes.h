// Whether the nodes of a branch or leaf page lie as LMDB lays them: each once, without gap or
// overlap, from the end of the free space to the end of the page. A damaged slot or length that
// hides a node, or takes free space for one, does not fit in.
//
// Threads  One at a time: it keeps its memory from page to page.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace bobbin::kv::lmdb {

class PageNodes {
 public:
  // What is wrong: a sentence about the page. Empty: nothing; then every slot leads to a node that
  // lies in it.
  std::string_view WhatIsWrongWith(std::string_view page, bool in_branch);

 private:
  std::vector<std::pair<std::size_t, std::size_t>> places_;  // Offset and bytes of each node.
};

}  // namespace bobbin::kv::lmdb

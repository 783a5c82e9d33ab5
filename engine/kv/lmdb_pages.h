// LMDB's file format, version 1 (0.9.x), as far as Bobbin reads it without LMDB. No package ships
// these declarations; they are those of mdb.c on a 64-bit little-endian machine.
//
//   file  = page 0 and 1: the roots of the last two transactions, then pages up to Meta::last_page
//   page  = PageHeader, then by its flags
//             meta      Meta; transaction n writes page n mod 2
//             branch    offsets(2) of nodes, free space, nodes; a node is a key and a child page
//             leaf      the same; a node is a key and its data, or the page its data is on
//             overflow  data, over as many pages as the header says; only the first has a header
//   trees = the free pages (transaction -> list of pages it gave up) and the main tree (name of a
//           table -> its Tree). Nodes fill a page from its end, without gaps, in any order; their
//           offsets are in key order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace bobbin::kv {

// The table whose rows are kept beside the names of the others: every commit writes their page in
// any case.
inline constexpr std::string_view kMainTableName = "main";

}  // namespace bobbin::kv

namespace bobbin::kv::lmdb {

static_assert(std::endian::native == std::endian::little, "LMDB writes what lies in memory");

inline constexpr std::uint32_t kMagic = 0xBEEFC0DE;
inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::uint32_t kPageBytesMin = 4096;
inline constexpr std::uint32_t kPageBytesMax = 32'768;  // LMDB's own limit.
inline constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
inline constexpr std::uint64_t kMetaPages = 2;
inline constexpr int kDepthMax = 32;
// A sound file may end before its last page: LMDB does not write pages that one transaction took
// and gave back. A transaction of ours does so with far fewer (8 MiB of content, and its pages).
inline constexpr std::uint64_t kMissingPagesMax = 1'000'000;

// PageHeader::flags.
inline constexpr std::uint16_t kBranchPage = 0x01;
inline constexpr std::uint16_t kLeafPage = 0x02;
inline constexpr std::uint16_t kOverflowPage = 0x04;
inline constexpr std::uint16_t kMetaPage = 0x08;
// NodeHeader::flags of a leaf.
inline constexpr std::uint16_t kDataOnOverflowPages = 0x01;
inline constexpr std::uint16_t kDataIsTree = 0x02;
// Tree::flags of the free pages: keys are integers.
inline constexpr std::uint16_t kIntegerKeys = 0x08;

struct PageHeader {
  std::uint64_t number;
  std::uint16_t padding;  // Whatever was in memory.
  std::uint16_t flags;
  std::uint16_t lower;  // Of an overflow page, `lower` and `upper` are one number: its pages.
  std::uint16_t upper;

  std::uint32_t OverflowPages() const { return lower | std::uint32_t{upper} << 16; }
};

struct Tree {
  std::uint32_t page_bytes;  // In the first tree of a meta page only.
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  std::uint64_t root;
};

struct Meta {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_bytes;
  Tree free_pages;
  Tree main;
  std::uint64_t last_page;
  std::uint64_t transaction;
};

struct NodeHeader {
  std::uint16_t low;
  std::uint16_t high;
  std::uint16_t flags;
  std::uint16_t key_bytes;
};

static_assert(sizeof(PageHeader) == 16 && sizeof(Tree) == 48 && sizeof(Meta) == 136 &&
              sizeof(NodeHeader) == 8);

// What lies at `offset`; all zero if `bytes` ends before it does.
template <class T>
T LoadAt(std::string_view bytes, std::size_t offset) {
  T value{};
  if (offset <= bytes.size() && sizeof(T) <= bytes.size() - offset) {
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
  }
  return value;
}

struct Node {
  std::uint16_t flags = 0;
  std::string_view key;
  std::uint64_t child = 0;       // Of a branch.
  std::uint64_t data_bytes = 0;  // Of a leaf.
  std::string_view data;         // Of a leaf, unless it is on overflow pages.
  std::uint64_t data_page = 0;   // Of a leaf, if it is.
  std::size_t bytes = 0;         // It takes up in its page.
};

// The node at `offset` of a branch or leaf page; empty when it does not lie in the page.
inline std::optional<Node> NodeAt(std::string_view page, std::size_t offset, bool in_branch) {
  if (offset < sizeof(PageHeader) || offset + sizeof(NodeHeader) > page.size()) return {};
  const auto header = LoadAt<NodeHeader>(page, offset);
  Node node;
  node.flags = header.flags;
  const std::uint64_t low = header.low | std::uint64_t{header.high} << 16;
  const std::size_t key_at = offset + sizeof(NodeHeader);
  const std::size_t data_at = key_at + header.key_bytes;
  std::size_t data_bytes = 0;
  if (in_branch) {
    node.child = low | std::uint64_t{header.flags} << 32;
  } else {
    node.data_bytes = low;
    data_bytes = (header.flags & kDataOnOverflowPages) != 0 ? sizeof(std::uint64_t) : low;
  }
  if (data_at > page.size() || data_bytes > page.size() - data_at) return {};
  node.key = page.substr(key_at, header.key_bytes);
  if (!in_branch && (header.flags & kDataOnOverflowPages) != 0) {
    node.data_page = LoadAt<std::uint64_t>(page, data_at);
  } else if (!in_branch) {
    node.data = page.substr(data_at, data_bytes);
  }
  node.bytes = (sizeof(NodeHeader) + header.key_bytes + data_bytes + 1) & ~std::size_t{1};
  return node;
}

// How many pages `data_bytes` take on overflow pages.
inline std::uint64_t OverflowPagesFor(std::uint64_t data_bytes, std::uint64_t page_bytes) {
  return (sizeof(PageHeader) + data_bytes + page_bytes - 1) / page_bytes;
}

}  // namespace bobbin::kv::lmdb

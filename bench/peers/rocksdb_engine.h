// RocksDB behind the kv seam: the same message-store code on a log-structured peer.
//
// Durability    The group's transaction is one write batch, written with WAL sync.
// Grouping      engine/kv/commit_group.h, the one that the LMDB engine uses.
// Tuning        A column family for each table, memtables of 64 MiB, one block cache of 256 MiB,
//               bloom filters, no compression, compaction that goes after runs of deletions.
// Deviation     A value that Scan shows lives until the visitor returns, not until the transaction
//               ends. The message store copies what it keeps, so that measures nothing else.
// Threads       Any number.   Processes  One at a time: RocksDB's own lock file.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/kv/kv_engine.h"

namespace bobbin::bench {

// Opens the store in `directory`, making it when there is none.
//   kDiskError  whatever RocksDB says
Result<std::shared_ptr<kv::Engine>> OpenRocksdbEngine(const std::filesystem::path& directory,
                                                      const std::vector<std::string>& tables);

// What is returned reads every block of what OpenRocksdbEngine has made, and its checksum; it keeps
// the store open.
Result<std::function<Result<void>()>> PrepareRocksdbVerification(
    const std::filesystem::path& directory, const std::vector<std::string>& tables);

}  // namespace bobbin::bench

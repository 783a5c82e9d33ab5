// SQLite behind the kv seam: the same message-store code on a peer with a B-tree and a WAL.
//
// Durability    journal_mode=WAL, synchronous=FULL: each commit flushes the WAL.
// Grouping      engine/kv/commit_group.h, the one that the LMDB engine uses.
// Tuning        A WITHOUT ROWID table for each table, prepared statements, a cache of 256 MiB for
//               the writer, reads through a memory map, a checkpoint every 64 MiB of WAL.
// Deviation     A value that Scan shows lives until the visitor returns, not until the transaction
//               ends. The message store copies what it keeps, so that measures nothing else.
// Threads       Any number; each view takes a connection of its own from a pool.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/kv/kv_engine.h"

namespace bobbin::bench {

// Opens the store in `directory`, making it when there is none.
//   kDiskError  whatever SQLite says
Result<std::shared_ptr<kv::Engine>> OpenSqliteEngine(const std::filesystem::path& directory,
                                                     const std::vector<std::string>& tables);

// What is returned looks at the structure of every page of what OpenSqliteEngine has made; it keeps
// the store open.
Result<std::function<Result<void>()>> PrepareSqliteVerification(
    const std::filesystem::path& directory, const std::vector<std::string>& tables);

}  // namespace bobbin::bench

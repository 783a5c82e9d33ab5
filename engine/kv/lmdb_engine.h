// LmdbEngine: kv::Engine on LMDB, one directory on disk.
//
// Durability  LMDB's default synchronous mode; NOSYNC, NOMETASYNC, MAPASYNC and
//             WRITEMAP are asserted absent at open. The first failure of a commit
//             or close poisons the environment in this process (kv_engine.h,
//             Outcomes): LMDB itself would go on after a failed data flush, and the
//             next commit would succeed on top of pages the disk does not have.
//             The first commit flushes what was found before, for the same reason; so does the
//             next one after another process's commit that did not succeed (lmdb_shared.h).
// Group commit  One commit thread per environment. Closures that arrive while a
//             commit is on its way run together in the next transaction, in
//             arrival order. A closure that fails before it wrote anything costs
//             nothing; one that fails after writing makes its batch run again
//             without it (engine/kv/commit_group.h).
// Space       The map is sparse and far larger than any disk (map_bytes), so the
//             disk is what fills up. Below free_bytes_min of free disk, normal
//             updates are refused with kNotEnoughDisk before they write;
//             SpaceUse::kMayUseReserve goes on to the last byte. Free pages of the
//             file count as free disk, for as much again as the file system has.
//             MDB_MAP_FULL is kNotEnoughDisk; MDB_MAP_RESIZED is adopted. Opening
//             asks for the pages of lock.mdb: kNotEnoughDisk when even the first
//             cannot be had, instead of a SIGBUS at its first use.
// Processes   Any number may open and write. Readers of dead processes are cleared
//             at open and every minute. Opening one directory twice in a process shares
//             the environment (LMDB caveat: opening it twice would silently drop
//             its file locks). A forked child must not use it: every call answers
//             kStoreFailed there, and destroying it touches nothing.
// Damage      LMDB believes every page it reads. Before it may, the meta pages and the length of
// the
//             file are checked at every open (engine/kv/lmdb_file_check.h), and all its pages
//             (engine/kv/lmdb_page_walk.h) when nobody vouches for them:
//               another process has it open      it has looked; no walk
//               `clean` tells of this very file  whoever closed it last had looked; no walk
//               replaced while it was open       its maker had it open, too; no walk
//               otherwise                        walk, before anything but a meta page is read
//             `clean` is a file beside data.mdb, written by every process that closes it without
//             having met an error: transaction, inode, length and time of change of data.mdb. Any
//             commit makes it stale, and so does a copy, a restored backup or an edit; it need not
//             be removed before a write, nor flushed after a close.
// Threads     Any number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/kv/kv_engine.h"
#include "engine/kv/lmdb_page_walk.h"
#include "engine/kv/lmdb_shared.h"

namespace bobbin::kv {

struct LmdbOptions {
  // Index = TableId. Tables that do not exist yet are created by CreateLmdbEnvironment only. The
  // rows of the one called kMainTableName cost a commit no page of their own, if they are few and
  // short.
  std::vector<std::string> tables;
  // Address space, not disk. Halved until the kernel grants it (RLIMIT_AS, sanitizers).
  std::uint64_t map_bytes = std::uint64_t{16} << 40;
  std::uint64_t free_bytes_min = std::uint64_t{32} << 20;
  // In memory of all processes that write to this file. Null: no other process writes while this
  // one has it open.
  std::shared_ptr<LmdbShared> shared;
  // How opening walks the pages of the file.
  PageWalkOptions walk;
  // Not null: it walks in any case, and what it found comes here before the answer. (Not of an
  // environment that is open in this process already.)
  std::function<void(const PageWalkReport&)> walked;
};

// Makes `directory` an empty environment holding `options.tables`, and lets `fill`
// write its first rows in the same transaction. The caller creates the directory
// aside, and renames it into place when it is complete (engine/database.h): a power
// loss in the middle can leave a file that LMDB refuses for ever.
// The files belong to this user and its group, less the umask.
//   kCollision  the directory already holds an environment
Result<void> CreateLmdbEnvironment(const std::filesystem::path& directory,
                                   const LmdbOptions& options, const UpdateFunction& fill);

// Opens what CreateLmdbEnvironment made.
//   kNotADatabase  no data.mdb there, or not an LMDB file, or a table is missing, or truncated,
//                  or a meta page is damaged
//   kCorruptStore  the walk found damage; the first of it is in the detail
//   kNoAccess      no permission, or a read-only file system
//   kVersion       another version of LMDB's file format
//   kBusy          another program opened it in a way that left LMDB's lock file wrong
//   kInvalidParameter  open in this process already, with other tables
//   kDiskError     anything else the system said
Result<std::shared_ptr<Engine>> OpenLmdbEngine(const std::filesystem::path& directory,
                                               const LmdbOptions& options);

// Puts another file into the place of data.mdb while any number of processes use it; they go over
// to it with their next transaction (at the latest after a minute, when they do nothing). `make` is
// run while no process can write. It leaves the new file, flushed, as `compacting/data.mdb` in the
// directory, equal to `rows` and with `sequence` as the number of its last transaction
// (engine/kv/lmdb_sequence.h). Snapshots that are open keep the old file; their process begins no
// other transaction until they have ended. The new name is durable before anyone writes again; a
// crash leaves the old file or the new one. Must not be called inside a closure.
//   kNoSupport    it is another kind of engine
//   kStoreFailed  the new file may vanish with the next power cut, and what is written with it
using MakeReplacement = std::function<Result<void>(ReadTransaction& rows, std::uint64_t sequence)>;
Result<void> ReplaceLmdbFile(Engine& engine, const MakeReplacement& make);

// The structural walk of the engine's last transaction, beside its users. It reads one snapshot,
// which lives for as long as the walk takes.
//   kNoSupport  it is another kind of engine
//   kBusy       the file was replaced meanwhile
Result<PageWalkReport> WalkLmdbEngine(const Engine& engine, const PageWalkOptions& options);

// For operators: figures of the environment behind `engine`.
//   kNoSupport  it is another kind of engine
struct LmdbStatistics {
  std::uint64_t file_bytes = 0;       // Size of data.mdb.
  std::uint64_t used_bytes = 0;       // Pages reachable or freed below the last used page.
  std::uint64_t free_bytes = 0;       // Of used_bytes: pages to be used again.
  std::uint64_t disk_free_bytes = 0;  // What the file system would still give us.
  std::uint64_t commits = 0;          // By this process since open.
  std::uint64_t closures = 0;         // Answered by those commits.
  std::uint32_t readers = 0;          // Reader slots in use, all processes.

  // What can be written. Free pages may lie too scattered for a long value, for which the file
  // grows then: so they count for no more than what the file system has.
  std::uint64_t WritableBytes() const {
    return disk_free_bytes + std::min(disk_free_bytes, free_bytes);
  }
};
Result<LmdbStatistics> GetLmdbStatistics(const Engine& engine);

}  // namespace bobbin::kv

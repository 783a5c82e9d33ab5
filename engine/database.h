// Database: one directory, one LMDB environment, any number of message stores, one group
// commit for all of them.
//
//   Create(path) ---> Open(path) ---> OpenMessageStore(name)  client logon
//                                '--> OpenSpoolerSession()     spooler logon
//
// On disk       <path>/data.mdb, <path>/lock.mdb (LMDB), <path>/identity (the database id and the
//               record key, written once; salvage needs it), <path>/clean (that the last stop
//               was clean; may be deleted), <path>/unflushed (while the names of the directories
//               above may not be on disk yet), <path>/compacting (while engine/compaction.h works).
//               docs/store-format.md.
// Durability    Create makes everything in a temporary directory beside `path`, flushes it, and
//               renames it into place: a power cut leaves a whole database or none. Then it
//               flushes the directories above; if it dies before that, Open does it.
// Recovery      None is needed: opening after any crash finds the last committed transaction, no
//               locks, and the queue as submitted (C46). When nobody vouches for the file, all
//               its pages are looked at first (engine/kv/lmdb_engine.h, Damage).
// Threads       Any number.
// Processes     Any number may open and write (engine/kv/lmdb_engine.h). After fork, the child
//               must open it anew.
// Errors        kNotADatabase  nothing there, or not a Bobbin database, or damaged at its root
//               kCorruptStore  pages of it are damaged; not touched
//               kVersion       written by a newer Bobbin; not touched
//               kNoAccess      permissions, or a read-only file system
//               kCollision     Create: `path` exists and is not an empty directory
//               kNotEnoughDisk, kNotEnoughMemory, kDiskError
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/address_book.h"
#include "engine/clock.h"
#include "engine/entry_id.h"
#include "engine/kv/kv_engine.h"
#include "engine/kv/lmdb_page_walk.h"
#include "engine/message_store.h"
#include "engine/scrub.h"
#include "engine/spooler_session.h"
#include "engine/store_check.h"

namespace bobbin {

struct DatabaseState;

struct DatabaseOptions {
  // New mail is refused (kNotEnoughDisk) below this much free disk; what ends work still runs.
  std::uint64_t free_bytes_min = std::uint64_t{32} << 20;
  // Borrowed; null = the system's clock.
  const Clock* clock = nullptr;
  // Not null: every page is looked at before any is used, also after a clean stop, and what was
  // found comes here before the answer (engine/kv/lmdb_engine.h, Damage).
  std::function<void(const kv::PageWalkReport&)> walked;
  std::function<void(std::uint64_t done, std::uint64_t total)> walk_progress;
  bool walk_every_page = false;  // Whether the disk can read those of long content, too.
};

struct MessageStoreInfo {
  StoreId id;
  std::string name;
  StandardFolders folders;
};

struct DatabaseStatistics {
  std::uint64_t file_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t free_bytes = 0;  // Of used_bytes: what is deleted leaves it, to be used again.
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t commits = 0;  // By this process.
  std::uint64_t updates = 0;  // Answered by those commits.
  std::uint32_t readers = 0;
  std::uint32_t locks = 0;
  std::uint64_t queued = 0;
  std::uint64_t held = 0;
  std::uint64_t quarantined = 0;  // engine/quarantine.h
  std::uint64_t stores = 0;
  Time last_scrub{};  // When one ended (engine/scrub.h); epoch: never.
  std::uint64_t last_scrub_findings = 0;
};

class Database {
 public:
  static constexpr std::uint32_t kFormat = 1;
  static constexpr std::size_t kStoreNameBytesMax = 255;

  static Result<void> Create(const std::filesystem::path& path);
  static Result<Database> Open(const std::filesystem::path& path,
                               const DatabaseOptions& options = {});
  // On an engine that already runs, for measurements and tests: writes the first rows when it is
  // empty. `tables` of the engine must be TableNames().
  static Result<Database> OpenOn(std::shared_ptr<kv::Engine> engine,
                                 const DatabaseOptions& options = {});
  static std::vector<std::string> TableNames();

  const DatabaseId& Id() const;

  //   kCollision         a store of that name exists
  //   kInvalidParameter  empty, over kStoreNameBytesMax, or not UTF-8
  Result<MessageStore> CreateMessageStore(std::string_view name);
  //   kNotFound
  Result<MessageStore> OpenMessageStore(std::string_view name) const;
  Result<MessageStore> OpenMessageStore(StoreId id) const;
  Result<MessageStore> OpenOrCreateMessageStore(std::string_view name);
  Result<std::vector<MessageStoreInfo>> ListMessageStores() const;

  //   kNotEnoughResources  1,024 sessions are open
  Result<SpoolerSession> OpenSpoolerSession();
  AddressBook GetAddressBook() const;
  OutgoingQueue GetOutgoingQueue() const;  // For operators: all stores.
  Quarantine GetQuarantine() const;

  // Whatever store it is in, for operators' tools: read-only, also while it is locked.
  //   kNotFound
  Result<Message> OpenMessageForOperator(MessageId id) const;
  // Whether a message of that identifier can ever have been stored: identifiers ascend and are
  // never used twice, so below a mark any may have been, and above it none.
  Result<bool> MayHaveExisted(MessageId id) const;
  // As MessageStore::AbortSubmit, found by its id alone.
  Result<void> AbortSubmit(MessageId id);
  // As MessageStore::DeleteMessages. May use the reserve of a full disk.
  //   kNotFound, kSubmitted (it is in the queue)
  Result<void> DeleteMessage(MessageId id);

  Result<DatabaseStatistics> Statistics() const;  // Walks the queue to count it.
  // What can be written: free on the file system, and up to as much again inside the file.
  Result<std::uint64_t> FreeBytes() const;

  // Removes content rows that no message owns and whose writer is gone; returns how many bodies.
  Result<std::uint64_t> CollectAbandonedBodies();

  // Opens every record and compares every index with its rows (engine/store_check.h). Reads only;
  // runs beside writers.
  Result<CheckReport> CheckStore(const CheckOptions& options = {}) const;

  // The same piece by piece beside everybody else (engine/scrub.h).
  Result<ScrubReport> Scrub(const ScrubOptions& options = {}) const;
  Result<ScrubEnd> LastScrub() const;

  const std::shared_ptr<DatabaseState>& State() const { return state_; }

 private:
  explicit Database(std::shared_ptr<DatabaseState> state) : state_(std::move(state)) {}
  std::shared_ptr<DatabaseState> state_;
};

}  // namespace bobbin

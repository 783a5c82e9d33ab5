// The identity file: what a database is called and what its records are sealed with.
//
//   bobbin-database 1                  format
//   database-id <32 hexadecimal>       shown in entry identifiers
//   record-key <64 hexadecimal>        never shown: whoever knows it can forge records
//   checksum <16 hexadecimal>          XXH3-64 of the three lines above
//
// Written once, when the database is made; mode 0600. Salvage needs it when the pages of
// data.mdb that could tell are gone. In a backup the same file is called otherwise, so that nobody
// opens one as a database and sends its mail a second time (engine/backup.h).
//
// Errors  kNotADatabase, kNoAccess, kDiskError, kNotEnoughDisk, as engine/database.h explains.
#pragma once

#include <filesystem>

#include "engine/entry_id.h"
#include "engine/record.h"
#include "engine/result.h"

namespace bobbin {

struct Identity {
  std::uint32_t format = 0;
  DatabaseId database;
  RecordKey record_key{};
};

inline constexpr const char* kIdentityFileName = "identity";
inline constexpr const char* kBackupIdentityFileName = "backup";

// Durable when it returns success, but for the directory entry.
Result<void> WriteIdentityFile(const std::filesystem::path& directory, const Identity& identity,
                               const char* name = kIdentityFileName);
Result<Identity> ReadIdentityFile(const std::filesystem::path& directory,
                                  const char* name = kIdentityFileName);

// File-system steps of making a database, with errors an operator can act on.
Result<void> MakeEmptyFile(const std::filesystem::path& path);  // Mode 0600.
Result<void> MakeDirectory(const std::filesystem::path& path);  // Mode 0700; with its parents.
Result<void> RenameDirectory(const std::filesystem::path& from, const std::filesystem::path& to);
Result<void> SyncPath(const std::filesystem::path& path);  // fsync of a file or directory.

// Flushes the directories above the open one, up to where its file system is mounted or to one that
// may not be read, so that its own name is durable. Whoever made them may have died before it did
// this.
Result<void> SyncDirectoriesAbove(const std::filesystem::path& directory);
bool SyncDirectoriesAbove(int directory);  // False: errno says why not.

}  // namespace bobbin

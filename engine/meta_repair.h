// RepairMetaPages: a copy of a database whose one damaged meta page is made anew from the other.
//
// LMDB opens no file with a damaged meta page, although the other one tells of a whole state: that
// of the last transaction, or of the one before it. Which of the two it was, nobody can tell; so
// the copy may lack the last transaction, and what that one settled may be done again.
//
// Durability  The copy is made aside, its pages are walked (engine/kv/lmdb_page_walk.h), it is
//             flushed and renamed into place: whole or not there. The source is only read.
// Processes   Nobody may have the source open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/result.h"

namespace bobbin {

struct MetaRepair {
  int page = 0;                   // 0 or 1: the one made anew.
  std::string wrong;              // What was wrong with it.
  std::uint64_t transaction = 0;  // Whose state the copy is in.
  // The damaged page names a later transaction: the copy lacks it.
  bool lacks_last_transaction = false;
};

//   kInvalidParameter  both meta pages are sound: there is nothing to repair
//   kCollision         `target` exists and is not an empty directory
//   kNotADatabase      nothing there, or no meta page leads to whole pages: salvage it
//   kCorruptStore      pages besides the meta page are damaged: salvage it
//   kNoAccess, kNotEnoughDisk, kDiskError
Result<MetaRepair> RepairMetaPages(const std::filesystem::path& source,
                                   const std::filesystem::path& target);

}  // namespace bobbin

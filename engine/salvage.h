// Salvage: a new database from whatever records a damaged one still has.
//
//   whole      every row of the message was found: it is in the new database as it was
//   moved      whole, but its folder or store was lost: in a folder "Lost and Found", or in a
//              store that takes the place of the lost one, by its name, or "salvaged-..." when
//              that was not found
//   damaged    some of it was found: not in the new database, but exported as far as it goes into
//              the directory `salvaged` inside it
//   lost       nothing was found but that it was there
//   deleted    left out. Where the list of free pages does not tell, what the database remembers
//              of its deleted messages does, as far as that is found
//
// The queue   A message that is queued and whole stays queued. A recipient who is TRUE stays TRUE
//             and is not sent to again. Where the list of free pages or the last meta page is gone,
//             or a page in use no longer says which records are its own, stale states of messages,
//             and deleted ones of which no trace is left, cannot be told from others: then
//             is_proven is false, and everything queued is held, its recipients who are not TRUE in
//             doubt, until an operator has looked at it.
// Identity    The new database has the identifiers of the old one; only one of the two may be used.
// Durability  It is made aside, flushed, and renamed into place. The source is only read.
// Processes   Nobody may have the source open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "engine/entry_id.h"
#include "engine/result.h"

namespace bobbin {

enum class SalvageFate : std::uint8_t { kWhole, kMoved, kDamaged, kLost };

struct SalvagedMessage {
  MessageId id;
  std::string store;  // Its name; empty when that is not known.
  SalvageFate fate = SalvageFate::kWhole;
  bool queued = false;
  bool held = false;
  std::string detail;  // What is missing, and where the rest was exported to.
};

struct SalvagedMessages {
  std::uint64_t whole = 0;
  std::uint64_t moved = 0;
  std::uint64_t damaged = 0;
  std::uint64_t lost = 0;
  std::uint64_t queued = 0;
  std::uint64_t held = 0;  // Of the queued.
};

struct SalvageReport : SalvagedMessages {
  std::map<std::string, SalvagedMessages> stores;  // By name; "": it is not known.
  std::uint64_t records = 0;                       // Found whole, stale ones too.
  std::uint64_t stale = 0;                         // Replaced or deleted.
  std::uint64_t uncommitted = 0;       // Of a transaction that never was committed; left out.
  std::uint64_t deleted = 0;           // Known by what the database remembers of them.
  std::uint64_t bodies = 0;            // Of no message; exported.
  std::uint64_t unreadable_pages = 0;  // Of 4 KiB; the disk failed (EIO), what they had is missing.
  bool is_proven = false;
};

struct SalvageOptions {
  std::function<void(const SalvagedMessage&)> message;  // Called for each.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

//   kCollision     `target` exists and is not an empty directory
//   kNotADatabase  nothing there, or its identity file is lost: without the record key nothing can
//                  be told from the text of a mail
//   kVersion, kNoAccess, kNotEnoughDisk, kDiskError
Result<SalvageReport> Salvage(const std::filesystem::path& source,
                              const std::filesystem::path& target,
                              const SalvageOptions& options = {});

}  // namespace bobbin

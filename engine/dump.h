// A database as text, and a database of it again.
//
//   bobbin-dump 1 <database id> <record key>
//   <table> <key> <kind> <sequence> <checksum> <payload>      every record, tables in their order,
//   <table> <key> damaged <value>                             keys ascending
//   end <how many records>
//
// Keys, identifiers and checksums are hexadecimal. Payloads are text: backslash \\, line feed \n,
// carriage return \r, tab \t, NUL \0, other bytes outside 0x20..0x7e \xHH. A record that does not
// open is written as it lies. Load seals the others anew and compares the checksums, so that one
// changed character is found in its line. What is loaded has the same identity, and its dump is
// the same, byte for byte.
//
// The record key is a secret of the database; a dump is to be kept as safe as the database.
//
// Durability  Dump reads one snapshot. Load makes the directory whole or not at all.
// Processes   Dump runs beside writers; the file grows by what they free meanwhile, so the
//             snapshot has an age limit.
// Errors      kCorruptData  Load: not a dump, cut off, or changed; the detail names the line
//             kVersion      Load: a newer dump
//             kCollision    Load: the path exists and is not an empty directory
//             kTimeout      Dump: the snapshot was held for longer than allowed
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.h"

namespace bobbin {

class Database;

struct DumpReport {
  std::uint64_t records = 0;
  std::vector<Error> damaged;
};

// Takes one line with its line feed; an error ends the dump.
using WriteLine = std::function<Result<void>(std::string_view line)>;
// The next line, without its line feed; false after the last one.
using ReadLine = std::function<Result<bool>(std::string& line)>;

// `path` is where `database` was opened.
Result<DumpReport> DumpDatabase(const Database& database, const std::filesystem::path& path,
                                std::chrono::seconds age_max, const WriteLine& write);

// Returns how many records there were.
Result<std::uint64_t> LoadDatabase(const std::filesystem::path& path, const ReadLine& read);

}  // namespace bobbin

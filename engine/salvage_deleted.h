// Which of the records that salvage finds are of deleted messages. Internal to salvage.
//
// The list of free pages may be lost, and the tree of the index with it: what is left are copies of
// intervals (engine/deleted_messages.cc), stale ones, too. A copy that was committed is true of
// every record that was written before it.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_set>
#include <vector>

#include "engine/kv/lmdb_page_file.h"
#include "engine/rows.h"
#include "engine/salvage_scan.h"

namespace bobbin {

class SalvageDeleted {
 public:
  // Takes the intervals out of the records.
  Result<void> Load(const kv::LmdbPageFile& source, RowReader& rows, SalvageScan& scan);

  // Whether it is a row of a message that was deleted after it was written.
  Result<bool> IsOfDeleted(RowReader& rows, const FoundRecord& found, std::string_view value);

  // Met so far; without those embedded in others.
  std::uint64_t Messages() const { return messages_.size(); }
  // Contents that they name: nobody's, unless another message names them, too.
  const std::unordered_set<std::uint64_t>& Bodies() const { return bodies_; }

 private:
  struct Segment {
    std::uint64_t last = 0;
    std::uint64_t sequence = 0;
  };
  void Cover(const DeletedMessages& deleted, std::uint64_t sequence);
  bool IsDeleted(std::uint64_t message, std::uint64_t sequence) const;

  std::map<std::uint64_t, Segment> segments_;  // By first; of each message its newest interval.
  std::unordered_set<std::uint64_t> lists_;    // Their members are rows like a message's.
  std::unordered_set<std::uint64_t> messages_;
  std::unordered_set<std::uint64_t> bodies_;
};

}  // namespace bobbin

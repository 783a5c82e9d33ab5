// Stores and folders of a database that is salvaged: those that were found, put in order, and those
// that must take the place of lost ones. Internal to salvage.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "engine/salvage_scan.h"

namespace bobbin {

class SalvageFolders {
 public:
  // Reads the rows of stores, folders and messages; new folders get identifiers from `next_object`
  // on. A store whose record is lost has its name of `names`, if that is found. May be run again.
  Result<void> Load(RowReader& rows, std::uint64_t next_object,
                    const std::vector<FoundName>& names);

  std::string StoreName(StoreId store) const;
  bool IsMadeAnew(StoreId store) const { return made_anew_.contains(store.value); }
  bool Has(StoreId store, FolderId folder) const;
  // That of `store`, made when it is first asked for.
  FolderId LostAndFound(StoreId store);

  void Count(FolderId folder, bool unread);
  // Writes all of it; after this there are no other rows of folders.
  Result<void> Put(RowWriter& rows) const;
  std::uint64_t NextObject() const { return next_object_; }

 private:
  void Complete(std::uint64_t id, StoreRecord& store);
  void Adopt(std::uint64_t id, StoreRecord& store) const;
  void Straighten();

  std::map<std::uint64_t, StoreRecord> stores_;
  std::map<std::uint64_t, FolderRecord> folders_;
  std::set<std::uint64_t> made_anew_;
  std::map<std::uint64_t, FolderId> lost_and_found_;
  std::uint64_t next_object_ = 1;
};

}  // namespace bobbin

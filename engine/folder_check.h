// The counters of all folders against the rows that they count. Of CheckStore.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>

#include "engine/row_records.h"
#include "engine/store_check.h"

namespace bobbin {

class FolderCheck {
 public:
  void Add(FolderId id, FolderRecord folder) {
    if (folder.parent != id) ++counts_[folder.parent.value].folders;
    folders_.emplace(id.value, std::move(folder));
  }
  bool Has(FolderId id) const { return folders_.contains(id.value); }

  void AddMessage(const MessageRecord& message) {
    Counts& counts = counts_[message.folder.value];
    ++counts.contents;
    if ((message.message_flags & kMsgFlagRead) == 0) ++counts.unread;
  }
  // A row 'f' of the index; false: `folder` is not in `parent`.
  bool AddListed(FolderId parent, FolderId folder) {
    ++counts_[parent.value].listed_folders;
    const auto at = folders_.find(folder.value);
    return at != folders_.end() && at->second.parent == parent;
  }

  // When every row was added.
  void Compare(CheckReport& report) {
    for (const auto& [id, folder] : folders_) {
      const Counts& counts = counts_[id];
      if (counts.contents == folder.content_count && counts.unread == folder.content_unread &&
          counts.folders == folder.folder_count && counts.listed_folders == folder.folder_count) {
        continue;
      }
      report.findings.push_back(
          {"folders", ToHex(Key8(id)),
           "the counters of folder " + folder.name + " do not agree with its contents"});
    }
  }

 private:
  struct Counts {
    std::uint32_t contents = 0;
    std::uint32_t unread = 0;
    std::uint32_t folders = 0;
    std::uint32_t listed_folders = 0;
  };
  std::unordered_map<std::uint64_t, FolderRecord> folders_;
  std::unordered_map<std::uint64_t, Counts> counts_;
};

}  // namespace bobbin

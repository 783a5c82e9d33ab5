#include "engine/salvage_folders.h"

#include <iterator>
#include <utility>

namespace bobbin {
namespace {

struct Standard {
  FolderId StandardFolders::*folder;
  FolderId StandardFolders::*parent;
  std::string_view name;
};
constexpr Standard kStandard[] = {
    {&StandardFolders::root, &StandardFolders::root, "Root"},
    {&StandardFolders::ipm_subtree, &StandardFolders::root, "Top of Information Store"},
    {&StandardFolders::inbox, &StandardFolders::ipm_subtree, "Inbox"},
    {&StandardFolders::outbox, &StandardFolders::ipm_subtree, "Outbox"},
    {&StandardFolders::sent_items, &StandardFolders::ipm_subtree, "Sent Items"},
    {&StandardFolders::deleted_items, &StandardFolders::ipm_subtree, "Deleted Items"},
    {&StandardFolders::drafts, &StandardFolders::ipm_subtree, "Drafts"},
};

}  // namespace

Result<void> SalvageFolders::Load(RowReader& rows, std::uint64_t next_object,
                                  const std::vector<FoundName>& names) {
  *this = {};
  next_object_ = next_object;
  RETURN_IF_ERROR(rows.Scan(table::kMeta, "S", "T",
                            [&](std::string_view key, std::string_view value) -> Result<bool> {
                              ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 1));
                              const Result<StoreRecord> store = rows.DecodeStore(key, value);
                              if (store) stores_[id] = *store;
                              return true;
                            }));
  std::set<std::uint64_t> needed;
  RETURN_IF_ERROR(rows.Scan(table::kFolders, {}, {},
                            [&](std::string_view key, std::string_view value) -> Result<bool> {
                              ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
                              const Result<FolderRecord> folder = rows.DecodeFolder(key, value);
                              if (!folder) return true;
                              folders_[id] = *folder;
                              needed.insert(folder->store.value);
                              return true;
                            }));
  RETURN_IF_ERROR(rows.Scan(table::kMessages, {}, {},
                            [&](std::string_view key, std::string_view value) -> Result<bool> {
                              const Result<MessageRecord> record = rows.DecodeMessage(key, value);
                              if (record) needed.insert(record->store.value);
                              return true;
                            }));
  std::map<std::uint64_t, std::string> named_stores;
  for (const FoundName& name : names) {
    const Result<std::uint64_t> id = rows.DecodeReference(table::kMeta, name.key, name.value);
    if (id) named_stores[*id] = name.key.substr(1);
  }
  for (const std::uint64_t id : needed) {
    if (stores_.contains(id)) continue;
    made_anew_.insert(id);
    StoreRecord store;
    const auto named = named_stores.find(id);
    store.name = named != named_stores.end() ? named->second : "salvaged-" + std::to_string(id);
    Adopt(id, store);
    stores_[id] = std::move(store);
  }
  for (auto& [id, store] : stores_) Complete(id, store);
  Straighten();
  return {};
}

// The standard folders of a lost store are known by their names.
void SalvageFolders::Adopt(std::uint64_t id, StoreRecord& store) const {
  for (const Standard& standard : kStandard) {
    for (const auto& [folder_id, folder] : folders_) {
      const std::uint64_t parent = standard.folder == &StandardFolders::root
                                       ? folder_id
                                       : (store.folders.*standard.parent).value;
      if (folder.store.value == id && folder.parent.value == parent &&
          folder.name == standard.name) {
        store.folders.*standard.folder = FolderId{folder_id};
        break;
      }
    }
  }
}

void SalvageFolders::Complete(std::uint64_t id, StoreRecord& store) {
  for (const Standard& standard : kStandard) {
    FolderId& folder = store.folders.*standard.folder;
    if (Has(StoreId{id}, folder)) continue;
    if (folder.value == 0 || folders_.contains(folder.value)) folder = FolderId{next_object_++};
    FolderRecord made;
    made.store = StoreId{id};
    made.name = std::string(standard.name);
    made.parent = store.folders.*standard.parent;
    folders_[folder.value] = std::move(made);
  }
}

// Every folder leads to the root of its store; what does not is put below the IPM subtree.
void SalvageFolders::Straighten() {
  for (auto& [id, folder] : folders_) {
    folder.content_count = folder.content_unread = folder.folder_count = 0;
    const StandardFolders& standard = stores_.at(folder.store.value).folders;
    if (id == standard.root.value) folder.parent = standard.root;
    if (id == standard.ipm_subtree.value) folder.parent = standard.root;
  }
  for (auto& [id, folder] : folders_) {
    const StandardFolders& standard = stores_.at(folder.store.value).folders;
    std::uint64_t at = id;
    for (std::size_t steps = 0; at != standard.root.value; ++steps) {
      const auto up = folders_.find(at);
      if (steps > folders_.size() || up == folders_.end() || up->second.store != folder.store) {
        folder.parent = standard.ipm_subtree;
        break;
      }
      at = up->second.parent.value;
    }
  }
}

std::string SalvageFolders::StoreName(StoreId store) const {
  const auto found = stores_.find(store.value);
  return found == stores_.end() ? std::string() : found->second.name;
}

bool SalvageFolders::Has(StoreId store, FolderId folder) const {
  const auto found = folders_.find(folder.value);
  return found != folders_.end() && found->second.store == store;
}

FolderId SalvageFolders::LostAndFound(StoreId store) {
  const auto [at, is_new] = lost_and_found_.try_emplace(store.value);
  if (is_new) {
    at->second = FolderId{next_object_++};
    FolderRecord made;
    made.store = store;
    made.parent = stores_.at(store.value).folders.ipm_subtree;
    made.name = "Lost and Found";
    folders_[at->second.value] = std::move(made);
  }
  return at->second;
}

void SalvageFolders::Count(FolderId folder, bool unread) {
  FolderRecord& record = folders_.at(folder.value);
  ++record.content_count;
  if (unread) ++record.content_unread;
}

Result<void> SalvageFolders::Put(RowWriter& rows) const {
  std::set<std::string> names;
  for (const auto& [id, store] : stores_) {
    StoreRecord record = store;
    if (!names.insert(record.name).second) {
      record.name += "-" + std::to_string(id);
      names.insert(record.name);
    }
    RETURN_IF_ERROR(rows.PutStore(StoreId{id}, record));
    RETURN_IF_ERROR(rows.PutStoreName(record.name, StoreId{id}));
  }
  std::map<std::uint64_t, std::uint32_t> children;
  for (const auto& [id, folder] : folders_) {
    if (folder.parent.value == id) continue;
    ++children[folder.parent.value];
    RETURN_IF_ERROR(rows.PutSubfolderRow(folder.parent, FolderId{id}));
  }
  for (const auto& [id, folder] : folders_) {
    FolderRecord record = folder;
    const auto counted = children.find(id);
    record.folder_count = counted == children.end() ? 0 : counted->second;
    RETURN_IF_ERROR(rows.PutFolder(FolderId{id}, record));
  }
  return {};
}

}  // namespace bobbin

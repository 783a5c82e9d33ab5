// Folders: containers of messages, a tree per store. Not transacted: each change is durable
// when its call returns (engine/message_store.h has the calls).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/clock.h"
#include "engine/entry_id.h"

namespace bobbin {

// Every store has these. Root contains the IPM subtree, which contains the others.
struct StandardFolders {
  FolderId root;
  FolderId ipm_subtree;
  FolderId inbox;
  FolderId outbox;
  FolderId sent_items;
  FolderId deleted_items;  // PR_IPM_WASTEBASKET_ENTRYID.
  FolderId drafts;
};

struct FolderInfo {
  FolderId id;
  EntryId entry_id;
  FolderId parent;
  std::string name;
  std::uint32_t content_count = 0;
  std::uint32_t content_unread = 0;
  std::uint32_t folder_count = 0;
  Time created{};
};

// One row of a folder's contents table.
struct ContentsRow {
  MessageId message;
  EntryId entry_id;
  std::uint32_t message_flags = 0;
  std::string subject;
  std::string sender_name;
  std::uint64_t message_bytes = 0;
};

// Some messages were left out, as for submitted ones in DeleteMessages (MAPI_W_PARTIAL_COMPLETION).
enum class Completion : std::uint8_t { kComplete, kPartial };

}  // namespace bobbin

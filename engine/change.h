// Change: what one row-level step did to an object, or to a row of the outgoing queue. Transactions
// note their changes as they make them (RowWriter::Note); notifications are made of them
// (engine/notification.h). Internal to engine/.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/entry_id.h"

namespace bobbin {

// The values are read by other processes, of the same segment layout (engine/lock_segment.h).
enum class ChangeKind : std::uint64_t {
  kNone = 0,  // A transaction about which there is nothing to tell.
  kMessageCreated,
  kMessageModified,
  kMessageDeleted,
  kMessageMoved,   // From `old_folder`; its identifier stays.
  kMessageCopied,  // From `old_object` in `old_folder`.
  kFolderCreated,  // `folder` is the parent.
  kFolderDeleted,
  kNewMail,
  kQueueRowAdded,
  kQueueRowModified,
  kQueueRowDeleted,
  kQueueReload,  // Locks have gone with their owner: look at the queue again.
  kReload,       // More than can be told: look at everything again.
};

struct Change {
  ChangeKind kind = ChangeKind::kNone;
  StoreId store;
  std::uint64_t object = 0;  // A message or a folder.
  FolderId folder;
  std::uint64_t old_object = 0;
  FolderId old_folder;
  std::uint64_t queue_sequence = 0;

  bool IsOfQueueRow() const {
    return kind == ChangeKind::kQueueRowAdded || kind == ChangeKind::kQueueRowModified ||
           kind == ChangeKind::kQueueRowDeleted;
  }
  MessageId Message() const { return {object}; }
  static Change QueueRow(ChangeKind kind, StoreId store, MessageId message,
                         std::uint64_t sequence) {
    return {kind, store, message.value, {}, 0, {}, sequence};
  }
};
static_assert(std::is_trivially_copyable_v<Change> && sizeof(Change) == 56);

}  // namespace bobbin

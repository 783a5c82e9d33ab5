// The state behind Message and Attachment handles. Internal to engine/.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/content_rows.h"
#include "engine/database_state.h"
#include "engine/message.h"
#include "engine/message_rows.h"
#include "engine/property_edits.h"

namespace bobbin {

enum class Logon : std::uint8_t { kClient, kSpooler };

struct MessageObject;
struct AttachmentObject;

// An attachment as its message sees it: stored, or saved into the open message.
struct AttachmentState {
  AttachmentRecord record;
  StreamEdits stream_edits;
  std::shared_ptr<const MessageObject> embedded;  // Takes the place of record.embedded.
};

// What a save has made of the parts of a message, to be taken over once it has committed.
struct SavedParts {
  std::map<std::uint32_t, std::shared_ptr<const AttachmentState>> attachments;
  std::vector<std::weak_ptr<MessageObject>> closed;  // Handles of embedded messages.
};

struct MessageObject : std::enable_shared_from_this<MessageObject> {
  enum class Phase : std::uint8_t { kOpen, kSubmitting, kInvalid };

  std::shared_ptr<DatabaseState> database;
  MessageId id;
  Logon logon = Logon::kClient;
  LockSession session;  // Of a spooler logon.
  AccessLevel access = AccessLevel::kModify;
  std::atomic<Phase> phase{Phase::kOpen};

  bool stored = false;   // A record existed when this was opened or last saved.
  MessageRecord record;  // With the pending edits; `sequence` is that of the stored one.
  RecipientTable recipients;
  bool recipients_changed = false;
  std::optional<MessageBody> content;  // Replaces the stored one at the next save.
  StreamEdits stream_edits;
  std::map<std::uint32_t, std::shared_ptr<const AttachmentState>> attachments;
  std::set<std::uint32_t> attachments_changed;  // Added, saved or deleted since.
  bool edited = false;

  // Of an embedded message: the attachment it is saved into, how deep, and the handle (if this is
  // the copy that the handle's SaveChanges left there).
  std::shared_ptr<AttachmentObject> embedded_in;
  int depth = 0;
  std::weak_ptr<MessageObject> handle;

  Result<void> CheckOpen() const;
  Result<void> CheckWritable() const;
  bool HasPendingEdits() const {
    return edited || recipients_changed || content || !stream_edits.empty() ||
           !attachments_changed.empty() || !stored;
  }

  // What SaveChanges and SubmitMessage share, inside their transaction: conflict checks, computed
  // properties, content, streams and attachments. `saved` is what is to be written, not yet
  // written.
  //   kObjectDeleted, kObjectChanged, kSubmitted
  Result<void> MergeInto(RowWriter& rows, std::uint32_t save_flags, MessageRecord& saved,
                         std::optional<MessageRecord>& before, SavedParts& parts) const;
  // Writes `rows_in`, and what `saved` says about them.
  Result<void> WriteRecipients(RowWriter& rows, MessageRecord& saved,
                               const RecipientTable& rows_in) const;
  static void SummarizeRecipients(MessageRecord& saved, const RecipientTable& rows_in);
  Result<void> WriteRecord(RowWriter& rows, MessageRecord& saved,
                           const std::optional<MessageRecord>& before, SubmissionStep step) const;

  // After a save committed as `saved`.
  void Adopt(MessageRecord saved, const SavedParts& parts);

  // The state as it is, detached from the handle: what an embedded message saves.
  std::shared_ptr<MessageObject> Copy();
};

struct AttachmentObject {
  std::shared_ptr<MessageObject> message;
  std::uint32_t number = 0;
  AttachmentState state;
  AccessLevel access = AccessLevel::kModify;

  Result<void> CheckOpen() const { return message->CheckOpen(); }
  Result<void> CheckWritable() const;
  PropertyEdits Edits() {
    return {state.record.properties, state.record.streams, state.stream_edits};
  }
};

// A message that is not stored yet: its identifier and search key.
Result<std::shared_ptr<MessageObject>> NewMessageObject(std::shared_ptr<DatabaseState> database,
                                                        StoreId store, FolderId folder);

// What OpenEntry reads in one snapshot.
Result<std::shared_ptr<MessageObject>> LoadMessageObject(std::shared_ptr<DatabaseState> database,
                                                         RowReader& rows, MessageId id,
                                                         const MessageRecord& record);

}  // namespace bobbin

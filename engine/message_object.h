// The state behind a Message handle. Internal to engine/.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "engine/database_state.h"
#include "engine/message.h"
#include "engine/message_rows.h"

namespace bobbin {

enum class Logon : std::uint8_t { kClient, kSpooler };

struct MessageObject {
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
  std::uint64_t content_body_id = 0;   // Drawn for `content`.

  Result<void> CheckOpen() const;
  Result<void> CheckWritable() const;
  bool HasPendingEdits() const { return edited || recipients_changed || content || !stored; }
  bool edited = false;

  // Draws what a save transaction cannot draw itself.
  Result<void> PrepareSave();

  // What SaveChanges and SubmitMessage share, inside their transaction: conflict checks, computed
  // properties, rows of content and recipients. `saved` is what is to be written, not yet written.
  //   kObjectDeleted, kObjectChanged, kSubmitted
  Result<void> MergeInto(RowWriter& rows, std::uint32_t save_flags, MessageRecord& saved,
                         std::optional<MessageRecord>& before) const;
  Result<void> WriteRecord(RowWriter& rows, MessageRecord& saved,
                           const std::optional<MessageRecord>& before) const;

  // After a save committed as `saved`.
  void Adopt(MessageRecord saved);
};

// What OpenEntry reads in one snapshot.
Result<std::unique_ptr<MessageObject>> LoadMessageObject(std::shared_ptr<DatabaseState> database,
                                                         RowReader& rows, MessageId id,
                                                         const MessageRecord& record);

}  // namespace bobbin

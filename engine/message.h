// Message: one open message (MAPI: IMessage). A transacted object: edits stay private
// until SaveChanges or SubmitMessage makes them durable, whole.
//
//   CreateMessage ---> open, read/write --SubmitMessage--> invalid (kInvalidObject)
//   OpenEntry -------> open, read-only or read/write
//
// Durability  SaveChanges, SubmitMessage: durable when they return success. Everything
//             else changes this object only.
// Threads     One at a time per object. Objects of one database: any number at once.
// Processes   Two objects may be open on one message, here or elsewhere: the first to
//             save wins, the second is told (kObjectChanged).
// Ownership   Keeps the database open. What it returns owns its own bytes.
// Errors      Beside those listed: kInvalidObject on every method once the message has
//             been submitted; kNoAccess when a writing method meets a read-only object;
//             kBusy while SubmitMessageAsync is on its way; kCorruptData, kDiskError,
//             kNotEnoughDisk, kStoreFailed as in engine/kv/kv_engine.h. After an error
//             the object is still open with its edits (C26, C118).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/entry_id.h"
#include "engine/message_body.h"
#include "engine/property.h"
#include "engine/recipient_table.h"
#include "engine/result.h"

namespace bobbin {

struct MessageObject;
class Attachment;
class RecipientView;

enum class AccessLevel : std::uint8_t { kReadOnly = 0, kModify = 1 };  // PR_ACCESS_LEVEL.

class Message {
 public:
  // Property names, strings and binaries together; longer values become streams.
  static constexpr std::size_t kPropertyBytesMax = std::size_t{48} << 10;

  explicit Message(std::shared_ptr<MessageObject> object);
  Message(Message&&) noexcept;
  Message& operator=(Message&&) noexcept;
  ~Message();

  // Known from creation on: creating a message draws its identifier, which is not stored
  // until the first save.
  Result<EntryId> Id() const;
  Result<AccessLevel> Access() const;

  // All properties, computed ones included (entry id, parent, size, access, ...). A stream is
  // listed with type PT_ERROR and the value kNotEnoughMemory, as MAPI has it.
  Result<PropertyList> GetProps() const;
  //   kNotFound         the message does not have it
  //   kNotEnoughMemory  it is a stream
  Result<Property> GetProp(PropertyTag tag) const;

  // MAPI: IMAPIProp::GetPropList. The tags of the same, streams with the type of their value.
  Result<std::vector<PropertyTag>> GetPropList() const;

  // MAPI: IMAPIProp::SetProps. PR_NULL and PT_ERROR entries are skipped. What cannot be set
  // is listed in the result, the rest is set (specification 4.2, 2.6).
  //   kInvalidParameter  no entry at all, a PT_OBJECT entry, or a multi-value without values;
  //                      nothing is set
  //   kNotEnoughMemory   over kPropertyBytesMax; nothing is set
  Result<std::vector<PropertyProblem>> SetProps(std::span<const Property> properties);
  Result<std::vector<PropertyProblem>> DeleteProps(std::span<const PropertyTag> tags);

  // MAPI: IMessage::ModifyRecipients with kModifyRecipientsReplace, Add, Modify or Remove.
  // Added rows get their ids in order; Modify and Remove name rows by `id`.
  //   kUnknownFlags      more than one flag, or another one
  //   kNotFound          Modify, Remove: no such row; nothing changed
  //   kInvalidParameter  Modify, Remove: a row without an `id`; a row has no recipient type, or a
  //                      PT_NULL property, a PT_OBJECT one, or a value that its type cannot have;
  //                      those of PT_ERROR are left out
  //   kTooBig            more than kRecipientCountMax rows, or kPropertyBytesMax in one
  Result<void> ModifyRecipients(std::uint32_t flags, std::vector<RecipientRow> rows);
  Result<RecipientTable> GetRecipientTable() const;
  // The same as a table, with columns and restrictions (engine/recipient_view.h).
  Result<RecipientView> ViewRecipients() const;

  // MAPI: IMAPIProp::OpenProperty with IID_IStream. A string, binary or (packed)
  // multi-value of any length up to kContentBytesMax. The reader is invalid once the message is
  // submitted (C25).
  //   kInvalidType  a number, or what steers the submission (PR_SENTMAIL_ENTRYID, ...)
  //   kComputed     the store computes it
  //   kNotFound     OpenStream: the message does not have it
  Result<void> SetStream(PropertyTag tag, MessageBody content);
  Result<MessageBodyReader> OpenStream(PropertyTag tag) const;

  // MAPI: IMessage::CreateAttach, OpenAttach, DeleteAttach, GetAttachmentTable. What is created,
  // saved or deleted here becomes durable with the message (engine/attachment.h).
  //   kNotFound  no attachment has that PR_ATTACH_NUM
  Result<Attachment> CreateAttachment();
  Result<Attachment> OpenAttachment(std::uint32_t number) const;
  Result<void> DeleteAttachment(std::uint32_t number);
  // The properties of each, ascending PR_ATTACH_NUM, streams as PT_ERROR.
  Result<std::vector<PropertyList>> GetAttachmentTable() const;

  // The RFC 5322 original (PR_INTERNET_CONTENT); replaces an earlier one at the next save.
  Result<void> SetContent(MessageBody content);
  //   kNotFound  the message has no original
  Result<MessageBodyReader> OpenContent() const;

  // MAPI: IMAPIProp::SaveChanges with kKeepOpenReadOnly (as 0), kKeepOpenReadWrite, kForceSave.
  // kMapiDeferredErrors is accepted and ignored: a save is always durable.
  //   kObjectChanged  somebody saved or submitted it since; not saved (C116, C30)
  //   kObjectDeleted  it is gone; kForceSave does not help (C117)
  //   kSubmitted      kForceSave on a message that was submitted meanwhile (C30)
  Result<void> SaveChanges(std::uint32_t flags = 0);

  // MAPI: IMessage::SetReadFlag, with 0, kSuppressReceipt, kClearReadFlag, kGenerateReceiptOnly,
  // kClearReadReceiptPending, kClearNonReadReceiptPending, kMapiDeferredErrors (ignored) as in
  // specification 4.3. Durable at once, whatever else is pending on this object. A read report that
  // is due is submitted in the same transaction, at most once per message.
  //   kSubmitted         the message is in the outgoing queue: its flag stays (C60)
  //   kInvalidParameter  flags that exclude each other (C61)
  //   kObjectDeleted     it is gone, or was never saved
  //   kUnknownFlags
  Result<void> SetReadFlag(std::uint32_t flags = 0);

  // MAPI: IMessage::SubmitMessage with 0 or kForceSubmit (no difference). Saves the edits
  // and puts the message into the outgoing queue, one transaction (specification 4.4). On
  // success this object is invalid; its entry id still names the message.
  // Through the spooler logon (SpoolerSession) on a message that is queued and locked by that
  // session it is the second submit, which ends preprocessing: SUBMITFLAG_PREPROCESS is cleared,
  // the place in the queue and the lock are kept (C102). An empty recipient table is allowed.
  //   kNoRecipients   the recipient table is empty (C17)
  //   kNoAccess       second submit: not locked by this session
  //   kNoSupport      it is embedded in an attachment (C38)
  //   kSubmitted      submitted through another object already (C29)
  //   kObjectChanged  saved through another object since
  //   kObjectDeleted  it is gone
  //   kUnknownFlags
  Result<void> SubmitMessage(std::uint32_t flags = 0);

  // The same without waiting. `done` runs exactly once, on a thread of the database, and must
  // not block; until then the object answers kBusy. The object may be destroyed meanwhile.
  // What can be refused at once is reported through `done` too, from this call.
  void SubmitMessageAsync(std::uint32_t flags, std::function<void(Result<void>)> done);

 private:
  friend class Attachment;
  friend class SpoolerSession;
  std::shared_ptr<MessageObject> object_;
};

}  // namespace bobbin

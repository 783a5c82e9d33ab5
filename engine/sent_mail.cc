#include "engine/sent_mail.h"

namespace bobbin {
namespace {

// The folder the order or PR_SENTMAIL_ENTRYID names, if it is still there and not damaged.
Result<std::optional<FolderId>> Destination(RowWriter& rows, const MessageRecord& record,
                                            const SentMailOrder& order,
                                            const DatabaseId& database) {
  std::optional<FolderId> wanted = order.folder;
  if (!wanted) {
    const Result<EntryId> id =
        EntryId::FromBytes(record.properties.BytesOr(pr::kSentMailEntryId, {}));
    if (!id || id->Database() != database) return std::optional<FolderId>();
    wanted = FolderId{id->Object()};
  }
  const Result<std::optional<FolderRecord>> folder = rows.Folder(*wanted);
  if (!folder && folder.error().code != ErrorCode::kCorruptData) {
    return tl::unexpected<Error>(folder.error());
  }
  if (!folder || !*folder || (*folder)->store != record.store) return std::optional<FolderId>();
  return wanted;
}

// MAPI: IMAPISupport::DoSentMail. `record` has been dequeued and has the flags of a sent message;
// `before` is what is stored. The hooks, which it would call in MAPI, have run: a closure may be
// run again, a hook must not. What they decided is `order`.
Result<FinishResult> DoSentMail(RowWriter& rows, MessageId id, const MessageRecord& before,
                                MessageRecord& record, SubmissionStep step,
                                const SentMailOrder& order, const DatabaseId& database) {
  const bool wants_folder = order.folder || record.properties.Find(pr::kSentMailEntryId) != nullptr;
  const bool wants_delete = record.properties.FlagOr(pr::kDeleteAfterSubmit, false);
  if (order.delete_message || (!wants_folder && wants_delete)) {
    RETURN_IF_ERROR(EraseMessage(rows, id, before, step));
    return FinishResult::kFinished;
  }
  RETURN_IF_ERROR(ReplaceMessage(rows, id, before, record, step));
  if (!wants_folder) return FinishResult::kFinished;
  ASSIGN_OR_RETURN(const auto folder, Destination(rows, record, order, database));
  if (!folder) return FinishResult::kFinishedPartially;
  if (*folder != record.folder) RETURN_IF_ERROR(MoveMessage(rows, id, record, *folder));
  return FinishResult::kFinished;
}

}  // namespace

Result<FinishResult> FinishInTransaction(RowWriter& rows, MessageId id, MessageRecord& record,
                                         SubmissionStep step, const SentMailOrder& order,
                                         const DatabaseId& database) {
  if (!record.IsSubmitted()) {
    return Fail(ErrorCode::kNotInQueue, "the message is not in the outgoing queue");
  }
  const MessageRecord before = record;
  RETURN_IF_ERROR(Dequeue(rows, record));
  record.message_flags &= ~kMsgFlagUnsent;
  record.message_flags |= kMsgFlagRead;
  return DoSentMail(rows, id, before, record, step, order, database);
}

}  // namespace bobbin

#include "engine/sent_mail.h"

#include "engine/submission.h"

namespace bobbin {
namespace {

// The folder the order or PR_SENTMAIL_ENTRYID names, if it is still there.
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
  ASSIGN_OR_RETURN(const auto folder, rows.Folder(*wanted));
  if (!folder || folder->store != record.store) return std::optional<FolderId>();
  return wanted;
}

}  // namespace

Result<FinishResult> FinishInTransaction(RowWriter& rows, MessageId id, MessageRecord& record,
                                         const SentMailOrder& order, const DatabaseId& database) {
  ASSIGN_OR_RETURN(const SubmissionState state, StateOf(record));
  if (!IsLegal(state, SubmissionStep::kFinish)) {
    return Fail(ErrorCode::kNotInQueue, "the message is not in the outgoing queue");
  }
  const MessageRecord before = record;
  RETURN_IF_ERROR(Dequeue(rows, record));
  record.message_flags &= ~kMsgFlagUnsent;
  record.message_flags |= kMsgFlagRead;

  const bool wants_folder = order.folder || record.properties.Find(pr::kSentMailEntryId) != nullptr;
  const bool wants_delete = record.properties.FlagOr(pr::kDeleteAfterSubmit, false);
  if (order.delete_message || (!wants_folder && wants_delete)) {
    RETURN_IF_ERROR(EraseMessage(rows, id, before));
    return FinishResult::kFinished;
  }
  RETURN_IF_ERROR(ReplaceMessage(rows, id, before, record));
  if (!wants_folder) return FinishResult::kFinished;
  ASSIGN_OR_RETURN(const auto folder, Destination(rows, record, order, database));
  if (!folder) return FinishResult::kFinishedPartially;
  if (*folder != record.folder) RETURN_IF_ERROR(MoveMessage(rows, id, record, *folder));
  return FinishResult::kFinished;
}

}  // namespace bobbin

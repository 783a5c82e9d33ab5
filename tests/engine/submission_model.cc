#include "tests/engine/submission_model.h"

#include <rapidcheck.h>

#include <algorithm>
#include <functional>
#include <string>
#include <tuple>
#include <utility>

#include "engine/attachment.h"
#include "tests/support/matchers.h"

namespace bobbin {
namespace {

constexpr std::size_t kMessagesMax = 6;
constexpr std::size_t kFoldersMax = 6;
constexpr const char* kLocalStore = "bob@b.test";

template <class T>
void Expect(const Result<T>& result, std::optional<ErrorCode> code) {
  if (code) {
    RC_ASSERT(!result.has_value());
    RC_ASSERT(ErrorName(result.error().code) == ErrorName(*code));
  } else if (!result) {
    RC_FAIL(ToString(result.error()));
  }
}

MessageId IdOf(const ModelMessage& model) { return {model.id.Object()}; }

RecipientRow RowOf(ModelRecipient::Kind kind) {
  if (kind == ModelRecipient::Kind::kForeign) return MakeSmtpRecipient("c@x.test", kRecipientTo);
  if (kind == ModelRecipient::Kind::kLocal) return MakeSmtpRecipient(kLocalStore, kRecipientCc);
  RecipientRow row;
  row.properties = {Property::Number(pr::kRecipientType, kRecipientTo),
                    Property::Bytes(pr::kAddressType, "FAX"),
                    Property::Bytes(pr::kEmailAddress, "+49 30 1")};
  return row;
}

// One, two or three of them: `bits` says which.
std::vector<ModelRecipient> Recipients(int bits) {
  std::vector<ModelRecipient> recipients;
  for (const auto kind : {ModelRecipient::Kind::kForeign, ModelRecipient::Kind::kLocal,
                          ModelRecipient::Kind::kPreprocessed}) {
    if (((bits >> static_cast<int>(kind)) & 1) != 0) recipients.push_back({kind, false});
  }
  if (recipients.empty()) recipients.push_back({});
  return recipients;
}

std::vector<RecipientRow> Rows(const std::vector<ModelRecipient>& recipients) {
  std::vector<RecipientRow> rows;
  for (const ModelRecipient& recipient : recipients) rows.push_back(RowOf(recipient.kind));
  return rows;
}

bool AllServed(const ModelContent& content) {
  return std::all_of(content.recipients.begin(), content.recipients.end(),
                     [](const ModelRecipient& recipient) { return recipient.served; });
}

MessageBody ContentOf(MessageStore& store, std::size_t bytes) {
  MessageBodyWriter writer = store.NewContent();
  Must(writer.Append("Subject: model\r\n\r\n" + std::string(bytes, 'x')));
  return Must(writer.Finish());
}

}  // namespace

void showValue(const ModelStep& step, std::ostream& out) {  // NOLINT(readability-identifier-naming)
  out << "{" << step.kind << ", " << step.which << ", " << step.where << "}";
}

SubmissionModel::SubmissionModel(TemporaryDatabase& database) : database_(database) {
  Must(database_.Database().CreateMessageStore(kLocalStore));
  for (auto& session : sessions_) session.emplace(Must(database_.Database().OpenSpoolerSession()));
  const StandardFolders& folders = Store().Folders();
  folders_ = {folders.outbox, folders.drafts, folders.sent_items};
  CreateFolder();
  Publish(3);
}

void SubmissionModel::Take(const ModelStep& step) {
  if (step.kind < 3 || messages_.empty()) return Create(step.where);
  ModelMessage& model = messages_[step.which % messages_.size()];
  const int session = step.where & 1;
  const std::array<std::function<void()>, kKindCount - 3> steps{
      [&] { Submit(model, step.where); },
      [&] { Submit(model, step.where); },
      [&] { Submit(model, step.where); },
      [&] { Abort(model); },
      [&] { Edit(model, step.where); },
      [&] { Attach(model, step.where); },
      [&] { SetReadFlag(model, step.where); },
      [&] { Delete(model, step.where); },
      [&] { Copy(model, step.where); },
      [&] { Move(model, step.where); },
      [&] { CreateFolder(); },
      [&] { DeleteFolder(step.where); },
      [&] { EmptyFolder(step.where); },
      [&] { OpenHandle(step.which, step.where); },
      [&] { SaveHandle(step.where); },
      [&] { SubmitHandle(step.where); },
      [&] { Lock(model, session); },
      [&] { Lock(model, session); },
      [&] { Unlock(model, session); },
      [&] {
        Prepare(model, step.where);
        Finish(model, session);
      },
      [&] {
        Prepare(model, step.where);
        CommitAttempt(model, step.where);
      },
      [&] {
        Prepare(model, step.where);
        MarkInDoubt(model, step.where);
      },
      [&] {
        Prepare(model, step.where);
        BeginPreprocessing(model, session);
      },
      [&] {
        Prepare(model, step.where);
        SecondSubmit(model, session);
      },
      [&] { Publish(step.where); },
      [&] { (step.where & 2) != 0 ? EndSession(session) : NextDue(session); },
      [&] { Steer(model, step.where); },
      [&] { (step.where & 2) != 0 ? MoveClock(step.where) : Couple(step.where); },
      [&] { Reopen(); }};
  steps[step.kind - 3]();
}

// --- What there is, compared ---

void SubmissionModel::Compare() const {
  std::vector<MessageId> queue;
  const OutgoingQueue table = sessions_[0]->GetOutgoingQueue(Store().Id());
  for (const QueueRow& row : Must(table.Rows(1'000))) queue.push_back(row.message);
  RC_ASSERT(queue == queue_);
  for (const ModelMessage& model : messages_) CompareMessage(model);
  CompareFolders();
  RC_ASSERT(Findings(database_.Database()) == "");
}

void SubmissionModel::CompareMessage(const ModelMessage& model) const {
  const Database& database = database_.Database();
  RC_ASSERT(IsStored(database, model.id) == model.exists);
  const Result<QueueRow> row = database.GetOutgoingQueue().Row(IdOf(model));
  Expect(row, model.queued ? std::nullopt : std::optional(ErrorCode::kNotInQueue));
  if (!model.exists) return;
  const Message message = Must(database.OpenMessageForOperator(IdOf(model)));
  const PropertyList props = Must(message.GetProps());
  const auto flags = static_cast<std::uint32_t>(props.NumberOr(pr::kMessageFlags, 0));
  const std::uint32_t expected =
      (model.read ? kMsgFlagRead : 0U) | (model.unsent ? kMsgFlagUnsent : 0U) |
      (model.unmodified ? kMsgFlagUnmodified : 0U) | (model.queued ? kMsgFlagSubmit : 0U) |
      (model.attachments > 0 ? kMsgFlagHasAttach : 0U);
  RC_ASSERT(flags == expected);
  const std::uint32_t submit_flags = (model.to_preprocess ? kSubmitFlagPreprocess : 0U) |
                                     (model.locked_by ? kSubmitFlagLocked : 0U);
  RC_ASSERT(props.NumberOr(pr::kSubmitFlags, -1) ==
            (model.queued ? static_cast<std::int64_t>(submit_flags) : -1));
  RC_ASSERT(props.FlagOr(pr::kPreprocess, false) == model.preprocess);
  RC_ASSERT(props.BytesOr(pr::kParentEntryId, {}) ==
            Store().EntryIdOf(model.folder.value).ToBytes());
  RC_ASSERT(props.BytesOr(pr::kSubject, {}) == model.content.subject);
  RC_ASSERT(static_cast<int>(Must(message.GetAttachmentTable()).size()) == model.attachments);
  const RecipientTable recipients = Must(message.GetRecipientTable());
  RC_ASSERT(recipients.size() == model.content.recipients.size());
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    RC_ASSERT(recipients[i].delivery.responsibility == model.content.recipients[i].served);
  }
  if (!model.queued) return;
  RC_ASSERT((row->lane == DueLane::kHeld) == model.held);
  RC_ASSERT(row->due == model.due);
  RC_ASSERT(row->submit_flags == submit_flags);
}

void SubmissionModel::CompareFolders() const {
  for (const FolderId folder : folders_) {
    const Result<FolderInfo> info = Store().GetFolder(folder);
    Expect(info, Exists(folder) ? std::nullopt : std::optional(ErrorCode::kNotFound));
    if (!info) continue;
    std::uint32_t contents = 0;
    std::uint32_t unread = 0;
    for (const ModelMessage& model : messages_) {
      const bool here = model.exists && model.folder == folder;
      contents += here ? 1 : 0;
      unread += here && !model.read ? 1 : 0;
    }
    RC_ASSERT(info->content_count == contents);
    RC_ASSERT(info->content_unread == unread);
    RC_ASSERT(Must(Store().GetContentsTable(folder, 1'000)).size() == contents);
  }
  const MessageStore local = Must(database_.Database().OpenMessageStore(kLocalStore));
  const FolderInfo inbox = Must(local.GetFolder(local.Folders().inbox));
  RC_ASSERT(static_cast<int>(inbox.content_count) == delivered_here_);
  RC_ASSERT(static_cast<int>(inbox.content_unread) == delivered_here_);
}

bool SubmissionModel::Exists(FolderId folder) const {
  return std::find(deleted_folders_.begin(), deleted_folders_.end(), folder) ==
         deleted_folders_.end();
}

// --- Rules that several steps share ---

bool SubmissionModel::HasRoom() const {
  return messages_.size() < kMessagesMax ||
         std::any_of(messages_.begin(), messages_.end(),
                     [](const ModelMessage& model) { return !model.exists; });
}

SubmissionState SubmissionModel::StateOf(const ModelMessage& model) const {
  if (!model.exists) return SubmissionState::kGone;
  if (!model.queued) return model.unsent ? SubmissionState::kDraft : SubmissionState::kSent;
  if (model.served_inline) return SubmissionState::kInline;
  if (model.to_preprocess) {
    return model.locked_by ? SubmissionState::kLockedPreprocessQueue
                           : SubmissionState::kPreprocessQueue;
  }
  if (model.locked_by) {
    return AllServed(model.content) ? SubmissionState::kAllDone
                                    : SubmissionState::kLockedReadyQueue;
  }
  const bool deferred = model.content.deferred_until && *model.content.deferred_until > Now();
  return deferred && model.due > Now() ? SubmissionState::kHeld : SubmissionState::kReadyQueue;
}

void SubmissionModel::Go(ModelMessage& model, SubmissionStep step,
                         const std::function<void()>& change) const {
  const SubmissionState before = StateOf(model);
  change();
  const auto legal = std::tuple(before, step, StateOf(model));
  if (!std::apply(IsLegal, legal)) {
    RC_FAIL("no transition from " + std::to_string(static_cast<int>(before)) + " by step " +
            std::to_string(static_cast<int>(step)) + " to " +
            std::to_string(static_cast<int>(StateOf(model))));
  }
}

void SubmissionModel::Add(ModelMessage message) {
  RC_ASSERT(IsLegal(SubmissionState::kNew, SubmissionStep::kSave, StateOf(message)));
  if (messages_.size() < kMessagesMax) return messages_.push_back(std::move(message));
  const auto gone = std::find_if(messages_.begin(), messages_.end(),
                                 [](const ModelMessage& model) { return !model.exists; });
  const auto slot = static_cast<std::size_t>(gone - messages_.begin());
  for (auto& handle : handles_) {
    if (handle && handle->message == slot) handle.reset();
  }
  *gone = std::move(message);
}

void SubmissionModel::Prepare(ModelMessage& model, int where) {
  if ((where & 16) != 0) Submit(model, 0);
  if ((where & 8) != 0) Lock(model, where & 1);
  if ((where & 6) == 6) Steer(model, 0);
  if ((where & 6) == 2) DeleteFolder(16);
}

std::optional<Message> SubmissionModel::OpenForModify(const ModelMessage& model) const {
  Result<Message> message = Store().OpenMessage(model.id, kMapiModify);
  if (!model.exists) {
    Expect(message, ErrorCode::kNotFound);
  } else if (model.queued) {
    Expect(message, ErrorCode::kSubmitted);
  } else {
    Expect(message, std::nullopt);
    return *std::move(message);
  }
  return std::nullopt;
}

std::optional<Message> SubmissionModel::OpenForSpooler(const ModelMessage& model,
                                                       int session) const {
  Result<Message> message = sessions_[static_cast<std::size_t>(session)]->OpenMessage(model.id);
  if (!model.exists) {
    Expect(message, ErrorCode::kNotFound);
  } else if (model.locked_by && *model.locked_by != session) {
    Expect(message, ErrorCode::kNoAccess);
  } else {
    Expect(message, std::nullopt);
    return *std::move(message);
  }
  return std::nullopt;
}

void SubmissionModel::Enqueue(ModelMessage& model) {
  ModelContent& content = model.content;
  const Time submit_time = std::max(Now(), last_submit_);
  last_submit_ = submit_time;
  if (content.deferred_hours) {
    content.deferred_until = submit_time + std::chrono::hours(*content.deferred_hours);
  }
  bool preprocess = false;
  for (ModelRecipient& recipient : content.recipients) {
    recipient.served = false;
    preprocess |= recipient.kind == ModelRecipient::Kind::kPreprocessed && HasPreprocessor();
  }
  const bool deferred = content.deferred_until && *content.deferred_until > Now();
  Go(model, SubmissionStep::kSubmit, [&] {
    model.queued = model.unsent = true;
    model.served_inline = coupled_ && !preprocess && !deferred;
    model.unmodified = false;
    model.to_preprocess = model.preprocess = preprocess;
    model.preprocess_attempts = 0;
    model.held = false;
    model.due = std::max(submit_time, content.deferred_until.value_or(submit_time));
  });
  ++model.version;
  queue_.push_back(IdOf(model));
  if (!model.served_inline) return;
  ServeLocal(model);
  if (AllServed(content)) {
    Complete(model, SubmissionStep::kServeInline);
  } else {
    Go(model, SubmissionStep::kLeaveToSpooler, [&] { model.served_inline = false; });
  }
}

void SubmissionModel::ServeLocal(ModelMessage& model) {
  for (ModelRecipient& recipient : model.content.recipients) {
    if (recipient.kind != ModelRecipient::Kind::kLocal || recipient.served) continue;
    recipient.served = true;
    ++delivered_here_;
  }
}

FinishResult SubmissionModel::Complete(ModelMessage& model, SubmissionStep step) {
  const ModelContent& content = model.content;
  Go(model, step, [&] {
    Unqueue(model);
    model.unsent = false;
    model.exists = content.sent_folder || !content.delete_after_submit;
  });
  model.read = true;
  if (!content.sent_folder) return FinishResult::kFinished;
  if (!Exists(*content.sent_folder)) return FinishResult::kFinishedPartially;
  model.folder = *content.sent_folder;
  return FinishResult::kFinished;
}

void SubmissionModel::Unqueue(ModelMessage& model) {
  std::erase(queue_, IdOf(model));
  model.queued = model.served_inline = model.to_preprocess = model.preprocess = false;
  model.locked_by.reset();
  ++model.version;
}

void SubmissionModel::Release(int session) {
  for (ModelMessage& model : messages_) {
    if (model.locked_by != session) continue;
    Go(model, SubmissionStep::kUnlock, [&] { model.locked_by.reset(); });
  }
  std::erase_if(published_, [session](const auto& entry) { return entry.first == session; });
}

// --- Clients ---

// `where` also says whom it goes to and what it wishes for.
void SubmissionModel::Create(int where) {
  if (!HasRoom()) return;
  const FolderId folder = Folder(where);
  const Result<Message> probe = Store().CreateMessage(folder);
  Expect(probe, Exists(folder) ? std::nullopt : std::optional(ErrorCode::kNotFound));
  if (!probe) return;
  Message message = NewDraft(Store(), folder, std::vector<std::string>{}, "new");
  ModelMessage model;
  model.id = Must(message.Id());
  model.folder = folder;
  model.content.subject = "new";
  model.content.recipients = Recipients(where % 8);
  Must(message.ModifyRecipients(kModifyRecipientsReplace, Rows(model.content.recipients)));
  if ((where & 4) != 0) {
    model.content.delete_after_submit = true;
    RC_ASSERT(SetProp(message, Property::Number(pr::kDeleteAfterSubmit, 1)));
  }
  if ((where & 8) != 0) {
    model.content.sent_folder = (where & 2) != 0 ? folders_.back() : Store().Folders().sent_items;
    const EntryId sent = Store().EntryIdOf(model.content.sent_folder->value);
    RC_ASSERT(SetProp(message, Property::Bytes(pr::kSentMailEntryId, sent.ToBytes())));
  }
  if ((where & 16) != 0) {
    model.read = false;
    RC_ASSERT(
        SetProp(message, Property::Number(pr::kMessageFlags, kMsgFlagUnsent | kMsgFlagUnmodified)));
  }
  Must(message.SetContent(ContentOf(Store(), static_cast<std::size_t>(where) * 3'000)));
  Must(message.SaveChanges());
  Add(std::move(model));
}

// `where` also says for when.
void SubmissionModel::Submit(ModelMessage& model, int where) {
  std::optional<Message> message = OpenForModify(model);
  if (!message) return;
  if (where % 8 == 1) {
    model.content.deferred_until = Now() + std::chrono::hours(where - 16);
    RC_ASSERT(SetProp(*message, Property::Number(pr::kDeferredSendTime,
                                                 ToFileTime(*model.content.deferred_until))));
  } else if (where % 8 == 2) {
    model.content.deferred_hours = where / 8;
    RC_ASSERT(SetProp(*message, Property::Number(pr::kDeferredSendNumber, where / 8)));
    RC_ASSERT(SetProp(*message, Property::Number(pr::kDeferredSendUnits, 1)));
  }
  Expect(message->SubmitMessage(), std::nullopt);
  Enqueue(model);
}

void SubmissionModel::Abort(ModelMessage& model) {
  const Result<void> aborted = Store().AbortSubmit(model.id);
  if (!model.exists) return Expect(aborted, ErrorCode::kNotFound);
  if (!model.queued) return Expect(aborted, ErrorCode::kNotInQueue);
  if (model.locked_by) return Expect(aborted, ErrorCode::kUnableToAbort);
  Expect(aborted, std::nullopt);
  Go(model, SubmissionStep::kAbort, [&] { Unqueue(model); });
}

void SubmissionModel::Edit(ModelMessage& model, int where) {
  std::optional<Message> message = OpenForModify(model);
  if (!message) return;
  model.content.subject = "edited " + std::to_string(where);
  model.content.recipients = Recipients(where % 8);
  model.unmodified = false;
  RC_ASSERT(SetProp(*message, Property::Bytes(pr::kSubject, model.content.subject)));
  Must(message->ModifyRecipients(kModifyRecipientsReplace, Rows(model.content.recipients)));
  Expect(message->SaveChanges(), std::nullopt);
  ++model.version;
}

// Adds an attachment, short or in rows of its own, with a message in it or not; or deletes one.
void SubmissionModel::Attach(ModelMessage& model, int where) {
  std::optional<Message> message = OpenForModify(model);
  if (!message) return;
  const bool remove = (where & 2) != 0 && model.attachments > 0;
  if (remove) {
    const PropertyList first = Must(message->GetAttachmentTable()).front();
    Must(message->DeleteAttachment(
        static_cast<std::uint32_t>(first.NumberOr(pr::kAttachNumber, 0))));
  } else {
    Attachment attachment = Must(message->CreateAttachment());
    Must(attachment.SetStream(pr::kAttachDataBinary,
                              ContentOf(Store(), static_cast<std::size_t>(where) * 5'000)));
    if ((where & 4) != 0) {
      Message embedded = Must(attachment.CreateEmbeddedMessage());
      RC_ASSERT(SetProp(embedded, Property::Bytes(pr::kSubject, "inside")));
      Must(embedded.SaveChanges());
    }
    Must(attachment.SaveChanges());
  }
  Expect(message->SaveChanges(), std::nullopt);
  model.attachments += remove ? -1 : 1;
  model.unmodified = false;
  ++model.version;
}

void SubmissionModel::SetReadFlag(ModelMessage& model, int where) {
  const bool read = (where & 1) != 0;
  const auto set =
      Store().SetReadFlags(model.folder, std::vector{IdOf(model)}, read ? 0U : kClearReadFlag);
  if (!Exists(model.folder)) return Expect(set, ErrorCode::kNotFound);
  Expect(set, std::nullopt);
  const bool possible = model.exists && !model.queued;
  RC_ASSERT((*set == Completion::kComplete) == possible);
  if (!possible || model.read == read) return;
  model.read = read;
  ++model.version;
}

void SubmissionModel::Delete(ModelMessage& model, int where) {
  const auto deleted = Store().DeleteMessages(Folder(where), std::vector{IdOf(model)});
  if (!Exists(Folder(where))) return Expect(deleted, ErrorCode::kNotFound);
  Expect(deleted, std::nullopt);
  const bool possible = model.exists && model.folder == Folder(where) && !model.queued;
  RC_ASSERT((*deleted == Completion::kComplete) == possible);
  if (possible) Go(model, SubmissionStep::kDelete, [&] { model.exists = false; });
}

void SubmissionModel::Copy(const ModelMessage& original, int where) {
  if (!HasRoom()) return;
  std::vector<MessageId> copies;
  const auto copied =
      Store().CopyMessages(original.folder, std::vector{IdOf(original)}, Folder(where), &copies);
  if (!Exists(original.folder) || !Exists(Folder(where))) {
    return Expect(copied, ErrorCode::kNotFound);
  }
  Expect(copied, std::nullopt);
  RC_ASSERT(copies.size() == (original.exists ? 1U : 0U));
  if (copies.empty()) return;
  ModelMessage copy = original;
  copy.id = Store().EntryIdOf(copies[0].value);
  copy.folder = Folder(where);
  copy.unsent = original.unsent || original.queued;
  copy.queued = copy.to_preprocess = copy.preprocess = false;
  copy.locked_by.reset();
  Add(std::move(copy));
}

void SubmissionModel::Move(ModelMessage& model, int where) {
  const auto moved = Store().MoveMessages(model.folder, std::vector{IdOf(model)}, Folder(where));
  if (!Exists(model.folder) || !Exists(Folder(where))) return Expect(moved, ErrorCode::kNotFound);
  Expect(moved, std::nullopt);
  const bool possible = model.exists && !model.queued;
  RC_ASSERT((*moved == Completion::kComplete) == possible);
  if (!possible || model.folder == Folder(where)) return;
  model.folder = Folder(where);
  ++model.version;
}

void SubmissionModel::CreateFolder() {
  if (folders_.size() - deleted_folders_.size() >= kFoldersMax) return;
  const std::string name = "folder " + std::to_string(folders_.size());
  folders_.push_back(Must(Store().CreateFolder(Store().Folders().root, name)));
}

void SubmissionModel::DeleteFolder(int where) {
  const FolderId folder = (where & 16) != 0 ? folders_.back() : Folder(where);
  const bool empty = std::none_of(messages_.begin(), messages_.end(), [&](const auto& model) {
    return model.exists && model.folder == folder;
  });
  const Result<void> deleted = Store().DeleteFolder(folder);
  if (!Exists(folder)) return Expect(deleted, ErrorCode::kNotFound);
  const bool standard =
      std::find(folders_.begin(), folders_.begin() + 3, folder) != folders_.begin() + 3;
  if (standard || !empty) return Expect(deleted, ErrorCode::kNoAccess);
  Expect(deleted, std::nullopt);
  deleted_folders_.push_back(folder);
}

void SubmissionModel::EmptyFolder(int where) {
  const FolderId folder = Folder(where);
  const auto emptied = Store().EmptyFolder(folder);
  if (!Exists(folder)) return Expect(emptied, ErrorCode::kNotFound);
  Expect(emptied, std::nullopt);
  bool complete = true;
  for (ModelMessage& model : messages_) {
    if (!model.exists || model.folder != folder) continue;
    complete = complete && !model.queued;
    if (!model.queued) Go(model, SubmissionStep::kDelete, [&] { model.exists = false; });
  }
  RC_ASSERT((*emptied == Completion::kComplete) == complete);
}

// --- Clients that keep an object open while others go on ---

void SubmissionModel::OpenHandle(std::size_t which, int where) {
  const std::size_t message = which % messages_.size();
  std::optional<Message> object = OpenForModify(messages_[message]);
  if (!object) return;
  handles_[static_cast<std::size_t>(where & 1)].emplace(
      Handle{*std::move(object), message, messages_[message].content, messages_[message].version});
}

void SubmissionModel::SaveHandle(int where) {
  std::optional<Handle>& handle = handles_[static_cast<std::size_t>(where & 1)];
  if (!handle) return;
  const bool force = (where & 2) != 0;
  handle->content.subject = "saved " + std::to_string(where);
  RC_ASSERT(SetProp(handle->object, Property::Bytes(pr::kSubject, handle->content.subject)));
  const Result<void> saved =
      handle->object.SaveChanges(kKeepOpenReadWrite | (force ? kForceSave : 0U));
  ModelMessage& model = messages_[handle->message];
  if (!model.exists) return Expect(saved, ErrorCode::kObjectDeleted);
  if (model.queued) {
    return Expect(saved, force ? ErrorCode::kSubmitted : ErrorCode::kObjectChanged);
  }
  if (model.version != handle->version && !force) return Expect(saved, ErrorCode::kObjectChanged);
  Expect(saved, std::nullopt);
  model.content = handle->content;
  model.unmodified = false;
  handle->version = ++model.version;
}

void SubmissionModel::SubmitHandle(int where) {
  std::optional<Handle>& handle = handles_[static_cast<std::size_t>(where & 1)];
  if (!handle) return;
  const Result<void> submitted = handle->object.SubmitMessage();
  ModelMessage& model = messages_[handle->message];
  if (!model.exists) return Expect(submitted, ErrorCode::kObjectDeleted);
  if (model.queued) return Expect(submitted, ErrorCode::kSubmitted);
  if (model.version != handle->version) return Expect(submitted, ErrorCode::kObjectChanged);
  Expect(submitted, std::nullopt);
  model.content = handle->content;
  Enqueue(model);
  Expect(handle->object.GetProps(), ErrorCode::kInvalidObject);
  handle.reset();
}

// --- Spooler sessions ---

void SubmissionModel::Lock(ModelMessage& model, int session) {
  std::optional<Message> message = OpenForSpooler(model, session);
  if (!message) return;
  const Result<void> locked =
      sessions_[static_cast<std::size_t>(session)]->SetLockState(*message, LockState::kLocked);
  if (!model.queued) return Expect(locked, ErrorCode::kNotInQueue);
  Expect(locked, std::nullopt);
  if (model.locked_by != session) {
    Go(model, SubmissionStep::kLock, [&] { model.locked_by = session; });
  }
  Expect(Store().OpenMessage(model.id, 0), ErrorCode::kNoAccess);
}

void SubmissionModel::Unlock(ModelMessage& model, int session) {
  std::optional<Message> message = OpenForSpooler(model, session);
  if (!message) return;
  const Result<void> unlocked =
      sessions_[static_cast<std::size_t>(session)]->SetLockState(*message, LockState::kUnlocked);
  if (!model.queued) return Expect(unlocked, ErrorCode::kNotInQueue);
  Expect(unlocked, std::nullopt);
  if (model.locked_by) {
    Go(model, SubmissionStep::kUnlock, [&] { model.locked_by.reset(); });
  }
  Expect(Store().OpenMessage(model.id, 0), std::nullopt);
}

void SubmissionModel::Finish(ModelMessage& model, int session) {
  const auto finished = sessions_[static_cast<std::size_t>(session)]->FinishMessage(model.id);
  if (!model.queued) return Expect(finished, ErrorCode::kNotInQueue);
  if (model.locked_by != session) return Expect(finished, ErrorCode::kNoAccess);
  Expect(finished, std::nullopt);
  RC_ASSERT(*finished == Complete(model, SubmissionStep::kFinish));
}

void SubmissionModel::CommitAttempt(ModelMessage& model, int where) {
  const int session = where & 1;
  const std::size_t row = static_cast<std::size_t>(where / 2) % model.content.recipients.size();
  Attempt attempt;
  attempt.next_due = Now() + std::chrono::minutes(where);
  if (model.exists) {
    const Message message = Must(database_.Database().OpenMessageForOperator(IdOf(model)));
    RecipientUpdate update{Must(message.GetRecipientTable()).at(row).id, {}};
    update.delivery.responsibility = true;
    update.delivery.state = RecipientState::kDelivered;
    attempt.updates.push_back(std::move(update));
  }
  const auto result =
      sessions_[static_cast<std::size_t>(session)]->CommitAttempt(model.id, attempt);
  if (!model.queued) return Expect(result, ErrorCode::kNotInQueue);
  if (model.locked_by != session) return Expect(result, ErrorCode::kNoAccess);
  ModelRecipient& recipient = model.content.recipients[row];
  if (recipient.served) return Expect(result, ErrorCode::kInvalidParameter);
  Expect(result, std::nullopt);
  Go(model, SubmissionStep::kServe, [&] { recipient.served = true; });
  if (AllServed(model.content)) {
    RC_ASSERT(*result == Complete(model, SubmissionStep::kFinish));
    return;
  }
  RC_ASSERT(*result == FinishResult::kStillQueued);
  Go(model, SubmissionStep::kUnlock, [&] {
    model.due = attempt.next_due;
    model.locked_by.reset();
  });
}

void SubmissionModel::MarkInDoubt(ModelMessage& model, int where) {
  const int session = where & 1;
  const std::size_t row = static_cast<std::size_t>(where / 2) % model.content.recipients.size();
  std::vector<RecipientRowId> rows;
  if (model.exists) {
    const Message message = Must(database_.Database().OpenMessageForOperator(IdOf(model)));
    rows.push_back(Must(message.GetRecipientTable()).at(row).id);
  }
  const Result<void> marked =
      sessions_[static_cast<std::size_t>(session)]->MarkInDoubt(model.id, rows, Now());
  if (!model.queued) return Expect(marked, ErrorCode::kNotInQueue);
  if (model.locked_by != session) return Expect(marked, ErrorCode::kNoAccess);
  Expect(marked, model.content.recipients[row].served ? std::optional(ErrorCode::kInvalidParameter)
                                                      : std::nullopt);
}

void SubmissionModel::BeginPreprocessing(ModelMessage& model, int session) {
  const auto begun = sessions_[static_cast<std::size_t>(session)]->BeginPreprocessing(model.id);
  if (!model.queued) return Expect(begun, ErrorCode::kNotInQueue);
  if (model.locked_by != session) return Expect(begun, ErrorCode::kNoAccess);
  // It has been preprocessed.
  if (model.preprocess && !model.to_preprocess) return Expect(begun, ErrorCode::kNotInQueue);
  Expect(begun, std::nullopt);
  RC_ASSERT(*begun == ++model.preprocess_attempts);
  Go(model, SubmissionStep::kPreprocess, [&] { model.to_preprocess = model.preprocess = true; });
  ++model.version;
}

void SubmissionModel::SecondSubmit(ModelMessage& model, int session) {
  if (!model.queued) return;
  std::optional<Message> message = OpenForSpooler(model, session);
  if (!message) return;
  const Result<void> submitted = message->SubmitMessage();
  if (model.locked_by != session) return Expect(submitted, ErrorCode::kNoAccess);
  Expect(submitted, std::nullopt);
  Go(model, SubmissionStep::kSecondSubmit, [&] {
    if (model.to_preprocess && coupled_) ServeLocal(model);
    model.to_preprocess = false;
  });
  model.preprocess_attempts = 0;
  ++model.version;
}

void SubmissionModel::Publish(int where) {
  const int session = where & 1;
  const bool preprocessor = (where & 2) != 0;
  TransportProfile profile;
  profile.transports.push_back({true, {}, {}, {}});
  if (preprocessor) profile.transports[0].preprocessors.push_back({"", "FAX"});
  Must(sessions_[static_cast<std::size_t>(session)]->PublishTransports(profile));
  std::erase_if(published_, [session](const auto& entry) { return entry.first == session; });
  published_.emplace_back(session, preprocessor);
}

void SubmissionModel::EndSession(int session) {
  std::optional<SpoolerSession>& ended = sessions_[static_cast<std::size_t>(session)];
  ended.reset();
  ended.emplace(Must(database_.Database().OpenSpoolerSession()));
  Release(session);
}

void SubmissionModel::NextDue(int session) const {
  const DueResult due = Must(sessions_[static_cast<std::size_t>(session)]->NextDue(Now()));
  const ModelMessage* first = nullptr;
  for (const MessageId id : queue_) {  // In submit order, which decides among equals.
    const auto at = std::find_if(messages_.begin(), messages_.end(),
                                 [&](const ModelMessage& model) { return IdOf(model) == id; });
    if (at->held || at->locked_by || at->due > Now()) continue;
    if (first == nullptr || at->due < first->due) first = &*at;
  }
  RC_ASSERT(due.message.has_value() == (first != nullptr));
  if (first != nullptr) RC_ASSERT(due.message->message == IdOf(*first));
}

// --- Operators and the world ---

void SubmissionModel::Steer(ModelMessage& model, int where) {
  OutgoingQueue queue = database_.Database().GetOutgoingQueue();
  const int step = where % 3;
  const Result<void> steered = step == 0   ? queue.Hold(IdOf(model))
                               : step == 1 ? queue.Release(IdOf(model))
                                           : queue.Retry(IdOf(model));
  Expect(steered, model.queued ? std::nullopt : std::optional(ErrorCode::kNotInQueue));
  if (!model.queued) return;
  model.held = step == 0;
  if (step == 2) model.due = Now();
}

void SubmissionModel::Couple(int where) {
  coupled_ = (where & 1) != 0;
  Must(Store().SetTightlyCoupled(coupled_));
}

void SubmissionModel::Reopen() {
  for (auto& handle : handles_) handle.reset();
  for (int session : {0, 1}) {
    sessions_[static_cast<std::size_t>(session)].reset();
    Release(session);
  }
  database_.Reopen();
  for (auto& session : sessions_) session.emplace(Must(database_.Database().OpenSpoolerSession()));
}

// Forwards, mostly.
void SubmissionModel::MoveClock(int where) {
  std::vector<SubmissionState> before;
  for (const ModelMessage& model : messages_) before.push_back(StateOf(model));
  database_.Clock().Advance(std::chrono::minutes((where - 4) * 10));
  if (where < 4) return;  // What a clock that is set back undoes is no step.
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const SubmissionState after = StateOf(messages_[i]);
    RC_ASSERT(after == before[i] || IsLegal(before[i], SubmissionStep::kSendTimeReached, after));
  }
}

}  // namespace bobbin

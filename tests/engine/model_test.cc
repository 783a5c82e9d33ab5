// Random sequences of everything that can be done to messages, against a model that fits on a page.
//
// Method: rapidcheck makes (and shortens) a list of steps; each is taken in a real store and in the
// model, whose answer must be the same; at the end every message, the queue and the folders are
// compared, and CheckStore must be clean. The lists all run in one database, in stores of their
// own.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <optional>

#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

struct Step {
  int kind;
  std::size_t which;  // Message, modulo how many there are.
  int where;          // Folder, or a wish.
};

void showValue(const Step& step, std::ostream& out) {  // NOLINT(readability-identifier-naming)
  out << "{" << step.kind << ", " << step.which << ", " << step.where << "}";
}

struct ModelMessage {
  EntryId id;
  bool exists = true;
  bool queued = false;
  bool locked = false;
  bool unsent = true;
  std::optional<FolderId> sent_folder;
  bool delete_after_submit = false;
  FolderId folder;
  std::string subject;
};

class Model {
 public:
  explicit Model(Database& database, MessageStore store)
      : database_(database),
        store_(std::move(store)),
        session_(Must(database.OpenSpoolerSession())),
        folders_{store_.Folders().outbox, store_.Folders().drafts, store_.Folders().sent_items} {}

  void Take(const Step& step) {
    if (step.kind == 0 || messages_.empty()) return Create(step.where);
    ModelMessage& message = messages_[step.which % messages_.size()];
    switch (step.kind) {
      case 1:
        return Submit(message);
      case 2:
        return Abort(message);
      case 3:
        return Lock(message);
      case 4:
        return Unlock(message);
      case 5:
        return Finish(message);
      case 6:
        return Delete(message, step.where);
      case 7:
        return Copy(message, step.where);
      case 8:
        return Move(message, step.where);
      default:
        return Edit(message, step.where);
    }
  }

  void Compare() const {
    std::vector<MessageId> queue;
    for (const QueueRow& row : Must(session_.GetOutgoingQueue(store_.Id()).Rows(1'000))) {
      queue.push_back(row.message);
    }
    RC_ASSERT(queue == queue_);
    for (const ModelMessage& message : messages_) {
      RC_ASSERT(IsStored(database_, message.id) == message.exists);
      if (!message.exists) continue;
      const PropertyList props = StoredProps(database_, message.id);
      const std::int64_t flags = props.NumberOr(pr::kMessageFlags, 0);
      RC_ASSERT(((flags & kMsgFlagSubmit) != 0) == message.queued);
      RC_ASSERT(((flags & kMsgFlagUnsent) != 0) == message.unsent);
      RC_ASSERT(props.BytesOr(pr::kParentEntryId, {}) ==
                store_.EntryIdOf(message.folder.value).ToBytes());
      RC_ASSERT(props.BytesOr(pr::kSubject, {}) == message.subject);
    }
    for (const FolderId folder : folders_) {
      const auto count = std::count_if(messages_.begin(), messages_.end(), [&](const auto& m) {
        return m.exists && m.folder == folder;
      });
      RC_ASSERT(Must(store_.GetFolder(folder)).content_count == static_cast<std::uint32_t>(count));
      RC_ASSERT(Must(store_.GetContentsTable(folder, 1'000)).size() ==
                static_cast<std::size_t>(count));
    }
    RC_ASSERT(Findings(database_) == "");
  }

 private:
  template <class T>
  static void Expect(const Result<T>& result, std::optional<ErrorCode> code) {
    if (code) {
      RC_ASSERT(!result.has_value());
      RC_ASSERT(ErrorName(result.error().code) == ErrorName(*code));
    } else if (!result) {
      RC_FAIL(ToString(result.error()));
    }
  }
  FolderId Folder(int where) const { return folders_[static_cast<std::size_t>(where) % 3]; }

  // `where` also says what the message wishes for when it is sent.
  void Create(int where) {
    Message message = NewDraft(store_, Folder(where), {"b@x.test", "c@x.test"}, "new");
    ModelMessage model;
    model.id = Must(message.Id());
    model.folder = Folder(where);
    model.subject = "new";
    if (where & 4) {
      model.delete_after_submit = SetProp(message, Property::Number(pr::kDeleteAfterSubmit, 1));
    }
    if (where & 8) {
      model.sent_folder = folders_[2];
      SetProp(message,
              Property::Bytes(pr::kSentMailEntryId, store_.EntryIdOf(folders_[2].value).ToBytes()));
    }
    MessageBodyWriter writer = store_.NewContent();
    Must(writer.Append(std::string(static_cast<std::size_t>(where) * 20'000, 'x')));
    Must(message.SetContent(Must(writer.Finish())));
    Must(message.SaveChanges());
    messages_.push_back(std::move(model));
  }

  // Opening for writing, as its rules say; empty when the model says that it fails.
  std::optional<Message> OpenForModify(const ModelMessage& model) {
    Result<Message> message = store_.OpenMessage(model.id, kMapiModify);
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

  void Submit(ModelMessage& model) {
    std::optional<Message> message = OpenForModify(model);
    if (!message) return;
    Expect(message->SubmitMessage(), std::nullopt);
    model.queued = model.unsent = true;
    queue_.push_back({model.id.Object()});
  }

  void Abort(ModelMessage& model) {
    const Result<void> aborted = store_.AbortSubmit(model.id);
    if (!model.exists) return Expect(aborted, ErrorCode::kNotFound);
    if (!model.queued) return Expect(aborted, ErrorCode::kNotInQueue);
    if (model.locked) return Expect(aborted, ErrorCode::kUnableToAbort);
    Expect(aborted, std::nullopt);
    model.queued = false;
    Unqueue(model);
  }

  Result<void> SetLockState(const ModelMessage& model, LockState state) {
    Result<Message> message = session_.OpenMessage(model.id);
    Expect(message, model.exists ? std::nullopt : std::optional(ErrorCode::kNotFound));
    if (!message) return Fail(ErrorCode::kNotInQueue, "");
    return session_.SetLockState(*message, state);
  }

  void Lock(ModelMessage& model) {
    const Result<void> locked = SetLockState(model, LockState::kLocked);
    if (!model.queued) return Expect(locked, ErrorCode::kNotInQueue);
    Expect(locked, std::nullopt);
    model.locked = true;
    RC_ASSERT(!store_.OpenMessage(model.id, 0).has_value());
  }

  void Unlock(ModelMessage& model) {
    const Result<void> unlocked = SetLockState(model, LockState::kUnlocked);
    if (!model.queued) return Expect(unlocked, ErrorCode::kNotInQueue);
    Expect(unlocked, std::nullopt);
    model.locked = false;
  }

  void Finish(ModelMessage& model) {
    const Result<FinishResult> finished = session_.FinishMessage(model.id);
    if (!model.queued) return Expect(finished, ErrorCode::kNotInQueue);
    if (!model.locked) return Expect(finished, ErrorCode::kNoAccess);
    Expect(finished, std::nullopt);
    RC_ASSERT(*finished == FinishResult::kFinished);
    model.queued = model.locked = model.unsent = false;
    if (model.sent_folder) model.folder = *model.sent_folder;
    if (!model.sent_folder && model.delete_after_submit) model.exists = false;
    Unqueue(model);
  }

  void Delete(ModelMessage& model, int where) {
    const auto deleted =
        store_.DeleteMessages(Folder(where), std::vector{MessageId{model.id.Object()}});
    Expect(deleted, std::nullopt);
    const bool possible = model.exists && model.folder == Folder(where) && !model.queued;
    RC_ASSERT((*deleted == Completion::kComplete) == possible);
    if (possible) model.exists = false;
  }

  void Copy(const ModelMessage& original, int where) {
    std::vector<MessageId> copies;
    const auto copied = store_.CopyMessages(
        original.folder, std::vector{MessageId{original.id.Object()}}, Folder(where), &copies);
    Expect(copied, std::nullopt);
    RC_ASSERT(copies.size() == (original.exists ? 1U : 0U));
    if (copies.empty()) return;
    ModelMessage copy = original;
    copy.id = store_.EntryIdOf(copies[0].value);
    copy.folder = Folder(where);
    copy.locked = false;
    if (copy.queued) copy.unsent = true;
    copy.queued = false;
    messages_.push_back(std::move(copy));
  }

  void Move(ModelMessage& model, int where) {
    const auto moved =
        store_.MoveMessages(model.folder, std::vector{MessageId{model.id.Object()}}, Folder(where));
    Expect(moved, std::nullopt);
    const bool possible = model.exists && !model.queued;
    RC_ASSERT((*moved == Completion::kComplete) == possible);
    if (possible) model.folder = Folder(where);
  }

  void Edit(ModelMessage& model, int where) {
    std::optional<Message> message = OpenForModify(model);
    if (!message) return;
    model.subject = "edited " + std::to_string(where);
    SetProp(*message, Property::Bytes(pr::kSubject, model.subject));
    Must(message->ModifyRecipients(kModifyRecipientsReplace,
                                   {MakeSmtpRecipient("edited@x.test", 1 + where % 3)}));
    Expect(message->SaveChanges(), std::nullopt);
  }

  void Unqueue(const ModelMessage& model) { std::erase(queue_, MessageId{model.id.Object()}); }

  Database& database_;
  MessageStore store_;
  SpoolerSession session_;
  std::vector<FolderId> folders_;
  std::vector<ModelMessage> messages_;
  std::vector<MessageId> queue_;
};

TEST(MessageStoreModel, AgreesWithTheStoreOnRandomSequences) {
  setenv("RC_PARAMS", "max_success=40", 0);
  TemporaryDatabase database;
  int stores = 0;
  const auto steps = rc::gen::container<std::vector<Step>>(rc::gen::construct<Step>(
      rc::gen::inRange(0, 10), rc::gen::inRange<std::size_t>(0, 6), rc::gen::inRange(0, 16)));
  const bool agrees = rc::check("the store does what the model does", [&] {
    const std::vector<Step> list = *steps;
    Model model(database.Database(),
                Must(database.Database().CreateMessageStore("store " + std::to_string(++stores))));
    for (const Step& step : list) model.Take(step);
    model.Compare();
  });
  EXPECT_TRUE(agrees);
}

}  // namespace
}  // namespace bobbin

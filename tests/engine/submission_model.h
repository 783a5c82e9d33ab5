// A model of submission in memory, beside a real database: each step is taken in both.
//
// What disagrees ends the property test (RC_ASSERT). The model knows nothing of rows, transactions
// or indexes: a message is what can be seen of it, and each step is a few lines.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "engine/submission.h"
#include "tests/support/temporary_database.h"

namespace bobbin {

struct ModelStep {
  std::size_t kind;   // Index into the table of steps.
  std::size_t which;  // Message, modulo how many there are.
  int where;          // Client or session (the lowest bit), and what the step makes of the rest.
};

void showValue(const ModelStep& step, std::ostream& out);  // NOLINT(readability-identifier-naming)

struct ModelRecipient {
  enum class Kind : std::uint8_t { kForeign, kLocal, kPreprocessed };
  Kind kind = Kind::kForeign;
  bool served = false;
};

// What an open object has a copy of.
struct ModelContent {
  std::string subject;
  std::vector<ModelRecipient> recipients;
  std::optional<FolderId> sent_folder;
  bool delete_after_submit = false;
  std::optional<Time> deferred_until;
  std::optional<int> deferred_hours;  // Goes before the time.
};

struct ModelMessage {
  EntryId id;
  bool exists = true;
  ModelContent content;
  FolderId folder;
  int attachments = 0;
  bool read = true;
  bool unsent = true;
  bool unmodified = true;
  bool queued = false;
  bool served_inline = false;  // Within SubmitMessage of a coupled store.
  bool to_preprocess = false;  // SUBMITFLAG_PREPROCESS.
  bool preprocess = false;     // PR_PREPROCESS.
  std::uint32_t preprocess_attempts = 0;
  bool held = false;
  Time due{};
  std::optional<int> locked_by;  // A session.
  int version = 0;               // Other after each change that an open object must not overwrite.
};

class SubmissionModel {
 public:
  static constexpr std::size_t kKindCount = 32;

  explicit SubmissionModel(TemporaryDatabase& database);

  void Take(const ModelStep& step);
  void Compare() const;

 private:
  // An object that a client has open, for writing, while others change the message.
  struct Handle {
    Message object;
    std::size_t message;
    ModelContent content;
    int version;
  };

  MessageStore& Store() const { return database_.Store(); }
  Time Now() const { return database_.Clock().Now(); }
  FolderId Folder(int where) const {
    return folders_[static_cast<std::size_t>(where) % folders_.size()];
  }
  bool Exists(FolderId folder) const;
  bool IsCoupled() const { return coupled_; }
  bool HasPreprocessor() const { return !published_.empty() && published_.back().second; }

  // Steps of clients.
  void Create(int where);
  void Submit(ModelMessage& model, int where);
  void Abort(ModelMessage& model);
  void Edit(ModelMessage& model, int where);
  void Attach(ModelMessage& model, int where);
  void SetReadFlag(ModelMessage& model, int where);
  void Delete(ModelMessage& model, int where);
  void Copy(const ModelMessage& original, int where);
  void Move(ModelMessage& model, int where);
  void CreateFolder();
  void DeleteFolder(int where);
  void EmptyFolder(int where);
  // Steps of clients with objects that are open meanwhile.
  void OpenHandle(std::size_t which, int where);
  void SaveHandle(int where);
  void SubmitHandle(int where);
  // Steps of spooler sessions.
  void Lock(ModelMessage& model, int session);
  void Unlock(ModelMessage& model, int session);
  void Finish(ModelMessage& model, int session);
  void CommitAttempt(ModelMessage& model, int where);
  void MarkInDoubt(ModelMessage& model, int where);
  void BeginPreprocessing(ModelMessage& model, int session);
  void SecondSubmit(ModelMessage& model, int session);
  void Publish(int where);
  void EndSession(int session);
  void NextDue(int session) const;
  // Steps of operators and of the world.
  void Steer(ModelMessage& model, int where);
  void Couple(int where);
  void Reopen();
  void MoveClock(int where);

  // Specification 5.1, without the states that only transports make.
  SubmissionState StateOf(const ModelMessage& model) const;
  // Changes the message; what became of its state must be a row of kTransitions.
  void Go(ModelMessage& model, SubmissionStep step, const std::function<void()>& change) const;
  // Brings the message to where a spooler's step has something to do, as `where` says.
  void Prepare(ModelMessage& model, int where);
  // Takes the place of a message that is gone when there are enough: few messages meet more.
  bool HasRoom() const;
  void Add(ModelMessage message);
  std::optional<Message> OpenForModify(const ModelMessage& model) const;
  std::optional<Message> OpenForSpooler(const ModelMessage& model, int session) const;
  // What SubmitMessage does to a message that may be submitted.
  void Enqueue(ModelMessage& model);
  void ServeLocal(ModelMessage& model);
  FinishResult Complete(ModelMessage& model, SubmissionStep step);
  void Unqueue(ModelMessage& model);
  void Release(int session);
  void CompareMessage(const ModelMessage& model) const;
  void CompareFolders() const;

  TemporaryDatabase& database_;
  std::array<std::optional<SpoolerSession>, 2> sessions_;
  std::array<std::optional<Handle>, 2> handles_;
  std::vector<std::pair<int, bool>> published_;  // Session, and whether with a preprocessor.
  std::vector<FolderId> folders_;                // Those that were deleted, too.
  std::vector<FolderId> deleted_folders_;
  std::vector<ModelMessage> messages_;
  std::vector<MessageId> queue_;
  bool coupled_ = false;
  int delivered_here_ = 0;
  Time last_submit_{};
};

}  // namespace bobbin

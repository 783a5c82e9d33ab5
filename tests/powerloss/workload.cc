// The program that is recorded: real mail, through the real engine and spooler, by several threads.
//
//   powerloss_workload ROOT SEED OPERATIONS [--acknowledge-early]
//
// Makes a database in ROOT/home/db and becomes two processes. Clients of each, every one a thread
// with a store and a spooler session of its own, take OPERATIONS steps each: save, submit (some
// with bodies that are written ahead), hold, abort, move, delete, lock, mark in doubt, set
// responsibilities, finish. What they submit without a delay is delivered by a real spooler in
// either process to Maildirs in ROOT/drop. In the middle each process closes the database and opens
// it again, while the other may be using it; a store that has failed is opened again like that.
//
// Their stores are tightly coupled, and the spoolers preprocess: some recipients are a store of the
// same database, some are refused by the transport and reported to the sender.
//
// Before each step it marks what it asks for, after it that it has been acknowledged. The recorder
// must be preloaded for that to mean something. Any error that should not be ends the program.

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/database.h"
#include "spooler/preprocessors/footer.h"
#include "spooler/spooler.h"
#include "spooler/transports/drop_directory.h"
#include "tests/powerloss/content_digest.h"
#include "tests/powerloss/marking.h"

namespace bobbin::powerloss {
namespace {

constexpr unsigned kProcesses = 2;
constexpr unsigned kClientsOfEach = 2;
constexpr std::size_t kMessagesMax =
    5;  // Of each client: what is stored is opened a million times.
constexpr const char* kLocalStore = "local@power.test";
constexpr auto kNever = std::chrono::hours(24 * 365);

[[noreturn]] void Stop(const std::string& why) {
  std::fprintf(stderr, "workload: %s\n", why.c_str());
  std::abort();
}

// Whether the step succeeded. A store that has failed is part of the game; nothing else is.
template <class T>
bool Succeeded(const Result<T>& result, const char* what) {
  if (result) return true;
  if (result.error().code == ErrorCode::kStoreFailed) return false;
  Stop(std::string(what) + ": " + ToString(result.error()));
}

class Client {
 public:
  Client(const Database& database, MarkedMessages& messages, unsigned number, std::uint64_t seed)
      : database_(database),
        all_messages_(messages),
        name_(fmt::format("client{}@power.test", number)),
        random_(seed * 101 + number) {}

  void Run(unsigned operations) {
    auto store = database_.OpenOrCreateMessageStore(name_);
    if (!Succeeded(store, "opening the store")) return;
    store_ = *std::move(store);
    auto session = database_.OpenSpoolerSession();
    if (!Succeeded(session, "opening a session")) return;
    session_ = *std::move(session);
    if (!Succeeded(store_->SetTightlyCoupled(true), "coupling the store")) return;
    auto local = database_.OpenOrCreateMessageStore(kLocalStore);
    if (!Succeeded(local, "opening the local store")) return;
    local_inbox_ = local->Folders().inbox.value;
    for (unsigned i = 0; i < operations; ++i) {
      if (!Step()) return;
    }
  }

 private:
  std::uint64_t Random(std::uint64_t below) { return random_() % below; }
  MessageId IdOf(MarkedMessage* message) const { return MessageId{message->id.Object()}; }

  bool Step() {
    const std::uint64_t what = Random(20);
    if (what == 0) return Abandon();
    if (messages_.size() < kMessagesMax && (what < 8 || messages_.empty())) {
      return what < 4 ? Create(true, true) : what < 6 ? Create(true, false) : Create(false, false);
    }
    if (messages_.empty()) return true;
    MarkedMessage* const message = messages_[Random(messages_.size())];
    if (message->state.queued) {
      if (what < 10 && IsFresh(message->state)) return Abort(message);
      if (what < 12 && !message->state.held && IsFresh(message->state)) return Hold(message);
      return Attempt(message);
    }
    if (message->state.unsent && what < 14) return SubmitDraft(message);
    if (what < 16 || messages_.size() < kMessagesMax) return Move(message);
    return Delete(message);
  }

  static bool IsFresh(const MessageState& state) {
    for (std::size_t i = 0; i < state.recipient_count; ++i) {
      if (state.recipients[i] != MarkedRow(RecipientState::kPending)) return false;
    }
    return true;
  }

  std::string RandomContent(const std::string& subject) {
    const std::uint64_t kind = Random(40);
    std::uint64_t bytes = Random(2'000);
    if (kind >= 30) bytes = 3'000 + Random(30'000);
    if (kind == 39) bytes = 262'000 + Random(40'000);  // Written ahead.
    std::string content = "Subject: " + subject + "\r\nFrom: " + name_ + "\r\n\r\n";
    while (content.size() < bytes)
      content += fmt::format("{:016x}{:016x}\r\n", random_(), random_());
    return content;
  }

  // A draft of `folder`, not yet stored, with `state` as it will be.
  Result<Message> Compose(FolderId folder, bool deferred, MarkedMessage*& held) {
    ASSIGN_OR_RETURN(Message message, store_->CreateMessage(folder));
    held = all_messages_.New();
    if (held == nullptr) Stop("too many messages");
    ASSIGN_OR_RETURN(held->id, message.Id());
    const std::string subject = fmt::format("{} of {}", held->id.Object(), name_);
    std::vector<Property> properties{Property::Bytes(pr::kMessageClass, "IPM.Note"),
                                     Property::Bytes(pr::kSubject, subject)};
    if (Random(3) == 0) {
      properties.push_back(Property::Number(pr::kDeleteAfterSubmit, 1));
      deletes_.push_back(held->id.Object());
    } else {
      properties.push_back(Property::Bytes(
          pr::kSentMailEntryId, store_->EntryIdOf(store_->Folders().sent_items.value).ToBytes()));
    }
    if (deferred) {
      properties.push_back(
          Property::Number(pr::kDeferredSendTime, ToFileTime(SystemClock().Now() + kNever)));
    }
    ASSIGN_OR_RETURN(const auto problems, message.SetProps(properties));
    if (!problems.empty()) Stop("a property was refused");
    std::vector<RecipientRow> rows;
    const std::uint64_t count = 1 + Random(3);
    for (std::uint64_t i = 0; i < count; ++i) {
      rows.push_back(MakeSmtpRecipient(fmt::format("r{}@drop.test", i), kRecipientTo));
    }
    // One for the drop directory is always there, so that nothing is finished by its submission.
    if (!deferred && count == 2) rows.push_back(MakeSmtpRecipient(kLocalStore, kRecipientTo));
    next_refused_ = !deferred && Random(4) == 0;
    if (next_refused_) {
      rows.push_back(MakeSmtpRecipient(std::string(kRefused) + "@drop.test", kRecipientTo));
    }
    const std::size_t row_count = rows.size();
    RETURN_IF_ERROR(message.ModifyRecipients(kModifyRecipientsReplace, std::move(rows)));
    const std::string content = RandomContent(subject);
    MessageBodyWriter writer = store_->NewContent();
    RETURN_IF_ERROR(writer.Append(content));
    ASSIGN_OR_RETURN(MessageBody body, writer.Finish());
    RETURN_IF_ERROR(message.SetContent(std::move(body)));
    next_.exists = true;
    next_.unsent = true;
    next_.queued = next_.held = false;
    next_.recipient_count = static_cast<std::uint8_t>(row_count);
    next_.recipients = {};
    next_.folder = folder.value;
    next_.content = ContentDigest(subject).Add(content).Value();
    if (!deferred && count == 2) {
      held->local_rows = 1U << 2;
      held->AskForMade(local_inbox_, next_.content, 2);
    }
    held->inbox = store_->Folders().inbox.value;
    held->report = ContentDigest(subject).Value();
    return message;
  }

  // What becomes of it when it is finished.
  MessageState Sent(MarkedMessage* message, MessageState state) const {
    if (std::find(deletes_.begin(), deletes_.end(), message->id.Object()) != deletes_.end()) {
      return {};
    }
    state.queued = state.held = state.unsent = false;
    state.folder = store_->Folders().sent_items.value;
    return state;
  }

  bool Create(bool submit, bool for_spooler) {
    MarkedMessage* held = nullptr;
    const FolderId folder = submit ? store_->Folders().outbox : store_->Folders().drafts;
    Result<Message> message = Compose(folder, !for_spooler, held);
    if (!Succeeded(message, "composing")) return false;
    if (!submit) {
      held->Ask({next_});
      if (!Succeeded(message->SaveChanges(), "saving")) return false;
      held->AcknowledgeAll();
      messages_.push_back(held);
      return true;
    }
    MessageState queued = next_;
    queued.queued = true;
    if (!for_spooler) {
      held->Ask({queued});
      if (!Succeeded(message->SubmitMessage(), "submitting")) return false;
      held->AcknowledgeAll();
      messages_.push_back(held);
      return true;
    }
    MessageState delivered = queued;
    for (std::size_t i = 0; i < delivered.recipient_count; ++i) {
      delivered.recipients[i] = MarkedRow(RecipientState::kDelivered);
    }
    if (next_refused_) {
      delivered.recipients[delivered.recipient_count - 1U] = MarkedRow(RecipientState::kFailed);
    }
    held->submitted = queued;
    held->finished = Sent(held, delivered);
    MarkedMessages::Give(*held);
    // Local recipients are served on the spot, or after preprocessing.
    const std::uint32_t first = held->Ask({queued, held->WithLocalRowsServed(queued)});
    if (!Succeeded(message->SubmitMessage(), "submitting")) return false;
    held->Acknowledge(first);
    return true;
  }

  bool SubmitDraft(MarkedMessage* held) {
    auto message = store_->OpenMessage(held->id, kMapiModify);
    if (!Succeeded(message, "opening a draft")) return false;
    MessageState queued = held->state;
    queued.queued = true;
    held->Ask({queued});
    if (!Succeeded(message->SubmitMessage(), "submitting a draft")) return false;
    held->AcknowledgeAll();
    return true;
  }

  bool Abort(MarkedMessage* held) {
    MessageState draft = held->state;
    draft.queued = draft.held = false;
    held->Ask({draft});
    if (!Succeeded(store_->AbortSubmit(held->id), "aborting")) return false;
    held->AcknowledgeAll();
    return true;
  }

  bool Hold(MarkedMessage* held) {
    MessageState state = held->state;
    state.held = true;
    held->Ask({state});
    if (!Succeeded(database_.GetOutgoingQueue().Hold(IdOf(held)), "holding")) return false;
    held->AcknowledgeAll();
    return true;
  }

  bool Move(MarkedMessage* held) {
    const StandardFolders& folders = store_->Folders();
    MessageState state = held->state;
    const FolderId from{state.folder};
    const FolderId to = from == folders.inbox ? folders.deleted_items : folders.inbox;
    state.folder = to.value;
    held->Ask({state});
    const std::vector<MessageId> ids{IdOf(held)};
    if (!Succeeded(store_->MoveMessages(from, ids, to), "moving")) return false;
    held->AcknowledgeAll();
    return true;
  }

  bool Delete(MarkedMessage* held) {
    const FolderId folder{held->state.folder};
    held->Ask({MessageState{}});
    const std::vector<MessageId> ids{IdOf(held)};
    if (!Succeeded(store_->DeleteMessages(folder, ids), "deleting")) return false;
    held->AcknowledgeAll();
    std::erase(messages_, held);
    return true;
  }

  // What an attempt of the spooler does, step by step: some recipients first, if there are several.
  bool Attempt(MarkedMessage* held) {
    auto message = session_->OpenMessage(held->id);
    if (!Succeeded(message, "opening as spooler")) return false;
    if (!Succeeded(session_->SetLockState(*message, LockState::kLocked), "locking")) return false;
    if (Random(8) == 0) return Finish(held);
    std::vector<RecipientRowId> rows;
    auto recipients = message->GetRecipientTable();
    if (!Succeeded(recipients, "reading recipients")) return false;
    MessageState in_doubt = held->state;
    for (std::size_t i = 0; i < recipients->size(); ++i) {
      if ((held->state.recipients[i] & kResponsible) != 0) continue;
      rows.push_back((*recipients)[i].id);
      in_doubt.recipients[i] = MarkedRow(RecipientState::kInDoubt);
    }
    if (!rows.empty() && Random(2) == 0) {
      held->Ask({in_doubt});
      const auto marked = session_->MarkInDoubt(held->id, rows, SystemClock().Now());
      if (!Succeeded(marked, "marking in doubt")) return false;
      held->AcknowledgeAll();
    }
    return Commit(held, *recipients);
  }

  bool Commit(MarkedMessage* held, const RecipientTable& recipients) {
    const bool all = Random(2) == 0;
    bool finishes = true;
    MessageState state = held->state;
    bobbin::Attempt attempt;
    attempt.next_due = SystemClock().Now() + kNever;
    for (std::size_t i = 0; i < recipients.size(); ++i) {
      if ((state.recipients[i] & kResponsible) != 0) continue;
      const bool served = all || Random(2) == 0;
      finishes = finishes && served;
      RecipientUpdate update{recipients[i].id, {}};
      update.delivery.responsibility = served;
      update.delivery.state = served ? RecipientState::kDelivered : RecipientState::kPending;
      update.delivery.attempts = 1;
      update.delivery.next_attempt = attempt.next_due;
      attempt.updates.push_back(update);
      state.recipients[i] = MarkedRow(update.delivery.state);
    }
    if (finishes) state = Sent(held, state);
    held->Ask({state});
    if (!Succeeded(session_->CommitAttempt(held->id, attempt), "committing")) return false;
    held->AcknowledgeAll();
    if (!state.exists) std::erase(messages_, held);
    return true;
  }

  bool Finish(MarkedMessage* held) {
    const MessageState state = Sent(held, held->state);
    held->Ask({state});
    if (!Succeeded(session_->FinishMessage(held->id), "finishing")) return false;
    held->AcknowledgeAll();
    if (!state.exists) std::erase(messages_, held);
    return true;
  }

  // A long body that no message comes for.
  bool Abandon() {
    {
      MessageBodyWriter writer = store_->NewContent();
      const std::string content(kBufferedBytesMax + 20'000, 'a');
      if (!Succeeded(writer.Append(content), "writing ahead")) return false;
      if (!Succeeded(writer.Finish(), "writing ahead")) return false;
    }
    return Succeeded(database_.CollectAbandonedBodies(), "collecting");
  }

  Database database_;
  MarkedMessages& all_messages_;
  const std::string name_;
  std::mt19937_64 random_;
  std::optional<MessageStore> store_;
  std::optional<SpoolerSession> session_;
  std::vector<MarkedMessage*> messages_;
  std::vector<std::uint64_t> deletes_;  // Messages that are deleted after submission.
  MessageState next_;                   // Of what Compose made.
  bool next_refused_ = false;           // Its last recipient.
  std::uint64_t local_inbox_ = 0;
};

// Delivers until it is told to stop, and the queue has nothing due.
class Delivery {
 public:
  Delivery(const Database& database, MarkedMessages& messages, const std::string& root)
      : database_(database), messages_(messages), root_(root), thread_([this] { Run(); }) {}
  ~Delivery() {
    stopping_ = true;
    thread_.join();
  }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

 private:
  void Run() {
    auto session = database_.OpenSpoolerSession();
    if (!Succeeded(session, "opening the spooler's session")) return;
    SpoolerShared shared;
    SpoolerOptions options;
    options.reporting_host = "power.test";
    options.preprocessors = {
        [this] { return MarkLayer('a', nullptr, messages_); },
        [this] { return MarkLayer('b', NewFooterPreprocessor("-- \nfooter\n"), messages_); },
        [this] { return MarkLayer('c', nullptr, messages_); }};
    std::vector<std::unique_ptr<TransportProvider>> transports;
    transports.push_back(MarkTransport(NewDropDirectoryTransport({root_})(), messages_));
    Spooler spooler(
        database_, *session, shared, std::move(transports), options, [] { return 0.5; },
        [this](const SpoolerEvent& event) { Tell(event); });
    for (;;) {
      const bool last = stopping_;
      const StepResult step = spooler.RunOnce(SystemClock().Now());
      if (step.store_failed) return;
      if (step.worked) continue;
      if (last) return;
      session->WaitForSignal(session->SignalCount(), std::chrono::milliseconds(1));
    }
  }

  void Tell(const SpoolerEvent& event) {
    if (event.kind == SpoolerEventKind::kMessageFinished ||
        event.kind == SpoolerEventKind::kMessageDeferred) {
      messages_.Find(event.message.value)->AcknowledgeAll();
    }
  }

  Database database_;
  MarkedMessages& messages_;
  const std::string root_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

void RunPhase(const std::filesystem::path& root, MarkedMessages& messages, unsigned process,
              std::uint64_t seed, unsigned operations) {
  DatabaseOptions options;
  options.free_bytes_min = 0;
  Result<Database> database = Database::Open(root / "home" / "db", options);
  if (!database) database = Database::Open(root / "home" / "db", options);  // A flush failed.
  if (!database) Stop("opening: " + ToString(database.error()));
  MarkDatabase(true);
  const Delivery delivery(*database, messages, (root / "drop").string());
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kClientsOfEach; ++i) {
    const unsigned number = process * kClientsOfEach + i;
    threads.emplace_back(
        [&, number] { Client(*database, messages, number, seed).Run(operations); });
  }
  for (std::thread& thread : threads) thread.join();
}

// In its own time: while one closes the database and opens it again, the other may be using it.
void RunPhases(const std::filesystem::path& root, MarkedMessages& messages, unsigned process,
               std::uint64_t seed, unsigned operations) {
  RunPhase(root, messages, process, seed * 2, operations / 2);
  RunPhase(root, messages, process, seed * 2 + 1, operations - operations / 2);
}

int Main(int argument_count, char** arguments) {
  if (argument_count < 4) {
    std::fprintf(stderr, "usage: %s ROOT SEED OPERATIONS [--acknowledge-early]\n", arguments[0]);
    return 64;
  }
  const std::filesystem::path root = arguments[1];
  const std::uint64_t seed = std::strtoull(arguments[2], nullptr, 10);
  const auto operations = static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10));
  MarkDatabase(false);
  const std::filesystem::path path = root / "home" / "db";
  Result<void> created = Database::Create(path);
  // One flush may have failed. What is there then is used.
  if (!created && !std::filesystem::exists(path)) created = Database::Create(path);
  if (created) MarkDatabase(true);
  acknowledge_early = argument_count > 4;  // Of the database it would hide all else.
  MarkedMessages& messages = MarkedMessages::MakeShared();
  std::vector<pid_t> others;
  for (unsigned process = 1; process < kProcesses; ++process) {
    const pid_t child = fork();
    if (child < 0) Stop("fork");
    if (child == 0) {
      RunPhases(root, messages, process, seed, operations);
      _exit(0);
    }
    others.push_back(child);
  }
  RunPhases(root, messages, 0, seed, operations);
  int worst = 0;
  for (const pid_t other : others) {
    int status = 0;
    if (waitpid(other, &status, 0) != other || status != 0) worst = 70;
  }
  return worst;
}

}  // namespace
}  // namespace bobbin::powerloss

int main(int argument_count, char** arguments) {
  return bobbin::powerloss::Main(argument_count, arguments);
}

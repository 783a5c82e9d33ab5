// A real database in a temporary directory, with one store and a clock that the test moves.
//
// Closing it drops what this object holds; the environment is closed when the test has dropped
// its messages and sessions, too.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/database.h"
#include "engine/kv/kv_engine.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_directory.h"

namespace bobbin {

class TemporaryDatabase {
 public:
  static constexpr std::string_view kStoreName = "alice@a.test";

  TemporaryDatabase();
  ~TemporaryDatabase();
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  std::filesystem::path Path() const { return directory_.Path() / "database"; }
  ManualClock& Clock() { return clock_; }
  // Throw when it is closed.
  bobbin::Database& Database() { return database_.value(); }
  MessageStore& Store() { return store_.value(); }
  // The engine behind it, the very one that Database uses: for faults and for damage.
  std::shared_ptr<kv::Engine> Engine() const;

  void Close();
  void Open();
  void Reopen() {
    Close();
    Open();
  }

 private:
  TemporaryDirectory directory_;
  ManualClock clock_;
  DatabaseId id_;
  std::optional<bobbin::Database> database_;
  std::optional<MessageStore> store_;
};

// What tests submit: recipients of type TO, a subject, a body; nothing saved yet.
Message NewDraft(MessageStore& store, FolderId folder, const std::vector<std::string>& recipients,
                 std::string_view subject = "subject");
Message NewDraft(MessageStore& store, const std::vector<std::string>& recipients = {"b@x.test"},
                 std::string_view subject = "subject");  // In the Outbox.
EntryId SubmitNew(MessageStore& store, const std::vector<std::string>& recipients = {"b@x.test"},
                  std::string_view subject = "subject");

void SetContent(const MessageStore& store, Message& message, std::string_view content);

// One attachment that has both, saved with it.
void AttachStreamAndMessage(const MessageStore& store, Message& message, std::string_view data);

// Sets one property; false when it came back as a problem.
bool SetProp(Message& message, Property property);

// Of the stored message, queued and locked or not.
PropertyList StoredProps(const Database& database, const EntryId& id);
std::uint32_t StoredFlags(const Database& database, const EntryId& id);
bool IsStored(const Database& database, const EntryId& id);

// Everything that can be observed about one message through the public interface, as text: two
// states are the same if their texts are, also of two databases with the same history.
std::string Describe(const Database& database, const EntryId& id);

std::vector<MessageId> QueueOrder(const Database& database);

// The findings of CheckStore as text; empty when it is clean.
std::string Findings(const Database& database);

}  // namespace bobbin

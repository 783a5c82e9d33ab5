// Notifications: what Advise tells (specification 4.18), and the connection it returns.
//
//   MessageStore::Advise               objects of a store: created, modified, ..., new mail
//   MessageStore::AdviseContentsTable  rows of a folder's contents table
//   OutgoingQueue::Advise              rows of the outgoing queue
//
// When     After the commit that made the change, never for one that was not committed (C44), and
//          in the order of the commits, whatever process made them. Locks, which nothing commits,
//          are told after the submissions they follow.
// Where    On a thread of the connection's own. A sink may do anything, take any time and block for
//          ever: it holds up neither commits nor other sinks, here or elsewhere.
// Missed   What a sink did not take while 8,192 changes were made is not kept. It is told kReload,
//          once (a connection for objects: kFnevTableModified with kReload, whatever its mask):
//          look again at what you were advised of. The same is told when a change could not be
//          announced, and, to the queue's advisers, when locks have gone with their owner. A
//          process that is killed loses nothing of what it committed; that may be told a second
//          later.
// Failure  When the database fails for this process (kStoreFailed), or cannot be read for a time:
//          once kError, or kFnevCriticalError to those who want it. After kStoreFailed no more.
// End      Unadvise begins no further call of the sink, but one may be under way, or just about to
//          begin. When the connection has been destroyed no call is under way either; it therefore
//          waits for a sink that is. Within the sink both may be done; then that call is the last.
// Lifetime A connection keeps the database open. Volatile: it ends with the process.
// Threads  Any number.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/entry_id.h"
#include "engine/result.h"

namespace bobbin {

inline constexpr std::uint32_t kFnevCriticalError = 0x1;
inline constexpr std::uint32_t kFnevNewMail = 0x2;
inline constexpr std::uint32_t kFnevObjectCreated = 0x4;
inline constexpr std::uint32_t kFnevObjectDeleted = 0x8;
inline constexpr std::uint32_t kFnevObjectModified = 0x10;
inline constexpr std::uint32_t kFnevObjectMoved = 0x20;
inline constexpr std::uint32_t kFnevObjectCopied = 0x40;
inline constexpr std::uint32_t kFnevTableModified = 0x100;
inline constexpr std::uint32_t kFnevAllObjects = kFnevObjectCreated | kFnevObjectDeleted |
                                                 kFnevObjectModified | kFnevObjectMoved |
                                                 kFnevObjectCopied;

// TABLE_... of fnevTableModified, those that are told here.
enum class TableEvent : std::uint32_t {
  kError = 2,
  kRowAdded = 3,
  kRowDeleted = 4,
  kRowModified = 5,
  kReload = 9,
};

enum class ObjectType : std::uint32_t { kFolder = 3, kMessage = 5 };  // MAPI_FOLDER, MAPI_MESSAGE.

struct Notification {
  std::uint32_t event = 0;  // One kFnev...
  ObjectType object_type = ObjectType::kMessage;
  EntryId entry_id;
  EntryId parent_id;
  std::optional<EntryId> old_id{};  // Moved, copied.
  std::optional<EntryId> old_parent_id{};
  // kFnevNewMail: of the message as it is when this is told; empty when it is gone by then.
  std::string message_class{};
  std::uint32_t message_flags = 0;
  std::optional<TableEvent> table_event{};  // kFnevTableModified: kReload.
  std::optional<Error> error{};             // kFnevCriticalError.
};
using NotificationSink = std::function<void(const Notification&)>;

// Destroying it ends what was advised.
class AdviseConnection {
 public:
  AdviseConnection() = default;  // Of nothing.
  AdviseConnection(AdviseConnection&&) noexcept = default;
  AdviseConnection& operator=(AdviseConnection&& other) noexcept;
  ~AdviseConnection();

  // MAPI's connection number: not 0, and of no other connection of this process.
  std::uint32_t Number() const;
  void Unadvise();

  class State;
  explicit AdviseConnection(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

}  // namespace bobbin

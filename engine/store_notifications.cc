// MessageStore: Advise, AdviseContentsTable and StoreLogoff.
#include <utility>

#include "engine/adviser.h"
#include "engine/message_rows.h"
#include "engine/message_store.h"

namespace bobbin {
namespace {

// The event of an object that a change is; 0 when it is none.
std::uint32_t ObjectEvent(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kMessageCreated:
    case ChangeKind::kFolderCreated:
      return kFnevObjectCreated;
    case ChangeKind::kMessageModified:
      return kFnevObjectModified;
    case ChangeKind::kMessageDeleted:
    case ChangeKind::kFolderDeleted:
      return kFnevObjectDeleted;
    case ChangeKind::kMessageMoved:
      return kFnevObjectMoved;
    case ChangeKind::kMessageCopied:
      return kFnevObjectCopied;
    case ChangeKind::kNewMail:
      return kFnevNewMail;
    default:
      return 0;
  }
}

bool IsOfFolder(ChangeKind kind) {
  return kind == ChangeKind::kFolderCreated || kind == ChangeKind::kFolderDeleted;
}

class ObjectAdviser final : public EventAdviser<Notification> {
 public:
  ObjectAdviser(const DatabaseState& database, StoreId store, std::optional<std::uint64_t> object,
                std::uint32_t mask, NotificationSink sink)
      : EventAdviser(std::move(sink)),
        database_(database),
        store_(store),
        object_(object),
        mask_(mask) {}

  void Add(RowReader& rows, const Change& change) override {
    const std::uint32_t event = ObjectEvent(change.kind) & mask_;
    if (event == 0 || change.store != store_ || !IsWanted(change)) return;
    Notification told;
    told.event = event;
    told.object_type = IsOfFolder(change.kind) ? ObjectType::kFolder : ObjectType::kMessage;
    told.entry_id = database_.EntryIdOf(change.object);
    told.parent_id = database_.EntryIdOf(change.folder.value);
    if (change.old_object != 0) {
      told.old_id = database_.EntryIdOf(change.old_object);
      told.old_parent_id = database_.EntryIdOf(change.old_folder.value);
    }
    if (event == kFnevNewMail) {
      const auto record = rows.Message(change.Message());
      if (record && *record) {
        told.message_class = std::string((*record)->properties.BytesOr(pr::kMessageClass, {}));
        told.message_flags = (*record)->message_flags;
      }
    }
    Push(std::move(told));
  }

  void AddReload() override {
    Notification told;
    told.event = kFnevTableModified;
    told.table_event = TableEvent::kReload;
    Push(std::move(told));
  }

  void AddError(const Error& error) override {
    if ((mask_ & kFnevCriticalError) == 0) return;
    Notification told;
    told.event = kFnevCriticalError;
    told.error = error;
    Push(std::move(told));
  }

 private:
  bool IsWanted(const Change& change) const {
    if (!object_) return true;
    return *object_ == change.object || *object_ == change.folder.value ||
           *object_ == change.old_object || *object_ == change.old_folder.value;
  }

  const DatabaseState& database_;
  const StoreId store_;
  const std::optional<std::uint64_t> object_;
  const std::uint32_t mask_;
};

class ContentsAdviser final : public TableAdviser<ContentsEvent> {
 public:
  ContentsAdviser(const DatabaseState& database, FolderId folder, ContentsSink sink)
      : TableAdviser(std::move(sink)), database_(database), folder_(folder) {}

  void Add(RowReader& rows, const Change& change) override {
    const std::optional<TableEvent> kind = KindOf(change);
    if (!kind) return;
    ContentsEvent event;
    event.kind = *kind;
    event.folder = folder_;
    event.message = change.Message();
    if (event.kind != TableEvent::kRowDeleted) {
      // As in the queue: a row that does not verify is told without what is in it.
      if (Result<void> read = Read(rows, event); !read) event.row.reset();
    }
    Push(std::move(event));
  }

 private:
  std::optional<TableEvent> KindOf(const Change& change) const {
    const bool here = change.folder == folder_;
    switch (change.kind) {
      case ChangeKind::kMessageCreated:
      case ChangeKind::kMessageCopied:
        return here ? std::optional(TableEvent::kRowAdded) : std::nullopt;
      case ChangeKind::kMessageModified:
        return here ? std::optional(TableEvent::kRowModified) : std::nullopt;
      case ChangeKind::kMessageDeleted:
        return here ? std::optional(TableEvent::kRowDeleted) : std::nullopt;
      case ChangeKind::kMessageMoved:
        if (here) return TableEvent::kRowAdded;
        return change.old_folder == folder_ ? std::optional(TableEvent::kRowDeleted) : std::nullopt;
      default:
        return std::nullopt;
    }
  }

  Result<void> Read(RowReader& rows, ContentsEvent& event) const {
    ASSIGN_OR_RETURN(const auto record, rows.Message(event.message));
    if (!record || record->folder != folder_) return {};
    event.row = MakeContentsRow(database_.EntryIdOf(event.message.value), *record);
    ASSIGN_OR_RETURN(const auto prior,
                     PredecessorOf(
                         event.message.value, rows, table::kIndex,
                         [&](std::uint64_t id) { return ContentsKey(folder_, MessageId{id}); }, 9,
                         [](std::string_view, std::string_view) -> Result<bool> { return true; }));
    if (prior) event.prior = MessageId{*prior};
    return {};
  }

  const DatabaseState& database_;
  const FolderId folder_;
};

constexpr std::uint32_t kObjectEvents = kFnevCriticalError | kFnevNewMail | kFnevAllObjects;
constexpr std::uint32_t kLogoffFlags =
    kLogoffNoWait | kLogoffOrderly | kLogoffPurge | kLogoffAbort | kLogoffQuiet;

// That the object is there, and in this store.
Result<void> CheckObject(RowReader& rows, StoreId store, std::uint64_t object) {
  ASSIGN_OR_RETURN(const auto message, rows.Message(MessageId{object}));
  ASSIGN_OR_RETURN(const auto folder, rows.Folder(FolderId{object}));
  if (!message && !folder) {
    return Fail(ErrorCode::kNotFound, "no object has this entry identifier");
  }
  if ((message ? message->store : folder->store) == store) return {};
  return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another store");
}

}  // namespace

Result<AdviseConnection> MessageStore::Advise(const std::optional<EntryId>& id, std::uint32_t mask,
                                              NotificationSink sink) const {
  if (mask == 0 || (mask & kFnevTableModified) != 0) {
    return Fail(ErrorCode::kInvalidParameter,
                mask == 0 ? "no event asked for" : "tables are asked for their own events");
  }
  if ((mask & ~kObjectEvents) != 0) return Fail(ErrorCode::kUnknownFlags, "undefined events");
  std::optional<std::uint64_t> object;
  if (id) {
    if (id->Database() != database_->id) {
      return Fail(ErrorCode::kInvalidEntryId, "the entry identifier is of another database");
    }
    object = id->Object();
    RETURN_IF_ERROR(
        database_->View([&](RowReader& rows) { return CheckObject(rows, id_, *object); }));
  }
  return Connect(database_,
                 std::make_unique<ObjectAdviser>(*database_, id_, object, mask, std::move(sink)));
}

Result<AdviseConnection> MessageStore::AdviseContentsTable(FolderId folder,
                                                           ContentsSink sink) const {
  RETURN_IF_ERROR(GetFolder(folder));
  return Connect(database_, std::make_unique<ContentsAdviser>(*database_, folder, std::move(sink)));
}

Result<std::uint32_t> MessageStore::StoreLogoff(std::uint32_t flags) const {
  if ((flags & ~kLogoffFlags) != 0) return Fail(ErrorCode::kUnknownFlags, "undefined logoff flags");
  bool queued = false;
  bool sending = false;
  const bool any_locks = database_->shared.locks->Count() > 0;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) {
    return rows.Scan(table::kQueue, QueueKey(id_, 0), Key8(id_.value + 1),
                     [&](std::string_view key, std::string_view value) -> Result<bool> {
                       queued = true;
                       if (!any_locks) return false;
                       ASSIGN_OR_RETURN(const QueueRecord row, rows.DecodeQueueRow(key, value));
                       const auto holder = database_->shared.locks->Holder(row.message);
                       sending = holder && holder->IsLock();
                       return !sending;
                     });
  }));
  const bool refused = sending && (flags & (kLogoffAbort | kLogoffQuiet)) != 0;
  if (queued && !refused && (flags & (kLogoffNoWait | kLogoffPurge)) != 0) {
    database_->shared.signal->Raise();
  }
  return (refused ? 0 : kLogoffComplete) | (sending ? kLogoffOutbound : 0) |
         (queued ? kLogoffOutboundQueue : 0);
}

}  // namespace bobbin

// Where everything is kept: the tables and their keys. The grammar is in docs/store-format.md.
//
//   meta        'R'                           Root
//               'C'                           Counters
//               'S' store(8)                  Store
//               'N' name                      Reference to a store
//               'L' list(8)                   DistributionList
//               'M' name                      Reference to a list
//               'P' identifier(2)             PropertyName
//               'Q' set(16) 0(1) number(4)    Reference to an identifier
//               'Q' set(16) 1(1) name         the same
//               'Z'                           Scrub
//   messages    message(8)                    Message
//   bodies      body(8) 0(4)                  Body (head)
//               body(8) chunk(4), from 1      content bytes
//   recipients  message(8) row(4)             Recipient (or list(8) row(4): a member)
//   folders     folder(8)                     Folder
//   queue       store(8) sequence(8)          QueueRow
//   due         lane(1) time(8) sequence(8)   DueRow
//   index       'c' folder(8) message(8)      Reference (contents of a folder)
//               'f' parent(8) folder(8)       Reference (folders of a folder)
//               't' ~first(8)                 Reference (deleted messages, to the last of them)
//               'q' message(8)                Quarantine (a message out of the way of the queue)
//               'q' 0(8) sequence(8)          Quarantine (a row of `due` that no message claims)
//               'w' body(8)                   Reference (a body written ahead, owned by no message)
//   attachments message(8) number(4)          Attachment
//   main        'T'                           Totals
//
// Numbers are big-endian, so that byte order is number order and new rows are appended. ~ is their
// complement, so that a scan meets the higher ones first.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/clock.h"
#include "engine/entry_id.h"
#include "engine/kv/kv_engine.h"
#include "engine/named_property.h"
#include "engine/outgoing_queue.h"

namespace bobbin {

namespace table {
inline constexpr kv::TableId kMeta{0};
inline constexpr kv::TableId kMessages{1};
inline constexpr kv::TableId kBodies{2};
inline constexpr kv::TableId kRecipients{3};
inline constexpr kv::TableId kFolders{4};
inline constexpr kv::TableId kQueue{5};
inline constexpr kv::TableId kDue{6};
inline constexpr kv::TableId kIndex{7};
inline constexpr kv::TableId kAttachments{8};
inline constexpr kv::TableId kMain{9};  // kv::kMainTableName; in no total.
inline constexpr std::array<std::string_view, 10> kNames{
    "meta",  "messages", "bodies", "recipients",  "folders",
    "queue", "due",      "index",  "attachments", "main"};
}  // namespace table

// A key under construction, or one being read, on the stack.
std::string Key8(std::uint64_t a);
std::string Key84(std::uint64_t a, std::uint32_t b);
std::string Key88(std::uint64_t a, std::uint64_t b);
std::string TaggedKey8(char tag, std::uint64_t a);
std::string TaggedKey88(char tag, std::uint64_t a, std::uint64_t b);

inline constexpr std::string_view kRootKey = "R";
inline constexpr std::string_view kCountersKey = "C";
inline constexpr std::string_view kTotalsKey = "T";
inline constexpr std::string_view kScrubKey = "Z";
inline std::string StoreKey(StoreId id) { return TaggedKey8('S', id.value); }
inline std::string StoreNameKey(std::string_view name) { return "N" + std::string(name); }
inline std::string ListKey(ListId id) { return TaggedKey8('L', id.value); }
inline std::string ListNameKey(std::string_view name) { return "M" + std::string(name); }
// Of identifier -> name, and of name -> identifier.
std::string PropertyIdentifierKey(std::uint16_t identifier);
std::string PropertyNameKey(const PropertyName& name);
inline std::string MessageKey(MessageId id) { return Key8(id.value); }
inline std::string BodyKey(std::uint64_t body, std::uint32_t chunk) { return Key84(body, chunk); }
inline std::string RecipientKey(MessageId id, RecipientRowId row) {
  return Key84(id.value, row.value);
}
inline std::string AttachmentKey(MessageId id, std::uint32_t number) {
  return Key84(id.value, number);
}
inline std::string FolderKey(FolderId id) { return Key8(id.value); }
inline std::string QueueKey(StoreId store, std::uint64_t sequence) {
  return Key88(store.value, sequence);
}
inline std::string ContentsKey(FolderId folder, MessageId message) {
  return TaggedKey88('c', folder.value, message.value);
}
inline std::string SubfolderKey(FolderId parent, FolderId folder) {
  return TaggedKey88('f', parent.value, folder.value);
}

// PR_SEARCH_KEY of a new message: unique without asking anybody.
inline std::string MakeMessageSearchKey(const DatabaseId& database, MessageId id) {
  return std::string(reinterpret_cast<const char*>(database.bytes.data()), 8) + Key8(id.value);
}

// Where the messages from `first` on are deleted.
inline std::string DeletedKey(std::uint64_t first) { return TaggedKey8('t', ~first); }
inline std::string QuarantineKey(MessageId id) { return TaggedKey8('q', id.value); }
inline std::string QuarantinedRowKey(std::uint64_t sequence) {
  return TaggedKey88('q', 0, sequence);
}
inline std::string WrittenAheadKey(std::uint64_t body) { return TaggedKey8('w', body); }

struct DueKey {
  DueLane lane = DueLane::kScheduled;
  Time time{};
  std::uint64_t sequence = 0;
  friend bool operator==(const DueKey&, const DueKey&) = default;
};
std::string EncodeDueKey(const DueKey& key);
// kCorruptData  not of that form
Result<DueKey> DecodeDueKey(std::string_view key);

// The number at `offset` of a key; kCorruptData when the key is too short.
Result<std::uint64_t> KeyNumber8(std::string_view key, std::size_t offset);
Result<std::uint32_t> KeyNumber4(std::string_view key, std::size_t offset);

// The first key after all keys that begin with `prefix`.
std::string PrefixEnd(std::string prefix);

}  // namespace bobbin

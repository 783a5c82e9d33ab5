// Identifiers: of databases, of objects in them, and the forms people type.
//
// Object identifiers (stores, folders, messages) are drawn from one counter per
// database, ascend with time and are never used twice. The strong types do not
// convert into each other.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/result.h"

namespace bobbin {

struct StoreId {
  std::uint64_t value = 0;
  friend auto operator<=>(const StoreId&, const StoreId&) = default;
};

struct FolderId {
  std::uint64_t value = 0;
  friend auto operator<=>(const FolderId&, const FolderId&) = default;
};

struct MessageId {
  std::uint64_t value = 0;
  friend auto operator<=>(const MessageId&, const MessageId&) = default;
};

struct ListId {  // A personal distribution list.
  std::uint64_t value = 0;
  friend auto operator<=>(const ListId&, const ListId&) = default;
};

struct RecipientRowId {
  std::uint32_t value = 0;
  friend auto operator<=>(const RecipientRowId&, const RecipientRowId&) = default;
};

// Random, made when the database is created; never changes.
struct DatabaseId {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const DatabaseId&, const DatabaseId&) = default;
};

// PR_ENTRYID: 16 bytes database, 8 bytes object, big-endian. Opaque to callers.
class EntryId {
 public:
  static constexpr std::size_t kBytes = 24;

  EntryId() = default;
  EntryId(const DatabaseId& database, std::uint64_t object)
      : database_(database), object_(object) {}

  // kInvalidEntryId  not 24 bytes
  static Result<EntryId> FromBytes(std::string_view bytes);
  // kInvalidEntryId  not 48 hexadecimal digits
  static Result<EntryId> FromHex(std::string_view hex);

  std::string ToBytes() const;
  std::string ToHex() const;
  const DatabaseId& Database() const { return database_; }
  std::uint64_t Object() const { return object_; }

  friend auto operator<=>(const EntryId&, const EntryId&) = default;

 private:
  DatabaseId database_;
  std::uint64_t object_ = 0;
};

// What operators read and type: the message id in Crockford's base 32 (digits and
// letters without I, L, O, U), upper case, no leading zeros. Parsing accepts lower
// case and reads I and L as 1, O as 0.
std::string ToQueueId(MessageId id);
// kInvalidParameter  empty, a character outside the alphabet, or more than 64 bits
Result<MessageId> ParseQueueId(std::string_view text);

std::string ToHex(std::string_view bytes);

}  // namespace bobbin

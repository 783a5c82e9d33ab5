// AddressBook: the personal distribution lists of a database (address type MAPIPDL).
//
// A list has a name and members; a member is a recipient, or another list (address type MAPIPDL,
// the list's name as address). SubmitMessage replaces a list by its members
// (engine/expand_recipients.h), as they are at that moment.
//
// Durability  Every change is one durable transaction.
// Threads     Any number.   Processes  Any number.
// Errors      kNotFound          no list of that name, or no such member
//             kCollision         the name, or the member, is there already
//             kInvalidParameter  a name that is not 1 to 255 bytes of UTF-8 without ';' (a display
//                                name), or a member without address
//             kTooBig            more than kRecipientCountMax members
//             kCorruptData, kDiskError, kNotEnoughDisk, kStoreFailed as everywhere
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/entry_id.h"
#include "engine/recipient_table.h"
#include "engine/result.h"

namespace bobbin {

struct DatabaseState;

struct DistributionListInfo {
  EntryId entry_id;
  std::string name;
  RecipientTable members;  // In the order they were added.
};

// A recipient row that stands for the list called `name`.
RecipientRow MakeListRecipient(std::string_view name, std::int64_t recipient_type);

class AddressBook {
 public:
  explicit AddressBook(std::shared_ptr<DatabaseState> database);

  Result<EntryId> CreateList(std::string_view name);
  Result<void> DeleteList(std::string_view name);
  Result<void> AddMember(std::string_view name, RecipientRow member);
  // By address type and address, compared as search keys are.
  Result<void> RemoveMember(std::string_view name, const RecipientRow& member);
  Result<DistributionListInfo> GetList(std::string_view name) const;
  Result<std::vector<std::string>> GetLists() const;  // Names, in byte order.

 private:
  std::shared_ptr<DatabaseState> database_;
};

}  // namespace bobbin

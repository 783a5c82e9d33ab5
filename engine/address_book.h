// AddressBook: the personal distribution lists of a database (address type MAPIPDL).
//
// A list has a name and members; a member is a recipient, or another list (address type MAPIPDL,
// the list's name as address). SubmitMessage replaces a list by its members
// (engine/expand_recipients.h), as they are at that moment.
//
// Durability  Every call that changes something is one durable transaction, whatever number of
//             members it has.
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
  // A member is told from others by address type and address, compared as search keys are.
  Result<void> AddMember(std::string_view name, RecipientRow member);
  Result<void> RemoveMember(std::string_view name, const RecipientRow& member);
  // Many at the price of one: a call reads the whole list. Either all changes are made or, with an
  // error, none. What there is nothing to do for is no error of the call, but of its member: one
  // that is there already, or given twice, is kCollision and stays as it is; one to be removed
  // that is not there is kNotFound. kTooBig when the list would get too long.
  // Returns what became of each, in the order of `members`.
  Result<std::vector<Result<void>>> AddMembers(std::string_view name, RecipientTable members);
  Result<std::vector<Result<void>>> RemoveMembers(std::string_view name,
                                                  const RecipientTable& members);
  Result<DistributionListInfo> GetList(std::string_view name) const;
  Result<std::vector<std::string>> GetLists() const;  // Names, in byte order.

 private:
  std::shared_ptr<DatabaseState> database_;
};

}  // namespace bobbin

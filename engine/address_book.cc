#include "engine/address_book.h"

#include <unordered_map>
#include <utility>

#include "engine/content_rows.h"
#include "engine/database_state.h"
#include "engine/submission.h"
#include "engine/utf8.h"

namespace bobbin {
namespace {

constexpr std::size_t kListNameBytesMax = 255;

Result<void> CheckName(std::string_view name) {
  if (!name.empty() && name.size() <= kListNameBytesMax && IsUtf8(name) &&
      name.find(';') == std::string_view::npos) {
    return {};
  }
  return Fail(ErrorCode::kInvalidParameter,
              "the name of a list is 1 to 255 bytes of UTF-8 without ';'");
}

Result<ListId> ListOf(RowReader& rows, std::string_view name) {
  ASSIGN_OR_RETURN(const auto id, rows.ListNamed(name));
  if (id) return *id;
  return Fail(ErrorCode::kNotFound, "there is no list " + std::string(name));
}

Result<ListRecord> RecordOf(RowReader& rows, ListId id) {
  ASSIGN_OR_RETURN(const auto record, rows.DistributionList(id));
  if (record) return *record;
  return Fail(ErrorCode::kCorruptData, "table meta: the record of a list is missing");
}

// Completed as SubmitMessage would, so that its search key says who it is.
Result<RecipientRow> Completed(RecipientRow member) {
  RecipientTable one{std::move(member)};
  CompleteRecipients(one);
  if (one.front().EmailAddress().empty() || one.front().AddressType().empty()) {
    return Fail(ErrorCode::kInvalidParameter, "a member has an address type and an address");
  }
  one.front().delivery = RecipientDelivery{};
  return std::move(one.front());
}

Result<RecipientTable> Completed(RecipientTable members) {
  for (RecipientRow& member : members) {
    ASSIGN_OR_RETURN(member, Completed(std::move(member)));
  }
  return members;
}

std::string KeyOf(const RecipientRow& member) {
  return std::string(member.properties.BytesOr(pr::kSearchKey, {}));
}

// The members that a list has, by search key.
using MemberIds = std::unordered_map<std::string, RecipientRowId>;

Result<MemberIds> MemberIdsOf(RowReader& rows, ListId id) {
  ASSIGN_OR_RETURN(const RecipientTable members, rows.Recipients(MessageId{id.value}));
  MemberIds ids;
  for (const RecipientRow& member : members) ids.emplace(KeyOf(member), member.id);
  return ids;
}

}  // namespace

RecipientRow MakeListRecipient(std::string_view name, std::int64_t recipient_type) {
  RecipientRow row;
  row.properties = {Property::Number(pr::kRecipientType, recipient_type),
                    Property::Bytes(pr::kAddressType, std::string(kPersonalListAddressType)),
                    Property::Bytes(pr::kEmailAddress, std::string(name)),
                    Property::Bytes(pr::kDisplayName, std::string(name))};
  return row;
}

AddressBook::AddressBook(std::shared_ptr<DatabaseState> database)
    : database_(std::move(database)) {}

Result<EntryId> AddressBook::CreateList(std::string_view name) {
  RETURN_IF_ERROR(CheckName(name));
  std::uint64_t id = 0;
  RETURN_IF_ERROR(database_->Update([&](RowWriter& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto taken, rows.ListNamed(name));
    if (taken) return Fail(ErrorCode::kCollision, "there is a list " + std::string(name));
    ASSIGN_OR_RETURN(id, DrawObjectIdIn(rows));
    RETURN_IF_ERROR(rows.PutListName(name, ListId{id}));
    return rows.PutDistributionList(ListId{id}, {std::string(name), 0, 0});
  }));
  return database_->EntryIdOf(id);
}

Result<void> AddressBook::DeleteList(std::string_view name) {
  return database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        ASSIGN_OR_RETURN(const ListId id, ListOf(rows, name));
        RETURN_IF_ERROR(ErasePrefix(rows, table::kRecipients, id.value));
        RETURN_IF_ERROR(rows.Erase(table::kMeta, ListNameKey(name)));
        return rows.Erase(table::kMeta, ListKey(id));
      },
      kv::SpaceUse::kMayUseReserve);
}

Result<std::vector<Result<void>>> AddressBook::AddMembers(std::string_view name,
                                                          RecipientTable members) {
  ASSIGN_OR_RETURN(RecipientTable added, Completed(std::move(members)));
  std::vector<Result<void>> outcomes;
  RETURN_IF_ERROR(database_->Update([&](RowWriter& rows) -> Result<void> {
    outcomes.clear();
    ASSIGN_OR_RETURN(const ListId id, ListOf(rows, name));
    ASSIGN_OR_RETURN(ListRecord record, RecordOf(rows, id));
    ASSIGN_OR_RETURN(MemberIds present, MemberIdsOf(rows, id));
    for (RecipientRow& member : added) {
      member.id = RecipientRowId{record.next_row};
      if (!present.emplace(KeyOf(member), member.id).second) {
        outcomes.emplace_back(Fail(ErrorCode::kCollision,
                                   std::string(member.EmailAddress()) + " is a member already"));
        continue;
      }
      if (present.size() > kRecipientCountMax) {
        return Fail(ErrorCode::kTooBig,
                    "a list has at most " + std::to_string(kRecipientCountMax) + " members");
      }
      ++record.next_row;
      ++record.member_count;
      RETURN_IF_ERROR(rows.PutRecipient(MessageId{id.value}, member));
      outcomes.emplace_back();
    }
    return rows.PutDistributionList(id, record);
  }));
  return outcomes;
}

Result<std::vector<Result<void>>> AddressBook::RemoveMembers(std::string_view name,
                                                             const RecipientTable& members) {
  ASSIGN_OR_RETURN(const RecipientTable removed, Completed(members));
  std::vector<Result<void>> outcomes;
  RETURN_IF_ERROR(database_->Update(
      [&](RowWriter& rows) -> Result<void> {
        outcomes.clear();
        ASSIGN_OR_RETURN(const ListId id, ListOf(rows, name));
        ASSIGN_OR_RETURN(ListRecord record, RecordOf(rows, id));
        ASSIGN_OR_RETURN(MemberIds present, MemberIdsOf(rows, id));
        for (const RecipientRow& member : removed) {
          const auto found = present.find(KeyOf(member));
          if (found == present.end()) {
            outcomes.emplace_back(Fail(ErrorCode::kNotFound,
                                       std::string(member.EmailAddress()) + " is not a member"));
            continue;
          }
          --record.member_count;
          RETURN_IF_ERROR(
              rows.Erase(table::kRecipients, RecipientKey(MessageId{id.value}, found->second)));
          present.erase(found);
          outcomes.emplace_back();
        }
        return rows.PutDistributionList(id, record);
      },
      kv::SpaceUse::kMayUseReserve));
  return outcomes;
}

Result<void> AddressBook::AddMember(std::string_view name, RecipientRow member) {
  ASSIGN_OR_RETURN(const auto outcomes, AddMembers(name, {std::move(member)}));
  return outcomes.front();
}

Result<void> AddressBook::RemoveMember(std::string_view name, const RecipientRow& member) {
  ASSIGN_OR_RETURN(const auto outcomes, RemoveMembers(name, {member}));
  return outcomes.front();
}

Result<DistributionListInfo> AddressBook::GetList(std::string_view name) const {
  DistributionListInfo info;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const ListId id, ListOf(rows, name));
    info.entry_id = database_->EntryIdOf(id.value);
    info.name = std::string(name);
    ASSIGN_OR_RETURN(info.members, rows.Recipients(MessageId{id.value}));
    return {};
  }));
  return info;
}

Result<std::vector<std::string>> AddressBook::GetLists() const {
  std::vector<std::string> names;
  RETURN_IF_ERROR(database_->View([&](RowReader& rows) -> Result<void> {
    names.clear();
    return rows.Scan(table::kMeta, "M", "N",
                     [&](std::string_view key, std::string_view) -> Result<bool> {
                       names.emplace_back(key.substr(1));
                       return true;
                     });
  }));
  return names;
}

}  // namespace bobbin

#include "engine/expand_recipients.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "engine/ascii.h"
#include "engine/submission.h"

namespace bobbin {
namespace {

bool IsList(const RecipientRow& row) {
  return UpperCase(row.AddressType()) == kPersonalListAddressType;
}

// What the sender asks of reports about the list, he asks of reports about its members.
void InheritReportRequests(const RecipientRow& list, RecipientRow& member) {
  for (const PropertyTag tag :
       {pr::kOriginatorDeliveryReportRequested, pr::kOriginatorNonDeliveryReportRequested,
        pr::kDelayReportRequested}) {
    if (const Property* wish = list.properties.Find(tag)) member.properties.Set(*wish);
  }
}

class Expansion {
 public:
  Expansion(RowReader& rows, std::uint32_t next_row) : rows_(rows), next_row_(next_row) {}

  Result<void> Add(const RecipientRow& row, RecipientTable& out) {
    if (!IsList(row)) {
      out.push_back(row);
      if (out.size() <= kRecipientCountMax) return {};
      return Fail(ErrorCode::kTooBig, "with the members of its lists the message has more than " +
                                          std::to_string(kRecipientCountMax) + " recipients");
    }
    ASSIGN_OR_RETURN(const ListId list, Find(row));
    // Reached again, from itself or along another way: it has been expanded already.
    if (!expanded_.insert({list.value, row.Type()}).second) return {};
    ASSIGN_OR_RETURN(RecipientTable members, rows_.Recipients(MessageId{list.value}));
    for (RecipientRow& member : members) {
      member.id = RecipientRowId{next_row_++};
      member.properties.Set(Property::Number(pr::kRecipientType, row.Type()));
      InheritReportRequests(row, member);
      RETURN_IF_ERROR(Add(member, out));
    }
    return {};
  }

 private:
  // By entry identifier when the row has one of ours, else by name.
  Result<ListId> Find(const RecipientRow& row) {
    const Result<EntryId> id = EntryId::FromBytes(row.properties.BytesOr(pr::kEntryId, {}));
    if (id) {
      ASSIGN_OR_RETURN(const auto list, rows_.DistributionList(ListId{id->Object()}));
      if (list) return ListId{id->Object()};
    }
    const std::string_view name =
        row.EmailAddress().empty() ? row.DisplayName() : row.EmailAddress();
    ASSIGN_OR_RETURN(const auto named, rows_.ListNamed(name));
    if (named) return *named;
    return Fail(ErrorCode::kNotFound, "the address book has no list " + std::string(name));
  }

  RowReader& rows_;
  std::uint32_t next_row_;
  std::set<std::pair<std::uint64_t, std::int64_t>> expanded_;
};

}  // namespace

Result<void> ExpandRecipients(RowReader& rows, RecipientTable& recipients) {
  if (std::any_of(recipients.begin(), recipients.end(), IsList)) {
    std::uint32_t next_row = 0;
    for (const RecipientRow& row : recipients) next_row = std::max(next_row, row.id.value + 1);
    Expansion expansion(rows, next_row);
    RecipientTable expanded;
    for (const RecipientRow& row : recipients) RETURN_IF_ERROR(expansion.Add(row, expanded));
    recipients = std::move(expanded);
  }
  CompleteRecipients(recipients);
  return {};
}

}  // namespace bobbin

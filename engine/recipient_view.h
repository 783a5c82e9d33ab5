// RecipientView: the recipient table of an open message as a table (MAPI: the IMAPITable that
// IMessage::GetRecipientTable returns): columns, a restriction, rows.
//
// Live        Shows the recipients as they are on that object now, ModifyRecipients included, saved
//             or not.
// Columns     Until SetColumns: PR_ROWID, PR_RECIPIENT_TYPE, PR_DISPLAY_NAME, PR_ADDRTYPE,
//             PR_EMAIL_ADDRESS, PR_ENTRYID, PR_SEARCH_KEY, PR_RESPONSIBILITY. A column that a row
//             does not have is PT_ERROR with the value kNotFound there.
// Threads     As the message: one at a time for a message and all that is open of it.
// Ownership   Keeps the message's object alive.
// Errors      As listed; nothing changed. kInvalidObject once the message has been submitted (C25).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/message.h"
#include "engine/recipient_restriction.h"

namespace bobbin {

using RecipientColumns = std::vector<Property>;  // One per column, in the order of the columns.

class RecipientView {
 public:
  explicit RecipientView(std::shared_ptr<const MessageObject> object);

  // MAPI: IMAPITable::SetColumns. PR_NULL keeps a place empty; PT_UNSPECIFIED takes the value with
  // whatever type it has.
  //   kInvalidParameter  no columns
  Result<void> SetColumns(std::span<const PropertyTag> columns);
  Result<std::vector<PropertyTag>> Columns() const;

  // MAPI: IMAPITable::Restrict; none: all rows. The errors are those of Restriction::Check.
  Result<void> Restrict(std::optional<Restriction> restriction);

  // MAPI: IMAPITable::GetRowCount, QueryRows, FindRow: of the rows that the restriction shows, in
  // the order of the recipients.
  Result<std::uint32_t> RowCount() const;
  //   kInvalidParameter  no rows asked for
  Result<std::vector<RecipientColumns>> QueryRows(std::uint32_t rows_max,
                                                  std::uint32_t first = 0) const;
  // The position of the first match at or behind `first`.
  //   kNotFound  there is none; and those of Restriction::Check
  Result<std::uint32_t> FindRow(const Restriction& wanted, std::uint32_t first = 0) const;

 private:
  Result<std::vector<const RecipientRow*>> Shown() const;

  std::shared_ptr<const MessageObject> object_;
  std::vector<PropertyTag> columns_;
  std::optional<Restriction> restriction_;
};

}  // namespace bobbin

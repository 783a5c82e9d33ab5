// Which messages are deleted, kept as intervals of their identifiers: no message in one lives.
//
// Identifiers are never used twice, so a message in an interval is gone for good, or has not been
// stored yet. An interval therefore goes over everything up to the next living message, and
// there are never more of them than living messages and one: a queue leaves a single row behind.
// Only a draft that is older than mail which came and went can be stored in the middle of one; the
// interval is then split. So a copy of an interval, however stale, is true of every record of a
// message that is older than the copy, for ever. Salvage rests on that.

#include "engine/rows.h"

namespace bobbin {
namespace {

// The lowest message from `from` to before `end`.
Result<std::optional<std::uint64_t>> FirstMessage(RowReader& rows, std::uint64_t from,
                                                  std::string_view end) {
  std::optional<std::uint64_t> found;
  RETURN_IF_ERROR(rows.Scan(table::kMessages, Key8(from), end,
                            [&](std::string_view key, std::string_view) -> Result<bool> {
                              ASSIGN_OR_RETURN(found, KeyNumber8(key, 0));
                              return false;
                            }));
  return found;
}

}  // namespace

Result<void> RowReader::ScanDeleted(std::uint64_t highest_first, const DeletedVisitor& visit) {
  return Scan(table::kIndex, DeletedKey(highest_first), PrefixEnd("t"),
              [&](std::string_view key, std::string_view value) -> Result<bool> {
                ASSIGN_OR_RETURN(const std::uint64_t first, KeyNumber8(key, 1));
                const Result<std::uint64_t> last = DecodeReference(table::kIndex, key, value);
                if (last) return visit({~first, *last});
                // Its neighbours are not harmed by it.
                if (last.error().code == ErrorCode::kCorruptData) return true;
                return tl::unexpected<Error>(last.error());
              });
}

Result<void> RowWriter::PutDeleted(const DeletedMessages& deleted) {
  return PutIndexRow(DeletedKey(deleted.first), deleted.last);
}

Result<void> RowWriter::EraseMessage(MessageId id) {
  ASSIGN_OR_RETURN(const bool was_there, EraseRow(table::kMessages, MessageKey(id)));
  if (!was_there) return {};
  DeletedMessages deleted{id.value, id.value};
  ASSIGN_OR_RETURN(const auto next_living, FirstMessage(*this, id.value + 1, {}));
  std::optional<DeletedMessages> before;
  std::optional<DeletedMessages> after;
  RETURN_IF_ERROR(ScanDeleted(next_living.value_or(0) - 1,
                              [&](const DeletedMessages& neighbour) -> Result<bool> {
                                (neighbour.first > id.value ? after : before) = neighbour;
                                return !before;
                              }));
  if (after) {
    deleted.last = after->last;
    RETURN_IF_ERROR(Erase(table::kIndex, DeletedKey(after->first)));
  }
  if (before && before->last + 1 < id.value) {
    ASSIGN_OR_RETURN(const auto living, FirstMessage(*this, before->last + 1, MessageKey(id)));
    if (living) before.reset();
  }
  if (before) deleted.first = before->first;
  return PutDeleted(deleted);
}

Result<void> RowWriter::TakeFromDeleted(MessageId id) {
  std::optional<DeletedMessages> around;
  RETURN_IF_ERROR(ScanDeleted(id.value, [&](const DeletedMessages& deleted) -> Result<bool> {
    if (deleted.last >= id.value) around = deleted;
    return false;
  }));
  if (!around) return {};
  if (around->first < id.value) {
    RETURN_IF_ERROR(PutDeleted({around->first, id.value - 1}));
  } else {
    RETURN_IF_ERROR(Erase(table::kIndex, DeletedKey(around->first)));
  }
  if (around->last == id.value) return {};
  return PutDeleted({id.value + 1, around->last});
}

}  // namespace bobbin

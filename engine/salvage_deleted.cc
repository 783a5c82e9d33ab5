#include "engine/salvage_deleted.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace bobbin {

Result<void> SalvageDeleted::Load(const kv::LmdbPageFile& source, RowReader& rows,
                                  SalvageScan& scan) {
  *this = {};
  std::vector<FoundRecord>& records = scan.records;
  const auto intervals = std::stable_partition(
      records.begin(), records.end(),
      [](const FoundRecord& record) { return record.table != table::kIndex.index; });
  std::vector<std::pair<std::uint64_t, DeletedMessages>> found;
  std::string value;
  for (auto record = intervals; record != records.end(); ++record) {
    ASSIGN_OR_RETURN(const bool is_there, ReadFound(source, *record, scan.unreadable, value));
    if (!is_there) continue;
    ASSIGN_OR_RETURN(const std::uint64_t first, KeyNumber8(record->Key(), 1));
    ASSIGN_OR_RETURN(const std::uint64_t last,
                     rows.DecodeReference(table::kIndex, record->Key(), value));
    found.push_back({record->sequence, {~first, last}});
  }
  records.erase(intervals, records.end());
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [sequence, deleted] : found) Cover(deleted, sequence);
  for (const FoundRecord& record : records) {
    if (record.table != table::kMeta.index || record.Key()[0] != 'L') continue;
    if (const auto list = KeyNumber8(record.Key(), 1)) lists_.insert(*list);
  }
  return {};
}

// What is covered already is covered by something newer.
void SalvageDeleted::Cover(const DeletedMessages& deleted, std::uint64_t sequence) {
  auto next = segments_.upper_bound(deleted.first);
  std::uint64_t at = deleted.first;
  if (next != segments_.begin()) at = std::max(at, std::prev(next)->second.last + 1);
  for (; at <= deleted.last; ++next) {
    const bool is_end = next == segments_.end();
    const std::uint64_t last = is_end ? deleted.last : std::min(deleted.last, next->first - 1);
    if (at <= last) segments_.emplace_hint(next, at, Segment{last, sequence});
    if (is_end) return;
    at = next->second.last + 1;
  }
}

bool SalvageDeleted::IsDeleted(std::uint64_t message, std::uint64_t sequence) const {
  const auto after = segments_.upper_bound(message);
  if (after == segments_.begin()) return false;
  const Segment& segment = std::prev(after)->second;
  // Of one transaction it cannot be told which of the two was first.
  return segment.last >= message && segment.sequence > sequence;
}

Result<bool> SalvageDeleted::IsOfDeleted(RowReader& rows, const FoundRecord& found,
                                         std::string_view value) {
  const kv::TableId table{found.table};
  const bool is_message = table == table::kMessages;
  if (table == table::kQueue) {
    const Result<QueueRecord> row = rows.DecodeQueueRow(found.Key(), value);
    return row && IsDeleted(row->message.value, found.sequence);
  }
  if (!is_message && table != table::kRecipients && table != table::kAttachments) return false;
  ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(found.Key(), 0));
  if (!IsDeleted(id, found.sequence) || (!is_message && lists_.contains(id))) return false;
  const auto forget = [this](const StreamRecords& streams) {
    for (const StreamRecord& stream : streams) bodies_.insert(stream.body);
  };
  if (is_message) {
    const Result<MessageRecord> record = rows.DecodeMessage(found.Key(), value);
    if (!record || record->embedded_in.value == 0) messages_.insert(id);
    if (!record) return true;
    forget(record->streams);
    if (record->content_body != 0) bodies_.insert(record->content_body);
  } else if (table == table::kAttachments) {
    if (const auto record = rows.DecodeAttachment(found.Key(), value)) forget(record->streams);
  }
  return true;
}

}  // namespace bobbin

// What is left of a message that cannot be restored whole, as a file: what is missing, and from
// which sender to which recipients it was, as header fields of its own; then its content as far as
// it goes. Internal to engine/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/recipient_table.h"
#include "engine/rows.h"

namespace bobbin {

struct MessageRemains {
  std::string missing;
  std::string store;
  MessageRecord record;  // Empty when it is lost.
  RecipientTable recipients;
};

// What there is of a content: its chunks in order, with a line in place of missing ones.
std::string ContentAsFarAsItGoes(RowReader& rows, std::uint64_t body);

// The rows of recipients that can be read; others are passed over.
Result<RecipientTable> RecipientsAsFarAsTheyGo(RowReader& rows, std::uint64_t message);

// All of it as text, and written to a file, not yet durable. Replaces what is there.
std::string TextOfRemains(RowReader& rows, const MessageRemains& remains);
Result<void> ExportRemains(const std::filesystem::path& path, RowReader& rows,
                           const MessageRemains& remains);
Result<void> WriteExport(const std::filesystem::path& path, std::string_view bytes);

// Makes all of them durable, and their names: the whole file system at once, because a flush for
// each of many thousands is what salvage would spend its time on.
Result<void> FlushExports(const std::filesystem::path& directory);

}  // namespace bobbin

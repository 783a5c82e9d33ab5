#include "engine/salvage_export.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace bobbin {
namespace {

// One line, whatever is in it.
std::string Field(std::string_view name, std::string_view value) {
  std::string line(name);
  line += ": ";
  for (const char c : value) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  return line + "\r\n";
}

std::string Heading(const MessageRemains& remains) {
  const PropertyList& properties = remains.record.properties;
  std::string text = Field("X-Bobbin-Salvage", remains.missing);
  text += Field("X-Bobbin-Store", remains.store);
  text += Field("X-Bobbin-Sender", properties.BytesOr(pr::kSenderEmailAddress, {}));
  text += Field("X-Bobbin-Subject", properties.BytesOr(pr::kSubject, {}));
  for (const RecipientRow& row : remains.recipients) {
    text += Field("X-Bobbin-Recipient", std::string(row.properties.BytesOr(pr::kEmailAddress, {})) +
                                            " (" + std::string(ToString(row.delivery.state)) + ")");
  }
  return text;
}

}  // namespace

std::string ContentAsFarAsItGoes(RowReader& rows, std::uint64_t body) {
  std::string content;
  std::uint32_t next = 1;
  const auto note_gap = [&] { content += "\r\n[here something is missing]\r\n"; };
  const Result<void> scanned =
      rows.Scan(table::kBodies, BodyKey(body, 1), Key8(body + 1),
                [&](std::string_view key, std::string_view value) -> Result<bool> {
                  const Result<std::string_view> piece = rows.DecodeBodyChunk(key, value);
                  ASSIGN_OR_RETURN(const std::uint32_t chunk, KeyNumber4(key, 8));
                  if (!piece) return true;
                  if (chunk != next) note_gap();
                  next = chunk + 1;
                  content += *piece;
                  return true;
                });
  const Result<std::optional<BodyRecord>> head = rows.BodyHead(body);
  if (!scanned || !head || !*head || (*head)->chunk_count + 1 != next) note_gap();
  return content;
}

Result<RecipientTable> RecipientsAsFarAsTheyGo(RowReader& rows, std::uint64_t message) {
  RecipientTable recipients;
  RETURN_IF_ERROR(rows.Scan(table::kRecipients, Key8(message), Key8(message + 1),
                            [&](std::string_view key, std::string_view value) -> Result<bool> {
                              Result<RecipientRow> row = rows.DecodeRecipient(key, value);
                              if (row) recipients.push_back(*std::move(row));
                              return true;
                            }));
  return recipients;
}

std::string TextOfRemains(RowReader& rows, const MessageRemains& remains) {
  std::string text = Heading(remains);
  const MessageRecord& record = remains.record;
  if (record.content_body != 0) {
    text += ContentAsFarAsItGoes(rows, record.content_body);
  } else if (!record.content_inline.empty()) {
    text += record.content_inline;
  } else {
    text += "\r\n";
    text += record.properties.BytesOr(pr::kBody, {});
  }
  for (const StreamRecord& stream : record.streams) {
    text += "\r\n[property " + ToHex(Key8(stream.tag.value).substr(4)) + "]\r\n";
    text += ContentAsFarAsItGoes(rows, stream.body);
  }
  return text;
}

Result<void> ExportRemains(const std::filesystem::path& path, RowReader& rows,
                           const MessageRemains& remains) {
  return WriteExport(path, TextOfRemains(rows, remains));
}

Result<void> WriteExport(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.flush();
  if (file) return {};
  return Fail(errno == ENOSPC ? ErrorCode::kNotEnoughDisk : ErrorCode::kDiskError,
              "writing " + path.string() + ": " + std::strerror(errno));
}

Result<void> FlushExports(const std::filesystem::path& directory) {
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file >= 0 && syncfs(file) == 0) {
    close(file);
    return {};
  }
  const int error = errno;
  if (file >= 0) close(file);
  return Fail(error == ENOSPC ? ErrorCode::kNotEnoughDisk : ErrorCode::kDiskError,
              "flushing " + directory.string() + ": " + std::strerror(error));
}

}  // namespace bobbin

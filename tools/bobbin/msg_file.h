// Outlook's .msg files (MS-OXMSG): a message as properties, recipients and attachments.
//
// Strings are UTF-8: PT_STRING8 is read in the message's code page (PR_MESSAGE_CODEPAGE, else
// PR_INTERNET_CPID, else that of PR_MESSAGE_LOCALE_ID, of the message around it, 1252) and becomes
// PT_UNICODE. Properties from 0x8000 on keep the identifier they have in the file; `names` tells
// what they mean. PT_NULL and PT_ERROR have no value and are left out, as are multi-values without
// any.
//
// Values over kMsgValueBytesMax are not read into memory but streams; a multi-value is read whole,
// up to kMsgMultiValueBytesMax.
//
// Threads  One at a time per file, its streams included.
// Errors   kNotFound, kNoAccess  no such file, or not readable
//          kCorruptData          not a .msg file, or damaged
//          kTooBig               a value over 150 MiB, more parts than kMsg...CountMax
//          kTooComplex           messages nested deeper than kEmbeddedDepthMax
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/named_property.h"
#include "engine/property.h"

namespace bobbin::cli {

inline constexpr std::size_t kMsgValueBytesMax = 2'048;
inline constexpr std::size_t kMsgMultiValueBytesMax = std::size_t{16} << 20;
inline constexpr std::size_t kMsgPropertyCountMax = 8'192;    // Of one object.
inline constexpr std::size_t kMsgRecipientCountMax = 10'000;  // Of one message, as in a store.
inline constexpr std::size_t kMsgAttachmentCountMax = 10'000;

// A long value, read once from start to end.
class MsgStream {
 public:
  virtual ~MsgStream() = default;
  // The next piece, valid until the next call; empty at the end.
  virtual Result<std::string_view> Next() = 0;
};

struct MsgProperty {
  Property value;                     // When it is a stream, the tag only.
  std::unique_ptr<MsgStream> stream;  // Null: `value` is all of it.
};
using MsgProperties = std::vector<MsgProperty>;

struct MsgMessage;

struct MsgAttachment {
  MsgProperties properties;  // An OLE object: PR_ATTACH_DATA_BIN, a compound file of its own.
  std::unique_ptr<MsgMessage> embedded;
};

struct MsgMessage {
  MsgProperties properties;
  std::vector<MsgProperties> recipients;
  std::vector<MsgAttachment> attachments;
};

struct MsgFile {
  std::map<std::uint16_t, PropertyName> names;
  MsgMessage message;
};

Result<MsgFile> ReadMsgFile(const std::filesystem::path& path);

}  // namespace bobbin::cli

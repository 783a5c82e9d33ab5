#include "tools/bobbin/msg_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <optional>
#include <utility>

#include "engine/attachment.h"
#include "spooler/code_page.h"
#include "tools/bobbin/compound_file.h"
#include "tools/bobbin/little_endian.h"
#include "tools/bobbin/msg_names.h"

namespace bobbin::cli {
namespace {

constexpr const char* kPropertiesName = "__properties_version1.0";
constexpr std::size_t kEntryBytes = 16;
constexpr PropertyTag kMessageCodePage{0x3FFD0003};
constexpr PropertyTag kMessageLocale{0x3FF10003};

tl::unexpected<Error> Damaged(std::string detail) {
  return Fail(ErrorCode::kCorruptData, std::move(detail));
}

tl::unexpected<Error> NoValue(PropertyTag tag) {
  return Damaged(fmt::format("property 0x{:08X} has no value", tag.value));
}

std::string ValueName(PropertyTag tag) { return fmt::format("__substg1.0_{:08X}", tag.value); }

bool IsString(PropertyType type) {
  return type == PropertyType::kString8 || type == PropertyType::kUnicode;
}

// A zero ends a string of MAPI; some writers store it.
bool CutAtZero(std::string& text) {
  const std::size_t end = text.find('\0');
  if (end != std::string::npos) text.resize(end);
  return end != std::string::npos;
}

class BinaryStream final : public MsgStream {
 public:
  explicit BinaryStream(CompoundStream stream) : stream_(std::move(stream)) {}
  Result<std::string_view> Next() override { return stream_.Next(); }

 private:
  CompoundStream stream_;
};

class TextStream final : public MsgStream {
 public:
  TextStream(CompoundStream stream, std::uint32_t code_page)
      : stream_(std::move(stream)), decoder_(code_page) {}

  Result<std::string_view> Next() override {
    text_.clear();
    while (text_.empty() && !ended_) {
      ASSIGN_OR_RETURN(const std::string_view piece, stream_.Next());
      ended_ = piece.empty();
      if (ended_) {
        decoder_.Finish(text_);
      } else {
        decoder_.Append(piece, text_);
      }
      ended_ = CutAtZero(text_) || ended_;
    }
    return std::string_view(text_);
  }

 private:
  CompoundStream stream_;
  TextDecoder decoder_;
  std::string text_;
  bool ended_ = false;
};

// A copy of an OLE object's storage, gone with this object.
class TemporaryFileStream final : public MsgStream {
 public:
  static Result<std::unique_ptr<MsgStream>> Copy(const CompoundStorage& storage) {
    auto stream = std::make_unique<TemporaryFileStream>();
    if (stream->file_ == nullptr) return Fail(ErrorCode::kDiskError, "no temporary file");
    RETURN_IF_ERROR(storage.CopyTo(stream->file_.get()));
    std::rewind(stream->file_.get());
    return std::unique_ptr<MsgStream>(std::move(stream));
  }

  Result<std::string_view> Next() override {
    piece_.resize(std::size_t{64} << 10);
    piece_.resize(std::fread(piece_.data(), 1, piece_.size(), file_.get()));
    if (std::ferror(file_.get()) != 0) {
      return Fail(ErrorCode::kDiskError, "reading a temporary file failed");
    }
    return std::string_view(piece_);
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_{std::tmpfile()};
  std::string piece_;
};

// The number of a fixed-size value as engine/property.h has it; `bytes` is as long as the type is.
Property FixedValue(PropertyTag tag, std::string_view bytes) {
  const std::uint64_t number = LittleEndian(bytes, 0, bytes.size());
  switch (tag.Type()) {
    case PropertyType::kShort:
      return Property::Number(tag, static_cast<std::int16_t>(number));
    case PropertyType::kLong:
      return Property::Number(tag, static_cast<std::int32_t>(number));
    case PropertyType::kBoolean:
      return Property::Number(tag, number != 0 ? 1 : 0);
    case PropertyType::kFloat:
      return Property::Real(tag, std::bit_cast<float>(static_cast<std::uint32_t>(number)));
    default:  // 8 bytes, a number or the bits of a double.
      return Property::Number(tag, static_cast<std::int64_t>(number));
  }
}

// 0 = the type has no fixed size.
std::size_t FixedBytes(PropertyType type) {
  switch (type) {
    case PropertyType::kShort:
    case PropertyType::kBoolean:
      return 2;
    case PropertyType::kLong:
    case PropertyType::kFloat:
      return 4;
    case PropertyType::kDouble:
    case PropertyType::kCurrency:
    case PropertyType::kApplicationTime:
    case PropertyType::kInt64:
    case PropertyType::kSystemTime:
      return 8;
    default:
      return 0;
  }
}

// Reads the values of one object: a message, a recipient or an attachment.
class ObjectReader {
 public:
  // `header_bytes`: of its property stream. `code_page`: of its PT_STRING8 unless it says itself.
  ObjectReader(const CompoundStorage& storage, std::size_t header_bytes, std::uint32_t code_page)
      : storage_(storage), header_bytes_(header_bytes), code_page_(code_page) {}

  Result<MsgProperties> Read() {
    ASSIGN_OR_RETURN(std::optional<CompoundStream> stream, storage_.Stream(kPropertiesName));
    if (!stream) return Damaged("a message, recipient or attachment has no properties");
    ASSIGN_OR_RETURN(const std::string entries,
                     stream->ReadAll(header_bytes_ + kMsgPropertyCountMax * kEntryBytes));
    if (entries.size() < header_bytes_) return Damaged("a property stream is cut short");
    ReadCodePage(entries);
    MsgProperties properties;
    for (std::size_t at = header_bytes_; at + kEntryBytes <= entries.size(); at += kEntryBytes) {
      const PropertyTag tag{static_cast<std::uint32_t>(LittleEndian(entries, at, 4))};
      ASSIGN_OR_RETURN(std::optional<MsgProperty> property,
                       ReadValue(tag, std::string_view(entries).substr(at + 8, 8)));
      if (property) properties.push_back(*std::move(property));
    }
    return properties;
  }

  std::uint32_t CodePage() const { return code_page_; }

 private:
  void ReadCodePage(std::string_view entries) {
    // The last one wins.
    for (const PropertyTag wanted : {kMessageLocale, pr::kInternetCodePage, kMessageCodePage}) {
      for (std::size_t at = header_bytes_; at + kEntryBytes <= entries.size(); at += kEntryBytes) {
        if (LittleEndian(entries, at, 4) != wanted.value) continue;
        const auto value = static_cast<std::uint32_t>(LittleEndian(entries, at + 8, 4));
        const std::uint32_t page = wanted == kMessageLocale ? CodePageOfLocale(value) : value;
        if (page != kCodePageUtf16 && IsKnownCodePage(page)) code_page_ = page;
      }
    }
  }

  std::uint32_t CodePageOf(PropertyType type) const {
    return type == PropertyType::kUnicode ? kCodePageUtf16 : code_page_;
  }

  Result<std::optional<MsgProperty>> ReadValue(PropertyTag tag, std::string_view inline_value) {
    if (tag.IsMultiValue()) return ReadMultiValue(tag, inline_value);
    if (const std::size_t bytes = FixedBytes(tag.Type()); bytes > 0) {
      return std::optional(MsgProperty{FixedValue(tag, inline_value.substr(0, bytes)), nullptr});
    }
    if (ShapeOf(tag.Type()) != ValueShape::kBytes) return std::optional<MsgProperty>();
    ASSIGN_OR_RETURN(std::optional<CompoundStream> stream, storage_.Stream(ValueName(tag)));
    if (!stream) {
      // An empty string has a length (that of its end) and sometimes no stream.
      const std::uint64_t bytes = LittleEndian(inline_value, 0, 4);
      if (bytes > 2) return NoValue(tag);
      return std::optional(MsgProperty{Property::Bytes(StoredTag(tag), {}), nullptr});
    }
    if (tag.Type() == PropertyType::kClassId && stream->Bytes() != 16) {
      return Damaged(fmt::format("property 0x{:08X} is no GUID", tag.value));
    }
    if (stream->Bytes() > kMsgValueBytesMax) {
      MsgProperty property{Property::Bytes(StoredTag(tag), {}), nullptr};
      if (IsString(tag.Type())) {
        property.stream = std::make_unique<TextStream>(*std::move(stream), CodePageOf(tag.Type()));
      } else {
        property.stream = std::make_unique<BinaryStream>(*std::move(stream));
      }
      return std::optional(std::move(property));
    }
    ASSIGN_OR_RETURN(std::string bytes, stream->ReadAll(kMsgValueBytesMax));
    return std::optional(
        MsgProperty{Property::Bytes(StoredTag(tag), Text(tag.Type(), std::move(bytes))), nullptr});
  }

  static PropertyTag StoredTag(PropertyTag tag) {
    if (tag.SingleType() != PropertyType::kString8) return tag;
    const unsigned multi = tag.IsMultiValue() ? kMultiValueFlag : 0U;
    return tag.WithType(
        static_cast<PropertyType>(static_cast<unsigned>(PropertyType::kUnicode) | multi));
  }

  std::string Text(PropertyType type, std::string bytes) const {
    if (!IsString(type)) return bytes;
    std::string text = DecodeText(CodePageOf(type), bytes);
    CutAtZero(text);
    return text;
  }

  Result<std::optional<MsgProperty>> ReadMultiValue(PropertyTag tag,
                                                    std::string_view inline_value) {
    ASSIGN_OR_RETURN(std::optional<CompoundStream> stream, storage_.Stream(ValueName(tag)));
    if (!stream && LittleEndian(inline_value, 0, 4) != 0) return NoValue(tag);
    if (!stream) return std::optional<MsgProperty>();
    ASSIGN_OR_RETURN(const std::string bytes, stream->ReadAll(kMsgMultiValueBytesMax));
    const PropertyType single = tag.SingleType();
    const PropertyTag value_tag = tag.WithType(single);
    std::vector<Property> values;
    if (const std::size_t size = single == PropertyType::kClassId ? 16 : FixedBytes(single);
        size > 0) {
      for (std::size_t at = 0; at + size <= bytes.size(); at += size) {
        const std::string_view value = std::string_view(bytes).substr(at, size);
        values.push_back(single == PropertyType::kClassId
                             ? Property::Bytes(value_tag, std::string(value))
                             : FixedValue(value_tag, value));
      }
    } else if (IsString(single) || single == PropertyType::kBinary) {
      const std::size_t count = bytes.size() / (single == PropertyType::kBinary ? 8 : 4);
      ASSIGN_OR_RETURN(values, ReadValues(tag, count));
    }
    if (values.empty()) return std::optional<MsgProperty>();
    return std::optional(MsgProperty{Property::Multiple(StoredTag(tag), values), nullptr});
  }

  Result<std::vector<Property>> ReadValues(PropertyTag tag, std::size_t count) {
    std::vector<Property> values;
    std::size_t room = kMsgMultiValueBytesMax;
    for (std::size_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(std::optional<CompoundStream> stream,
                       storage_.Stream(fmt::format("{}-{:08X}", ValueName(tag), i)));
      if (!stream) return Damaged(fmt::format("property 0x{:08X} lacks values", tag.value));
      ASSIGN_OR_RETURN(std::string bytes, stream->ReadAll(room));
      room -= bytes.size();
      values.push_back(Property::Bytes(tag.WithType(tag.SingleType()),
                                       Text(tag.SingleType(), std::move(bytes))));
    }
    return values;
  }

  const CompoundStorage& storage_;
  std::size_t header_bytes_;
  std::uint32_t code_page_;
};

// Sizes of what precedes the entries of a property stream (MS-OXMSG 2.4.1).
constexpr std::size_t kMessageHeaderBytes = 32;
constexpr std::size_t kEmbeddedHeaderBytes = 24;
constexpr std::size_t kPartHeaderBytes = 8;

Result<void> ReadMessage(const CompoundStorage& storage, int depth, std::uint32_t code_page,
                         MsgMessage& message);

Result<void> ReadAttachmentObject(const CompoundStorage& storage, int depth,
                                  std::uint32_t code_page, MsgAttachment& attachment) {
  ASSIGN_OR_RETURN(const std::optional<CompoundStorage> object,
                   storage.Storage(ValueName(pr::kAttachDataObject)));
  if (!object) return {};
  const std::vector<std::string> names = object->Names();
  if (std::find(names.begin(), names.end(), kPropertiesName) != names.end()) {
    attachment.embedded = std::make_unique<MsgMessage>();
    return ReadMessage(*object, depth + 1, code_page, *attachment.embedded);
  }
  MsgProperty copy{Property::Bytes(pr::kAttachDataBinary, {}), nullptr};
  ASSIGN_OR_RETURN(copy.stream, TemporaryFileStream::Copy(*object));
  attachment.properties.push_back(std::move(copy));
  return {};
}

Result<void> ReadMessage(const CompoundStorage& storage, int depth, std::uint32_t code_page,
                         MsgMessage& message) {
  if (depth > kEmbeddedDepthMax) {
    return Fail(ErrorCode::kTooComplex, fmt::format("messages are embedded in each other more than "
                                                    "{} deep",
                                                    kEmbeddedDepthMax));
  }
  ObjectReader reader(storage, depth == 0 ? kMessageHeaderBytes : kEmbeddedHeaderBytes, code_page);
  ASSIGN_OR_RETURN(message.properties, reader.Read());
  std::vector<std::string> names = storage.Names();
  std::sort(names.begin(), names.end());  // They end in their number.
  for (const std::string& name : names) {
    const bool is_recipient = name.starts_with("__recip_version1.0_#");
    if (!is_recipient && !name.starts_with("__attach_version1.0_#")) continue;
    ASSIGN_OR_RETURN(const std::optional<CompoundStorage> part, storage.Storage(name));
    if (!part) return Damaged(name + " is no storage");
    ObjectReader part_reader(*part, kPartHeaderBytes, reader.CodePage());
    ASSIGN_OR_RETURN(MsgProperties properties, part_reader.Read());
    if (is_recipient) {
      message.recipients.push_back(std::move(properties));
    } else {
      MsgAttachment& attachment = message.attachments.emplace_back();
      attachment.properties = std::move(properties);
      RETURN_IF_ERROR(ReadAttachmentObject(*part, depth, reader.CodePage(), attachment));
    }
    if (message.recipients.size() > kMsgRecipientCountMax ||
        message.attachments.size() > kMsgAttachmentCountMax) {
      return Fail(ErrorCode::kTooBig, "too many recipients or attachments");
    }
  }
  return {};
}

}  // namespace

Result<MsgFile> ReadMsgFile(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const CompoundStorage storage, CompoundStorage::Open(path));
  MsgFile file;
  ASSIGN_OR_RETURN(file.names, ReadMsgNames(storage));
  RETURN_IF_ERROR(ReadMessage(storage, 0, kCodePageWestern, file.message));
  return file;
}

}  // namespace bobbin::cli

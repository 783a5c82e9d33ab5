#include "tools/bobbin/msg_names.h"

#include <string>

#include "spooler/code_page.h"
#include "tools/bobbin/little_endian.h"

namespace bobbin::cli {
namespace {

constexpr std::size_t kNameStreamBytesMax = std::size_t{8} << 20;
constexpr std::size_t kEntryBytes = 8;

Result<std::string> ReadStream(const CompoundStorage& storage, const std::string& name) {
  ASSIGN_OR_RETURN(std::optional<CompoundStream> stream, storage.Stream(name));
  if (!stream) return std::string();
  return stream->ReadAll(kNameStreamBytesMax);
}

struct NameStreams {
  std::string sets;
  std::string entries;
  std::string texts;
};

Result<ClassId> SetAt(const NameStreams& streams, std::size_t index) {
  if (index == 1) return kMapiPropertySet;
  if (index == 2) return kPublicStringsPropertySet;
  constexpr std::size_t kSetBytes = 16;
  if (index < 3 || (index - 2) * kSetBytes > streams.sets.size()) {
    return Fail(ErrorCode::kCorruptData, "a named property is in a property set that is not there");
  }
  return ClassId::FromBytes(std::string_view(streams.sets).substr((index - 3) * kSetBytes, 16));
}

Result<std::string> TextAt(const NameStreams& streams, std::size_t offset) {
  const std::string_view texts = streams.texts;
  if (offset + 4 <= texts.size()) {
    const std::size_t bytes = LittleEndian(texts, offset, 4);
    if (bytes <= texts.size() - offset - 4) {
      return DecodeText(kCodePageUtf16, texts.substr(offset + 4, bytes));
    }
  }
  return Fail(ErrorCode::kCorruptData, "the name of a named property is not there");
}

}  // namespace

Result<std::map<std::uint16_t, PropertyName>> ReadMsgNames(const CompoundStorage& file) {
  std::map<std::uint16_t, PropertyName> names;
  ASSIGN_OR_RETURN(const std::optional<CompoundStorage> storage,
                   file.Storage("__nameid_version1.0"));
  if (!storage) return names;
  NameStreams streams;
  ASSIGN_OR_RETURN(streams.sets, ReadStream(*storage, "__substg1.0_00020102"));
  ASSIGN_OR_RETURN(streams.entries, ReadStream(*storage, "__substg1.0_00030102"));
  ASSIGN_OR_RETURN(streams.texts, ReadStream(*storage, "__substg1.0_00040102"));
  for (std::size_t at = 0; at + kEntryBytes <= streams.entries.size(); at += kEntryBytes) {
    const auto number = static_cast<std::uint32_t>(LittleEndian(streams.entries, at, 4));
    const std::size_t kind_and_set = LittleEndian(streams.entries, at + 4, 2);
    const std::size_t index = LittleEndian(streams.entries, at + 6, 2);
    if (index > std::size_t{kNamedPropertyLast} - kNamedPropertyFirst) {
      return Fail(ErrorCode::kCorruptData, "a named property has no possible identifier");
    }
    PropertyName name;
    ASSIGN_OR_RETURN(name.set, SetAt(streams, kind_and_set >> 1));
    if ((kind_and_set & 1) != 0) {
      ASSIGN_OR_RETURN(name.name, TextAt(streams, number));
    } else {
      name.name = number;
    }
    names.emplace(static_cast<std::uint16_t>(kNamedPropertyFirst + index), std::move(name));
  }
  return names;
}

}  // namespace bobbin::cli

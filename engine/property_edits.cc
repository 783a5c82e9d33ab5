#include "engine/property_edits.h"

#include <algorithm>
#include <string>
#include <utility>

namespace bobbin {
namespace {

constexpr std::size_t kClassIdBytes = 16;

tl::unexpected<Error> TooManyBytes() {
  return Fail(ErrorCode::kNotEnoughMemory, "the properties take more than " +
                                               std::to_string(kObjectPropertyBytesMax) +
                                               " bytes: set the long ones as streams");
}

bool CanBeStream(PropertyTag tag) {
  return ShapeOf(tag.SingleType()) == ValueShape::kBytes || tag.IsMultiValue();
}

tl::unexpected<Error> NoStream() {
  return Fail(ErrorCode::kInvalidType, "only strings, binaries and multi-values are streams");
}

auto FindStream(const StreamRecords& streams, PropertyTag tag) {
  return std::find_if(streams.begin(), streams.end(),
                      [&](const StreamRecord& s) { return s.tag.Id() == tag.Id(); });
}

auto FindEdit(const StreamEdits& edits, PropertyTag tag) {
  return std::find_if(edits.begin(), edits.end(),
                      [&](const auto& edit) { return edit.first.Id() == tag.Id(); });
}

bool HasStream(const StreamRecords& streams, const StreamEdits& edits, PropertyTag tag) {
  const auto edit = FindEdit(edits, tag);
  if (edit != edits.end()) return edit->second.has_value();
  return FindStream(streams, tag) != streams.end();
}

void DropStream(PropertyEdits edits, PropertyTag tag) {
  const auto edit = FindEdit(edits.stream_edits, tag);
  if (edit != edits.stream_edits.end()) edits.stream_edits.erase(edit);
  const auto stored = FindStream(edits.streams, tag);
  if (stored != edits.streams.end()) edits.stream_edits[stored->tag] = std::nullopt;
}

}  // namespace

std::optional<ErrorCode> ValueProblem(const Property& property) {
  const PropertyType single = property.tag.SingleType();
  if (ShapeOf(single) == ValueShape::kNone) return ErrorCode::kInvalidType;
  const Result<std::vector<Property>> values = property.Values();
  if (!values || values->empty()) return ErrorCode::kInvalidParameter;
  const bool odd_id = std::any_of(values->begin(), values->end(), [&](const Property& value) {
    return single == PropertyType::kClassId && value.bytes.size() != kClassIdBytes;
  });
  return odd_id ? std::optional(ErrorCode::kInvalidParameter) : std::nullopt;
}

Result<std::vector<PropertyProblem>> SetProperties(PropertyEdits edits,
                                                   std::span<const Property> properties,
                                                   const PropertyRule& rule) {
  if (properties.empty()) return Fail(ErrorCode::kInvalidParameter, "no property given");
  PropertyList merged = edits.properties;
  std::vector<PropertyProblem> problems;
  std::vector<PropertyTag> set;
  for (const Property& property : properties) {
    const PropertyType type = property.tag.Type();
    if (property.tag.SingleType() == PropertyType::kObject) {
      return Fail(ErrorCode::kInvalidParameter, "PT_OBJECT cannot be set with SetProps");
    }
    if (property.tag.IsMultiValue() && property.bytes.empty()) {
      return Fail(ErrorCode::kInvalidParameter, "a multi-value property without values");
    }
    if (type == PropertyType::kNull || type == PropertyType::kError) continue;
    std::optional<ErrorCode> problem = rule(property);
    if (!problem) problem = ValueProblem(property);
    if (problem) {
      problems.push_back({property.tag, *problem});
      continue;
    }
    merged.Set(property);
    set.push_back(property.tag);
  }
  if (merged.ByteCount() > kObjectPropertyBytesMax) return TooManyBytes();
  edits.properties = std::move(merged);
  for (const PropertyTag tag : set) DropStream(edits, tag);
  return problems;
}

Result<std::vector<PropertyProblem>> DeleteProperties(PropertyEdits edits,
                                                      std::span<const PropertyTag> tags,
                                                      const PropertyRule& rule) {
  if (tags.empty()) return Fail(ErrorCode::kInvalidParameter, "no property given");
  std::vector<PropertyProblem> problems;
  for (const PropertyTag tag : tags) {
    if (const auto problem = rule(Property::Number(tag, 0))) {
      problems.push_back({tag, *problem});
    } else if (edits.properties.Find(tag) != nullptr) {
      edits.properties.Erase(tag);
    } else if (HasStream(edits.streams, edits.stream_edits, tag)) {
      DropStream(edits, tag);
    } else {
      problems.push_back({tag, ErrorCode::kNotFound});
    }
  }
  return problems;
}

Result<void> SetStreamProperty(PropertyEdits edits, PropertyTag tag, MessageBody content,
                               const PropertyRule& rule) {
  if (!CanBeStream(tag)) return NoStream();
  if (const auto problem = rule(Property::Bytes(tag, {}))) {
    return Fail(*problem, "this property cannot be set");
  }
  const bool is_short = content.body_id == 0 && content.buffered.size() <= kInlineBytesMax;
  if (is_short) {
    PropertyList merged = edits.properties;
    merged.Set(Property::Bytes(tag, content.buffered));
    if (merged.ByteCount() <= kObjectPropertyBytesMax) {
      edits.properties = std::move(merged);
      DropStream(edits, tag);
      return {};
    }
  }
  DropStream(edits, tag);
  edits.properties.Erase(tag);
  // A stored stream of the same identifier and another type goes, too: its own edit says so.
  edits.stream_edits[tag] = std::move(content);
  return {};
}

Result<MessageBodyReader> OpenStreamProperty(const std::shared_ptr<DatabaseState>& database,
                                             const PropertyList& properties,
                                             const StreamRecords& streams,
                                             const StreamEdits& stream_edits, PropertyTag tag) {
  if (const Property* property = properties.Find(tag)) {
    if (!CanBeStream(tag)) return NoStream();
    return MessageBodyReader(database, property->bytes.size(), 0, property->bytes);
  }
  const auto edit = FindEdit(stream_edits, tag);
  if (edit != stream_edits.end() && edit->first == tag && edit->second) {
    const MessageBody& content = *edit->second;
    return MessageBodyReader(database, content.bytes, content.body_id, content.buffered);
  }
  const auto stored = FindStream(streams, tag);
  if (edit == stream_edits.end() && stored != streams.end() && stored->tag == tag) {
    return MessageBodyReader(database, stored->bytes, stored->body, {});
  }
  return Fail(ErrorCode::kNotFound, "the object does not have this property");
}

PropertyList WithStreams(const PropertyList& properties, const StreamRecords& streams,
                         const StreamEdits& stream_edits) {
  PropertyList list = properties;
  const auto add = [&](PropertyTag tag) {
    list.Set(Property::Number(tag.WithType(PropertyType::kError),
                              static_cast<std::int64_t>(ErrorCode::kNotEnoughMemory)));
  };
  for (const StreamRecord& stream : streams) {
    if (FindEdit(stream_edits, stream.tag) == stream_edits.end()) add(stream.tag);
  }
  for (const auto& [tag, content] : stream_edits) {
    if (content) add(tag);
  }
  return list;
}

std::vector<PropertyTag> TagsOf(const PropertyList& list, const StreamRecords& streams,
                                const StreamEdits& stream_edits) {
  std::vector<PropertyTag> tags;
  for (const Property& property : list) {
    const auto edit = FindEdit(stream_edits, property.tag);
    const auto stored = FindStream(streams, property.tag);
    if (property.tag.Type() != PropertyType::kError) {
      tags.push_back(property.tag);
    } else if (edit != stream_edits.end() && edit->second) {
      tags.push_back(edit->first);
    } else if (stored != streams.end()) {
      tags.push_back(stored->tag);
    }
  }
  return tags;
}

std::uint64_t StreamBytes(const StreamRecords& streams, const StreamEdits& stream_edits) {
  std::uint64_t bytes = 0;
  for (const StreamRecord& stream : streams) {
    if (FindEdit(stream_edits, stream.tag) == stream_edits.end()) bytes += stream.bytes;
  }
  for (const auto& [tag, content] : stream_edits) bytes += content ? content->bytes : 0;
  return bytes;
}

Result<Property> FindProperty(const PropertyList& list, PropertyTag tag) {
  if (const Property* property = list.Find(tag)) return *property;
  if (list.Find(tag.WithType(PropertyType::kError)) != nullptr) {
    return Fail(ErrorCode::kNotEnoughMemory, "the value is long: open it as a stream");
  }
  return Fail(ErrorCode::kNotFound, "the object does not have this property");
}

}  // namespace bobbin

// What SetProps, DeleteProps and streams do to the properties of an open object, the same for
// messages and attachments. Internal to engine/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/content_rows.h"
#include "engine/message_body.h"
#include "engine/property.h"

namespace bobbin {

struct DatabaseState;

// The properties of one open object: as opened, with what has been edited since.
struct PropertyEdits {
  PropertyList& properties;
  const StreamRecords& streams;  // As stored.
  StreamEdits& stream_edits;
};

// Why a property of this identifier cannot be set or deleted; nothing when it can.
using PropertyRule = std::function<std::optional<ErrorCode>(const Property&)>;

// Why no object can have this value: its type is none, or cannot have it. Nothing when one can.
std::optional<ErrorCode> ValueProblem(const Property& property);

// Of all property names, strings and binaries of one object; longer values become streams.
inline constexpr std::size_t kObjectPropertyBytesMax = std::size_t{48} << 10;

Result<std::vector<PropertyProblem>> SetProperties(PropertyEdits edits,
                                                   std::span<const Property> properties,
                                                   const PropertyRule& rule);
Result<std::vector<PropertyProblem>> DeleteProperties(PropertyEdits edits,
                                                      std::span<const PropertyTag> tags,
                                                      const PropertyRule& rule);

// A short value becomes an ordinary property while there is room, so that one way of writing serves
// both. The stream of a multi-value is its packed form (Property::Multiple).
Result<void> SetStreamProperty(PropertyEdits edits, PropertyTag tag, MessageBody content,
                               const PropertyRule& rule);
Result<MessageBodyReader> OpenStreamProperty(const std::shared_ptr<DatabaseState>& database,
                                             const PropertyList& properties,
                                             const StreamRecords& streams,
                                             const StreamEdits& stream_edits, PropertyTag tag);

// `properties` with an entry for each stream: type PT_ERROR, value kNotEnoughMemory, as MAPI has
// it.
PropertyList WithStreams(const PropertyList& properties, const StreamRecords& streams,
                         const StreamEdits& stream_edits);
// The tags in what WithStreams has made, those of streams with the type of their value.
std::vector<PropertyTag> TagsOf(const PropertyList& list, const StreamRecords& streams,
                                const StreamEdits& stream_edits);
std::uint64_t StreamBytes(const StreamRecords& streams, const StreamEdits& stream_edits);

// What GetProp answers from what GetProps lists.
Result<Property> FindProperty(const PropertyList& list, PropertyTag tag);

}  // namespace bobbin

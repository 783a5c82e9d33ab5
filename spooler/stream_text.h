// A property of a message or attachment whole, be it a value or a stream. Internal to spooler/.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "engine/message_body.h"
#include "engine/property.h"

namespace bobbin {

// Absent when `object` (Message, Attachment) does not have it.
template <class Object>
Result<std::optional<std::string>> ReadWhole(const Object& object, PropertyTag tag) {
  Result<MessageBodyReader> reader = object.OpenStream(tag);
  if (!reader) {
    if (reader.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
    return tl::unexpected<Error>(std::move(reader).error());
  }
  std::string whole;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view piece, reader->Next());
    if (piece.empty()) return std::optional(std::move(whole));
    whole += piece;
  }
}

}  // namespace bobbin

// The limits of kv_engine.h as checks, so that every engine refuses the same
// keys and values with the same words.
#pragma once

#include <string>

#include "engine/kv/kv_engine.h"

namespace bobbin::kv {

inline Result<void> CheckKey(Bytes key) {
  if (!key.empty() && key.size() <= kKeyBytesMax) return {};
  return Fail(ErrorCode::kTooBig, "a key has 1 to " + std::to_string(kKeyBytesMax) +
                                      " bytes, this one has " + std::to_string(key.size()));
}

inline Result<void> CheckValue(Bytes value) {
  if (value.size() <= kValueBytesMax) return {};
  return Fail(ErrorCode::kTooBig, "a value has at most " + std::to_string(kValueBytesMax) +
                                      " bytes, this one has " + std::to_string(value.size()));
}

}  // namespace bobbin::kv

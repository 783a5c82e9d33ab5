// LMDB's and the system's error numbers as errors an operator can act on.
#pragma once

#include <string_view>

#include "engine/result.h"

namespace bobbin::kv {

// `what` says what failed, for instance "reading table queue".
Error LmdbError(int code, std::string_view what);

// As LmdbError; MDB_SUCCESS is success.
Result<void> LmdbResult(int code, std::string_view what);

}  // namespace bobbin::kv

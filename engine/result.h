// How a function in this project says that it failed.
//
// A Result<T> holds a T or an Error. An Error is for what can happen to a
// correct program: a full disk, a missing message, a locked one. What only a
// wrong program can do is stopped by BOBBIN_CHECK (engine/check.h) instead.
// Nothing in engine/ or spooler/ throws, except what a failed allocation throws: let that end
// the process, which the database survives as any other end.
//
// The codes are the MAPI_E_* values of the specification, section 3, under the
// same names and with the same numbers. The last group is ours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace bobbin {

enum class ErrorCode : std::uint32_t {
  kCallFailed = 0x80004005,
  kNoAccess = 0x80070005,
  kNotEnoughMemory = 0x8007000E,
  kInvalidParameter = 0x80070057,
  kNoSupport = 0x80040102,
  kUnknownFlags = 0x80040106,
  kInvalidEntryId = 0x80040107,
  kInvalidObject = 0x80040108,
  kObjectChanged = 0x80040109,
  kObjectDeleted = 0x8004010A,
  kBusy = 0x8004010B,
  kNotEnoughDisk = 0x8004010D,
  kNotEnoughResources = 0x8004010E,
  kNotFound = 0x8004010F,
  kUserCancel = 0x80040113,
  kUnableToAbort = 0x80040114,
  kNetworkError = 0x80040115,
  kDiskError = 0x80040116,  // Reading or writing failed; nothing changed.
  kTooComplex = 0x80040117,
  kComputed = 0x8004011A,
  kCorruptData = 0x8004011B,  // A record did not verify; the detail names table and key.
  kInvalidType = 0x80040302,
  kTooBig = 0x80040305,
  kTimeout = 0x80040401,
  kWait = 0x80040500,
  kCancel = 0x80040501,
  kNotMe = 0x80040502,
  kCorruptStore = 0x80040600,
  kNotInQueue = 0x80040601,
  kCollision = 0x80040604,
  kNoRecipients = 0x80040607,
  kSubmitted = 0x80040608,

  // Bobbin's own: conditions MAPI has no value for.
  kStoreFailed = 0xA0040001,   // Outcome unknown, or an earlier one was: open the database again.
  kVersion = 0xA0040002,       // A newer Bobbin wrote this database; it is not touched.
  kNotADatabase = 0xA0040003,  // The path holds no database, or one that is damaged at its root.
};

// "MAPI_E_NOT_FOUND" and so on; "BOBBIN_E_..." for our own codes.
std::string_view ErrorName(ErrorCode code);

struct Error {
  ErrorCode code;
  std::string detail;  // For the operator; never parsed, never shown to a mail sender.
};

// "MAPI_E_NOT_FOUND: no message 3KF" for logs and terminals.
std::string ToString(const Error& error);

// tl::expected is not [[nodiscard]]; deriving makes dropping any Result a warning.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

inline tl::unexpected<Error> Fail(ErrorCode code, std::string detail) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace bobbin

#define BOBBIN_CONCAT_INNER(a, b) a##b
#define BOBBIN_CONCAT(a, b) BOBBIN_CONCAT_INNER(a, b)

// Leaves the current function with the error of `expr`, if it has one. __COUNTER__, because
// `expr` may hold a lambda that uses the macro itself, and __LINE__ would be the same there.
#define RETURN_IF_ERROR(expr) RETURN_IF_ERROR_INNER(BOBBIN_CONCAT(result_, __COUNTER__), expr)
#define RETURN_IF_ERROR_INNER(result, expr)                              \
  do {                                                                   \
    if (auto result = (expr); !result) {                                 \
      return tl::unexpected<::bobbin::Error>(std::move(result).error()); \
    }                                                                    \
  } while (false)

// ASSIGN_OR_RETURN(const Message message, store.OpenMessage(id));
// Three statements: never the body of an `if` without braces.
#define ASSIGN_OR_RETURN(declaration, expr) \
  ASSIGN_OR_RETURN_INNER(BOBBIN_CONCAT(result_, __COUNTER__), declaration, expr)
#define ASSIGN_OR_RETURN_INNER(result, declaration, expr)                         \
  auto result = (expr);                                                           \
  if (!result) return tl::unexpected<::bobbin::Error>(std::move(result).error()); \
  declaration = *std::move(result)

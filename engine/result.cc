#include "engine/result.h"

namespace bobbin {

// A table.  NOLINTNEXTLINE(readability-function-size)
std::string_view ErrorName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCallFailed:
      return "MAPI_E_CALL_FAILED";
    case ErrorCode::kNoAccess:
      return "MAPI_E_NO_ACCESS";
    case ErrorCode::kNotEnoughMemory:
      return "MAPI_E_NOT_ENOUGH_MEMORY";
    case ErrorCode::kInvalidParameter:
      return "MAPI_E_INVALID_PARAMETER";
    case ErrorCode::kNoSupport:
      return "MAPI_E_NO_SUPPORT";
    case ErrorCode::kUnknownFlags:
      return "MAPI_E_UNKNOWN_FLAGS";
    case ErrorCode::kInvalidEntryId:
      return "MAPI_E_INVALID_ENTRYID";
    case ErrorCode::kInvalidObject:
      return "MAPI_E_INVALID_OBJECT";
    case ErrorCode::kObjectChanged:
      return "MAPI_E_OBJECT_CHANGED";
    case ErrorCode::kObjectDeleted:
      return "MAPI_E_OBJECT_DELETED";
    case ErrorCode::kBusy:
      return "MAPI_E_BUSY";
    case ErrorCode::kNotEnoughDisk:
      return "MAPI_E_NOT_ENOUGH_DISK";
    case ErrorCode::kNotEnoughResources:
      return "MAPI_E_NOT_ENOUGH_RESOURCES";
    case ErrorCode::kNotFound:
      return "MAPI_E_NOT_FOUND";
    case ErrorCode::kUserCancel:
      return "MAPI_E_USER_CANCEL";
    case ErrorCode::kUnableToAbort:
      return "MAPI_E_UNABLE_TO_ABORT";
    case ErrorCode::kNetworkError:
      return "MAPI_E_NETWORK_ERROR";
    case ErrorCode::kDiskError:
      return "MAPI_E_DISK_ERROR";
    case ErrorCode::kTooComplex:
      return "MAPI_E_TOO_COMPLEX";
    case ErrorCode::kComputed:
      return "MAPI_E_COMPUTED";
    case ErrorCode::kCorruptData:
      return "MAPI_E_CORRUPT_DATA";
    case ErrorCode::kInvalidType:
      return "MAPI_E_INVALID_TYPE";
    case ErrorCode::kTooBig:
      return "MAPI_E_TOO_BIG";
    case ErrorCode::kTimeout:
      return "MAPI_E_TIMEOUT";
    case ErrorCode::kWait:
      return "MAPI_E_WAIT";
    case ErrorCode::kCancel:
      return "MAPI_E_CANCEL";
    case ErrorCode::kNotMe:
      return "MAPI_E_NOT_ME";
    case ErrorCode::kCorruptStore:
      return "MAPI_E_CORRUPT_STORE";
    case ErrorCode::kNotInQueue:
      return "MAPI_E_NOT_IN_QUEUE";
    case ErrorCode::kCollision:
      return "MAPI_E_COLLISION";
    case ErrorCode::kNoRecipients:
      return "MAPI_E_NO_RECIPIENTS";
    case ErrorCode::kSubmitted:
      return "MAPI_E_SUBMITTED";
    case ErrorCode::kStoreFailed:
      return "BOBBIN_E_STORE_FAILED";
    case ErrorCode::kVersion:
      return "BOBBIN_E_VERSION";
    case ErrorCode::kNotADatabase:
      return "BOBBIN_E_NOT_A_DATABASE";
  }
  return "MAPI_E_CALL_FAILED";
}

std::string ToString(const Error& error) {
  std::string text(ErrorName(error.code));
  if (!error.detail.empty()) text.append(": ").append(error.detail);
  return text;
}

}  // namespace bobbin

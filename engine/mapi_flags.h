// Flags and enumerations of MAPI's calls and properties (specification, sections 2.6 and 2.7).
// Those of PR_MESSAGE_FLAGS and PR_SUBMIT_FLAGS are persisted.
#pragma once

#include <cstdint>

namespace bobbin {

inline constexpr std::uint32_t kMsgFlagRead = 0x1;
inline constexpr std::uint32_t kMsgFlagUnmodified = 0x2;
inline constexpr std::uint32_t kMsgFlagSubmit = 0x4;
inline constexpr std::uint32_t kMsgFlagUnsent = 0x8;
inline constexpr std::uint32_t kMsgFlagHasAttach = 0x10;
inline constexpr std::uint32_t kMsgFlagFromMe = 0x20;
inline constexpr std::uint32_t kMsgFlagResend = 0x80;

// PR_ATTACH_METHOD.
inline constexpr std::int64_t kAttachNone = 0;
inline constexpr std::int64_t kAttachByValue = 1;
inline constexpr std::int64_t kAttachEmbeddedMessage = 5;
inline constexpr std::int64_t kAttachOle = 6;

inline constexpr std::uint32_t kSubmitFlagLocked = 0x1;
inline constexpr std::uint32_t kSubmitFlagPreprocess = 0x2;

inline constexpr std::uint32_t kForceSubmit = 0x1;

inline constexpr std::uint32_t kMapiModify = 0x1;
inline constexpr std::uint32_t kMapiCreate = 0x2;
inline constexpr std::uint32_t kMapiDeferredErrors = 0x8;
inline constexpr std::uint32_t kMapiBestAccess = 0x10;

inline constexpr std::uint32_t kKeepOpenReadOnly = 0x1;
inline constexpr std::uint32_t kKeepOpenReadWrite = 0x2;
inline constexpr std::uint32_t kForceSave = 0x4;

inline constexpr std::uint32_t kMsgFlagReadReceiptPending = 0x100;
inline constexpr std::uint32_t kMsgFlagNonReadReceiptPending = 0x200;

inline constexpr std::uint32_t kSuppressReceipt = 0x1;
inline constexpr std::uint32_t kClearReadFlag = 0x4;
inline constexpr std::uint32_t kGenerateReceiptOnly = 0x10;
inline constexpr std::uint32_t kClearReadReceiptPending = 0x20;
inline constexpr std::uint32_t kClearNonReadReceiptPending = 0x40;

inline constexpr std::uint32_t kModifyRecipientsReplace = 0x0;
inline constexpr std::uint32_t kModifyRecipientsAdd = 0x2;
inline constexpr std::uint32_t kModifyRecipientsModify = 0x4;
inline constexpr std::uint32_t kModifyRecipientsRemove = 0x8;

inline constexpr std::int64_t kRecipientOrig = 0;
inline constexpr std::int64_t kRecipientTo = 1;
inline constexpr std::int64_t kRecipientCc = 2;
inline constexpr std::int64_t kRecipientBcc = 3;
inline constexpr std::int64_t kRecipientP1 = 0x10000000;         // Transmit to, show to nobody.
inline constexpr std::int64_t kRecipientSubmitted = 0x80000000;  // A resend: has it already.

}  // namespace bobbin

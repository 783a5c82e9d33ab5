// MAPI properties: tags, values, and lists of them (specification, section 2).
//
// Strings are UTF-8 whatever their MAPI type; PT_SYSTIME is 100 ns ticks since
// 1601-01-01 UTC (engine/clock.h converts). Types beyond those of PropertyType are
// refused with kInvalidType.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.h"

namespace bobbin {

enum class PropertyType : std::uint16_t {
  kNull = 0x0001,
  kLong = 0x0003,
  kError = 0x000A,
  kBoolean = 0x000B,
  kObject = 0x000D,
  kInt64 = 0x0014,
  kString8 = 0x001E,
  kUnicode = 0x001F,
  kSystemTime = 0x0040,
  kBinary = 0x0102,
};

struct PropertyTag {
  std::uint32_t value = 0;
  constexpr std::uint16_t Id() const { return static_cast<std::uint16_t>(value >> 16); }
  constexpr PropertyType Type() const { return static_cast<PropertyType>(value & 0xFFFF); }
  friend constexpr auto operator<=>(const PropertyTag&, const PropertyTag&) = default;
};

struct Property {
  PropertyTag tag;
  std::int64_t number = 0;  // kLong, kBoolean, kInt64, kSystemTime, kError.
  std::string bytes;        // kUnicode, kString8, kBinary.

  static Property Number(PropertyTag tag, std::int64_t number) { return {tag, number, {}}; }
  static Property Bytes(PropertyTag tag, std::string bytes) { return {tag, 0, std::move(bytes)}; }

  friend bool operator==(const Property&, const Property&) = default;
};

// A property that SetProps could not set, and why; the call as a whole succeeded.
struct PropertyProblem {
  PropertyTag tag;
  ErrorCode code;
};

// At most one value per property identifier, ascending tag.
class PropertyList {
 public:
  PropertyList() = default;
  PropertyList(std::initializer_list<Property> properties);

  void Set(Property property);  // Replaces a value of the same identifier, whatever its type.
  void Erase(PropertyTag tag);
  const Property* Find(PropertyTag tag) const;  // Null when absent or of another type.

  // The value, or the fallback when absent.
  std::int64_t NumberOr(PropertyTag tag, std::int64_t fallback) const;
  bool FlagOr(PropertyTag tag, bool fallback) const { return NumberOr(tag, fallback ? 1 : 0) != 0; }
  std::string_view BytesOr(PropertyTag tag, std::string_view fallback) const;

  auto begin() const { return properties_.begin(); }  // NOLINT(readability-identifier-naming)
  auto end() const { return properties_.end(); }      // NOLINT(readability-identifier-naming)
  std::size_t Size() const { return properties_.size(); }
  std::size_t ByteCount() const;  // What storing them takes, roughly.

  friend bool operator==(const PropertyList&, const PropertyList&) = default;

 private:
  std::vector<Property> properties_;
};

namespace pr {
// clang-format off
inline constexpr PropertyTag kImportance{0x00170003};
inline constexpr PropertyTag kMessageClass{0x001A001F};
inline constexpr PropertyTag kOriginatorDeliveryReportRequested{0x0023000B};
inline constexpr PropertyTag kPriority{0x00260003};
inline constexpr PropertyTag kReportTag{0x00310102};
inline constexpr PropertyTag kReportTime{0x00320040};
inline constexpr PropertyTag kSensitivity{0x00360003};
inline constexpr PropertyTag kSubject{0x0037001F};
inline constexpr PropertyTag kClientSubmitTime{0x00390040};
inline constexpr PropertyTag kSubjectPrefix{0x003D001F};
inline constexpr PropertyTag kSentRepresentingName{0x0042001F};
inline constexpr PropertyTag kProviderSubmitTime{0x00480040};
inline constexpr PropertyTag kOriginalSubject{0x0049001F};
inline constexpr PropertyTag kSentRepresentingAddressType{0x0064001F};
inline constexpr PropertyTag kSentRepresentingEmailAddress{0x0065001F};
inline constexpr PropertyTag kNonDeliveryReportReasonCode{0x0C040003};
inline constexpr PropertyTag kNonDeliveryReportDiagnosticCode{0x0C050003};
inline constexpr PropertyTag kOriginatorNonDeliveryReportRequested{0x0C08000B};
inline constexpr PropertyTag kResponsibility{0x0E0F000B};
inline constexpr PropertyTag kRecipientType{0x0C150003};
inline constexpr PropertyTag kSenderName{0x0C1A001F};
inline constexpr PropertyTag kSenderAddressType{0x0C1E001F};
inline constexpr PropertyTag kSenderEmailAddress{0x0C1F001F};
inline constexpr PropertyTag kDeleteAfterSubmit{0x0E01000B};
inline constexpr PropertyTag kDisplayBcc{0x0E02001F};
inline constexpr PropertyTag kDisplayCc{0x0E03001F};
inline constexpr PropertyTag kDisplayTo{0x0E04001F};
inline constexpr PropertyTag kMessageDeliveryTime{0x0E060040};
inline constexpr PropertyTag kMessageFlags{0x0E070003};
inline constexpr PropertyTag kMessageSize{0x0E080003};
inline constexpr PropertyTag kParentEntryId{0x0E090102};
inline constexpr PropertyTag kSentMailEntryId{0x0E0A0102};
inline constexpr PropertyTag kMessageRecipients{0x0E12000D};
inline constexpr PropertyTag kMessageAttachments{0x0E13000D};
inline constexpr PropertyTag kSubmitFlags{0x0E140003};
inline constexpr PropertyTag kHasAttachment{0x0E1B000B};
inline constexpr PropertyTag kNormalizedSubject{0x0E1D001F};
inline constexpr PropertyTag kPreprocess{0x0E22000B};
inline constexpr PropertyTag kInstanceKey{0x0FF60102};
inline constexpr PropertyTag kAccess{0x0FF40003};
inline constexpr PropertyTag kAccessLevel{0x0FF70003};
inline constexpr PropertyTag kRecordKey{0x0FF90102};
inline constexpr PropertyTag kStoreRecordKey{0x0FFA0102};
inline constexpr PropertyTag kStoreEntryId{0x0FFB0102};
inline constexpr PropertyTag kObjectType{0x0FFE0003};
inline constexpr PropertyTag kEntryId{0x0FFF0102};
inline constexpr PropertyTag kBody{0x1000001F};
inline constexpr PropertyTag kReportText{0x1001001F};
inline constexpr PropertyTag kInternetMessageId{0x1035001F};
inline constexpr PropertyTag kRowId{0x30000003};
inline constexpr PropertyTag kDisplayName{0x3001001F};
inline constexpr PropertyTag kAddressType{0x3002001F};
inline constexpr PropertyTag kEmailAddress{0x3003001F};
inline constexpr PropertyTag kCreationTime{0x30070040};
inline constexpr PropertyTag kLastModificationTime{0x30080040};
inline constexpr PropertyTag kSearchKey{0x300B0102};
inline constexpr PropertyTag kStoreSupportMask{0x340D0003};
inline constexpr PropertyTag kDeferredSendNumber{0x3FEB0003};
inline constexpr PropertyTag kDeferredSendUnits{0x3FEC0003};
inline constexpr PropertyTag kExpiryNumber{0x3FED0003};
inline constexpr PropertyTag kExpiryUnits{0x3FEE0003};
inline constexpr PropertyTag kDeferredSendTime{0x3FEF0040};
// PR_INTERNET_CONTENT: the RFC 5322 original, a stream (engine/message_body.h).
inline constexpr PropertyTag kInternetContent{0x66590102};
// clang-format on
}  // namespace pr

// Values that are persisted or cross the API as bits (specification 2.6 and 2.7).
inline constexpr std::uint32_t kMsgFlagRead = 0x1;
inline constexpr std::uint32_t kMsgFlagUnmodified = 0x2;
inline constexpr std::uint32_t kMsgFlagSubmit = 0x4;
inline constexpr std::uint32_t kMsgFlagUnsent = 0x8;
inline constexpr std::uint32_t kMsgFlagHasAttach = 0x10;
inline constexpr std::uint32_t kMsgFlagFromMe = 0x20;
inline constexpr std::uint32_t kMsgFlagAssociated = 0x40;
inline constexpr std::uint32_t kMsgFlagResend = 0x80;

inline constexpr std::uint32_t kSubmitFlagLocked = 0x1;
inline constexpr std::uint32_t kSubmitFlagPreprocess = 0x2;

inline constexpr std::uint32_t kForceSubmit = 0x1;

inline constexpr std::uint32_t kMapiModify = 0x1;
inline constexpr std::uint32_t kMapiDeferredErrors = 0x8;
inline constexpr std::uint32_t kMapiBestAccess = 0x10;

inline constexpr std::uint32_t kKeepOpenReadOnly = 0x1;
inline constexpr std::uint32_t kKeepOpenReadWrite = 0x2;
inline constexpr std::uint32_t kForceSave = 0x4;

inline constexpr std::uint32_t kModifyRecipientsReplace = 0x0;
inline constexpr std::uint32_t kModifyRecipientsAdd = 0x2;
inline constexpr std::uint32_t kModifyRecipientsModify = 0x4;
inline constexpr std::uint32_t kModifyRecipientsRemove = 0x8;

inline constexpr std::int64_t kRecipientOrig = 0;
inline constexpr std::int64_t kRecipientTo = 1;
inline constexpr std::int64_t kRecipientCc = 2;
inline constexpr std::int64_t kRecipientBcc = 3;

}  // namespace bobbin

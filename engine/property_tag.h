// Property tags: identifier and type of a property (specification, section 2.1), and those that the
// submission model names (2.2 to 2.5).
#pragma once

#include <compare>
#include <cstdint>

namespace bobbin {

enum class PropertyType : std::uint16_t {
  kUnspecified = 0x0000,
  kNull = 0x0001,
  kShort = 0x0002,
  kLong = 0x0003,
  kFloat = 0x0004,
  kDouble = 0x0005,
  kCurrency = 0x0006,         // Ten-thousandths.
  kApplicationTime = 0x0007,  // Days since 1899-12-30.
  kError = 0x000A,
  kBoolean = 0x000B,
  kObject = 0x000D,
  kInt64 = 0x0014,
  kString8 = 0x001E,
  kUnicode = 0x001F,
  kSystemTime = 0x0040,
  kClassId = 0x0048,
  kBinary = 0x0102,
};
inline constexpr std::uint16_t kMultiValueFlag = 0x1000;

// What holds a value of a type.
enum class ValueShape : std::uint8_t { kNone, kNumber, kReal, kBytes };
constexpr ValueShape ShapeOf(PropertyType single) {
  switch (single) {
    case PropertyType::kShort:
    case PropertyType::kLong:
    case PropertyType::kCurrency:
    case PropertyType::kError:
    case PropertyType::kBoolean:
    case PropertyType::kInt64:
    case PropertyType::kSystemTime:
      return ValueShape::kNumber;
    case PropertyType::kFloat:
    case PropertyType::kDouble:
    case PropertyType::kApplicationTime:
      return ValueShape::kReal;
    case PropertyType::kString8:
    case PropertyType::kUnicode:
    case PropertyType::kClassId:
    case PropertyType::kBinary:
      return ValueShape::kBytes;
    case PropertyType::kUnspecified:
    case PropertyType::kNull:
    case PropertyType::kObject:
      break;
  }
  return ValueShape::kNone;
}

struct PropertyTag {
  std::uint32_t value = 0;
  constexpr std::uint16_t Id() const { return static_cast<std::uint16_t>(value >> 16); }
  constexpr PropertyType Type() const { return static_cast<PropertyType>(value & 0xFFFF); }
  constexpr bool IsMultiValue() const { return (value & kMultiValueFlag) != 0; }
  // Of one value, when there are several.
  constexpr PropertyType SingleType() const {
    return static_cast<PropertyType>(value & 0xFFFFU & ~unsigned{kMultiValueFlag});
  }
  // Names are kept per database (engine/named_property.h).
  constexpr bool IsNamed() const { return Id() >= 0x8000; }
  constexpr PropertyTag WithType(PropertyType type) const {
    return {(value & 0xFFFF0000U) | static_cast<std::uint16_t>(type)};
  }
  friend constexpr auto operator<=>(const PropertyTag&, const PropertyTag&) = default;
};

namespace pr {
// clang-format off
inline constexpr PropertyTag kDeliverTime{0x00100040};
inline constexpr PropertyTag kImportance{0x00170003};
inline constexpr PropertyTag kMessageClass{0x001A001F};
inline constexpr PropertyTag kOriginatorDeliveryReportRequested{0x0023000B};
inline constexpr PropertyTag kPriority{0x00260003};
inline constexpr PropertyTag kReadReceiptRequested{0x0029000B};
inline constexpr PropertyTag kReportTag{0x00310102};
inline constexpr PropertyTag kReportTime{0x00320040};
inline constexpr PropertyTag kSensitivity{0x00360003};
inline constexpr PropertyTag kSubject{0x0037001F};
inline constexpr PropertyTag kClientSubmitTime{0x00390040};
inline constexpr PropertyTag kReportName{0x003A001F};
inline constexpr PropertyTag kSubjectPrefix{0x003D001F};
inline constexpr PropertyTag kSentRepresentingName{0x0042001F};
inline constexpr PropertyTag kReportEntryId{0x00450102};
inline constexpr PropertyTag kProviderSubmitTime{0x00480040};
inline constexpr PropertyTag kOriginalSubject{0x0049001F};
inline constexpr PropertyTag kOriginalMessageClass{0x004B001F};
inline constexpr PropertyTag kOriginalSubmitTime{0x004E0040};
inline constexpr PropertyTag kReportSearchKey{0x00540102};
inline constexpr PropertyTag kSentRepresentingAddressType{0x0064001F};
inline constexpr PropertyTag kSentRepresentingEmailAddress{0x0065001F};
inline constexpr PropertyTag kConversationTopic{0x0070001F};
inline constexpr PropertyTag kConversationIndex{0x00710102};
inline constexpr PropertyTag kOriginalDisplayBcc{0x0072001F};
inline constexpr PropertyTag kOriginalDisplayCc{0x0073001F};
inline constexpr PropertyTag kOriginalDisplayTo{0x0074001F};
inline constexpr PropertyTag kNonDeliveryReportReasonCode{0x0C040003};
inline constexpr PropertyTag kNonDeliveryReportDiagnosticCode{0x0C050003};
inline constexpr PropertyTag kOriginatorNonDeliveryReportRequested{0x0C08000B};
inline constexpr PropertyTag kResponsibility{0x0E0F000B};
inline constexpr PropertyTag kRecipientType{0x0C150003};
inline constexpr PropertyTag kSenderName{0x0C1A001F};
inline constexpr PropertyTag kSupplementaryInfo{0x0C1B001F};
inline constexpr PropertyTag kSenderAddressType{0x0C1E001F};
inline constexpr PropertyTag kSenderEmailAddress{0x0C1F001F};
inline constexpr PropertyTag kNonDeliveryReportStatusCode{0x0C200003};
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
inline constexpr PropertyTag kAttachSize{0x0E200003};
inline constexpr PropertyTag kAttachNumber{0x0E210003};
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
inline constexpr PropertyTag kRtfCompressed{0x10090102};
inline constexpr PropertyTag kHtml{0x10130102};
inline constexpr PropertyTag kBodyHtml{0x1013001F};  // PR_HTML of some older writers.
inline constexpr PropertyTag kInternetMessageId{0x1035001F};
inline constexpr PropertyTag kInternetReferences{0x1039001F};
inline constexpr PropertyTag kInReplyToId{0x1042001F};
inline constexpr PropertyTag kRowId{0x30000003};
inline constexpr PropertyTag kDisplayName{0x3001001F};
inline constexpr PropertyTag kAddressType{0x3002001F};
inline constexpr PropertyTag kEmailAddress{0x3003001F};
inline constexpr PropertyTag kCreationTime{0x30070040};
inline constexpr PropertyTag kLastModificationTime{0x30080040};
inline constexpr PropertyTag kSearchKey{0x300B0102};
inline constexpr PropertyTag kOriginalDisplayName{0x3A13001F};
inline constexpr PropertyTag kStoreSupportMask{0x340D0003};
inline constexpr PropertyTag kAttachDataObject{0x3701000D};
inline constexpr PropertyTag kAttachDataBinary{0x37010102};
inline constexpr PropertyTag kAttachFilename{0x3704001F};
inline constexpr PropertyTag kAttachMethod{0x37050003};
inline constexpr PropertyTag kAttachLongFilename{0x3707001F};
inline constexpr PropertyTag kRenderingPosition{0x370B0003};
inline constexpr PropertyTag kAttachMimeTag{0x370E001F};
inline constexpr PropertyTag kAttachContentId{0x3712001F};
inline constexpr PropertyTag kSmtpAddress{0x39FE001F};
inline constexpr PropertyTag kOriginalEntryId{0x3A120102};
inline constexpr PropertyTag kOriginalSearchKey{0x3A140102};
inline constexpr PropertyTag kInternetCodePage{0x3FDE0003};
inline constexpr PropertyTag kDeferredSendNumber{0x3FEB0003};
inline constexpr PropertyTag kDeferredSendUnits{0x3FEC0003};
inline constexpr PropertyTag kExpiryNumber{0x3FED0003};
inline constexpr PropertyTag kExpiryUnits{0x3FEE0003};
inline constexpr PropertyTag kDeferredSendTime{0x3FEF0040};
inline constexpr PropertyTag kSenderSmtpAddress{0x5D01001F};
inline constexpr PropertyTag kSentRepresentingSmtpAddress{0x5D02001F};
// PR_INTERNET_CONTENT: the RFC 5322 original, a stream (engine/message_body.h).
inline constexpr PropertyTag kInternetContent{0x66590102};
// Bobbin's own, of 0x6600..0x67FF: what the envelope asks of reports (RFC 3461,
// spooler/delivery_notification.h). The first two on recipients, the others on messages.
inline constexpr PropertyTag kDelayReportRequested{0x6610000B};
inline constexpr PropertyTag kOriginalRecipient{0x6611001F};    // "rfc822;b@x.test"
inline constexpr PropertyTag kReportHeadersOnly{0x6612000B};    // RET: TRUE HDRS, FALSE FULL.
inline constexpr PropertyTag kEnvelopeId{0x6613001F};
// Header fields, complete lines with CRLF, that go before the content when it is transmitted
// (spooler/preprocessor.h).
inline constexpr PropertyTag kAddedHeaderFields{0x6614001F};
// Text with CRLF that goes behind it (spooler/preprocessors/footer.h).
inline constexpr PropertyTag kAddedFooter{0x6615001F};
// clang-format on
}  // namespace pr

}  // namespace bobbin

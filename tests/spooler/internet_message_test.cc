// What ReadHeaders finds in a message, and what RenderInternetMessage makes of properties.

#include "spooler/internet_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spooler/composed_message.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string Text(const HeaderSummary& summary, PropertyTag tag) {
  return std::string(summary.properties.BytesOr(tag, "(absent)"));
}

std::vector<std::string> Addresses(const std::vector<RecipientRow>& rows) {
  std::vector<std::string> addresses;
  for (const RecipientRow& row : rows) {
    addresses.push_back(std::to_string(row.Type()) + " " + std::string(row.DisplayName()) + " <" +
                        std::string(row.EmailAddress()) + ">");
  }
  return addresses;
}

TEST(ReadHeaders, DecodesSubjectAndAuthor) {
  const HeaderSummary summary = ReadHeaders(
      "From: =?utf-8?q?J=C3=B6rg?= <j@x.test>\r\n"
      "Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\n =?utf-8?b?IOKCrA==?=\r\n"
      "Message-ID: <1@x.test>\r\nDate: Sat, 21 Nov 2026 02:21:06 +0000\r\n\r\nbody");
  EXPECT_EQ(Text(summary, pr::kSubject), "Gr\u00fc\u00dfe \u20ac");
  EXPECT_EQ(Text(summary, pr::kSentRepresentingName), "J\u00f6rg");
  EXPECT_EQ(Text(summary, pr::kSentRepresentingAddressType), "SMTP");
  EXPECT_EQ(Text(summary, pr::kSentRepresentingEmailAddress), "j@x.test");
  EXPECT_EQ(Text(summary, pr::kInternetMessageId), "<1@x.test>");
  EXPECT_EQ(Text(summary, pr::kMessageClass), "IPM.Note");
  EXPECT_TRUE(summary.has_message_id && summary.has_date && summary.has_from);
}

TEST(ReadHeaders, OpensGroupsAndKeepsOrder) {
  const HeaderSummary summary = ReadHeaders(
      "To: Amy <amy@x.test>, friends: bob@x.test, \"C, D\" <cd@x.test>;\n"
      "Cc: undisclosed-recipients:;\nBcc: =?utf-8?q?Zo=C3=AB?= <zoe@x.test>\n"
      "To: late@x.test\n\n");
  EXPECT_THAT(Addresses(summary.recipients),
              ElementsAre("1 Amy <amy@x.test>", "1 bob@x.test <bob@x.test>", "1 C, D <cd@x.test>",
                          "1 late@x.test <late@x.test>", "3 Zo\u00eb <zoe@x.test>"));
}

TEST(ReadHeaders, TurnsRawBytesIntoUtf8) {
  EXPECT_EQ(Text(ReadHeaders("Subject: Gr\xc3\xbc\xc3\x9f\x65\r\n\r\n"), pr::kSubject),
            "Gr\u00fc\u00dfe");
  EXPECT_EQ(Text(ReadHeaders("Subject: Gr\xfc\xdf\x65\r\n\r\n"), pr::kSubject), "Gr\u00fc\u00dfe");
  EXPECT_EQ(Text(ReadHeaders("Subject: =?utf-8?q?a=00b=0Ac?=\r\n\r\n"), pr::kSubject).find('\n'),
            std::string::npos);
}

TEST(ReadHeaders, ReadsUrgencyAndSensitivity) {
  const auto read = [](const std::string& fields) {
    const PropertyList properties = ReadHeaders(fields + "\r\n\r\n").properties;
    return std::vector<std::int64_t>{properties.NumberOr(pr::kImportance, 9),
                                     properties.NumberOr(pr::kPriority, 9),
                                     properties.NumberOr(pr::kSensitivity, 9)};
  };
  EXPECT_THAT(read("X: y"), ElementsAre(9, 9, 9));
  EXPECT_THAT(read("Importance: High"), ElementsAre(2, 9, 9));
  EXPECT_THAT(read("Importance: low\r\nPriority: urgent"), ElementsAre(0, 1, 9));
  EXPECT_THAT(read("X-Priority: 1 (Highest)"), ElementsAre(2, 1, 9));
  EXPECT_THAT(read("X-Priority: 5\r\nImportance: normal"), ElementsAre(1, -1, 9));
  EXPECT_THAT(read("Sensitivity: Company-Confidential"), ElementsAre(9, 9, 3));
}

TEST(ReadHeaders, KnowsReportsAndCountsReceivedFields) {
  const HeaderSummary summary = ReadHeaders(
      "Received: by a\r\nreceived: by b\r\nRECEIVED: by c\r\n"
      "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x--\r\n");
  EXPECT_EQ(Text(summary, pr::kMessageClass), "REPORT.IPM.Note.NDR");
  EXPECT_EQ(summary.received_count, 3u);
  EXPECT_FALSE(summary.has_message_id || summary.has_date || summary.has_from);
}

TEST(ReadHeaders, LooksOnlyAtTheHeaderSection) {
  const HeaderSummary summary = ReadHeaders("To: a@x.test\n\nSubject: body\nTo: b@x.test\n");
  EXPECT_EQ(Text(summary, pr::kSubject), "(absent)");
  EXPECT_THAT(summary.recipients, ::testing::SizeIs(1));
}

TEST(ReadHeaders, MalformedMailIsNoError) {
  EXPECT_EQ(Text(ReadHeaders(""), pr::kMessageClass), "IPM.Note");
  EXPECT_EQ(Text(ReadHeaders(std::string("\0\0\r\n\xff", 5)), pr::kSubject), "(absent)");
  EXPECT_EQ(Text(ReadHeaders("no header at all"), pr::kSubject), "(absent)");
  EXPECT_THAT(ReadHeaders("To: <<>>,,;:@\r\nFrom: ;;\r\n\r\n").recipients.size(), ::testing::Le(2));
  EXPECT_LE(Text(ReadHeaders("Subject: " + std::string(200'000, 's')), pr::kSubject).size(),
            4'096u);
  EXPECT_EQ(Text(ReadHeaders("Subject: cut he"), pr::kSubject), "cut he");
}

std::string Rendered(const PropertyList& properties, const RecipientTable& recipients) {
  TemporaryDatabase database;
  Message message = Must(database.Store().CreateMessage(database.Store().Folders().drafts));
  if (properties.Size() > 0) {
    const std::vector<Property> all(properties.begin(), properties.end());
    Must(message.SetProps(all));
  }
  return Must(RenderInternetMessage(message, Must(message.GetProps()), recipients));
}

TEST(RenderInternetMessage, SaysWhatThePropertiesSay) {
  PropertyList properties = {
      Property::Bytes(pr::kSubject, "Gr\u00fc\u00dfe\r\nBcc: injected@x.test"),
      Property::Bytes(pr::kSentRepresentingName, "J\u00f6rg"),
      Property::Bytes(pr::kSentRepresentingEmailAddress, "j@x.test"),
      Property::Bytes(pr::kSenderName, "Secretary"),
      Property::Bytes(pr::kSenderEmailAddress, "s@x.test"),
      Property::Bytes(pr::kInternetMessageId, "<1@x.test>"),
      Property::Number(pr::kClientSubmitTime,
                       ToFileTime(Time(std::chrono::seconds(1'700'000'000)))),
      Property::Bytes(pr::kBody, "line one\n.\nline \u20ac\n")};
  const RecipientTable recipients = {MakeSmtpRecipient("to@x.test", kRecipientTo, "To, Comma"),
                                     MakeSmtpRecipient("cc@x.test", kRecipientCc),
                                     MakeSmtpRecipient("hidden@x.test", kRecipientBcc)};
  const std::string message = Rendered(properties, recipients);
  EXPECT_THAT(
      message,
      AllOf(HasSubstr("<j@x.test>\r\n"), HasSubstr("Sender: Secretary <s@x.test>\r\n"),
            HasSubstr("To: \"To, Comma\" <to@x.test>\r\n"), HasSubstr("Cc: cc@x.test\r\n"),
            HasSubstr("Message-Id: <1@x.test>\r\n"),
            HasSubstr("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"), Not(HasSubstr("hidden"))));
  EXPECT_EQ(message.find("\nBcc"), std::string::npos);
  for (std::size_t at = 0; (at = message.find('\n', at)) != std::string::npos; ++at) {
    ASSERT_GT(at, 0u);
    EXPECT_EQ(message[at - 1], '\r');
  }
  const HeaderSummary read = ReadHeaders(message);
  EXPECT_EQ(Text(read, pr::kSubject), "Gr\u00fc\u00dfe Bcc: injected@x.test");
  EXPECT_EQ(Text(read, pr::kSentRepresentingName), "J\u00f6rg");
  EXPECT_THAT(message, HasSubstr("\r\n\r\nline one\r\n.\r\nline =E2=82=AC"));
}

TEST(RenderInternetMessage, HidesThatThereAreOnlyHiddenRecipients) {
  const std::string message = Rendered({}, {MakeSmtpRecipient("hidden@x.test", kRecipientBcc)});
  EXPECT_THAT(message, AllOf(HasSubstr("To: undisclosed-recipients:"), Not(HasSubstr("hidden"))));
}

TEST(MailDate, IsInUtcAndIndependentOfTheLocale) {
  EXPECT_EQ(MailDate(Time(std::chrono::seconds(0))), "Thu, 01 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(MailDate(Time(std::chrono::seconds(1'709'164'799))), "Wed, 28 Feb 2024 23:59:59 +0000");
}

}  // namespace
}  // namespace bobbin

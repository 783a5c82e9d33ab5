// Non-delivery reports are what other programs take them for.
//
// Method: every report is parsed back twice, with GMime and with Python's email package.

#include "spooler/report.h"

#include <gmime/gmime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "spooler/internet_message.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ReportEntry Failed(const std::string& address, RecipientState state, Reply reply,
                   const std::string& remote_host) {
  RecipientRow row = MakeSmtpRecipient(address, kRecipientTo);
  row.delivery.state = state;
  row.delivery.last_reply = std::move(reply);
  row.delivery.remote_host = remote_host;
  return {row};
}

ReportRequest Request() {
  ReportRequest request;
  request.reporting_host = "mail.x.test";
  request.sender = "amy@x.test";
  request.queue_id = "3KF";
  request.original_subject = "Gr\u00fc\u00dfe aus K\u00f6ln";
  request.arrival = Time(std::chrono::seconds(1'700'000'000));
  request.now = Time(std::chrono::seconds(1'700'000'100));
  request.message_id = "r1@mail.x.test";
  request.original = "Subject: x\r\nMessage-ID: <1@x.test>\r\n\r\nHello \xe2\x82\xac.\r\n";
  request.recipients = {
      Failed("bob@y.test", RecipientState::kFailed, {550, "5.1.1", "no such\n\nuser \u20ac"},
             "mx.y.test[192.0.2.1]:25"),
      Failed("late@z.test", RecipientState::kExpired, {451, "4.2.0", "busy"}, ""),
      Failed("j\u00f6rg@y.test", RecipientState::kFailed, {0, "", ""}, "/var/mail/x")};
  return request;
}

// The report as Python reads it, one fact a line.
std::string PythonReads(const std::string& report) {
  const TemporaryDirectory directory;
  std::ofstream(directory.Path() / "report", std::ios::binary) << report;
  const std::string script = R"(
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
print('defects', [d for p in m.walk() for d in p.defects])
print('type', m.get_content_type(), m.get_param('report-type'), len(m.get_payload()))
print('from', m['From'], 'to', m['To'], 'subject', m['Subject'])
print('auto', m['Auto-Submitted'], 'date', m['Date'])
text, status, original = m.get_payload()
print('parts', text.get_content_type(), status.get_content_type(), original.get_content_type())
for group in status.get_payload():
  print('group', ' | '.join('%s=%s' % (k, ' '.join(v.split())) for k, v in group.items()))
)";
  std::ofstream(directory.Path() / "read.py") << script;
  const std::string output = (directory.Path() / "output").string();
  const std::string command = "PYTHONIOENCODING=utf-8 python3 '" +
                              (directory.Path() / "read.py").string() + "' '" +
                              (directory.Path() / "report").string() + "' > '" + output + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << ReadFile(output);
  return ReadFile(output);
}

TEST(NonDeliveryReport, IsReadByPython) {
  const std::string facts = PythonReads(RenderReport(Request()));
  EXPECT_THAT(facts, HasSubstr("defects []"));
  EXPECT_THAT(facts, HasSubstr("type multipart/report delivery-status 3"));
  EXPECT_THAT(facts,
              HasSubstr("from Mail Delivery System <MAILER-DAEMON@mail.x.test> to "
                        "amy@x.test subject Undelivered mail: Gr\u00fc\u00dfe aus K\u00f6ln"));
  EXPECT_THAT(facts, HasSubstr("auto auto-replied date Tue, 14 Nov 2023 22:15:00 +0000"));
  EXPECT_THAT(facts, HasSubstr("parts text/plain message/delivery-status message/rfc822"));
  EXPECT_THAT(facts, HasSubstr("group Reporting-MTA=dns; mail.x.test | X-Bobbin-Queue-ID=3KF | "
                               "Arrival-Date=Tue, 14 Nov 2023 22:13:20 +0000"));
  EXPECT_THAT(facts,
              HasSubstr("group Final-Recipient=rfc822; bob@y.test | Action=failed | Status=5.1.1 | "
                        "Remote-MTA=dns; mx.y.test | "
                        "Diagnostic-Code=smtp; 550 5.1.1 no such user \\x{20AC}"));
  EXPECT_THAT(facts, HasSubstr("group Final-Recipient=rfc822; late@z.test | Action=failed | "
                               "Status=4.4.7 | Diagnostic-Code=smtp; 451 4.2.0 busy"));
  EXPECT_THAT(facts, HasSubstr("group Final-Recipient=utf-8; j\\x{F6}rg@y.test | Action=failed | "
                               "Status=5.0.0\n"));
}

TEST(NonDeliveryReport, IsReadByGMime) {
  const std::string report = RenderReport(Request());
  EXPECT_EQ(ReadHeaders(report).properties.BytesOr(pr::kMessageClass, {}), "REPORT.IPM.Note.NDR");
  GMimeStream* stream = g_mime_stream_mem_new_with_buffer(report.data(), report.size());
  GMimeParser* parser = g_mime_parser_new_with_stream(stream);
  GMimeMessage* message = g_mime_parser_construct_message(parser, nullptr);
  ASSERT_TRUE(message != nullptr);
  GMimeObject* top = g_mime_message_get_mime_part(message);
  ASSERT_TRUE(GMIME_IS_MULTIPART(top));
  ASSERT_EQ(g_mime_multipart_get_count(GMIME_MULTIPART(top)), 3);
  GMimeObject* original = g_mime_multipart_get_part(GMIME_MULTIPART(top), 2);
  ASSERT_TRUE(GMIME_IS_MESSAGE_PART(original));
  GMimeMessage* inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(original));
  EXPECT_STREQ(g_mime_message_get_message_id(inner), "1@x.test");
  g_object_unref(message);
  g_object_unref(parser);
  g_object_unref(stream);
}

TEST(NonDeliveryReport, HasOnlyCrlfAndNoLineIsTooLong) {
  ReportRequest request = Request();
  request.recipients[0].row.delivery.last_reply.text =
      std::string(1'999, 'x') + "\n" + std::string(500, 'y');
  request.original_subject = std::string(3'000, 's');
  const std::string report = RenderReport(request);
  std::size_t start = 0;
  for (std::size_t at = 0; (at = report.find('\n', at)) != std::string::npos; ++at) {
    EXPECT_EQ(report[at - 1], '\r');
    EXPECT_LE(at - start, 999u) << report.substr(start, 60);
    start = at + 1;
  }
  EXPECT_EQ(start, report.size());
  EXPECT_THAT(PythonReads(report), HasSubstr("defects []"));
}

TEST(DeliveryReport, TellsDeliveredFromRelayedAndRepeatsWhatTheEnvelopeSaid) {
  ReportRequest request = Request();
  request.kind = ReportKind::kDelivery;
  request.envelope_id = "job 7";
  request.original_is_headers_only = true;
  request.recipients = {
      Failed("bob@y.test", RecipientState::kDelivered, {250, "2.1.5", "Ok"}, "mx.y.test[::1]:25"),
      Failed("amy@x.test", RecipientState::kDelivered, {0, "", ""}, "/var/mail/amy")};
  request.recipients[0].relayed = true;
  request.recipients[0].row.properties.Set(
      Property::Bytes(pr::kOriginalRecipient, "rfc822;robert@z.test"));
  std::string facts = PythonReads(RenderReport(request));
  EXPECT_THAT(facts, HasSubstr("defects []"));
  EXPECT_THAT(facts, HasSubstr("subject Delivered mail: Gr"));
  EXPECT_THAT(facts, HasSubstr("text/plain message/delivery-status text/rfc822-headers"));
  EXPECT_THAT(facts,
              HasSubstr("group Original-Envelope-Id=job 7 | Reporting-MTA=dns; mail.x.test"));
  EXPECT_THAT(facts, HasSubstr("group Original-Recipient=rfc822; robert@z.test | "
                               "Final-Recipient=rfc822; bob@y.test | Action=relayed | "
                               "Status=2.1.5 | Remote-MTA=dns; mx.y.test"));
  EXPECT_THAT(facts, HasSubstr("group Final-Recipient=rfc822; amy@x.test | Action=delivered | "
                               "Status=2.0.0\n"));
  request.recipients.pop_back();
  facts = PythonReads(RenderReport(request));
  EXPECT_THAT(facts, HasSubstr("subject Relayed mail: Gr"));
}

TEST(DeliveryReport, ADelaySaysUntilWhenItIsTried) {
  ReportRequest request = Request();
  request.kind = ReportKind::kDelay;
  request.retry_until = request.now + std::chrono::hours(24);
  request.recipients = {
      Failed("b@y.test", RecipientState::kPending, {451, "4.2.0", "busy"}, ""),
      Failed("c@y.test", RecipientState::kInDoubt, {0, "5.4.1", "never the class of it"}, "")};
  const std::string facts = PythonReads(RenderReport(request));
  EXPECT_THAT(facts, HasSubstr("subject Delayed mail, still being tried: Gr"));
  EXPECT_THAT(facts, HasSubstr("Final-Recipient=rfc822; b@y.test | Action=delayed | Status=4.2.0"));
  EXPECT_THAT(facts, HasSubstr("Action=delayed | Status=4.0.0"));
  EXPECT_THAT(facts, HasSubstr("Will-Retry-Until=Wed, 15 Nov 2023 22:15:00 +0000"));
}

TEST(NonDeliveryReport, EmbedsTheOriginalByteForByte) {
  ReportRequest request = Request();
  request.original = std::string("Subject: x\r\n\r\nnul \0 and --=_bobbin-334b46-0\r\n", 44);
  const std::string report = RenderReport(request);
  EXPECT_THAT(report, HasSubstr(request.original));
  EXPECT_THAT(report, HasSubstr("boundary=\"=_bobbin-334b46-1\""));
  request.original_is_headers_only = true;
  EXPECT_THAT(PythonReads(RenderReport(request)), HasSubstr("text/rfc822-headers"));
}

TEST(NonDeliveryReport, NothingKnownIsNoReasonToFail) {
  const std::string facts = PythonReads(RenderReport(ReportRequest{}));
  EXPECT_THAT(facts, HasSubstr("type multipart/report delivery-status 3"));
  ReportRequest request;
  request.recipients.emplace_back();
  EXPECT_THAT(RenderReport(request), HasSubstr("Status: 5.0.0\r\n"));
}

TEST(NonDeliveryReport, CannotBeMadeToSayMore) {
  ReportRequest request = Request();
  request.envelope_id = "x\r\nAction: delivered";
  request.recipients[1].row.properties.Set(
      Property::Bytes(pr::kOriginalRecipient, "rfc822;x\r\nAction: delivered"));
  request.original_subject = "x\r\nBcc: v@x.test\r\n\r\nbody";
  request.recipients[0].row.delivery.last_reply.text =
      "x\r\nAction: delivered\r\n\r\nFinal-Recipient: y";
  const std::string report = RenderReport(request);
  EXPECT_EQ(report.find("\nBcc"), std::string::npos);
  EXPECT_EQ(report.find("\nAction: delivered"), std::string::npos);
}

}  // namespace
}  // namespace bobbin

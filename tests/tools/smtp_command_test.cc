// Command lines, paths and parameters, as tools/bobbind/smtp_command.h and smtp_path.h say.
//
// Method: tables of what is accepted, and as what, and of what is refused, and how. A random
// property holds every accepted path to the check that transports make again.

#include "tools/bobbind/smtp_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "spooler/internet_message.h"

namespace bobbin::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string Recipient(std::string_view argument, bool utf8 = false) {
  const Parsed<RcptArguments> rcpt = ParseRcptArguments(argument, utf8);
  return rcpt ? rcpt->address : rcpt.error().Line().substr(0, 9);
}

// What NOTIFY and ORCPT came to: "SFD rfc822;b@x.test"; "-" for no NOTIFY, "N" for NEVER.
std::string Notification(std::string_view parameters, bool utf8 = false) {
  const Parsed<RcptArguments> rcpt =
      ParseRcptArguments("TO:<b@x.test> " + std::string(parameters), utf8);
  if (!rcpt) return rcpt.error().Line().substr(0, 9);
  const RecipientNotification& asked = rcpt->notification;
  std::string text;
  if (!asked.notify) {
    text = "-";
  } else {
    if (asked.notify->success) text += 'S';
    if (asked.notify->failure) text += 'F';
    if (asked.notify->delay) text += 'D';
    if (text.empty()) text = "N";
  }
  return asked.original_recipient.empty() ? text : text + " " + asked.original_recipient;
}

// What RET and ENVID came to: "HDRS id".
std::string ReturnAndId(std::string_view parameters) {
  const Parsed<MailArguments> mail =
      ParseMailArguments("FROM:<a@x.test> " + std::string(parameters));
  if (!mail) return mail.error().Line().substr(0, 9);
  const MessageNotification& asked = mail->notification;
  const std::string content = !asked.content                              ? "-"
                              : *asked.content == ReturnContent::kHeaders ? "HDRS"
                                                                          : "FULL";
  return asked.envelope_id.empty() ? content : content + " " + asked.envelope_id;
}

std::string Sender(std::string_view argument) {
  const Parsed<MailArguments> mail = ParseMailArguments(argument);
  return mail ? "<" + mail->reverse_path + ">" : mail.error().Line().substr(0, 9);
}

TEST(SmtpCommand, VerbsAreKnownInAnyCaseAndArgumentsAreTrimmed) {
  EXPECT_EQ(ParseCommand("EHLO host").verb, SmtpVerb::kEhlo);
  EXPECT_EQ(ParseCommand("mAiL FROM:<a@b>").verb, SmtpVerb::kMail);
  EXPECT_EQ(ParseCommand("rcpt \t TO:<a b> ").argument, "TO:<a b>");
  EXPECT_EQ(ParseCommand("QUIT ").verb, SmtpVerb::kQuit);
  EXPECT_EQ(ParseCommand("QUITE").verb, SmtpVerb::kUnknown);
  EXPECT_EQ(ParseCommand("").verb, SmtpVerb::kUnknown);
  EXPECT_EQ(ParseCommand("STARTTLS").verb, SmtpVerb::kNotImplemented);
  EXPECT_EQ(ParseCommand("GET / HTTP/1.1").verb, SmtpVerb::kHttp);
}

TEST(SmtpPath, AcceptsMailboxesAsSentAndDropsSourceRoutes) {
  EXPECT_EQ(Recipient("TO:<b@x.test>"), "b@x.test");
  EXPECT_EQ(Recipient("to: <b@x.test>"), "b@x.test");
  EXPECT_EQ(Recipient("TO :<B.C+d@X.Test>"), "B.C+d@X.Test");
  EXPECT_EQ(Recipient("TO:<\"a b\"@x.test>"), "\"a b\"@x.test");
  EXPECT_EQ(Recipient("TO:<\"a>\\\"@b\"@x.test>"), "\"a>\\\"@b\"@x.test");
  EXPECT_EQ(Recipient("TO:<@r1.test,@r2.test:b@x.test>"), "b@x.test");
  EXPECT_EQ(Recipient("TO:<postmaster>"), "postmaster");
  EXPECT_EQ(Recipient("TO:<b@[192.0.2.1]>"), "b@[192.0.2.1]");
  EXPECT_EQ(Recipient("TO:<b@[IPv6:2001:db8::1]>"), "b@[IPv6:2001:db8::1]");
  EXPECT_EQ(Recipient("TO:<a..b.@x_y.test>"), "a..b.@x_y.test");
  EXPECT_EQ(Recipient("TO:<" + std::string(64, 'a') + "@x.test>"),
            std::string(64, 'a') + "@x.test");
}

TEST(SmtpPath, RefusesWhatIsNoMailbox) {
  const std::string control("TO:<a\x01@x.test>");
  const std::string nul("TO:<a\0b@x.test>", 15);
  for (const std::string& argument :
       {std::string("TO:b@x.test"),
        std::string("TO:<b@x.test"),
        std::string("TO:<>"),
        std::string("TO:<b@>"),
        std::string("TO:<@x.test>"),
        std::string("TO:<b@x..test>"),
        std::string("TO:<b c@x.test>"),
        std::string("TO:<b@x test>"),
        std::string("TO:<b@x@y>"),
        std::string("TO:<\"a@x.test>"),
        std::string("TO:<\"a\"b@x.test>"),
        std::string("TO:<b@[999.0.2.1]>"),
        std::string("TO:<b@[IPv6:zz]>"),
        std::string("TO:<b@-_>extra<"),
        std::string("TO:<<b@x.test>>"),
        std::string("TO:<b@x.test\r\nDATA>"),
        control,
        nul,
        "TO:<" + std::string(65, 'a') + "@x>",
        "TO:<a@" + std::string(64, 'b') + ".test>",
        "TO:<a@" + std::string(63, 'b') + "." + std::string(63, 'b') + "." + std::string(63, 'b') +
            "." + std::string(63, 'b') + ">"}) {
    EXPECT_THAT(Recipient(argument), testing::AnyOf("501 5.1.3", "501 5.5.4")) << argument;
  }
  EXPECT_EQ(Recipient("<b@x.test>"), "501 5.5.4");
  EXPECT_EQ(Recipient(""), "501 5.5.4");
  EXPECT_EQ(Recipient("TO:<b@x.test> SIZE=1"), "555 5.5.4");
}

TEST(SmtpPath, Utf8NeedsSmtputf8InMail) {
  EXPECT_EQ(Recipient("TO:<\xC3\xBC@\xC3\xBC.test>", true), "\xC3\xBC@\xC3\xBC.test");
  EXPECT_EQ(Recipient("TO:<\xC3\xBC@x.test>", false), "553 5.6.7");
  EXPECT_EQ(Recipient("TO:<\xC3@x.test>", true), "501 5.1.3");
  EXPECT_EQ(Recipient("TO:<\xED\xA0\x80@x.test>", true), "501 5.1.3") << "a surrogate";
  EXPECT_EQ(Recipient("TO:<\xC0\xAF@x.test>", true), "501 5.1.3") << "overlong";
  EXPECT_EQ(Recipient("TO:<\xF5\x80\x80\x80@x.test>", true), "501 5.1.3") << "no such character";
  EXPECT_EQ(Sender("FROM:<\xC3\xBC@x.test> SMTPUTF8"), "<\xC3\xBC@x.test>");
  EXPECT_EQ(Sender("FROM:<\xC3\xBC@x.test>"), "553 5.6.7");
}

TEST(SmtpMail, ReadsPathAndParameters) {
  EXPECT_EQ(Sender("FROM:<>"), "<>");
  EXPECT_EQ(Sender("FROM: <a@x.test>"), "<a@x.test>");
  const Parsed<MailArguments> mail =
      ParseMailArguments("FROM:<a@x.test> size=1234 BODY=8bitmime SMTPUTF8");
  ASSERT_TRUE(mail);
  EXPECT_EQ(mail->declared_bytes, 1234U);
  EXPECT_TRUE(mail->eight_bit);
  EXPECT_TRUE(mail->utf8);
}

TEST(SmtpMail, RefusesBadRepeatedAndUnknownParameters) {
  EXPECT_EQ(Sender("FROM:<a@x.test> SIZE=x"), "501 5.5.4");
  EXPECT_EQ(Sender("FROM:<a@x.test> SIZE="), "501 5.5.4");
  EXPECT_EQ(Sender("FROM:<a@x.test> SIZE=99999999999999999999"), "501 5.5.4");
  EXPECT_EQ(Sender("FROM:<a@x.test> SIZE=1 SIZE=1"), "501 5.5.4");
  EXPECT_EQ(Sender("FROM:<a@x.test> BODY=BINARYMIME"), "501 5.5.4");
  EXPECT_EQ(Sender("FROM:<a@x.test> SMTPUTF8=1"), "501 5.5.4");
  EXPECT_EQ(Sender("FROM:<a@x.test>SIZE=1"), "501 5.5.4");
  EXPECT_EQ(Sender("FROM:<a@x.test> NOTIFY=NEVER"), "555 5.5.4");
  EXPECT_EQ(Sender("FROM:a@x.test"), "501 5.1.7");
  EXPECT_EQ(Sender("a@x.test"), "501 5.5.4");
}

TEST(SmtpNotification, MailTakesRetAndEnvid) {
  EXPECT_EQ(ReturnAndId(""), "-");
  EXPECT_EQ(ReturnAndId("RET=HDRS ENVID=QQ314159"), "HDRS QQ314159");
  EXPECT_EQ(ReturnAndId("ret=full envid=a+2Bb+20c SIZE=10"), "FULL a+b c");
  EXPECT_EQ(ReturnAndId("ENVID=" + std::string(100, 'x')), "- " + std::string(100, 'x'));
}

TEST(SmtpNotification, MailRefusesBadAndRepeatedOnes) {
  for (const std::string& parameters :
       {std::string("RET"), std::string("RET="), std::string("RET=BODY"),
        std::string("RET=FULL RET=HDRS"), std::string("ENVID"), std::string("ENVID="),
        std::string("ENVID=a ENVID=a"), std::string("ENVID=a=b"), std::string("ENVID=a+2"),
        std::string("ENVID=a+2b"), std::string("ENVID=a+0D+0A"), std::string("ENVID=+C3+BC"),
        std::string("ENVID=\xC3\xBC"), "ENVID=" + std::string(101, 'x')}) {
    EXPECT_EQ(ReturnAndId(parameters), "501 5.5.4") << parameters;
  }
}

TEST(SmtpNotification, RcptTakesNotifyAndOrcpt) {
  EXPECT_EQ(Notification(""), "-");
  EXPECT_EQ(Notification("NOTIFY=NEVER"), "N");
  EXPECT_EQ(Notification("notify=delay,Success"), "SD");
  EXPECT_EQ(Notification("NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;c+2Bd@x.test"),
            "SFD rfc822;c+d@x.test");
  EXPECT_EQ(Notification("ORCPT=x-type;any"), "- x-type;any");
  const std::string longest = "rfc822;" + std::string(493, 'x');
  EXPECT_EQ(Notification("ORCPT=" + longest), "- " + longest);
  EXPECT_EQ(Notification("ORCPT=utf-8;\xC3\xBC@x.test", true), "- utf-8;\xC3\xBC@x.test");
  EXPECT_EQ(Notification("ORCPT=utf-8;\\x{FC}@x.test"), "- utf-8;\\x{FC}@x.test");
}

TEST(SmtpNotification, RcptRefusesBadAndRepeatedOnes) {
  for (const std::string& parameters :
       {std::string("NOTIFY"), std::string("NOTIFY="), std::string("NOTIFY=ALWAYS"),
        std::string("NOTIFY=NEVER,SUCCESS"), std::string("NOTIFY=SUCCESS,"),
        std::string("NOTIFY=,SUCCESS"), std::string("NOTIFY=DELAY,DELAY"),
        std::string("NOTIFY=SUCCESS NOTIFY=SUCCESS"), std::string("ORCPT"),
        std::string("ORCPT=b@x.test"), std::string("ORCPT=;b@x.test"), std::string("ORCPT=rfc822;"),
        std::string("ORCPT=rfc822;a=b"), std::string("ORCPT=rfc822;a+0A"),
        std::string("ORCPT=r/f<;a"), std::string("ORCPT=rfc822;\xC3\xBC@x.test"),
        std::string("ORCPT=utf-8;\xC3\xBC@x.test"), std::string("ORCPT=rfc822;a ORCPT=rfc822;a"),
        "ORCPT=rfc822;" + std::string(494, 'x')}) {
    EXPECT_EQ(Notification(parameters), "501 5.5.4") << parameters;
  }
  EXPECT_EQ(Notification("ORCPT=utf-8;\xC3@x.test", true), "501 5.5.4") << "not UTF-8";
}

TEST(SmtpAttributes, AreDecodedAndHoldNoControlCharacter) {
  const Parsed<Attributes> attributes =
      ParseAttributes("NAME=spike.example.test addr=192.0.2.7 HELO=a+2Bb IDENT=[UNAVAILABLE]");
  ASSERT_TRUE(attributes);
  EXPECT_THAT(*attributes,
              ElementsAre(Pair("NAME", "spike.example.test"), Pair("ADDR", "192.0.2.7"),
                          Pair("HELO", "a+b"), Pair("IDENT", "")));
  for (const char* bad : {"", "NAME", "=x", "NAME=+0D+0A", "NAME=+2", "NAME=+zz"}) {
    EXPECT_FALSE(ParseAttributes(bad)) << bad;
  }
}

RC_GTEST_PROP(SmtpPath, WhatIsAcceptedCanBeHandedToATransport, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element(
      'a', 'Z', '0', '.', '@', '"', '\\', '<', '>', ' ', '-', '_', '[', ']', ':', ',', '+',
      static_cast<char>(0xC3), static_cast<char>(0xBC), '\r', '\n', '\0', '\x7F'));
  const std::string whole = "<" + text + ">";
  std::string_view input = whole;
  const Parsed<std::string> path = ParsePath(input, {.allow_null = true, .allow_utf8 = true});
  if (!path || path->empty()) return;
  RC_ASSERT(CheckAddress(*path, true).has_value());
  RC_ASSERT(path->find_first_of(std::string("\r\n\0", 3)) == std::string::npos);
}

}  // namespace
}  // namespace bobbin::daemon

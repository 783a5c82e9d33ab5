// The conversation of tools/bobbind/smtp_session.h, without sockets.
//
// Method: a small driver plays the listener: it keeps what it is given, answers 250 for each
// message, and collects the replies. Each conversation is played whole and byte by byte, and must
// come out the same.

#include "tools/bobbind/smtp_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/tools/smtp_steps.h"

namespace bobbin::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Kind = SmtpStep::Kind;

struct StoredMessage {
  Envelope envelope;
  std::string content;
  std::string protocol;
  SmtpClient client;
};

struct Conversation {
  std::vector<StoredMessage> messages;
  std::vector<std::string> replies;  // Lines.
  std::size_t abandoned = 0;
  bool closed = false;

  std::string Codes() const {
    std::string codes;
    for (const std::string& line : replies) {
      if (line[3] == ' ') codes += line.substr(0, 3) + " ";
    }
    return codes;
  }
};

struct Circumstances {
  SmtpLimits limits;
  SmtpClient client{.address = "192.0.2.1", .name = {}, .hello = {}, .trusted = false};
  std::uint64_t room_bytes = UINT64_MAX;
  SmtpReply answer{250, "2.0.0", "queued as 3KF"};
  std::function<void(SmtpSession&, Kind)> after_step;
};

class Driver {
 public:
  explicit Driver(const Circumstances& setup)
      : setup_(setup), session_(setup.limits, "mx.test", setup.client) {
    session_.SetRoom(setup.room_bytes);
    session_.Greet();
  }

  void Receive(std::string_view input) {
    replies_ += TakeSteps(session_, input, conversation_.closed, [this](const SmtpStep& step) {
      Act(step);
      if (setup_.after_step) setup_.after_step(session_, step.kind);
    });
  }

  Conversation Finish() {
    for (std::size_t begin = 0; begin < replies_.size();) {
      const std::size_t end = replies_.find("\r\n", begin);
      EXPECT_NE(end, std::string::npos);
      conversation_.replies.push_back(replies_.substr(begin, end - begin));
      begin = end + 2;
    }
    return conversation_;
  }

 private:
  void Act(const SmtpStep& step) {
    switch (step.kind) {
      case Kind::kBeginContent:
        message_ = {session_.CurrentEnvelope(), {}, session_.Protocol(), session_.Client()};
        session_.AcceptContent();
        break;
      case Kind::kContent:
        message_.content += step.content;
        break;
      case Kind::kAbandonContent:
        ++conversation_.abandoned;
        break;
      case Kind::kEndContent:
        message_.content += step.content;
        conversation_.messages.push_back(message_);
        session_.AnswerContent(setup_.answer);
        break;
      case Kind::kClose:
        conversation_.closed = true;
        break;
      case Kind::kNeedInput:
      case Kind::kWait:
        FAIL() << "not a step to act on";
    }
  }

  const Circumstances& setup_;
  SmtpSession session_;
  StoredMessage message_;
  Conversation conversation_;
  std::string replies_;
};

Conversation Play(const std::vector<std::string>& pieces, const Circumstances& setup) {
  Driver driver(setup);
  for (const std::string& piece : pieces) driver.Receive(piece);
  return driver.Finish();
}

bool Same(const Conversation& a, const Conversation& b) {
  bool same =
      a.replies == b.replies && a.closed == b.closed && a.messages.size() == b.messages.size();
  for (std::size_t i = 0; same && i < a.messages.size(); ++i) {
    same = a.messages[i].content == b.messages[i].content &&
           a.messages[i].envelope.recipients == b.messages[i].envelope.recipients;
  }
  return same;
}

Conversation Play(const std::string& input, const Circumstances& setup = {}) {
  Conversation whole = Play(std::vector<std::string>{input}, setup);
  std::vector<std::string> bytes;
  for (const char c : input) bytes.emplace_back(1, c);
  EXPECT_TRUE(Same(whole, Play(bytes, setup))) << "byte by byte it comes out differently";
  return whole;
}

const std::string kEnvelope = "EHLO c.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n";

TEST(SmtpSession, TakesPipelinedMessagesAndAnswersInOrder) {
  const Conversation played =
      Play(kEnvelope + "RCPT TO:<c@x.test>\r\nDATA\r\nSubject: 1\r\n\r\n..\r\n.\r\n" +
           "MAIL FROM:<>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n.\r\nQUIT\r\nNOOP\r\n");
  EXPECT_EQ(played.Codes(), "220 250 250 250 250 354 250 250 250 354 250 221 ");
  ASSERT_THAT(played.messages, SizeIs(2));
  EXPECT_EQ(played.messages[0].content, "Subject: 1\r\n\r\n.\r\n");
  EXPECT_EQ(played.messages[0].envelope.reverse_path, "a@x.test");
  EXPECT_THAT(played.messages[0].envelope.recipients, ElementsAre("b@x.test", "c@x.test"));
  EXPECT_EQ(played.messages[0].protocol, "ESMTP");
  EXPECT_EQ(played.messages[0].client.hello, "c.test");
  EXPECT_EQ(played.messages[1].content, "");
  EXPECT_EQ(played.messages[1].envelope.reverse_path, "");
  EXPECT_TRUE(played.closed);
}

TEST(SmtpSession, WhatIsAskedOfReportsIsOfOneTransaction) {
  const Conversation played = Play(
      "EHLO c.test\r\nMAIL FROM:<a@x.test> RET=HDRS ENVID=id+2B1\r\n"
      "RCPT TO:<b@x.test>\r\nRCPT TO:<bad@x.test> NOTIFY=OFTEN\r\n"
      "RCPT TO:<c@x.test> NOTIFY=SUCCESS ORCPT=rfc822;d@x.test\r\nDATA\r\n.\r\n"
      "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n.\r\n");
  EXPECT_EQ(played.Codes(), "220 250 250 250 501 250 354 250 250 250 354 250 ");
  ASSERT_THAT(played.messages, SizeIs(2));
  const Envelope& asked = played.messages[0].envelope;
  EXPECT_EQ(asked.notification, (MessageNotification{ReturnContent::kHeaders, "id+1"}));
  EXPECT_THAT(asked.recipients, ElementsAre("b@x.test", "c@x.test"));
  EXPECT_THAT(
      asked.recipient_notifications,
      ElementsAre(RecipientNotification{},
                  RecipientNotification{NotifyRequest{true, false, false}, "rfc822;d@x.test"}));
  EXPECT_EQ(played.messages[1].envelope.notification, MessageNotification{});
  EXPECT_THAT(played.messages[1].envelope.recipient_notifications,
              ElementsAre(RecipientNotification{}));
}

TEST(SmtpSession, EhloListsTheExtensionsAndHeloNone) {
  const Conversation ehlo = Play("EHLO c.test\r\n");
  EXPECT_THAT(ehlo.replies,
              ElementsAre("220 mx.test ESMTP Bobbin", "250-mx.test", "250-PIPELINING",
                          "250-SIZE " + std::to_string(SmtpLimits{}.message_bytes_max),
                          "250-8BITMIME", "250-DSN", "250-SMTPUTF8", "250 ENHANCEDSTATUSCODES"));
  EXPECT_THAT(Play("HELO c.test\r\n").replies, ElementsAre(StartsWith("220"), "250 mx.test"));
}

TEST(SmtpSession, EveryReplyButGreetingAndEhloHasAnEnhancedCode) {
  const Conversation played = Play(
      "BAD\r\nMAIL FROM:<a@x>\r\nHELO c\r\nNOOP\r\nVRFY a\r\nHELP\r\nRSET\r\nDATA\r\nMAIL x\r\n" +
      kEnvelope + "DATA\r\n.\r\nEXPN a\r\nQUIT\r\n");
  std::size_t with_code = 0;
  for (const std::string& line : played.replies) {
    if (line.find("mx.test") == 4 || line[3] == '-' || line == "250 ENHANCEDSTATUSCODES") continue;
    if (line.starts_with("354")) continue;
    EXPECT_THAT(line, testing::MatchesRegex("[245][0-9][0-9] [245]\\.[0-9]\\.[0-9] .*"));
    EXPECT_EQ(line[0], line[4]) << line;
    ++with_code;
  }
  EXPECT_GT(with_code, 12U);
}

TEST(SmtpSession, RefusesCommandsInTheWrongOrder) {
  EXPECT_EQ(Play("MAIL FROM:<a@x>\r\n").Codes(), "220 503 ");
  EXPECT_EQ(Play("EHLO c\r\nRCPT TO:<a@x>\r\nDATA\r\n").Codes(), "220 250 503 503 ");
  EXPECT_EQ(Play("EHLO c\r\nMAIL FROM:<a@x>\r\nMAIL FROM:<a@x>\r\nDATA\r\n").Codes(),
            "220 250 250 503 503 ");
  EXPECT_EQ(Play("EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<>\r\nDATA\r\n").Codes(),
            "220 250 250 501 554 ");
  EXPECT_EQ(Play(kEnvelope + "RSET\r\nDATA\r\n").Codes(), "220 250 250 250 250 503 ");
  EXPECT_EQ(Play(kEnvelope + "EHLO c\r\nDATA\r\n").Codes(), "220 250 250 250 250 503 ");
  EXPECT_EQ(Play("EHLO\r\nHELO \r\n").Codes(), "220 501 501 ");
}

TEST(SmtpSession, DropsALongLineAsItComesAndAnswersItOnce) {
  const Conversation played = Play("EHLO c\r\nRCPT " + std::string(100'000, 'x') + "\r\nNOOP\r\n");
  EXPECT_EQ(played.Codes(), "220 250 500 250 ");
  Circumstances setup;
  setup.limits.command_line_bytes_max = 16;
  EXPECT_EQ(Play("NOOP 89012345\r\nNOOP 890123456\r\n", setup).Codes(), "220 250 250 ");
  EXPECT_EQ(Play("NOOP 8901234567\r\n", setup).Codes(), "220 500 ");
}

TEST(SmtpSession, RefusesControlCharactersAndBareLineFeeds) {
  EXPECT_EQ(Play("EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b\x01@x>\r\nRCPT TO:<b\r@x>\r\n").Codes(),
            "220 250 250 500 500 ");
  EXPECT_EQ(Play(std::string("NOOP\0\r\n", 7)).Codes(), "220 500 ");
  EXPECT_EQ(Play("NOOP\n").Codes(), "220 500 ");
}

TEST(SmtpSession, LimitsRecipientsOfOneMessage) {
  Circumstances setup;
  setup.limits.recipients_max = 2;
  const Conversation played =
      Play(kEnvelope + "RCPT TO:<c@x>\r\nRCPT TO:<d@x>\r\nDATA\r\n.\r\n", setup);
  EXPECT_EQ(played.Codes(), "220 250 250 250 250 452 354 250 ");
  EXPECT_THAT(played.messages[0].envelope.recipients, SizeIs(2));
}

TEST(SmtpSession, RefusesWhatIsTooLargeDeclaredOrFound) {
  Circumstances setup;
  setup.limits.message_bytes_max = 1'000;
  EXPECT_EQ(
      Play("EHLO c\r\nMAIL FROM:<a@x> SIZE=1001\r\nMAIL FROM:<a@x> SIZE=1000\r\n", setup).Codes(),
      "220 250 552 250 ");
  const Conversation exact =
      Play(kEnvelope + "DATA\r\n" + std::string(998, 'x') + "\r\n.\r\n", setup);
  EXPECT_THAT(exact.messages, SizeIs(1));
  const Conversation played =
      Play(kEnvelope + "DATA\r\n" + std::string(200'000, 'x') + "\r\n.\r\nNOOP\r\n", setup);
  EXPECT_EQ(played.Codes(), "220 250 250 250 354 552 250 ");
  EXPECT_EQ(played.abandoned, 1U);
  EXPECT_THAT(played.messages, IsEmpty());
}

TEST(SmtpSession, RefusesMailWhileTheDiskIsNearlyFull) {
  Circumstances setup;
  setup.room_bytes = 0;
  EXPECT_EQ(Play(kEnvelope, setup).Codes(), "220 250 452 503 ");
  setup.room_bytes = 500;
  EXPECT_EQ(
      Play("EHLO c\r\nMAIL FROM:<a@x> SIZE=501\r\nMAIL FROM:<a@x> SIZE=500\r\n", setup).Codes(),
      "220 250 452 250 ");
}

TEST(SmtpSession, RefusesSmuggledEndsAtTheRealEnd) {
  for (const char* end : {"\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r"}) {
    SCOPED_TRACE(testing::PrintToString(end));
    const Conversation played =
        Play(kEnvelope + "DATA\r\nSubject: x\r\n\r\ntext" + end +
             "MAIL FROM:<evil@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nevil\r\n.\r\nNOOP\r\n");
    EXPECT_EQ(played.Codes(), "220 250 250 250 354 550 250 ");
    EXPECT_THAT(played.messages, IsEmpty());
    EXPECT_THAT(played.replies[played.replies.size() - 2], HasSubstr("5.6.0"));
  }
}

TEST(SmtpSession, JudgesContentAtItsEndHoweverItWasCut) {
  Circumstances setup;
  setup.limits.message_bytes_max = 1'000;
  const Conversation played =
      Play(kEnvelope + "DATA\r\n" + std::string(1'200, 'x') + "\r.\r\n.\r\n", setup);
  EXPECT_EQ(played.Codes(), "220 250 250 250 354 550 ") << "too long, and smuggled";
}

TEST(SmtpSession, ReadsFailedContentToItsEndBeforeTheReply) {
  Circumstances setup;
  setup.after_step = [](SmtpSession& session, Kind kind) {
    if (kind == Kind::kContent) session.FailContent({451, "4.3.0", "cannot store; try again"});
  };
  const std::vector<std::string> pieces = {kEnvelope + "DATA\r\n", "one\r\n",
                                           "two\r\n.\r\nNOOP\r\n"};
  const Conversation played = Play(pieces, setup);
  EXPECT_EQ(played.Codes(), "220 250 250 250 354 451 250 ");
  EXPECT_THAT(played.messages, IsEmpty());
}

TEST(SmtpSession, WaitsForTheAnswerBeforeItGoesOn) {
  SmtpSession session({}, "mx.test", {});
  std::string_view input =
      "EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n";
  EXPECT_EQ(session.Step(input).kind, Kind::kBeginContent);
  EXPECT_EQ(session.Step(input).kind, Kind::kWait);
  session.AcceptContent();
  const SmtpStep end = session.Step(input);
  EXPECT_EQ(end.kind, Kind::kEndContent);
  EXPECT_EQ(end.content, "x\r\n");
  EXPECT_EQ(session.Step(input).kind, Kind::kWait);
  EXPECT_EQ(input, "NOOP\r\n");
  EXPECT_THAT(session.TakeReplies(), Not(HasSubstr("queued")));
  session.AnswerContent({250, "2.0.0", "queued as 3KF"});
  EXPECT_EQ(session.Step(input).kind, Kind::kNeedInput);
  EXPECT_EQ(session.TakeReplies(), "250 2.0.0 queued as 3KF\r\n250 2.0.0 ok\r\n");
}

TEST(SmtpSession, ClosesAfterTooManyErrors) {
  Circumstances setup;
  setup.limits.errors_max = 3;
  const Conversation played = Play("X\r\nX\r\nNOOP\r\nX\r\nNOOP\r\n", setup);
  EXPECT_EQ(played.Codes(), "220 500 500 250 500 421 ");
  EXPECT_THAT(played.replies.back(), HasSubstr("4.7.0"));
  EXPECT_TRUE(played.closed);
}

TEST(SmtpSession, ClosesOnHttpBeforeTheRequestCanGiveCommands) {
  const Conversation played =
      Play("POST / HTTP/1.1\r\nHost: x\r\n\r\n" + kEnvelope + "DATA\r\nspam\r\n.\r\n");
  EXPECT_EQ(played.Codes(), "220 554 ");
  EXPECT_TRUE(played.closed);
}

TEST(SmtpSession, ShutdownEndsAnIdleSessionAtOnceAndABusyOneAfterItsAnswer) {
  SmtpSession idle({}, "mx.test", {});
  idle.Shutdown();
  EXPECT_THAT(idle.TakeReplies(), StartsWith("421 4.3.2 mx.test"));
  EXPECT_TRUE(idle.IsClosed());

  Circumstances setup;
  setup.after_step = [](SmtpSession& session, Kind kind) {
    if (kind == Kind::kBeginContent) session.Shutdown();
  };
  const Conversation played = Play(kEnvelope + "DATA\r\nx\r\n.\r\nNOOP\r\n", setup);
  EXPECT_EQ(played.Codes(), "220 250 250 250 354 250 421 ");
  EXPECT_THAT(played.messages, SizeIs(1));
}

TEST(SmtpSession, BelievesXforwardAndXclientFromTrustedClientsOnly) {
  EXPECT_EQ(Play("EHLO c\r\nXFORWARD NAME=a\r\nXCLIENT NAME=a\r\n").Codes(), "220 250 500 500 ");
  Circumstances setup;
  setup.client.trusted = true;
  const std::string mail = "MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n.\r\n";
  const Conversation played =
      Play("EHLO c\r\nXFORWARD NAME=n.test ADDR=IPV6:2001:db8::1 HELO=h.test\r\n" + mail + mail +
               "XCLIENT ADDR=198.51.100.9 NAME=p.test\r\nMAIL FROM:<a@x>\r\nEHLO d\r\n" + mail,
           setup);
  EXPECT_THAT(played.replies, testing::Contains(StartsWith("250-XFORWARD NAME ADDR")));
  EXPECT_EQ(played.Codes(),
            "220 250 250 250 250 354 250 250 250 354 250 220 503 250 250 250 354 250 ");
  ASSERT_THAT(played.messages, SizeIs(3));
  EXPECT_EQ(played.messages[0].client.address, "2001:db8::1");
  EXPECT_EQ(played.messages[0].client.hello, "h.test");
  EXPECT_EQ(played.messages[1].client.address, "192.0.2.1") << "XFORWARD is for one message";
  EXPECT_EQ(played.messages[2].client.address, "198.51.100.9");
  EXPECT_EQ(played.messages[2].client.hello, "d");
}

TEST(SmtpSession, NamesTheProtocolForTheTrace) {
  EXPECT_EQ(Play("HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<b>\r\nDATA\r\n.\r\n").messages[0].protocol,
            "SMTP");
  EXPECT_EQ(Play("EHLO c\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<\xC3\xBC@x>\r\nDATA\r\n.\r\n")
                .messages[0]
                .protocol,
            "UTF8SMTP");
}

RC_GTEST_PROP(SmtpSession, AnyInputCutAnywhereComesOutTheSame, ()) {
  const auto words = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "EHLO c\r\n", "MAIL FROM:<a@x>\r\n", "RCPT TO:<b@x>\r\n", "DATA\r\n", ".\r\n", "text\r\n",
      "RSET\r\n", "..\r\n", "\r\n", "\n", "\r", ".", "NOOP\r\n", std::string(600, 'x'),
      "QUIT\r\n"));
  std::string input = kEnvelope;
  for (const std::string& word : words) input += word;
  std::vector<std::string> pieces;
  for (std::size_t begin = 0; begin < input.size();) {
    const auto bytes = *rc::gen::inRange<std::size_t>(1, input.size() - begin + 1);
    pieces.push_back(input.substr(begin, bytes));
    begin += bytes;
  }
  Circumstances setup;
  setup.limits.command_line_bytes_max = 512;
  setup.limits.message_bytes_max = 1'000;
  RC_ASSERT(Same(Play(pieces, setup), Play(std::vector<std::string>{input}, setup)));
}

}  // namespace
}  // namespace bobbin::daemon

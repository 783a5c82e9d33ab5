// What a sender wants to know, and who is left to tell it (RFC 3461 5.2): the smtp transport
// against servers that announce DSN and servers that do not.
//
// Method: look at the commands as the server logged them, and at what each outcome says of whom
// the recipient was delivered to.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spooler/transports/smtp.h"
#include "tests/spooler/memory_message.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin {
namespace {

using test::MemoryMessage;
using test::SmtpTestServer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kMail[] = "Subject: test\r\n\r\nHello.\r\n";
constexpr NotifyRequest kNever{};
constexpr NotifyRequest kSuccess{.success = true};

class SmtpNotification : public ::testing::Test {
 protected:
  void Start(std::vector<std::string> arguments, SmtpOptions options = {}) {
    server_.emplace(std::move(arguments));
    options.next_hop_url = server_->Url();
    transport_ = NewSmtpTransport(options).value()();
  }

  void Submit(MemoryMessage& message) {
    EXPECT_EQ(transport_->SubmitMessage(message).status, SubmitStatus::kDone);
  }

  // The MAIL and RCPT commands since the last call.
  std::vector<std::string> Envelope() {
    std::vector<std::string> commands;
    const std::vector<std::string> log = server_->Log();
    for (; logged_ < log.size(); ++logged_) {
      const std::string command = log[logged_].substr(log[logged_].find(' ') + 1);
      if (command.starts_with("MAIL") || command.starts_with("RCPT")) commands.push_back(command);
    }
    return commands;
  }

  static MemoryMessage Asking() {
    MemoryMessage message("a@x.test", {"b@x.test", "never@x.test", "plain@x.test"}, kMail);
    message.notification = {ReturnContent::kHeaders, "job+7"};
    message.Notification(0) = {NotifyRequest{.success = true, .delay = true},
                               "rfc822;old b@x.test"};
    message.Notification(1) = {kNever, ""};
    return message;
  }

  std::optional<SmtpTestServer> server_;
  std::unique_ptr<TransportProvider> transport_;
  std::size_t logged_ = 0;
};

DeliveredTo DeliveredWhere(const MemoryMessage& message, const std::string& address) {
  EXPECT_EQ(message.Kind(address), OutcomeKind::kDelivered) << address;
  return message.outcomes.at(address).delivered_to;
}

TEST_F(SmtpNotification, GoesToAServerThatAnnouncesDsn) {
  Start({"--extension", "DSN"});
  MemoryMessage message = Asking();
  Submit(message);
  EXPECT_THAT(Envelope(),
              ElementsAre("MAIL FROM:<a@x.test> BODY=8BITMIME RET=HDRS ENVID=job+2B7",
                          "RCPT TO:<b@x.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old+20b@x.test",
                          "RCPT TO:<never@x.test> NOTIFY=NEVER", "RCPT TO:<plain@x.test>"));
  for (const char* address : {"b@x.test", "never@x.test", "plain@x.test"}) {
    EXPECT_EQ(DeliveredWhere(message, address), DeliveredTo::kNotifyingRelay);
  }
  MemoryMessage silent("a@x.test", {"b@x.test"}, kMail);
  Submit(silent);
  EXPECT_THAT(Envelope(), ElementsAre("MAIL FROM:<a@x.test> BODY=8BITMIME", "RCPT TO:<b@x.test>"));
}

TEST_F(SmtpNotification, StaysHereWhereTheServerDoesNotAnnounceDsn) {
  for (const char* ehlo :
       {"ehlo=250-DSN|250-XDSN|250 DSNX", "ehlo=250 test", "ehlo=502 5.5.1 no"}) {
    SCOPED_TRACE(ehlo);
    logged_ = 0;
    Start({"--reply", ehlo});
    MemoryMessage message = Asking();
    Submit(message);
    EXPECT_THAT(Envelope(), ElementsAre("MAIL FROM:<a@x.test>", "RCPT TO:<b@x.test>",
                                        "RCPT TO:<plain@x.test>",  //
                                        "MAIL FROM:<>", "RCPT TO:<never@x.test>"));
    for (const char* address : {"b@x.test", "never@x.test", "plain@x.test"}) {
      EXPECT_EQ(DeliveredWhere(message, address), DeliveredTo::kRelay);
    }
    EXPECT_THAT(server_->Messages(), SizeIs(2));
    EXPECT_EQ(server_->Messages().back().content, kMail);
  }
}

TEST_F(SmtpNotification, NeverGroupsKeepTheLimitOfRecipients) {
  SmtpOptions options;
  options.recipient_count_max = 2;
  Start({"--reply", "ehlo=250 test"}, options);
  MemoryMessage message("a@x.test", {"0@x.test", "1@x.test", "2@x.test", "3@x.test", "4@x.test"},
                        kMail);
  for (const std::size_t i : {0U, 2U, 4U}) message.Notification(i).notify = kNever;
  Submit(message);
  EXPECT_THAT(Envelope(),
              ElementsAre("MAIL FROM:<>", "RCPT TO:<0@x.test>", "RCPT TO:<2@x.test>",
                          "MAIL FROM:<>", "RCPT TO:<4@x.test>",  //
                          "MAIL FROM:<a@x.test>", "RCPT TO:<1@x.test>", "RCPT TO:<3@x.test>"));
  EXPECT_THAT(message.outcomes, SizeIs(5));
}

// The null reverse-path is ASCII, whatever the sender's address is.
TEST_F(SmtpNotification, NeverNeedsNoConsentToAnInternationalSender) {
  Start({});
  MemoryMessage message("j\u00f6rg@x.test", {"b@x.test", "never@x.test"}, kMail);
  message.Notification(1).notify = kNever;
  Submit(message);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kFailed);
  EXPECT_EQ(DeliveredWhere(message, "never@x.test"), DeliveredTo::kRelay);
}

TEST_F(SmtpNotification, InternationalOriginalRecipientIsWrittenAsTheTransactionAllows) {
  Start({"--extension", "DSN", "--extension", "SMTPUTF8"});
  const std::string utf8 = "j\u00f6rg@x.test";
  MemoryMessage ascii("a@x.test", {"b@x.test"}, kMail);
  ascii.Notification(0).original_recipient = "utf-8;" + utf8;
  Submit(ascii);
  MemoryMessage international("a@x.test", {utf8}, kMail);
  international.Notification(0).original_recipient = "utf-8;" + utf8;
  Submit(international);
  EXPECT_THAT(Envelope(), ElementsAre("MAIL FROM:<a@x.test> BODY=8BITMIME",
                                      "RCPT TO:<b@x.test> ORCPT=utf-8;j\\x{F6}rg@x.test",
                                      "MAIL FROM:<a@x.test> BODY=8BITMIME SMTPUTF8",
                                      "RCPT TO:<" + utf8 + "> ORCPT=utf-8;" + utf8));
}

TEST_F(SmtpNotification, EveryConnectionIsJudgedByWhatItAnnounces) {
  Start({"--once", "ehlo=250-test|250 dsn x", "--once", "dot=250 2.0.0 taken|CLOSE"});
  MemoryMessage first("a@x.test", {"b@x.test"}, kMail);
  first.Notification(0).notify = kSuccess;
  Submit(first);
  EXPECT_EQ(DeliveredWhere(first, "b@x.test"), DeliveredTo::kNotifyingRelay);
  MemoryMessage second("a@x.test", {"b@x.test"}, kMail);
  second.Notification(0).notify = kSuccess;
  Submit(second);
  EXPECT_EQ(DeliveredWhere(second, "b@x.test"), DeliveredTo::kRelay);
  EXPECT_THAT(Envelope(), ElementsAre("MAIL FROM:<a@x.test>", "RCPT TO:<b@x.test> NOTIFY=SUCCESS",
                                      "MAIL FROM:<a@x.test> BODY=8BITMIME", "RCPT TO:<b@x.test>"));
}

// Whoever is on the way can put in an announcement there.
TEST_F(SmtpNotification, WhatWasAnnouncedBeforeTlsDoesNotCount) {
  const TemporaryDirectory directory;
  const test::Certificate certificate(directory.Path());
  SmtpOptions options;
  options.verify_certificate = false;
  Start({"--certificate", certificate.certificate, "--key", certificate.key, "--once",
         "ehlo=250-test|250-DSN|250 STARTTLS"},
        options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  message.Notification(0).notify = kSuccess;
  Submit(message);
  EXPECT_EQ(server_->CountLog("STARTTLS"), 1U);
  EXPECT_EQ(DeliveredWhere(message, "b@x.test"), DeliveredTo::kRelay);
  EXPECT_EQ(server_->CountLog("NOTIFY"), 0U);
}

TEST_F(SmtpNotification, PropertiesCannotInjectCommands) {
  Start({"--extension", "DSN"});
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  message.notification.envelope_id = "x\r\nRCPT TO:<victim@x.test>";
  message.Notification(0).original_recipient = "r\r\nRCPT TO:<victim@x.test>;b";
  Submit(message);
  EXPECT_EQ(server_->CountLog("victim"), 0U);
  EXPECT_THAT(Envelope(), ElementsAre("MAIL FROM:<a@x.test> BODY=8BITMIME", "RCPT TO:<b@x.test>"));
}

TEST_F(SmtpNotification, PipelinedRepliesBelongToTheirCommands) {
  Start({"--extension", "PIPELINING", "--extension", "DSN", "--reply",
         "rcpt:no@x.test=550-5.1.1 No such|550 5.1.1 user"});
  for (int i = 0; i < 2; ++i) {
    MemoryMessage message("a@x.test", {"b@x.test", "no@x.test", "c@x.test"}, kMail);
    Submit(message);
    EXPECT_EQ(message.LastReply("no@x.test").text, "No such\nuser");
    EXPECT_EQ(message.Kind("no@x.test"), OutcomeKind::kFailed);
    EXPECT_THAT(message.marked, ElementsAre("b@x.test", "c@x.test"));
    EXPECT_EQ(message.Kind("c@x.test"), OutcomeKind::kDelivered);
  }
  EXPECT_EQ(server_->CountLog("connected"), 1U);
}

TEST_F(SmtpNotification, RecipientsAreOnTheirWayBeforeMailIsAnsweredWhenPipelined) {
  for (const bool pipelining : {false, true}) {
    Start({"--extension", pipelining ? "PIPELINING" : "DSN", "--reply", "mail=550 5.7.1 not you"});
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    Submit(message);
    EXPECT_EQ(message.LastReply("b@x.test").text, "not you");
    EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kFailed);
    transport_.reset();
    EXPECT_TRUE(test::Eventually([&] { return server_->CountLog("QUIT") == 1; }));
    EXPECT_EQ(server_->CountLog("RCPT"), pipelining ? 1U : 0U);
    EXPECT_THAT(server_->Messages(), IsEmpty());
  }
}

}  // namespace
}  // namespace bobbin

// What a sender asks of reports over SMTP comes back in the report that arrives (RFC 3461, 3464).
//
// Method: Python's smtplib and swaks submit to a real bobbind; it delivers to Maildirs, or to a
// real SMTP server that refuses some recipients; the reports are read where they arrive.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <list>

#include "engine/database.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

class Notification : public testing::Test {
 protected:
  // A bobbind with the database `name` and the host name `name`.x.test; mail sent from now on goes
  // to it.
  void Start(const std::vector<std::string>& destination, const std::string& name = "db") {
    ASSERT_TRUE(Database::Create(directory_.Path() / name));
    const std::string program = BOBBIN_BIN_DIR "/bobbind";
    std::vector<std::string> command{
        program,          "--database",  (directory_.Path() / name).string(),
        "--listen",       "127.0.0.1:0", "--hostname",
        name + ".x.test", "--log-level", "error"};
    command.insert(command.end(), destination.begin(), destination.end());
    const std::string line = daemons_.emplace_back(command).ReadLine();
    port_ = line.substr(line.find_last_of(':') + 1);
    port_ = port_.substr(0, port_.find_first_not_of("0123456789"));
    ASSERT_FALSE(port_.empty()) << line;
    std::ofstream(directory_.Path() / "mail.eml")
        << "From: a@x.test\nTo: b@x.test\nSubject: hello\n\nMarker 4711.\n";
  }

  // In the temporary directory; $PORT is the daemon's.
  void Run(const std::string& command) {
    const std::string log = (directory_.Path() / "log").string();
    const std::string line = "cd '" + directory_.Path().string() + "' && export PORT=" + port_ +
                             " && { " + command + " ; } > '" + log + "' 2>&1";
    EXPECT_EQ(std::system(line.c_str()), 0) << command << "\n" << ReadFile(log);
  }

  // One transaction; `recipients` are lines of Python: ("b@x.test", ["NOTIFY=NEVER"]),
  void SendWithSmtplib(const std::string& mail_options, const std::string& recipients) {
    std::ofstream(directory_.Path() / "send.py")
        << "import os, smtplib\n"
           "s = smtplib.SMTP('127.0.0.1', int(os.environ['PORT']))\n"
           "s.ehlo()\n"
           "assert s.has_extn('dsn'), s.esmtp_features\n"
           "def ok(reply): assert reply[0] == 250, reply\n"
           "ok(s.mail('a@x.test', ["
        << mail_options << "]))\nfor address, options in [" << recipients
        << "]: ok(s.rcpt(address, options))\n"
           "ok(s.data(open('mail.eml').read()))\n"
           "s.quit()\n";
    Run("python3 send.py");
  }

  // The messages in a Maildir, once there are `count`.
  std::vector<std::string> Arrived(const std::string& recipient, std::size_t count) {
    std::vector<std::string> messages;
    EXPECT_TRUE(Eventually([&] {
      messages.clear();
      std::error_code error;
      const fs::path inbox = directory_.Path() / "maildir" / recipient / "new";
      for (const auto& entry : fs::directory_iterator(inbox, error)) {
        messages.push_back(ReadFile(entry.path()));
      }
      return messages.size() >= count;
    })) << recipient;
    return messages;
  }

  TemporaryDirectory directory_;
  std::list<ChildProcess> daemons_;
  std::string port_;
};

TEST_F(Notification, SuccessIsReportedAsDeliveredAndOnlyWhereAskedFor) {
  Start({"--maildir", (directory_.Path() / "maildir").string()});
  SendWithSmtplib("'ENVID=job+207'",
                  "('b@x.test', ['NOTIFY=SUCCESS', 'ORCPT=rfc822;old+2Bb@x.test']), "
                  "('c@x.test', ['NOTIFY=NEVER']), ('d@x.test', [])");
  Run(BOBBIN_BIN_DIR
      "/bobbin submit --database db -N success -V second -f a@x.test e@x.test < mail.eml");
  for (const char* recipient : {"b@x.test", "c@x.test", "d@x.test", "e@x.test"}) {
    EXPECT_THAT(Arrived(recipient, 1).at(0), HasSubstr("Marker 4711."));
  }
  std::vector<std::string> reports = Arrived("a@x.test", 2);
  ASSERT_EQ(reports.size(), 2U);
  if (reports[0].find("job 7") == std::string::npos) std::swap(reports[0], reports[1]);
  EXPECT_THAT(reports[0], AllOf(HasSubstr("Original-Envelope-Id: job 7\n"),
                                HasSubstr("Original-Recipient: rfc822; old+b@x.test\n"),
                                HasSubstr("Final-Recipient: rfc822; b@x.test\nAction: delivered\n"),
                                HasSubstr("Return-Path: <>\n")));
  EXPECT_THAT(reports[0], AllOf(Not(HasSubstr("; c@x.test")), Not(HasSubstr("; d@x.test")),
                                HasSubstr("Subject: hello"), Not(HasSubstr("Marker"))));
  EXPECT_THAT(reports[1], AllOf(HasSubstr("Original-Envelope-Id: second\n"),
                                HasSubstr("; e@x.test\nAction: delivered\n")));
}

TEST_F(Notification, TheNextHopsAnswersAreReportedAsTheSenderWantsThem) {
  const SmtpTestServer server({"--reply", "rcpt:bad@y.test=550 5.1.1 no such user", "--reply",
                               "rcpt:worse@y.test=550 5.1.1 no such user"});
  Start({"--next-hop", server.Url()});
  SendWithSmtplib("'RET=HDRS', 'ENVID=job+207'",
                  "('good@y.test', ['NOTIFY=SUCCESS,FAILURE']), "
                  "('bad@y.test', ['NOTIFY=FAILURE', 'ORCPT=rfc822;old@y.test']), "
                  "('worse@y.test', ['NOTIFY=NEVER'])");
  ASSERT_TRUE(Eventually([&] { return server.Messages().size() >= 3; }));
  std::string failed;
  std::string relayed;
  for (const TakenMessage& message : server.Messages()) {
    if (message.sender.find("<>") == std::string::npos) continue;
    EXPECT_THAT(message.content, HasSubstr("Original-Envelope-Id: job 7"));
    const bool is_failure = message.content.find("Action: failed") != std::string::npos;
    (is_failure ? failed : relayed) += message.content;
  }
  EXPECT_THAT(failed, AllOf(HasSubstr("Original-Recipient: rfc822; old@y.test\r\n"
                                      "Final-Recipient: rfc822; bad@y.test\r\nAction: failed\r\n"
                                      "Status: 5.1.1\r\n"),
                            HasSubstr("Diagnostic-Code: smtp; 550 5.1.1 no such user"),
                            HasSubstr("text/rfc822-headers"), Not(HasSubstr("Marker")),
                            Not(HasSubstr("worse@y.test"))));
  EXPECT_THAT(relayed, HasSubstr("Final-Recipient: rfc822; good@y.test\r\nAction: relayed\r\n"));
}

constexpr char kAskedOfMail[] = "'RET=FULL', 'ENVID=job+2B7+20a'";
constexpr char kAskedOfRecipients[] =
    "('b@y.test', ['NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;old+2Bb@x.test']), "
    "('c@y.test', ['NOTIFY=NEVER', 'ORCPT=x-fax;+20']), ('d@y.test', [])";

TEST_F(Notification, WhatIsAskedForHereIsPassedOnToANextHopThatAnnouncesDsn) {
  const SmtpTestServer server({"--extension", "DSN"});
  Start({"--next-hop", server.Url()});
  SendWithSmtplib(kAskedOfMail, kAskedOfRecipients);
  Run("until [ -z \"$(" BOBBIN_BIN_DIR
      "/bobbin queue list --ids --database db)\" ]; do sleep .1; done");
  ASSERT_EQ(server.Messages().size(), 1U) << "it was told, so nothing is reported here";
  EXPECT_THAT(server.Messages()[0].sender, EndsWith(" RET=FULL ENVID=job+2B7+20a"));
  EXPECT_THAT(
      server.Log(),
      IsSupersetOf({"1 RCPT TO:<b@y.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old+2Bb@x.test",
                    "1 RCPT TO:<c@y.test> NOTIFY=NEVER ORCPT=x-fax;+20", "1 RCPT TO:<d@y.test>"}));
}

TEST_F(Notification, ANextHopThatDoesNotAnnounceDsnIsSentNothingAndTheSenderIsToldSo) {
  const SmtpTestServer server;
  Start({"--next-hop", server.Url()});
  SendWithSmtplib(kAskedOfMail, kAskedOfRecipients);
  Run("until [ -z \"$(" BOBBIN_BIN_DIR
      "/bobbin queue list --ids --database db)\" ]; do sleep .1; done");
  EXPECT_EQ(server.CountLog("NOTIFY=") + server.CountLog("ORCPT=") + server.CountLog("RET=") +
                server.CountLog("ENVID="),
            0U);
  std::string relayed;
  for (const TakenMessage& message : server.Messages()) {
    const bool never = message.recipients == std::vector<std::string>{"c@y.test"};
    const bool report = message.content.find("multipart/report") != std::string::npos;
    EXPECT_EQ(message.sender.find("<>") != std::string::npos, never || report);
    if (report) relayed += message.content;
  }
  EXPECT_EQ(server.Messages().size(), 3U);
  EXPECT_THAT(relayed, AllOf(HasSubstr("Original-Envelope-Id: job+7 a\r\n"),
                             HasSubstr("Original-Recipient: rfc822; old+b@x.test\r\n"
                                       "Final-Recipient: rfc822; b@y.test\r\nAction: relayed\r\n"),
                             Not(HasSubstr("; c@y.test")), Not(HasSubstr("; d@y.test"))));
}

TEST_F(Notification, TheLastHopOfTwoReportsWithWhatWasSaidAtTheFirst) {
  Start({"--maildir", (directory_.Path() / "maildir").string()}, "last");
  Start({"--next-hop", "smtp://127.0.0.1:" + port_}, "first");
  SendWithSmtplib(kAskedOfMail, kAskedOfRecipients);
  for (const char* recipient : {"b@y.test", "c@y.test", "d@y.test"}) Arrived(recipient, 1);
  Arrived("a@x.test", 1);
  Run("for db in first last; do until [ -z \"$(" BOBBIN_BIN_DIR
      "/bobbin queue list --ids --database $db)\" ]; do sleep .1; done; done");
  const std::vector<std::string> reports = Arrived("a@x.test", 1);
  ASSERT_EQ(reports.size(), 1U) << "one server reports, not both";
  EXPECT_THAT(reports[0], AllOf(HasSubstr("Reporting-MTA: dns; last.x.test\n"),
                                HasSubstr("Original-Envelope-Id: job+7 a\n"),
                                HasSubstr("Original-Recipient: rfc822; old+b@x.test\n"
                                          "Final-Recipient: rfc822; b@y.test\nAction: delivered\n"),
                                Not(HasSubstr("; c@y.test")), Not(HasSubstr("; d@y.test"))));
}

}  // namespace
}  // namespace bobbin::test

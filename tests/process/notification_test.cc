// What a sender asks of reports over SMTP comes back in the report that arrives (RFC 3461, 3464).
//
// Method: Python's smtplib and swaks submit to a real bobbind; it delivers to Maildirs, or to a
// real SMTP server that refuses some recipients; the reports are read where they arrive.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "engine/database.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Notification : public testing::Test {
 protected:
  void Start(const std::vector<std::string>& destination) {
    ASSERT_TRUE(Database::Create(directory_.Path() / "db"));
    const std::string program = BOBBIN_BIN_DIR "/bobbind";
    std::vector<std::string> command{
        program,       "--database",  (directory_.Path() / "db").string(),
        "--listen",    "127.0.0.1:0", "--hostname",
        "mail.x.test", "--log-level", "error"};
    command.insert(command.end(), destination.begin(), destination.end());
    daemon_.emplace(command);
    const std::string line = daemon_->ReadLine();
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
  std::optional<ChildProcess> daemon_;
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

}  // namespace
}  // namespace bobbin::test

// 250 is said after the durable commit, and 451 when a commit's outcome is not known.
//
// Method: the listener runs in this process on a real database whose engine is told to fail a
// commit, once with and once without having made it durable; a socket sees what a client sees.

#include "tools/bobbind/smtp_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/kv/commit_fault.h"
#include "spooler/internet_message.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"
#include "tests/tools/running_daemon.h"

namespace bobbin::daemon {
namespace {

using ::testing::StartsWith;

class SmtpListenerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    InitializeInternetMessage();
    SmtpListenerOptions options;
    options.addresses = {"127.0.0.1:0"};
    options.hostname = "mx.test";
    options.database = database_.Path();
    listener_ = Must(SmtpListener::Open(std::move(options), database_.Store(), log_,
                                        [this](const Error&) { ++failures_; }));
    listener_->Start();
    const std::string address = listener_->Addresses().front();
    port_ = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }

  void TearDown() override {
    listener_->Shutdown();
    while (!listener_->IsDrained()) std::this_thread::yield();
    listener_.reset();
  }

  TemporaryDatabase database_;
  EventLog log_{LogLevel::kError};
  std::atomic<int> failures_{0};
  std::unique_ptr<SmtpListener> listener_;
  std::uint16_t port_ = 0;
};

TEST_F(SmtpListenerTest, AnswersUnknownOutcomesWith451AndReportsThem) {
  SmtpSocket client(port_);
  ASSERT_TRUE(client.OpenData());
  kv::FailCommitForTesting(*database_.Engine(), 1, kv::CommitFault::kNothingCommitted);
  EXPECT_THAT(client.Command("x\r\n."), StartsWith("451 4.3.0"));
  EXPECT_EQ(failures_, 1);
  client.Close();
}

TEST_F(SmtpListenerTest, AnswersADurableCommitWhoseAnswerWasLostWith451) {
  SmtpSocket client(port_);
  ASSERT_TRUE(client.OpenData());
  kv::FailCommitForTesting(*database_.Engine(), 1, kv::CommitFault::kCommitted);
  EXPECT_THAT(client.Command("x\r\n."), StartsWith("451 4.3.0"));
  EXPECT_EQ(failures_, 1);
}

TEST_F(SmtpListenerTest, AnswersRefusedCommitsWith451AndGoesOn) {
  SmtpSocket client(port_);
  ASSERT_TRUE(client.OpenData());
  kv::FailWriteForTesting(*database_.Engine(), 1);
  EXPECT_THAT(client.Command("x\r\n."), StartsWith("451 4.3.0"));
  EXPECT_EQ(failures_, 0);
  client.Send("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nx\r\n.\r\n");
  EXPECT_EQ(client.Codes(4), "250 250 354 250");
}

TEST_F(SmtpListenerTest, AnswersAFailedFlushOfContentAfterItsEnd) {
  SmtpSocket client(port_);
  ASSERT_TRUE(client.OpenData());
  kv::FailWriteForTesting(*database_.Engine(), 1, ErrorCode::kNotEnoughDisk);
  std::string content;
  for (int i = 0; i < 100'000; ++i) content += "0123456789\r\n";
  ASSERT_TRUE(client.Send(content));
  EXPECT_THAT(client.Command("."), StartsWith("452 4.3.1"));
  EXPECT_THAT(client.Command("NOOP"), StartsWith("250"));
  EXPECT_EQ(failures_, 0);
}

TEST_F(SmtpListenerTest, StopsMailThatLoops) {
  SmtpSocket client(port_);
  ASSERT_TRUE(client.OpenData());
  std::string content;
  for (int i = 0; i < 101; ++i) content += "Received: by x; Sat, 21 Nov 2026 02:21:06 +0000\r\n";
  EXPECT_THAT(client.Command(content + "\r\n."), StartsWith("554 5.4.6"));
}

TEST_F(SmtpListenerTest, KeepsWhatTheEnvelopeAndTheHeaderSay) {
  SmtpSocket client(port_);
  client.Send(
      "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<Bob@x.test>\r\nRCPT TO:<bob@X.test>\r\n"
      "RCPT TO:<carol@x.test>\r\nRCPT TO:<secret@x.test>\r\nDATA\r\n");
  ASSERT_EQ(client.Codes(8), "220 250 250 250 250 250 250 354");
  EXPECT_THAT(client.Command("From: A <a@x.test>\r\nTo: \"B, Bob\" <bob@x.test>\r\n"
                             "Cc: carol@x.test\r\nSubject: hello\r\n\r\n."),
              StartsWith("250"));
  const auto rows = Must(database_.Database().GetOutgoingQueue().Rows(10));
  ASSERT_EQ(rows.size(), 1U);
  const Message message = Must(database_.Database().OpenMessageForOperator(rows[0].message));
  const RecipientTable recipients = Must(message.GetRecipientTable());
  ASSERT_EQ(recipients.size(), 3U) << "the same address once";
  EXPECT_EQ(recipients[0].EmailAddress(), "Bob@x.test");
  EXPECT_EQ(recipients[0].DisplayName(), "B, Bob");
  EXPECT_EQ(recipients[0].Type(), kRecipientTo);
  EXPECT_EQ(recipients[1].Type(), kRecipientCc);
  EXPECT_EQ(recipients[2].Type(), kRecipientBcc);
  const Property sender = Must(message.GetProp(pr::kSenderEmailAddress));
  EXPECT_EQ(sender.bytes, "") << "the null reverse-path is there, and empty";
  EXPECT_EQ(Must(message.GetProp(pr::kSubject)).bytes, "hello");
}

TEST_F(SmtpListenerTest, TakesHeadersThatAreTooLongForProperties) {
  SmtpSocket client(port_);
  ASSERT_TRUE(client.OpenData());
  EXPECT_THAT(client.Command("Subject: " + std::string(60'000, 's') + "\r\n\r\n."),
              StartsWith("250"));
}

}  // namespace
}  // namespace bobbin::daemon

// The command transport: exit statuses, programs that misbehave, and what they are given.
//
// Method: real programs, most of them one line of shell.

#include "spooler/transports/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "tests/spooler/memory_message.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin {
namespace {

using test::MemoryMessage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kMail[] = "Subject: test\r\n\r\nHello.\r\n";

std::unique_ptr<TransportProvider> NewCommand(
    std::vector<std::string> command, std::chrono::seconds time_limit = std::chrono::seconds(60)) {
  CommandOptions options;
  options.command = std::move(command);
  options.time_limit = time_limit;
  return NewCommandTransport(options).value()();
}

std::unique_ptr<TransportProvider> NewShell(const std::string& script) {
  return NewCommand({"/bin/sh", "-c", script});
}

RecipientOutcome Deliver(TransportProvider& transport, const std::string& mail = kMail) {
  MemoryMessage message("a@x.test", {"b@x.test"}, mail);
  EXPECT_EQ(transport.SubmitMessage(message).status, SubmitStatus::kDone);
  return message.outcomes["b@x.test"];
}

TEST(CommandTransport, TheExitStatusDecides) {
  struct Case {
    int status;
    OutcomeKind kind;
    const char* enhanced_code;
  };
  for (const Case& c :
       {Case{0, OutcomeKind::kDelivered, "2.0.0"}, Case{1, OutcomeKind::kFailed, "5.3.0"},
        Case{64, OutcomeKind::kFailed, "5.3.0"}, Case{65, OutcomeKind::kFailed, "5.6.0"},
        Case{67, OutcomeKind::kFailed, "5.1.1"}, Case{68, OutcomeKind::kFailed, "5.1.2"},
        Case{69, OutcomeKind::kFailed, "5.3.0"}, Case{71, OutcomeKind::kRetryLater, "4.3.0"},
        Case{73, OutcomeKind::kRetryLater, "4.3.0"}, Case{74, OutcomeKind::kRetryLater, "4.3.0"},
        Case{75, OutcomeKind::kRetryLater, "4.3.0"}, Case{77, OutcomeKind::kFailed, "5.7.0"},
        Case{78, OutcomeKind::kRetryLater, "4.3.5"},
        Case{127, OutcomeKind::kRetryLater, "4.3.5"}}) {
    const auto transport = NewShell("cat >/dev/null; exit " + std::to_string(c.status));
    const RecipientOutcome outcome = Deliver(*transport);
    EXPECT_EQ(outcome.kind, c.kind) << c.status;
    EXPECT_EQ(outcome.reply.enhanced_code, c.enhanced_code) << c.status;
    EXPECT_NE(outcome.reply.text, "") << c.status;
  }
}

TEST(CommandTransport, ASignalIsTriedLater) {
  const RecipientOutcome outcome = Deliver(*NewShell("cat >/dev/null; echo oops; kill -9 $$"));
  EXPECT_EQ(outcome.kind, OutcomeKind::kRetryLater);
  EXPECT_EQ(outcome.reply.text, "the program was ended by signal 9: oops");
}

TEST(CommandTransport, AProgramThatCannotBeStartedIsTriedLater) {
  for (const char* program : {"/no/such/program", "no-such-program", "/etc/passwd", "/"}) {
    const RecipientOutcome outcome = Deliver(*NewCommand({program}));
    EXPECT_EQ(outcome.kind, OutcomeKind::kRetryLater) << program;
    EXPECT_EQ(outcome.reply.enhanced_code, "4.3.5");
    EXPECT_THAT(outcome.reply.text, StartsWith(std::string("cannot start ") + program));
  }
}

TEST(CommandTransport, ItsFirstThousandBytesOfOutputAreTheReply) {
  const auto transport =
      NewShell("cat >/dev/null; echo mailbox; echo full >&2; yes x | head -c 1000000; exit 67");
  const RecipientOutcome outcome = Deliver(*transport);
  EXPECT_EQ(outcome.kind, OutcomeKind::kFailed);
  EXPECT_THAT(outcome.reply.text, StartsWith("mailbox\nfull\nx\nx"));
  EXPECT_LE(outcome.reply.text.size(), 1'000u);
  EXPECT_GE(outcome.reply.text.size(), 990u);
}

TEST(CommandTransport, AProgramThatStopsReadingEarlyAndExits0HasDelivered) {
  const std::string large(std::size_t{4} << 20, 'x');
  EXPECT_EQ(Deliver(*NewShell("exit 0"), large).kind, OutcomeKind::kDelivered);
  EXPECT_EQ(Deliver(*NewShell("exec <&-; sleep 0.1; exit 0"), large).kind, OutcomeKind::kDelivered);
  EXPECT_EQ(Deliver(*NewShell("head -c 10; exit 67"), large).kind, OutcomeKind::kFailed);
}

TEST(CommandTransport, AProgramThatWritesWhileItIsFedIsNotBlocked) {
  const std::string large(std::size_t{4} << 20, 'x');
  EXPECT_EQ(Deliver(*NewShell("cat; cat /dev/null"), large).kind, OutcomeKind::kDelivered);
}

TEST(CommandTransport, WhatItLeavesRunningHoldsNobodyUp) {
  const auto transport = NewShell("cat >/dev/null; sleep 600 & exit 0");
  EXPECT_EQ(Deliver(*transport).kind, OutcomeKind::kDelivered);
}

TEST(CommandTransport, TheTimeLimitEndsTheWholeGroup) {
  const TemporaryDirectory directory;
  const std::string pid_file = (directory.Path() / "pid").string();
  for (const std::string& script : {"cat >/dev/null; sleep 600 & echo $! >" + pid_file + "; wait",
                                    "sleep 600 & echo $! >" + pid_file + "; wait"}) {
    const auto transport = NewCommand({"/bin/sh", "-c", script}, std::chrono::seconds(1));
    const RecipientOutcome outcome = Deliver(*transport, std::string(std::size_t{4} << 20, 'x'));
    EXPECT_EQ(outcome.kind, OutcomeKind::kRetryLater);
    EXPECT_THAT(outcome.reply.text, HasSubstr("killed after 1 seconds"));
    const pid_t sleeper = std::stoi(ReadFile(pid_file));
    EXPECT_TRUE(test::Eventually([&] {
      // Gone, or a zombie that nobody has reaped yet.
      const std::string state = ReadFile("/proc/" + std::to_string(sleeper) + "/stat");
      return state.empty() || state.find(") Z ") != std::string::npos;
    }));
  }
}

TEST(CommandTransport, CancellingEndsTheProgram) {
  const TemporaryDirectory directory;
  const std::string started = (directory.Path() / "started").string();
  const auto cancel_once_started = [&](TransportProvider& transport) {
    EXPECT_TRUE(test::Eventually([&] { return !ReadFile(started).empty(); }));
    transport.TransportNotify(TransportNotification::kCancelMessage, {});
  };
  {
    const auto transport = NewShell("echo x >" + started + "; sleep 600");
    MemoryMessage message("a@x.test", {"b@x.test", "c@x.test"},
                          std::string(std::size_t{4} << 20, 'x'));
    std::thread canceller([&] { cancel_once_started(*transport); });
    EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kCancelled);
    canceller.join();
    EXPECT_THAT(message.outcomes, IsEmpty());
    EXPECT_THAT(message.marked, IsEmpty());
  }
  std::filesystem::remove(started);
  const auto transport = NewShell("cat >/dev/null; echo x >" + started + "; sleep 600");
  MemoryMessage message("a@x.test", {"b@x.test", "c@x.test"}, kMail);
  std::thread canceller([&] { cancel_once_started(*transport); });
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  canceller.join();
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kInDoubt);
  EXPECT_EQ(message.Kind("c@x.test"), OutcomeKind::kRetryLater);
  EXPECT_THAT(message.marked, ElementsAre("b@x.test"));
}

TEST(CommandTransport, ArgumentsAreFilledInWithoutAShell) {
  const TemporaryDirectory directory;
  std::ofstream(directory.Path() / "show") << "#!/bin/sh\ncat >/dev/null\n"
                                              "for a in \"$@\"; do echo \"[$a]\"; done; env; "
                                              "ls /proc/self/fd | wc -l\n";
  std::filesystem::permissions(directory.Path() / "show", std::filesystem::perms::owner_all);
  const auto transport = NewCommand({(directory.Path() / "show").string(), "{sender}",
                                     "-r{recipient}", "{queue_id}:{queue_id}", "$HOME", "{other}"});
  MemoryMessage message("{recipient}@x.test", {"$(id)`id`;b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  const std::string text = message.outcomes["$(id)`id`;b@x.test"].reply.text;
  EXPECT_THAT(text, StartsWith("[{recipient}@x.test]\n[-r$(id)`id`;b@x.test]\n[7:7]\n[$HOME]\n"
                               "[{other}]\n"));
  EXPECT_THAT(text, HasSubstr("LC_ALL=C.UTF-8"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("HOME=")));
  EXPECT_THAT(text, ::testing::EndsWith("\n4")) << "0 to 2, and the one ls opens";
}

TEST(CommandTransport, AnAddressIsNeverTakenForAnOption) {
  const auto transport = NewCommand({"/bin/cat", "{sender}", "{recipient}"});
  for (const auto& [sender, recipient] :
       {std::pair<std::string, std::string>{"a@x.test", "-v@x.test"}, {"-v@x.test", "b@x.test"}}) {
    MemoryMessage message(sender, {recipient}, kMail);
    EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
    EXPECT_EQ(message.Kind(recipient), OutcomeKind::kFailed);
    EXPECT_THAT(message.LastReply(recipient).text, HasSubstr("'-'"));
    EXPECT_THAT(message.marked, IsEmpty());
  }
}

TEST(CommandTransport, ACommandWithoutAProgramIsRefused) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{}, {""}, {"{recipient}"}}) {
    CommandOptions options;
    options.command = command;
    EXPECT_FALSE(NewCommandTransport(options));
  }
}

}  // namespace
}  // namespace bobbin

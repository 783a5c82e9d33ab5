// The smtp transport against a server that answers as each test tells it.
//
// Method: every reply a server can give, at every point it can give it, and every point at which
// it can vanish; then look at each recipient's outcome, at what was marked, and at what the
// server took.
#include "spooler/transports/smtp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/spooler/memory_message.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin {
namespace {

using test::MemoryMessage;
using test::SmtpTestServer;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kMail[] = "Subject: test\r\n\r\nHello.\r\n";

std::unique_ptr<TransportProvider> Connect(SmtpOptions options) {
  auto factory = NewSmtpTransport(options);
  EXPECT_TRUE(factory) << ToString(factory.error());
  return (*factory)();
}

std::unique_ptr<TransportProvider> ConnectTo(const SmtpTestServer& server) {
  SmtpOptions options;
  options.next_hop_url = server.Url();
  return Connect(options);
}

// More than the buffers of a connection hold.
std::string LargeMail() {
  std::string mail = "Subject: large\r\n\r\n";
  while (mail.size() < (std::size_t{32} << 20)) mail += std::string(76, 'x') + "\r\n";
  return mail;
}

struct Said {
  OutcomeKind kind;
  int code;
  const char* enhanced_code;
  const char* text;
};

void ExpectOutcome(const MemoryMessage& message, const std::string& address, const Said& said) {
  SCOPED_TRACE(address);
  ASSERT_TRUE(message.outcomes.contains(address));
  EXPECT_EQ(message.Kind(address), said.kind);
  EXPECT_EQ(message.LastReply(address).code, said.code);
  EXPECT_EQ(message.LastReply(address).enhanced_code, said.enhanced_code);
  EXPECT_THAT(message.LastReply(address).text, HasSubstr(said.text));
}

TEST(SmtpTransport, EveryRecipientGetsItsOwnReply) {
  const SmtpTestServer server(
      {"--reply", "rcpt:no@x.test=550-5.1.1 No such user|550-5.1.1 here,|550 5.1.1 sorry",
       "--reply", "rcpt:later@x.test=450 4.2.1 greylisted", "--reply",
       "rcpt:elsewhere@x.test=251 2.1.5 will forward", "--reply", "rcpt:bare@x.test=553", "--reply",
       "dot=SPLIT|250-2.0.0 Ok|250 2.0.0 queued as 42"});
  const auto transport = ConnectTo(server);
  MemoryMessage message(
      "a@x.test", {"yes@x.test", "no@x.test", "later@x.test", "elsewhere@x.test", "bare@x.test"},
      kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);

  ExpectOutcome(message, "yes@x.test", {OutcomeKind::kDelivered, 250, "2.0.0", "Ok\nqueued as 42"});
  ExpectOutcome(message, "elsewhere@x.test", {OutcomeKind::kDelivered, 250, "2.0.0", "queued"});
  ExpectOutcome(message, "no@x.test",
                {OutcomeKind::kFailed, 550, "5.1.1", "No such user\nhere,\nsorry"});
  ExpectOutcome(message, "later@x.test", {OutcomeKind::kRetryLater, 450, "4.2.1", "greylisted"});
  ExpectOutcome(message, "bare@x.test", {OutcomeKind::kFailed, 553, "", ""});
  EXPECT_THAT(message.marked, ElementsAre("yes@x.test", "elsewhere@x.test"));
  EXPECT_THAT(message.outcomes["no@x.test"].remote_host, StartsWith("127.0.0.1[127.0.0.1]:"));
  ASSERT_THAT(server.Messages(), SizeIs(1));
  EXPECT_THAT(server.Messages()[0].recipients, ElementsAre("yes@x.test", "elsewhere@x.test"));
}

struct RefusedCase {
  const char* name;
  const char* reply;
  Said said;
  std::size_t marks;
};

class SmtpRefused : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(SmtpRefused, ReplyAppliesToAllNotYetDecided) {
  const RefusedCase& refused = GetParam();
  const SmtpTestServer server({"--reply", refused.reply, "--reply", "rcpt:no@x.test=550 5.1.1 no"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test", "no@x.test", "c@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "b@x.test", refused.said);
  ExpectOutcome(message, "c@x.test", refused.said);
  EXPECT_THAT(message.outcomes, SizeIs(3));
  EXPECT_THAT(message.marked, SizeIs(refused.marks));
  EXPECT_THAT(server.Messages(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    At, SmtpRefused,
    ::testing::Values(RefusedCase{"MailFor good",
                                  "mail=550 5.7.1 not you",
                                  {OutcomeKind::kFailed, 550, "5.7.1", "not you"},
                                  0},
                      RefusedCase{"MailForNow",
                                  "mail=451 4.3.0 later",
                                  {OutcomeKind::kRetryLater, 451, "4.3.0", "later"},
                                  0},
                      RefusedCase{"MailShuttingDown",
                                  "mail=421 4.3.2 closing|CLOSE",
                                  {OutcomeKind::kRetryLater, 421, "4.3.2", "closing"},
                                  0},
                      RefusedCase{"DataForGood",
                                  "data=554 5.5.1 no",
                                  {OutcomeKind::kFailed, 554, "5.5.1", "no"},
                                  0},
                      RefusedCase{"DataForNow",
                                  "data=451 4.3.0 later",
                                  {OutcomeKind::kRetryLater, 451, "4.3.0", "later"},
                                  0},
                      RefusedCase{"DataWithoutReply",
                                  "data=CLOSE",
                                  {OutcomeKind::kRetryLater, 0, "4.4.2", "before the content"},
                                  0},
                      RefusedCase{"DataWithoutMeaning",
                                  "data=250 ok",
                                  {OutcomeKind::kRetryLater, 0, "4.5.0", "other than 354"},
                                  0},
                      RefusedCase{"ContentForGood",
                                  "dot=552 5.3.4 too big",
                                  {OutcomeKind::kFailed, 552, "5.3.4", "too big"},
                                  2},
                      RefusedCase{"ContentForNow",
                                  "dot=452 4.3.1 disk full",
                                  {OutcomeKind::kRetryLater, 452, "4.3.1", "disk full"},
                                  2},
                      RefusedCase{"ContentShuttingDown",
                                  "dot=421 4.3.2 closing|CLOSE",
                                  {OutcomeKind::kRetryLater, 421, "4.3.2", "closing"},
                                  2}),
    [](const auto& test_info) {
      std::string name = test_info.param.name;
      name.erase(std::remove(name.begin(), name.end(), ' '), name.end());
      return name;
    });

TEST(SmtpTransport, RecipientsAfterALostConnectionAreTriedLater) {
  const SmtpTestServer server({"--reply", "rcpt:b@x.test=421 4.3.2 closing|CLOSE"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"first@x.test", "b@x.test", "last@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "first@x.test",
                {OutcomeKind::kRetryLater, 0, "4.4.2", "before the content"});
  ExpectOutcome(message, "b@x.test", {OutcomeKind::kRetryLater, 421, "4.3.2", "closing"});
  ExpectOutcome(message, "last@x.test",
                {OutcomeKind::kRetryLater, 0, "4.4.2", "before this recipient"});
  EXPECT_THAT(message.marked, IsEmpty());
}

TEST(SmtpTransport, NoAcceptedRecipientMeansNoData) {
  const SmtpTestServer server({"--reply", "rcpt=550 5.1.1 nobody"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test", "c@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "b@x.test", {OutcomeKind::kFailed, 550, "5.1.1", "nobody"});
  ExpectOutcome(message, "c@x.test", {OutcomeKind::kFailed, 550, "5.1.1", "nobody"});
  EXPECT_EQ(server.CountLog("DATA"), 0u);
  EXPECT_EQ(server.CountLog("RCPT"), 2u);
}

TEST(SmtpTransport, LostAfterTheDotIsInDoubt) {
  const SmtpTestServer server({"--reply", "dot=CLOSE", "--reply", "rcpt:no@x.test=550 5.1.1 no"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test", "no@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "b@x.test", {OutcomeKind::kInDoubt, 0, "4.4.2", "no answer"});
  ExpectOutcome(message, "no@x.test", {OutcomeKind::kFailed, 550, "5.1.1", "no"});
  EXPECT_THAT(message.marked, ElementsAre("b@x.test"));
  EXPECT_THAT(server.Messages(), SizeIs(1)) << "the content must not be sent a second time";
}

TEST(SmtpTransport, SilenceAfterTheDotIsInDoubt) {
  const SmtpTestServer server({"--reply", "dot=HANG"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.reply_timeout = std::chrono::seconds(1);
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "b@x.test", {OutcomeKind::kInDoubt, 0, "4.4.2", "no answer"});
}

// A late reply must not become that of the next message's first command.
TEST(SmtpTransport, AConnectionThatOwesAReplyIsNotUsedAgain) {
  const SmtpTestServer server({"--once", "dot=WAIT|250 2.0.0 late"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.reply_timeout = std::chrono::seconds(1);
  const auto transport = Connect(options);
  MemoryMessage first("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(first).status, SubmitStatus::kDone);
  EXPECT_EQ(first.Kind("b@x.test"), OutcomeKind::kInDoubt);
  MemoryMessage second("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(second).status, SubmitStatus::kDone);
  ExpectOutcome(second, "b@x.test", {OutcomeKind::kDelivered, 250, "2.0.0", "taken"});
  EXPECT_EQ(server.CountLog("connected"), 2u);
}

TEST(SmtpTransport, AReplyNobodyAskedForIsNotTakenForTheNextOne) {
  // In one piece, so that it is there with the reply before it.
  const SmtpTestServer server({"--once", "dot=250 2.0.0 taken\r\n250 2.0.0 once more", "--reply",
                               "rcpt:no@x.test=550 5.1.1 no"});
  const auto transport = ConnectTo(server);
  MemoryMessage first("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(first).status, SubmitStatus::kDone);
  MemoryMessage second("a@x.test", {"no@x.test", "b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(second).status, SubmitStatus::kDone);
  EXPECT_EQ(second.Kind("no@x.test"), OutcomeKind::kFailed);
  EXPECT_THAT(second.marked, ElementsAre("b@x.test"));
  EXPECT_EQ(server.CountLog("connected"), 2u);
}

TEST(SmtpTransport, AReplyWithoutAnEndIsGivenUp) {
  std::string reply = "mail=";
  while (reply.size() < 100'000) reply += "250-" + std::string(70, 'x') + "|";
  const SmtpTestServer server({"--reply", reply + "HANG"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.reply_timeout = std::chrono::seconds(5);
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  const SubmitResult result = transport->SubmitMessage(message);
  EXPECT_EQ(result.status, SubmitStatus::kUnavailable);
  EXPECT_THAT(result.reply.text, HasSubstr("a reply without an end"));
}

TEST(SmtpTransport, AServerThatDoesNotAnswerQuitHoldsNobodyUp) {
  const SmtpTestServer server({"--reply", "quit=HANG", "--reply", "rcpt:no@x.test=550 5.1.1 no"});
  const auto transport = ConnectTo(server);
  MemoryMessage refused("a@x.test", {"no@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(refused).status, SubmitStatus::kDone);
  ExpectOutcome(refused, "no@x.test", {OutcomeKind::kFailed, 550, "5.1.1", "no"});
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
}

TEST(SmtpTransport, LostBeforeTheDotIsTriedLater) {
  const SmtpTestServer server({"--reply", "content=CLOSE"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test"}, LargeMail());
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "b@x.test",
                {OutcomeKind::kRetryLater, 0, "4.4.2", "while the content was sent"});
  EXPECT_THAT(server.Messages(), IsEmpty());
}

TEST(SmtpTransport, AStalledServerIsGivenUp) {
  const SmtpTestServer server({"--reply", "content=STALL"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.reply_timeout = std::chrono::seconds(1);
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, LargeMail());
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kRetryLater);
}

TEST(SmtpTransport, UnreadableContentIsNeverEnded) {
  const SmtpTestServer server;
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test"}, "Subject: x\r\n\r\n" + std::string(500, 'y'));
  message.content.piece_bytes = 100;
  message.content.fail_at = 300;
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "b@x.test", {OutcomeKind::kRetryLater, 0, "4.3.0", "MAPI_E_CORRUPT_DATA"});
  EXPECT_TRUE(test::Eventually([&] { return server.CountLog("lost in content") == 1; }));
  EXPECT_EQ(server.CountLog("QUIT"), 0u) << "it would be content";
  EXPECT_THAT(message.marked, IsEmpty());
  MemoryMessage next("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(next).status, SubmitStatus::kDone);
  ASSERT_THAT(server.Messages(), SizeIs(1));
  EXPECT_EQ(server.Messages()[0].content, kMail);
}

TEST(SmtpTransport, OneConnectionCarriesSeveralMessages) {
  const SmtpTestServer server({"--reply", "rcpt:no@x.test=550 5.1.1 no"});
  {
    const auto transport = ConnectTo(server);
    for (int i = 0; i < 5; ++i) {
      MemoryMessage message("a@x.test", {"b@x.test", "no@x.test"}, kMail);
      EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
      EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
      EXPECT_EQ(message.Kind("no@x.test"), OutcomeKind::kFailed);
    }
  }
  EXPECT_EQ(server.CountLog("connected"), 1u);
  EXPECT_EQ(server.CountLog("EHLO"), 1u);
  EXPECT_THAT(server.Messages(), SizeIs(5));
  EXPECT_TRUE(test::Eventually([&] { return server.CountLog("QUIT") == 1; }));
}

TEST(SmtpTransport, AConnectionTheServerClosedMeanwhileIsReplaced) {
  for (const char* closing :
       {"dot=250 2.0.0 taken|CLOSE", "dot=250 2.0.0 taken|421 4.4.2 idle|CLOSE"}) {
    SCOPED_TRACE(closing);
    const SmtpTestServer server({"--once", closing});
    const auto transport = ConnectTo(server);
    for (int i = 0; i < 2; ++i) {
      MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
      EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
      ExpectOutcome(message, "b@x.test", {OutcomeKind::kDelivered, 250, "2.0.0", "taken"});
      EXPECT_THAT(message.marked, SizeIs(1));
    }
    EXPECT_THAT(server.Messages(), SizeIs(2));
  }
}

// The race nobody can see: the server closes while MAIL is on its way.
TEST(SmtpTransport, AReusedConnectionThatDiesAtMailIsReplaced) {
  for (const char* dying : {"mail:2=CLOSE", "mail:2=421 4.4.2 idle for too long|CLOSE"}) {
    SCOPED_TRACE(dying);
    const SmtpTestServer server({"--reply", dying});
    const auto transport = ConnectTo(server);
    for (int i = 0; i < 2; ++i) {
      MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
      EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
      EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
      EXPECT_THAT(message.marked, SizeIs(1));
    }
    EXPECT_THAT(server.Messages(), SizeIs(2));
    EXPECT_EQ(server.CountLog("connected"), 2u);
  }
}

struct UnavailableCase {
  const char* name;
  std::vector<std::string> arguments;
  int code;
  const char* text;
};

class SmtpUnavailable : public ::testing::TestWithParam<UnavailableCase> {};

TEST_P(SmtpUnavailable, SaysNothingAboutTheMessage) {
  const SmtpTestServer server(GetParam().arguments);
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  const SubmitResult result = transport->SubmitMessage(message);
  EXPECT_EQ(result.status, SubmitStatus::kUnavailable);
  EXPECT_EQ(result.reply.code, GetParam().code);
  EXPECT_THAT(result.reply.text, HasSubstr(GetParam().text));
  EXPECT_THAT(message.outcomes, IsEmpty());
  EXPECT_THAT(message.marked, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    When, SmtpUnavailable,
    ::testing::Values(
        UnavailableCase{
            "GreetedWith554", {"--reply", "connect=554 5.3.2 no mail here"}, 554, "no mail here"},
        UnavailableCase{"GreetedWith421",
                        {"--reply", "connect=421-4.3.2 busy|421 4.3.2 so busy"},
                        421,
                        "busy\nso busy"},
        UnavailableCase{"ClosedAtOnce", {"--reply", "connect=CLOSE"}, 0, "no session with 127"},
        UnavailableCase{"EhloAndHeloRefused",
                        {"--reply", "ehlo=550 5.7.1 no", "--reply", "helo=550 5.7.1 go away"},
                        550,
                        "go away"},
        UnavailableCase{"ClosedAtEhlo", {"--reply", "ehlo=CLOSE"}, 0, "no session with 127"},
        UnavailableCase{"ClosedAtMail", {"--reply", "mail=CLOSE"}, 0, "no session with 127"},
        UnavailableCase{"AuthenticationWanted",
                        {"--reply", "mail=530 5.7.0 authenticate first"},
                        530,
                        "authenticate"}),
    [](const auto& test_info) { return test_info.param.name; });

TEST(SmtpTransport, RefusedConnectionAndUnknownHostAreUnavailable) {
  for (const char* url : {"smtp://127.0.0.1:1", "smtp://no-such-host.invalid:25"}) {
    SmtpOptions options;
    options.next_hop_url = url;
    const auto transport = Connect(options);
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    const SubmitResult result = transport->SubmitMessage(message);
    EXPECT_EQ(result.status, SubmitStatus::kUnavailable);
    EXPECT_THAT(result.reply.text, HasSubstr("no session with"));
    EXPECT_EQ(result.reply.enhanced_code, "4.4.1");
    EXPECT_THAT(message.outcomes, IsEmpty());
  }
}

TEST(SmtpTransport, ASilentServerIsUnavailableAfterTheTimeLimit) {
  const SmtpTestServer server({"--reply", "connect=HANG"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.connect_timeout = std::chrono::seconds(1);
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kUnavailable);
}

TEST(SmtpTransport, HeloIsEnoughForAnOldServer) {
  const SmtpTestServer server({"--reply", "ehlo=502 5.5.1 unknown"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
}

TEST(SmtpTransport, NullReversePathAndBareLocalPartGoAsTheyAre) {
  const SmtpTestServer server;
  const auto transport = ConnectTo(server);
  MemoryMessage message("", {"postmaster", "\"a b@c\"@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ASSERT_THAT(server.Messages(), SizeIs(1));
  EXPECT_EQ(server.Messages()[0].sender, "FROM:<> BODY=8BITMIME");
  EXPECT_THAT(server.Messages()[0].recipients, ElementsAre("postmaster", "\"a b@c\"@x.test"));
}

TEST(SmtpTransport, AddressesThatWouldInjectCommandsNeverReachTheServer) {
  const SmtpTestServer server;
  const auto transport = ConnectTo(server);
  const std::string injected = "b@x.test>\r\nRCPT TO:<victim@x.test";
  const std::string with_nul("n\0@x.test", 9);
  MemoryMessage message("a@x.test",
                        {injected, "lf\n@x.test", with_nul, std::string(65, 'l') + "@x.test",
                         "b@" + std::string(253, 'd'), "two words@x.test", "good@x.test"},
                        kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_THAT(message.outcomes, SizeIs(7));
  for (const auto& [address, outcome] : message.outcomes) {
    if (address == "good@x.test") continue;
    EXPECT_EQ(outcome.kind, OutcomeKind::kFailed) << address;
    EXPECT_EQ(outcome.reply.enhanced_code, "5.1.3") << address;
  }
  ASSERT_THAT(server.Messages(), SizeIs(1));
  EXPECT_THAT(server.Messages()[0].recipients, ElementsAre("good@x.test"));

  MemoryMessage bad_sender("a@x.test>\r\nRCPT TO:<victim@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(bad_sender).status, SubmitStatus::kDone);
  EXPECT_EQ(bad_sender.Kind("b@x.test"), OutcomeKind::kFailed);
  EXPECT_EQ(server.CountLog("victim"), 0u);
}

TEST(SmtpTransport, InternationalizedAddressesNeedTheServersConsent) {
  const std::string utf8 = "j\u00f6rg@x.test";
  {
    const SmtpTestServer server;
    const auto transport = ConnectTo(server);
    MemoryMessage message("a@x.test", {"b@x.test", utf8, "c@x.test"}, kMail);
    EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
    ExpectOutcome(message, utf8, {OutcomeKind::kFailed, 0, "5.6.7", "SMTPUTF8"});
    EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
    EXPECT_EQ(message.Kind("c@x.test"), OutcomeKind::kDelivered);
    MemoryMessage from("j\u00f6rg@x.test", {"b@x.test"}, kMail);
    EXPECT_EQ(transport->SubmitMessage(from).status, SubmitStatus::kDone);
    ExpectOutcome(from, "b@x.test", {OutcomeKind::kFailed, 0, "5.6.7", "SMTPUTF8"});
    EXPECT_THAT(server.Messages(), SizeIs(1));
  }
  const SmtpTestServer server({"--extension", "SMTPUTF8"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test", utf8}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ASSERT_THAT(server.Messages(), SizeIs(1));
  EXPECT_THAT(server.Messages()[0].recipients, ElementsAre("b@x.test", utf8));
  EXPECT_THAT(server.Messages()[0].sender, HasSubstr(" SMTPUTF8"));
}

TEST(SmtpTransport, ManyRecipientsGoInSeveralTransactions) {
  const SmtpTestServer server({"--reply", "rcpt:17@x.test=550 5.1.1 no"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.recipient_count_max = 10;
  const auto transport = Connect(options);
  std::vector<std::string> addresses;
  for (int i = 0; i < 25; ++i) addresses.push_back(std::to_string(i) + "@x.test");
  MemoryMessage message("a@x.test", addresses, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_THAT(message.outcomes, SizeIs(25));
  EXPECT_EQ(message.Kind("17@x.test"), OutcomeKind::kFailed);
  ASSERT_THAT(server.Messages(), SizeIs(3));
  std::size_t served = 0;
  for (const auto& taken : server.Messages()) {
    served += taken.recipients.size();
    EXPECT_EQ(taken.content, kMail);
  }
  EXPECT_EQ(served, 24u);
  EXPECT_EQ(server.CountLog("connected"), 1u);
}

TEST(SmtpTransport, AServerLostBetweenTransactionsKeepsWhatWasDelivered) {
  const SmtpTestServer server({"--once", "dot=250 2.0.0 taken|CLOSE", "--reply",
                               "mail=250 2.1.0 ok", "--once", "connect=220 first", "--reply",
                               "connect=421 4.3.2 no more"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.recipient_count_max = 1;
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test", "c@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
  ExpectOutcome(message, "c@x.test", {OutcomeKind::kRetryLater, 421, "4.3.2", "no more"});
}

// Dots are doubled across pieces of the content and partly sent buffers.
TEST(SmtpTransport, DotsArriveWhateverThePieces) {
  const SmtpTestServer server;
  const auto transport = ConnectTo(server);
  std::string mail = "Subject: dots\r\n\r\n";
  for (int i = 0; i < 60'000; ++i) {
    static constexpr const char* kLines[] = {".", "..", "", ".x", "x.", "...\t", "\r.", "x"};
    mail.append(kLines[(i * 7 + i / 13) % 8]).append(i % 5 == 0 ? "\n" : "\r\n");
  }
  std::string sent;
  TransmissionFilter filter;
  filter.Filter(mail, sent);
  filter.Finish(sent);
  std::size_t count = 0;
  for (const std::size_t piece : {1u, 2u, 3u, 1'000u, 16'383u, 16'384u, 65'536u}) {
    MemoryMessage message("a@x.test", {"b@x.test"}, mail);
    message.content.piece_bytes = piece;
    EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
    ASSERT_THAT(server.Messages(), SizeIs(++count));
    EXPECT_TRUE(server.Messages().back().content == sent) << "pieces of " << piece;
  }
}

TEST(SmtpTransport, CancellingWhileTheServerIsSilentReturnsSoon) {
  for (const char* silent : {"connect=HANG", "mail=HANG", "rcpt=HANG", "data=HANG"}) {
    SCOPED_TRACE(silent);
    const SmtpTestServer server({"--reply", silent});
    const auto transport = ConnectTo(server);
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    std::thread canceller([&] {
      EXPECT_TRUE(test::Eventually([&] { return server.CountLog("connected") > 0; }));
      transport->TransportNotify(TransportNotification::kCancelMessage, {});
    });
    EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kCancelled);
    canceller.join();
    EXPECT_THAT(message.outcomes, IsEmpty());
    EXPECT_THAT(message.marked, IsEmpty());
  }
}

TEST(SmtpTransport, CancelledAfterTheDotIsInDoubt) {
  const SmtpTestServer server({"--reply", "dot=HANG"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  message.on_mark = [&] { transport->TransportNotify(TransportNotification::kCancelMessage, {}); };
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kInDoubt);
}

TEST(SmtpTransport, ALastReplyOnItsWayIsAwaitedInSpiteOfACancellation) {
  const SmtpTestServer server({"--reply", "dot=WAIT|250 2.0.0 taken"});
  const auto transport = ConnectTo(server);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  message.on_mark = [&] { transport->TransportNotify(TransportNotification::kCancelMessage, {}); };
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  ExpectOutcome(message, "b@x.test", {OutcomeKind::kDelivered, 250, "2.0.0", "taken"});
}

// TLS and authentication.

class SmtpTls : public ::testing::Test {
 protected:
  SmtpTls() : certificate_(directory_.Path()) {}

  std::vector<std::string> TlsArguments(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--certificate", certificate_.certificate, "--key", certificate_.key});
    return more;
  }

  TemporaryDirectory directory_;
  const test::Certificate certificate_;
};

TEST_F(SmtpTls, SelfSignedCertificateIsRefusedByDefault) {
  for (const bool implicit : {false, true}) {
    const SmtpTestServer server(TlsArguments(implicit ? std::vector<std::string>{"--implicit-tls"}
                                                      : std::vector<std::string>{}));
    SmtpOptions options;
    options.next_hop_url = server.Url(implicit ? "smtps" : "smtp");
    const auto transport = Connect(options);
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    const SubmitResult result = transport->SubmitMessage(message);
    EXPECT_EQ(result.status, SubmitStatus::kUnavailable);
    EXPECT_THAT(result.reply.text, HasSubstr("certificate"));
    EXPECT_THAT(server.Messages(), IsEmpty());
    EXPECT_EQ(server.CountLog("MAIL"), 0u);
  }
}

TEST_F(SmtpTls, SelfSignedCertificateIsAcceptedWithItsAuthorityOrWithoutChecks) {
  for (const bool implicit : {false, true}) {
    for (const bool verify : {false, true}) {
      const SmtpTestServer server(TlsArguments(implicit ? std::vector<std::string>{"--implicit-tls"}
                                                        : std::vector<std::string>{}));
      SmtpOptions options;
      options.next_hop_url = server.Url(implicit ? "smtps" : "smtp");
      options.tls = bobbin::SmtpTls::kRequired;
      options.verify_certificate = verify;
      if (verify) options.ca_file = certificate_.certificate;
      const auto transport = Connect(options);
      for (int i = 0; i < 2; ++i) {
        MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
        EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
        EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
      }
      EXPECT_EQ(server.CountLog("connected"), 1u);
      EXPECT_EQ(server.CountLog("STARTTLS"), implicit ? 0u : 1u);
    }
  }
}

TEST_F(SmtpTls, ACertificateForAnotherNameIsRefused) {
  const SmtpTestServer server(TlsArguments());
  SmtpOptions options;
  options.next_hop_url = server.Url();
  const std::size_t host = options.next_hop_url.find("127.0.0.1");
  options.next_hop_url.replace(host, 9, "localhost");
  options.ca_file = certificate_.certificate;
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kUnavailable);
}

TEST_F(SmtpTls, RequiredTlsIsNotDoneWithout) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, TlsArguments({"--reply", "starttls=454 4.7.0 not now"})}) {
    const SmtpTestServer server(arguments);
    SmtpOptions options;
    options.next_hop_url = server.Url();
    options.tls = bobbin::SmtpTls::kRequired;
    const auto transport = Connect(options);
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kUnavailable);
    EXPECT_EQ(server.CountLog("MAIL"), 0u);
  }
}

TEST_F(SmtpTls, OffMeansThatTheOfferIsNotTaken) {
  const SmtpTestServer server(TlsArguments());
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.tls = bobbin::SmtpTls::kOff;
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_EQ(server.CountLog("STARTTLS"), 0u);
}

TEST_F(SmtpTls, PlainAndLoginAuthenticate) {
  for (const std::string mechanism : {"PLAIN", "LOGIN"}) {
    SCOPED_TRACE(mechanism);
    const SmtpTestServer server(TlsArguments(
        {"--extension", "AUTH CRAM-MD5 " + mechanism, "--user", "amy", "--password", "s3cret"}));
    SmtpOptions options;
    options.next_hop_url = server.Url();
    options.ca_file = certificate_.certificate;
    options.username = "amy";
    options.password = "s3cret";
    const auto transport = Connect(options);
    for (int i = 0; i < 2; ++i) {
      MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
      EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
      EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
    }
    EXPECT_EQ(server.CountLog("AUTH " + mechanism), 1u);

    options.password = "wrong-s3cret";
    const auto stranger = Connect(options);
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    const SubmitResult result = stranger->SubmitMessage(message);
    EXPECT_EQ(result.status, SubmitStatus::kUnavailable);
    EXPECT_EQ(result.reply.code, 535);
    EXPECT_THAT(result.reply.text, AllOf(HasSubstr("wrong user name"), Not(HasSubstr("s3cret"))));
  }
}

TEST_F(SmtpTls, APasswordIsNotSentWithoutTlsUnlessToldSo) {
  const SmtpTestServer server(
      {"--extension", "AUTH PLAIN", "--user", "amy", "--password", "s3cret"});
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.username = "amy";
  options.password = "s3cret";
  {
    const auto transport = Connect(options);
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kUnavailable);
    EXPECT_EQ(server.CountLog("AUTH"), 0u);
  }
  options.tls = bobbin::SmtpTls::kOff;
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(transport->SubmitMessage(message).status, SubmitStatus::kDone);
  EXPECT_EQ(server.CountLog("AUTH PLAIN"), 1u);
}

TEST(SmtpTransport, AUserNameIsNeverSilentlyUnused) {
  const SmtpTestServer server;
  SmtpOptions options;
  options.next_hop_url = server.Url();
  options.tls = bobbin::SmtpTls::kOff;
  options.username = "amy";
  options.password = "s3cret";
  const auto transport = Connect(options);
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  const SubmitResult result = transport->SubmitMessage(message);
  EXPECT_EQ(result.status, SubmitStatus::kUnavailable);
  EXPECT_THAT(result.reply.text, HasSubstr("does not offer authentication"));
  EXPECT_THAT(server.Messages(), IsEmpty());
}

TEST(SmtpTransport, OptionsThatCannotWorkAreRefusedByName) {
  const auto refused = [](const std::string& url, const std::string& ca_file = {},
                          const std::string& ehlo_name = {}) {
    SmtpOptions options;
    options.next_hop_url = url;
    options.ca_file = ca_file;
    options.ehlo_name = ehlo_name;
    const auto factory = NewSmtpTransport(options);
    return factory ? std::string("accepted") : factory.error().detail;
  };
  EXPECT_THAT(refused("http://x.test"), HasSubstr("next hop"));
  EXPECT_THAT(refused("x y"), HasSubstr("next hop"));
  EXPECT_THAT(refused(""), HasSubstr("next hop"));
  EXPECT_THAT(refused("smtp://x.test/path"), HasSubstr("path"));
  EXPECT_THAT(refused("smtp://u:p@x.test"), HasSubstr("user name"));
  EXPECT_THAT(refused("smtp://x.test", "/none.pem"), HasSubstr("/none.pem"));
  EXPECT_THAT(refused("smtp://x.test", {}, "a\r\nb"), HasSubstr("EHLO"));
  EXPECT_THAT(refused("smtp://[::1]:2525"), "accepted");
}

}  // namespace
}  // namespace bobbin

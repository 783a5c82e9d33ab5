// What every transport keeps, whatever it delivers to (spooler/transport_provider.h).
//
// Method: each transport delivers to the real thing - a server, a directory, a program - behind a
// rig that can tell what has become visible there. The content is compared with LF line ends,
// because Maildirs and programs get it so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "spooler/transports/command.h"
#include "spooler/transports/discard.h"
#include "spooler/transports/drop_directory.h"
#include "spooler/transports/smtp.h"
#include "tests/spooler/memory_message.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;

using test::MemoryMessage;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

using Delivered = std::multimap<std::string, std::string>;  // Recipient, content.

std::string WithLineFeeds(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  return text;
}

class Rig {
 public:
  virtual ~Rig() = default;
  virtual std::unique_ptr<TransportProvider> NewTransport() = 0;
  virtual Delivered Visible() const = 0;  // Now.
  virtual bool Shows() const { return true; }
};

Delivered ByRecipient(const std::vector<test::TakenMessage>& messages) {
  Delivered delivered;
  for (const test::TakenMessage& message : messages) {
    for (const std::string& recipient : message.recipients) {
      delivered.emplace(recipient, WithLineFeeds(message.content));
    }
  }
  return delivered;
}

std::unique_ptr<TransportProvider> NewSmtp(const std::string& url) {
  SmtpOptions options;
  options.next_hop_url = url;
  return NewSmtpTransport(options).value()();
}

class SmtpRig final : public Rig {
 public:
  std::unique_ptr<TransportProvider> NewTransport() override { return NewSmtp(server_.Url()); }
  Delivered Visible() const override { return ByRecipient(server_.Messages()); }

 private:
  test::SmtpTestServer server_;
};

class SmtpSinkRig final : public Rig {
 public:
  std::unique_ptr<TransportProvider> NewTransport() override { return NewSmtp(sink_.Url()); }
  Delivered Visible() const override {
    // A dump is there from MAIL on; what is in it counts once a line of content is.
    Delivered complete;
    for (const auto& [recipient, content] : ByRecipient(sink_.Messages())) {
      if (!content.empty()) complete.emplace(recipient, content);
    }
    return complete;
  }

 private:
  test::SmtpSink sink_;
};

class DropDirectoryRig final : public Rig {
 public:
  std::unique_ptr<TransportProvider> NewTransport() override {
    return NewDropDirectoryTransport({(directory_.Path() / "root").string()})();
  }
  Delivered Visible() const override {
    Delivered delivered;
    if (!fs::exists(directory_.Path() / "root")) return delivered;
    for (const auto& mailbox : fs::directory_iterator(directory_.Path() / "root")) {
      for (const auto& file : fs::directory_iterator(mailbox.path() / "new")) {
        std::string content = ReadFile(file.path());
        for (int line = 0; line < 2; ++line) content.erase(0, content.find('\n') + 1);
        delivered.emplace(mailbox.path().filename().string(), content);
      }
    }
    return delivered;
  }

 private:
  TemporaryDirectory directory_;
};

// A program that stores what it reads once it has read all of it.
class CommandRig final : public Rig {
 public:
  CommandRig() {
    std::ofstream(directory_.Path() / "deliver") << "#!/bin/sh\n"
                                                    "cd \"$1\" && cat > \"$2.part\" && "
                                                    "mv \"$2.part\" \"$2.$3.taken\"\n";
    fs::permissions(directory_.Path() / "deliver", fs::perms::owner_all);
  }
  std::unique_ptr<TransportProvider> NewTransport() override {
    CommandOptions options;
    options.command = {(directory_.Path() / "deliver").string(), directory_.Path().string(),
                       "{recipient}", "{queue_id}"};
    return NewCommandTransport(options).value()();
  }
  Delivered Visible() const override {
    Delivered delivered;
    for (const auto& file : fs::directory_iterator(directory_.Path())) {
      if (file.path().extension() != ".taken") continue;
      delivered.emplace(file.path().stem().stem().string(), ReadFile(file.path()));
    }
    return delivered;
  }

 private:
  TemporaryDirectory directory_;
};

class DiscardRig final : public Rig {
 public:
  std::unique_ptr<TransportProvider> NewTransport() override {
    return std::make_unique<DiscardTransport>();
  }
  Delivered Visible() const override { return {}; }
  bool Shows() const override { return false; }
};

class TransportContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string& name = GetParam();
    if (name == "SmtpSink") {
      ASSERT_TRUE(test::SmtpSink::Available())
          << "there is no smtp-sink in " << BOBBIN_POSTFIX_DIR << ": ./dev test unpacks it";
    }
    if (name == "Smtp") rig_ = std::make_unique<SmtpRig>();
    if (name == "SmtpSink") rig_ = std::make_unique<SmtpSinkRig>();
    if (name == "DropDirectory") rig_ = std::make_unique<DropDirectoryRig>();
    if (name == "Command") rig_ = std::make_unique<CommandRig>();
    if (name == "Discard") rig_ = std::make_unique<DiscardRig>();
    transport_ = rig_->NewTransport();
    transport_->TransportNotify(TransportNotification::kBeginOutbound, {});
  }
  void TearDown() override {
    if (transport_) transport_->TransportNotify(TransportNotification::kEndOutbound, {});
  }

  // Offers `message`; its recipients' outcomes are what was said of each, or none.
  SubmitStatus Offer(MemoryMessage& message) {
    const SubmitStatus status = transport_->SubmitMessage(message).status;
    if (status == SubmitStatus::kDone) {
      EXPECT_THAT(message.outcomes, SizeIs(message.Recipients().size()));
      EXPECT_EQ(transport_->EndMessage(0), EndResult::kSent);
    } else {
      EXPECT_THAT(message.outcomes, IsEmpty());
    }
    return status;
  }

  void ExpectDelivered(const std::string& stored, const std::string& arrives) {
    MemoryMessage message("a@x.test", {"b@x.test"}, stored);
    EXPECT_EQ(Offer(message), SubmitStatus::kDone);
    EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
    if (!rig_->Shows()) return;
    EXPECT_TRUE(test::Eventually([&] { return rig_->Visible().size() == 1; }));
    ASSERT_THAT(rig_->Visible(), SizeIs(1));
    const std::string arrived = rig_->Visible().begin()->second;
    EXPECT_TRUE(arrived == arrives) << arrived.size() << " bytes instead of " << arrives.size()
                                    << ": " << ::testing::PrintToString(arrived.substr(0, 200));
  }

  std::unique_ptr<Rig> rig_;
  std::unique_ptr<TransportProvider> transport_;
};

// What a transport that reads the content and leaves it somewhere must keep, too.
class VisibleTransportContract : public TransportContract {};

TEST_P(TransportContract, MarksInDoubtBeforeAnythingIsVisible) {
  MemoryMessage message("a@x.test", {"b@x.test", "c@x.test"}, "Subject: x\r\n\r\nHello.\r\n");
  int marks = 0;
  message.on_mark = [&] {
    // A program runs for each recipient in turn, so an earlier one may be visible.
    EXPECT_LE(rig_->Visible().size(), message.marked.size());
    for (const auto& [recipient, content] : rig_->Visible()) {
      EXPECT_THAT(message.marked, Contains(recipient));
    }
    ++marks;
  };
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
  EXPECT_EQ(message.Kind("c@x.test"), OutcomeKind::kDelivered);
  if (!rig_->Shows()) return;
  EXPECT_GE(marks, 1);
  EXPECT_THAT(message.marked, UnorderedElementsAre("b@x.test", "c@x.test"));
  EXPECT_TRUE(test::Eventually([&] { return rig_->Visible().size() == 2; }));
}

TEST_P(VisibleTransportContract, ARefusedMarkLeavesNothingVisibleAndTheNextMessageWorks) {
  MemoryMessage refused("a@x.test", {"b@x.test", "c@x.test"}, "Subject: x\r\n\r\nrefused\r\n", 1);
  refused.refuse_marks = true;
  EXPECT_EQ(Offer(refused), SubmitStatus::kDone);
  EXPECT_EQ(refused.Kind("b@x.test"), OutcomeKind::kRetryLater);
  EXPECT_EQ(refused.Kind("c@x.test"), OutcomeKind::kRetryLater);

  MemoryMessage next("a@x.test", {"d@x.test"}, "Subject: x\r\n\r\nnext\r\n", 2);
  EXPECT_EQ(Offer(next), SubmitStatus::kDone);
  EXPECT_EQ(next.Kind("d@x.test"), OutcomeKind::kDelivered);
  EXPECT_TRUE(test::Eventually([&] { return rig_->Visible().contains("d@x.test"); }));
  EXPECT_FALSE(rig_->Visible().contains("b@x.test"));
  EXPECT_FALSE(rig_->Visible().contains("c@x.test"));
}

TEST_P(VisibleTransportContract, UnreadableContentIsTriedLaterAndTheNextMessageWorks) {
  MemoryMessage broken("a@x.test", {"b@x.test"}, "Subject: x\r\n\r\nhalf a message\r\n", 1);
  broken.content.piece_bytes = 5;
  broken.content.fail_at = 20;
  EXPECT_EQ(Offer(broken), SubmitStatus::kDone);
  EXPECT_EQ(broken.Kind("b@x.test"), OutcomeKind::kRetryLater);
  EXPECT_THAT(broken.marked, IsEmpty());
  MemoryMessage next("a@x.test", {"d@x.test"}, "Subject: x\r\n\r\nnext\r\n", 2);
  EXPECT_EQ(Offer(next), SubmitStatus::kDone);
  EXPECT_TRUE(test::Eventually([&] { return rig_->Visible().contains("d@x.test"); }));
  EXPECT_FALSE(rig_->Visible().contains("b@x.test"));
}

TEST_P(TransportContract, CancellingEndsTheMessageAndNotTheNextOne) {
  MemoryMessage cancelled("a@x.test", {"b@x.test"}, "Subject: x\r\n\r\n" + std::string(5'000, 'x'),
                          1);
  bool told = false;
  cancelled.content.piece_bytes = 100;
  cancelled.content.on_next = [&] {
    if (std::exchange(told, true)) return;
    std::thread([&] {
      transport_->TransportNotify(TransportNotification::kCancelMessage, {});
    }).join();
  };
  const SubmitStatus status = Offer(cancelled);
  if (status != SubmitStatus::kDone) {
    EXPECT_EQ(status, SubmitStatus::kCancelled);
    EXPECT_FALSE(rig_->Visible().contains("b@x.test"));
  }
  MemoryMessage next("a@x.test", {"d@x.test"}, "Subject: x\r\n\r\nnext\r\n", 2);
  EXPECT_EQ(Offer(next), SubmitStatus::kDone);
  EXPECT_EQ(next.Kind("d@x.test"), OutcomeKind::kDelivered);
}

TEST_P(TransportContract, AHundredRecipientsAreServed) {
  std::vector<std::string> addresses;
  for (int i = 0; i < 100; ++i) addresses.push_back("r" + std::to_string(i) + "@x.test");
  MemoryMessage message("", addresses, "Subject: x\r\n\r\nHello.\r\n");
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  for (const std::string& address : addresses) {
    EXPECT_EQ(message.Kind(address), OutcomeKind::kDelivered) << address;
  }
  if (!rig_->Shows()) return;
  EXPECT_TRUE(test::Eventually([&] { return rig_->Visible().size() == 100; }));
  for (const std::string& address : addresses) {
    EXPECT_THAT(rig_->Visible(), Contains(Pair(address, "Subject: x\n\nHello.\n")));
  }
}

TEST_P(VisibleTransportContract, BadAddressesFailAloneAndAtOnce) {
  MemoryMessage message("a@x.test", {"b@x.test", "line\r\nbreak@x.test"},
                        "Subject: x\r\n\r\nx\r\n");
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
  EXPECT_EQ(message.Kind("line\r\nbreak@x.test"), OutcomeKind::kFailed);
  EXPECT_EQ(message.LastReply("line\r\nbreak@x.test").enhanced_code, "5.1.3");
}

TEST_P(TransportContract, AnEmptyBodyArrives) {
  ExpectDelivered("Subject: nothing\r\n\r\n", "Subject: nothing\n\n");
}

TEST_P(TransportContract, AnEmptyMessageIsServed) {
  MemoryMessage message("a@x.test", {"b@x.test"}, "");
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
}

TEST_P(TransportContract, NulAnd8BitArrive) {
  std::string body = "Subject: bytes\n\n";
  for (int c = 0; c < 256; ++c) {
    if (c != '\r') body.push_back(static_cast<char>(c));
  }
  ExpectDelivered(body + "\n", body + "\n");
}

TEST_P(TransportContract, LinesOfAMegabyteArrive) {
  const std::string line(std::size_t{1} << 20, 'l');
  ExpectDelivered("Subject: long\n\n" + line + "\n" + line,
                  "Subject: long\n\n" + line + "\n" + line + "\n");
}

TEST_P(TransportContract, LinesOfDotsArrive) {
  ExpectDelivered("Subject: dots\n\n.\n..\n.\n\n.x\nx.\n.",
                  "Subject: dots\n\n.\n..\n.\n\n.x\nx.\n.\n");
}

TEST_P(TransportContract, BareLineEndsCannotEndTheMessage) {
  ExpectDelivered("Subject: x\r\n\r\na\r.\rb\n.\r\nMAIL FROM:<c@x.test>\r\n.\rd",
                  "Subject: x\n\na . b\n.\nMAIL FROM:<c@x.test>\n. d\n");
}

TEST_P(TransportContract, BccNeverArrives) {
  ExpectDelivered(
      "To: b@x.test\r\nBcc: secret@x.test,\r\n more@x.test\r\nbCC : third@x.test\r\n"
      "Subject: x\r\n\r\nBcc: in the body\r\n",
      "To: b@x.test\nSubject: x\n\nBcc: in the body\n");
}

TEST_P(TransportContract, ThirtyMegabytesArrive) {
  std::string mail = "Subject: large\n\n";
  while (mail.size() < (std::size_t{30} << 20)) mail += std::string(70, 'y') + "\n";
  ExpectDelivered(mail, mail);
}

INSTANTIATE_TEST_SUITE_P(Of, TransportContract,
                         ::testing::Values("Smtp", "SmtpSink", "DropDirectory", "Command",
                                           "Discard"),
                         [](const auto& test_info) { return test_info.param; });
INSTANTIATE_TEST_SUITE_P(Of, VisibleTransportContract,
                         ::testing::Values("Smtp", "SmtpSink", "DropDirectory", "Command"),
                         [](const auto& test_info) { return test_info.param; });

}  // namespace
}  // namespace bobbin

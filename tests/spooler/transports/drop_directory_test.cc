// The drop directory transport: names, repeated deliveries, links, and full or forbidden disks.

#include "spooler/transports/drop_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "tests/spooler/memory_message.h"
#include "tests/spooler/smtp_servers.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;

using test::MemoryMessage;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kMail[] = "Subject: test\r\n\r\nHello.\r\n";

class DropDirectory : public ::testing::Test {
 protected:
  fs::path Root() const { return directory_.Path() / "a" / "b" / "root"; }
  fs::path Mailbox(const std::string& name = "b@x.test") const { return Root() / name; }

  std::vector<fs::path> Files(const fs::path& path) const {
    std::vector<fs::path> files;
    if (!fs::exists(path)) return files;
    for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
    return files;
  }

  SubmitStatus Offer(MemoryMessage& message) const {
    return NewDropDirectoryTransport({Root().string()})()->SubmitMessage(message).status;
  }

  const TemporaryDirectory directory_;
};

TEST_F(DropDirectory, DeliversIntoAMaildirItMakes) {
  MemoryMessage message("a@x.test", {"b@X.Test"}, kMail);
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@X.Test"), OutcomeKind::kDelivered);
  EXPECT_EQ(message.outcomes["b@X.Test"].remote_host, Mailbox().string());
  ASSERT_EQ(Files(Mailbox() / "new").size(), 1u);
  EXPECT_THAT(Files(Mailbox() / "tmp"), IsEmpty());
  EXPECT_TRUE(fs::is_directory(Mailbox() / "cur"));
  EXPECT_EQ(Files(Mailbox() / "new")[0].filename(),
            "1700000000.M0Q7R0.01020300000000000000000000000000");
  EXPECT_EQ(ReadFile(Files(Mailbox() / "new")[0]),
            "Return-Path: <a@x.test>\nDelivered-To: b@X.Test\nSubject: test\n\nHello.\n");
}

TEST_F(DropDirectory, NamesAreSafeAndDifferent) {
  EXPECT_EQ(DropDirectoryName("Amy.B+c=d_e-f@EXAMPLE.com"), "Amy.B+c=d_e-f@example.com");
  EXPECT_EQ(DropDirectoryName("../../etc@x.test"), "%2E.%2F..%2Fetc@x.test");
  EXPECT_EQ(DropDirectoryName(".hidden"), "%2Ehidden");
  EXPECT_EQ(DropDirectoryName("a%2E@x.test"), "a%252E@x.test");
  EXPECT_EQ(DropDirectoryName("j\u00f6rg@x.test"), "j%C3%B6rg@x.test");
  const std::string first = DropDirectoryName(std::string(60, '/') + "@" + std::string(100, 'x'));
  const std::string second = DropDirectoryName(std::string(60, '/') + "@" + std::string(101, 'x'));
  EXPECT_EQ(first.size(), 200u);
  EXPECT_EQ(second.size(), 200u);
  EXPECT_NE(first, second);
  EXPECT_THAT(first, HasSubstr("%H"));
}

TEST_F(DropDirectory, ARepeatedDeliveryIsNeverASecondFile) {
  for (int i = 0; i < 3; ++i) {
    MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
    EXPECT_EQ(Offer(message), SubmitStatus::kDone);
    EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
  }
  ASSERT_EQ(Files(Mailbox() / "new").size(), 1u);
  const fs::path file = Files(Mailbox() / "new")[0];
  fs::rename(file, Mailbox() / "cur" / (file.filename().string() + ":2,S"));

  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
  EXPECT_THAT(Files(Mailbox() / "new"), IsEmpty());
  EXPECT_THAT(Files(Mailbox() / "tmp"), IsEmpty());

  MemoryMessage another("a@x.test", {"b@x.test"}, kMail, 8);
  EXPECT_EQ(Offer(another), SubmitStatus::kDone);
  EXPECT_EQ(Files(Mailbox() / "new").size(), 1u);
}

TEST_F(DropDirectory, WhatAKilledProcessLeftIsReplaced) {
  fs::create_directories(Mailbox() / "tmp");
  std::ofstream(Mailbox() / "tmp" / "1700000000.M0Q7R0.01020300000000000000000000000000") << "half";
  MemoryMessage message("a@x.test", {"b@x.test"}, kMail);
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kDelivered);
  EXPECT_THAT(ReadFile(Files(Mailbox() / "new")[0]), StartsWith("Return-Path"));
}

TEST_F(DropDirectory, ARefusedMarkRemovesTheFiles) {
  MemoryMessage message("a@x.test", {"b@x.test", "c@x.test"}, kMail);
  message.refuse_marks = true;
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("c@x.test"), OutcomeKind::kRetryLater);
  EXPECT_THAT(Files(Mailbox() / "new"), IsEmpty());
  EXPECT_THAT(Files(Mailbox() / "tmp"), IsEmpty());
}

TEST_F(DropDirectory, LinksBelowTheRootAreNotFollowed) {
  const fs::path outside = directory_.Path() / "outside";
  for (const char* part : {"tmp", "new", "cur"}) fs::create_directories(outside / part);
  fs::create_directories(Root());
  fs::create_directory_symlink(outside, Mailbox("b@x.test"));
  fs::create_directories(Mailbox("c@x.test"));
  fs::create_directory_symlink(outside / "new", Mailbox("c@x.test") / "new");
  MemoryMessage message("a@x.test", {"b@x.test", "c@x.test", "d@x.test"}, kMail);
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kRetryLater);
  EXPECT_EQ(message.Kind("c@x.test"), OutcomeKind::kRetryLater);
  EXPECT_EQ(message.Kind("d@x.test"), OutcomeKind::kDelivered);
  EXPECT_THAT(Files(outside / "new"), IsEmpty());
}

TEST_F(DropDirectory, NoSpaceIsTriedLater) {
  // A limit on the size of files fails a write as a full disk does, without needing one.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 100'000;
  setrlimit(RLIMIT_FSIZE, &small);
  MemoryMessage message("a@x.test", {"b@x.test"}, std::string(200'000, 'x'));
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kRetryLater);
  EXPECT_EQ(message.LastReply("b@x.test").enhanced_code, "4.3.1");
  EXPECT_THAT(message.LastReply("b@x.test").text, HasSubstr("cannot write the file"));
  EXPECT_THAT(Files(Mailbox() / "new"), IsEmpty());
  EXPECT_THAT(Files(Mailbox() / "tmp"), IsEmpty());
}

TEST_F(DropDirectory, AForbiddenMailboxIsTriedLaterAndAForbiddenRootIsUnavailable) {
  fs::create_directories(Mailbox());
  for (fs::path path = Root(); path != directory_.Path().parent_path(); path = path.parent_path()) {
    fs::permissions(path, fs::perms::all);
  }
  fs::permissions(Mailbox(), fs::perms::none);
  // The superuser may everything, so this is done as somebody else.
  const uid_t user = geteuid();
  if (user == 0) {
    ASSERT_EQ(seteuid(65'534), 0);
  }
  MemoryMessage message("a@x.test", {"b@x.test", "c@x.test"}, kMail);
  EXPECT_EQ(Offer(message), SubmitStatus::kDone);
  EXPECT_EQ(message.Kind("b@x.test"), OutcomeKind::kRetryLater);
  EXPECT_EQ(message.LastReply("b@x.test").enhanced_code, "4.3.0");
  EXPECT_EQ(message.Kind("c@x.test"), OutcomeKind::kDelivered);
  if (user == 0) {
    ASSERT_EQ(seteuid(user), 0);
  }
  fs::permissions(Mailbox(), fs::perms::owner_all);

  std::ofstream(directory_.Path() / "file").close();
  MemoryMessage lost("a@x.test", {"b@x.test"}, kMail);
  const SubmitResult result =
      NewDropDirectoryTransport({(directory_.Path() / "file" / "root").string()})()->SubmitMessage(
          lost);
  EXPECT_EQ(result.status, SubmitStatus::kUnavailable);
  EXPECT_THAT(result.reply.text, HasSubstr("Not a directory"));
  EXPECT_THAT(lost.outcomes, IsEmpty());
}

}  // namespace
}  // namespace bobbin

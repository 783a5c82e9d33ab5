// Content: byte for byte at every size that is stored another way, in bounded memory, once however
// often it is copied, and never left behind for ever.
#include "engine/message_body.h"

#include <gmock/gmock.h>

#include <fstream>
#include <functional>

#include "engine/kv/commit_fault.h"
#include "engine/rows.h"
#include "tests/support/child_process.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::IsEmpty;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // Freed memory is kept back: its amount says nothing.
#else
constexpr bool kSanitized = false;
#endif

// Bytes that any mistake of order, place or length shows in, made again wherever they are needed.
class Pattern {
 public:
  std::string Take(std::size_t bytes) {
    std::string text(bytes, '\0');
    for (char& c : text) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      c = static_cast<char>(state_ >> 56);
    }
    return text;
  }

 private:
  std::uint64_t state_ = 1;
};

class Content : public testing::Test {
 protected:
  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }

  EntryId Save(MessageBody content) {
    Message message = NewDraft(Store());
    const EntryId id = Must(message.Id());
    Must(message.SetContent(std::move(content)));
    Must(message.SaveChanges());
    return id;
  }
  EntryId Save(std::string_view bytes) {
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(bytes));
    return Save(Must(writer.Finish()));
  }
  std::string Read(const EntryId& id) {
    MessageBodyReader reader = Must(Must(Store().OpenMessage(id, 0)).OpenContent());
    std::string text;
    for (;;) {
      const std::string_view piece = Must(reader.Next());
      if (piece.empty()) break;
      EXPECT_LE(piece.size(), 65'536U);
      text += piece;
    }
    EXPECT_EQ(text.size(), reader.Bytes());
    return text;
  }
  CheckReport Check() { return Must(Db().CheckStore()); }
  void Delete(const EntryId& id) {
    Must(Store().DeleteMessages(Store().Folders().outbox, std::vector{MessageId{id.Object()}}));
  }

  TemporaryDatabase database_;
};

TEST_F(Content, OfEverySizeComesBackByteForByte) {
  for (const std::size_t bytes :
       {std::size_t{1}, kInlineBytesMax, kInlineBytesMax + 1, kBodyChunkBytes - 1, kBodyChunkBytes,
        kBodyChunkBytes + 1, std::size_t{65'519}, std::size_t{65'520}, std::size_t{65'521},
        2 * kBodyChunkBytes, kBufferedBytesMax - 1, kBufferedBytesMax, kBufferedBytesMax + 1,
        4 * kBodyChunkBytes, std::size_t{1} << 20, (std::size_t{1} << 20) + kBufferedBytesMax,
        std::size_t{5'000'000}}) {
    SCOPED_TRACE(bytes);
    const std::string text = Pattern().Take(bytes);
    const EntryId id = Save(text);
    EXPECT_TRUE(Read(id) == text);
    EXPECT_EQ(Must(Must(Store().OpenMessage(id, 0)).OpenContent()).Bytes(), bytes);
    EXPECT_GE(StoredProps(Db(), id).NumberOr(pr::kMessageSize, 0),
              static_cast<std::int64_t>(bytes));
    Delete(id);
    EXPECT_EQ(Check().bodies, 0U);
  }
  EXPECT_EQ(Findings(Db()), "");
}

// An empty original is one, and not the same as none: it is sent and exported as it came.
TEST_F(Content, OfNoBytesIsNotNone) {
  const EntryId id = Save("");
  MessageBodyReader empty = Must(Must(Store().OpenMessage(id, 0)).OpenContent());
  EXPECT_EQ(empty.Bytes(), 0U);
  EXPECT_EQ(Must(empty.Next()), "");
  const EntryId composed = SubmitNew(Store());
  EXPECT_THAT(Must(Store().OpenMessage(composed, 0)).OpenContent(), IsError(ErrorCode::kNotFound));
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(Content, IsTheSameHoweverItWasHandedIn) {
  const std::string text = Pattern().Take(700'001);
  for (const std::size_t piece :
       {std::size_t{4'095}, std::size_t{65'536}, std::size_t{262'144}, std::size_t{700'001}}) {
    MessageBodyWriter writer = Store().NewContent();
    for (std::size_t at = 0; at < text.size(); at += piece) {
      Must(writer.Append(std::string_view(text).substr(at, piece)));
    }
    EXPECT_EQ(writer.Bytes(), text.size());
    EXPECT_TRUE(Read(Save(Must(writer.Finish()))) == text) << piece;
  }
  MessageBodyWriter writer = Store().NewContent();
  for (std::size_t at = 0; at < text.size(); at += 10'000) {
    if (!Must(writer.AppendNoWait(std::string_view(text).substr(at, 10'000)))) continue;
    Result<void> flushed = Fail(ErrorCode::kCallFailed, "not called");
    std::atomic<bool> done{false};
    writer.FlushAsync([&](Result<void> outcome) {
      flushed = std::move(outcome);
      done = true;
      done.notify_one();
    });
    done.wait(false);
    Must(flushed);
  }
  Result<MessageBody> finished = Fail(ErrorCode::kCallFailed, "not called");
  std::atomic<bool> done{false};
  writer.FinishAsync([&](Result<MessageBody> outcome) {
    finished = std::move(outcome);
    done = true;
    done.notify_one();
  });
  done.wait(false);
  EXPECT_TRUE(Read(Save(Must(std::move(finished)))) == text);
  EXPECT_EQ(Findings(Db()), "");
}

// What mail is not supposed to have, and has.
TEST_F(Content, KeepsNulBareCrBareLf8BitAndLongLines) {
  std::string text = "Subject: x\r\n\r\n";
  text += std::string("\0\r\n.\r\n\r\r\n\n\n\r..\xff\x80\xc3\n", 18);
  text += std::string(1 << 20, 'l') + "\n" + std::string(1 << 20, '\0') + "\r";
  EXPECT_TRUE(Read(Save(text)) == text);
}

TEST_F(Content, IsReadAgainFromTheStart) {
  for (const std::size_t bytes : {std::size_t{100}, std::size_t{400'000}}) {
    const std::string text = Pattern().Take(bytes);
    MessageBodyReader reader = Must(Must(Store().OpenMessage(Save(text), 0)).OpenContent());
    for (int round = 0; round < 2; ++round) {
      const std::string first(Must(reader.Next()));
      EXPECT_TRUE(text.starts_with(first));
      reader.Rewind();
    }
    std::string all;
    for (std::string_view piece; !(piece = Must(reader.Next())).empty();) all += piece;
    EXPECT_TRUE(all == text);
  }
}

// Kilobytes of memory that are this process's own (the database's pages are the file's).
long AnonymousKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "RssAnon:") {
      long kilobytes = 0;
      status >> kilobytes;
      return kilobytes;
    }
  }
  throw std::runtime_error("/proc/self/status has no RssAnon");
}

TEST_F(Content, OfAHundredAndFiftyMebibytesNeedsLittleMemoryAndMoreIsRefused) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  constexpr long kGrowthMaxKilobytes = 32 << 10;
  const long before = AnonymousKilobytes();
  long most = before;
  Pattern written;
  MessageBodyWriter writer = Store().NewContent();
  while (writer.Bytes() < kContentBytesMax) {
    Must(writer.Append(written.Take(kPiece)));
    most = std::max(most, AnonymousKilobytes());
  }
  EXPECT_EQ(writer.Bytes(), kContentBytesMax);
  EXPECT_THAT(writer.Append("x"), IsError(ErrorCode::kTooBig));
  // The refused byte is not part of it.
  const EntryId id = Save(Must(writer.Finish()));
  most = std::max(most, AnonymousKilobytes());
  MessageBodyReader reader = Must(Must(Store().OpenMessage(id, 0)).OpenContent());
  Pattern expected;
  std::uint64_t bytes = 0;
  for (;;) {
    const std::string_view piece = Must(reader.Next());
    if (piece.empty()) break;
    bytes += piece.size();
    ASSERT_TRUE(expected.Take(piece.size()) == piece) << "before byte " << bytes;
    most = std::max(most, AnonymousKilobytes());
  }
  EXPECT_EQ(bytes, kContentBytesMax);
  if (!kSanitized) {
    EXPECT_LT(most - before, kGrowthMaxKilobytes);
  }
}

TEST_F(Content, IsStoredOnceHoweverOftenItIsCopied) {
  const std::string text = Pattern().Take(3'000'000);
  const EntryId original = Save(text);
  const std::uint64_t before = Must(Db().Statistics()).used_bytes;
  std::vector<MessageId> copies;
  Must(Store().CopyMessages(Store().Folders().outbox, std::vector(5, MessageId{original.Object()}),
                            Store().Folders().outbox, &copies));
  EXPECT_LT(Must(Db().Statistics()).used_bytes, before + 1'000'000);
  EXPECT_EQ(Check().bodies, 1U);
  // The original goes first; the last copy takes the content with it.
  Delete(original);
  while (!copies.empty()) {
    const EntryId copy = Store().EntryIdOf(copies.back().value);
    EXPECT_TRUE(Read(copy) == text);
    EXPECT_EQ(Check().bodies, 1U);
    Delete(copy);
    copies.pop_back();
    EXPECT_EQ(Findings(Db()), "");
  }
  EXPECT_EQ(Check().bodies, 0U);
}

TEST_F(Content, IsReplacedAndTheOldOneFreed) {
  for (const std::size_t first : {100U, 50'000U, 400'000U}) {
    for (const std::size_t second : {0U, 200U, 60'000U, 500'000U}) {
      const EntryId id = Save(Pattern().Take(first));
      std::vector<MessageId> copies;
      Must(Store().CopyMessages(Store().Folders().outbox, std::vector{MessageId{id.Object()}},
                                Store().Folders().outbox, &copies));
      Message message = Must(Store().OpenMessage(id, kMapiModify));
      MessageBodyWriter writer = Store().NewContent();
      Must(writer.Append(std::string(second, 's')));
      Must(message.SetContent(Must(writer.Finish())));
      Must(message.SaveChanges());
      if (second > 0) {
        EXPECT_TRUE(Read(id) == std::string(second, 's'));
      }
      const EntryId copy = Store().EntryIdOf(copies.at(0).value);
      EXPECT_TRUE(Read(copy) == Pattern().Take(first)) << "the copy keeps the old content";
      EXPECT_EQ(Findings(Db()), "");
      Delete(id);
      Delete(copy);
      EXPECT_EQ(Check().bodies, 0U);
    }
  }
}

TEST_F(Content, CanBeReadBeforeItIsSaved) {
  for (const std::size_t bytes : {100U, 50'000U, 400'000U}) {
    const std::string text = Pattern().Take(bytes);
    Message message = NewDraft(Store());
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(text));
    Must(message.SetContent(Must(writer.Finish())));
    MessageBodyReader reader = Must(message.OpenContent());
    std::string all;
    for (std::string_view piece; !(piece = Must(reader.Next())).empty();) all += piece;
    EXPECT_TRUE(all == text);
  }
}

TEST_F(Content, DeletedWhileItIsReadSaysSo) {
  const EntryId id = Save(Pattern().Take(400'000));
  MessageBodyReader reader = Must(Must(Store().OpenMessage(id, 0)).OpenContent());
  Must(reader.Next());
  Delete(id);
  EXPECT_THAT(reader.Next(), IsError(ErrorCode::kObjectDeleted));
}

TEST_F(Content, WrittenAheadAndDroppedIsCollectedAndNeverShown) {
  {
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(std::string(600'000, 'x')));
    EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 0U) << "the writer is at work";
    const MessageBody body = Must(writer.Finish());
    writer = Store().NewContent();
    EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 0U) << "it waits for its message";
    EXPECT_EQ(Check().messages, 0U);
  }
  EXPECT_EQ(Check().abandoned_bodies, 1U);
  EXPECT_THAT(Check().findings, IsEmpty()) << "left over, not damage";
  EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 1U);
  EXPECT_EQ(Check().bodies, 0U);
  EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 0U);
  EXPECT_EQ(Findings(Db()), "");
}

const ChildProgram kWriteAhead("write-ahead", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments.at(0)));
  MessageStore store = Must(database.OpenMessageStore(TemporaryDatabase::kStoreName));
  MessageBodyWriter writer = store.NewContent();
  Must(writer.Append(std::string(600'000, 'x')));
  MessageBodyWriter complete = store.NewContent();
  Must(complete.Append(std::string(600'000, 'x')));
  const MessageBody body = Must(complete.Finish());
  Say("written");
  Hear();
  return 0;
});

TEST_F(Content, WrittenAheadByAProcessThatWasKilledIsCollected) {
  ChildProcess child("write-ahead", {database_.Path()});
  ASSERT_EQ(child.ReadLine(), "written");
  EXPECT_EQ(Check().abandoned_bodies, 2U) << "what belongs to no message yet";
  EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 0U) << "its process lives";
  child.Kill();
  const EntryId kept = Save(std::string(600'000, 'k'));
  EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 2U);
  EXPECT_EQ(Check().bodies, 1U);
  EXPECT_TRUE(Read(kept) == std::string(600'000, 'k'));
  EXPECT_EQ(Findings(Db()), "");
}

// The database was closed in between, and the owner's process identifier may be somebody else's.
TEST_F(Content, WrittenAheadIsCollectedAfterARestart) {
  {
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(std::string(600'000, 'x')));
  }
  database_.Reopen();
  EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 1U);
  EXPECT_EQ(Check().bodies, 0U);
}

// A refused write in the middle must not leave a hole that a later call papers over.
TEST_F(Content, IsNotFinishedOverAWriteThatFailed) {
  for (const std::uint64_t write : {1U, 2U, 4U}) {
    MessageBodyWriter writer = Store().NewContent();
    Must(writer.Append(std::string(300'000, 'a')));
    const auto engine = database_.Engine();
    kv::FailWriteForTesting(*engine, write, ErrorCode::kNotEnoughDisk);
    EXPECT_THAT(writer.Append(std::string(2'000'000, 'b')), IsError(ErrorCode::kNotEnoughDisk));
    ASSERT_FALSE(kv::FaultPendingForTesting(*engine));
    EXPECT_THAT(writer.Append(std::string(2'000'000, 'c')), IsError(ErrorCode::kNotEnoughDisk));
    EXPECT_THAT(writer.Finish(), IsError(ErrorCode::kNotEnoughDisk));
  }
  EXPECT_EQ(Must(Db().CollectAbandonedBodies()), 3U);
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(Content, BelongsToOneMessageOnly) {
  MessageBodyWriter writer = Store().NewContent();
  Must(writer.Append(std::string(600'000, 'x')));
  const MessageBody body = Must(writer.Finish());
  const EntryId first = Save(body);
  Message second = NewDraft(Store());
  Must(second.SetContent(body));
  EXPECT_THAT(second.SaveChanges(), IsError(ErrorCode::kObjectDeleted));
  EXPECT_TRUE(Read(first) == std::string(600'000, 'x'));
  EXPECT_EQ(Findings(Db()), "");
}

}  // namespace
}  // namespace bobbin

// The scrub: it finds what is damaged, keeps its rate, and holds no snapshot for long.
//
// Method: a real database on LMDB; the scrub's own clock is the test's, so time is counted, not
// measured. Rows are damaged through the kv engine that the database itself uses.
#include "engine/scrub.h"

#include <gmock/gmock.h>

#include "engine/attachment.h"
#include "engine/keyspace.h"
#include "engine/kv/lmdb_engine.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::Contains;
using testing::Each;
using testing::Field;
using testing::IsEmpty;

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

// Every look at it takes `tick`; waiting takes what is waited for.
struct CountedTime {
  std::chrono::nanoseconds tick{0};
  std::chrono::nanoseconds elapsed{0};
  std::function<bool()> during_wait = [] { return true; };

  ScrubClock Clock() {
    return {[this] { return std::chrono::steady_clock::time_point(elapsed += tick); },
            [this](std::chrono::nanoseconds time) {
              elapsed += time;
              return during_wait();
            }};
  }
};

class Scrubbing : public testing::Test {
 protected:
  Database& Db() { return database_.Database(); }

  MessageBody Content(std::size_t bytes) {
    MessageBodyWriter writer = database_.Store().NewContent();
    const std::string piece(kMebibyte, 'x');
    for (std::size_t left = bytes; left > 0; left -= std::min(left, piece.size())) {
      Must(writer.Append(std::string_view(piece).substr(0, std::min(left, piece.size()))));
    }
    return Must(writer.Finish());
  }
  EntryId SubmitWith(std::size_t bytes) {
    Message message = NewDraft(database_.Store());
    Must(message.SetContent(Content(bytes)));
    Attachment attachment = Must(message.CreateAttachment());
    Must(attachment.SetStream(pr::kAttachDataBinary, Content(10'000)));
    Must(Must(attachment.CreateEmbeddedMessage()).SaveChanges());
    Must(attachment.SaveChanges());
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    return id;
  }

  TemporaryDatabase database_;
  CountedTime time_;
};

TEST_F(Scrubbing, OfAWholeDatabaseFindsNothingAndIsRemembered) {
  SubmitWith(3 * kMebibyte);
  EXPECT_EQ(Must(Db().Statistics()).last_scrub, Time{});
  const ScrubReport report = Must(Db().Scrub());
  EXPECT_TRUE(report.has_ended);
  EXPECT_EQ(report.Findings(), 0U);
  EXPECT_GT(report.bytes, 3 * kMebibyte);
  EXPECT_GT(report.pages.used_pages, 0U);
  const CheckReport whole = Must(Db().CheckStore());
  EXPECT_EQ(report.records.messages, whole.messages);
  EXPECT_EQ(report.records.bodies, whole.bodies);
  EXPECT_EQ(report.records.records + 1, whole.records) << "and the row that the scrub has left";
  EXPECT_EQ(Must(Db().Statistics()).last_scrub, database_.Clock().Now());
}

TEST_F(Scrubbing, KeepsItsRate) {
  SubmitWith(8 * kMebibyte);
  ScrubOptions options;
  options.bytes_per_second = kMebibyte;
  options.clock = time_.Clock();
  const ScrubReport report = Must(Db().Scrub(options));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time_.elapsed).count();
  EXPECT_GE(static_cast<std::uint64_t>(seconds), report.bytes / kMebibyte);
  EXPECT_LE(static_cast<std::uint64_t>(seconds), report.bytes / kMebibyte + 1);
}

TEST_F(Scrubbing, HoldsNoSnapshotForMoreThanASecond) {
  SubmitWith(4 * kMebibyte);
  time_.tick = std::chrono::milliseconds(100);
  std::chrono::nanoseconds begin{0};
  std::size_t pieces = 0;
  ScrubOptions options;
  options.clock = time_.Clock();
  options.piece = [&](const StoreCheck::Piece& piece) {
    ++pieces;
    EXPECT_LE(piece.bytes, kMebibyte + kv::kValueBytesMax + kv::kKeyBytesMax);
    EXPECT_LE(time_.elapsed - begin, ScrubOptions::kSnapshotAgeMax + 2 * time_.tick);
  };
  time_.during_wait = [&] {
    begin = time_.elapsed;
    return true;
  };
  EXPECT_EQ(Must(Db().Scrub(options)).Findings(), 0U);
  EXPECT_GT(pieces, 8U) << "by time, not by bytes";
}

// Messages come and go all the time; a reader that stayed would keep all that space from being used
// again.
TEST_F(Scrubbing, BesideWritersFindsNothingAndKeepsNoSpace) {
  SubmitWith(12 * kMebibyte);
  const auto used = [&] { return Must(kv::GetLmdbStatistics(*database_.Engine())).used_bytes; };
  std::vector<std::uint64_t> sequences;
  ScrubOptions options;
  options.clock = time_.Clock();
  options.piece = [&](const StoreCheck::Piece& piece) { sequences.push_back(piece.sequence); };
  const std::uint64_t before = used();
  std::optional<EntryId> last;
  time_.during_wait = [&] {
    const EntryId id = SubmitWith(kMebibyte / 2);
    if (last) {
      Must(Db().AbortSubmit(MessageId{last->Object()}));
      const MessageId gone{last->Object()};
      Must(database_.Store().DeleteMessages(database_.Store().Folders().outbox, {&gone, 1}));
    }
    last = id;
    return true;
  };
  const ScrubReport report = Must(Db().Scrub(options));
  EXPECT_EQ(report.Findings(), 0U)
      << (report.records.findings.empty() ? "" : report.records.findings[0].detail);
  ASSERT_GE(sequences.size(), 12U);
  for (std::size_t i = 1; i < sequences.size(); ++i) EXPECT_GT(sequences[i], sequences[i - 1]);
  EXPECT_LT(used() - before, 4 * kMebibyte) << sequences.size() << " times 512 KiB were written";
}

TEST_F(Scrubbing, EndsAtOnceWhenItIsTold) {
  SubmitWith(4 * kMebibyte);
  ScrubOptions options;
  options.clock = time_.Clock();
  time_.during_wait = [] { return false; };
  const ScrubReport report = Must(Db().Scrub(options));
  EXPECT_FALSE(report.has_ended);
  EXPECT_LT(report.bytes, 2 * kMebibyte);
  EXPECT_EQ(Must(Db().Statistics()).last_scrub, Time{});
}

TEST_F(Scrubbing, FindsAnyDamagedRowAndTheMessageItKeepsFromBeingSent) {
  const EntryId id = SubmitWith(100'000);
  Must(Db().CreateMessageStore("another"));
  const auto engine = database_.Engine();
  for (std::uint8_t index = 0; index < table::kNames.size(); ++index) {
    std::vector<std::pair<std::string, std::string>> rows;
    Must(engine->View([&](kv::ReadTransaction& transaction) {
      rows.clear();
      return transaction.Scan({index}, {}, [&](kv::Bytes key, kv::Bytes value) {
        rows.emplace_back(key, value);
        return true;
      });
    }));
    ASSERT_THAT(rows, testing::Not(IsEmpty()));
    const auto put = [&](const std::string& key, const std::string& value) {
      Must(engine
               ->Update([&](kv::WriteTransaction& transaction) {
                 return transaction.Put({index}, key, value);
               })
               .ToResult());
    };
    for (const auto& [key, value] : rows) {
      SCOPED_TRACE(std::string(table::kNames[index]) + " " + ToHex(key));
      std::string damaged = value;
      damaged[damaged.size() / 2] ^= 0x10;
      put(key, damaged);
      std::vector<Finding> findings;
      ScrubOptions options;
      options.clock = time_.Clock();
      options.finding = [&](const Finding& finding) { findings.push_back(finding); };
      Must(Db().Scrub(options));
      EXPECT_THAT(findings, Contains(testing::AllOf(Field(&Finding::table, table::kNames[index]),
                                                    Field(&Finding::key, ToHex(key)))));
      const bool is_of_message =
          index == table::kMessages.index || index == table::kRecipients.index ||
          index == table::kAttachments.index || index == table::kQueue.index ||
          index == table::kDue.index || index == table::kBodies.index;
      // The record of an embedded message alone says whose it is; there the delivery meets it.
      const bool is_embedded =
          index == table::kMessages.index && key != MessageKey(MessageId{id.Object()});
      if (is_of_message && !is_embedded) {
        EXPECT_THAT(findings, Contains(Field(&Finding::message, MessageId{id.Object()})));
      }
      put(key, value);
    }
  }
  EXPECT_EQ(Must(Db().Scrub()).Findings(), 0U);
}

}  // namespace
}  // namespace bobbin

// Whatever page of a database is damaged, and however: it is refused, or the damaged rows are named
// and the others are as they were, also after new mail was written. Never a crash, never a hang,
// never a wrong answer.
//
// Method: 300 cases each of five kinds of damage to five kinds of pages. Each copy is opened, read
// whole, checked, written to and read again, by a process of its own.
#include <gtest/gtest.h>

#include "engine/keyspace.h"
#include "engine/record.h"
#include "tests/engine/kv/forked_child.h"
#include "tests/engine/kv/page_damage.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using kv::test::DamagedCopy;
using kv::test::ForkedChild;
using kv::test::kDamageCases;
using kv::test::Kind;

enum Ending { kAsItWas = 0, kRefused = 1, kRowsNamed = 2, kFirstWrong = 10 };

class DamagedPages : public testing::Test {
 protected:
  void SetUp() override {
    MessageStore& store = database_.Store();
    for (int i = 0; i < 40; ++i) {
      Message message = NewDraft(store, {"a@x.test", "b@x.test"}, "subject " + std::to_string(i));
      SetContent(store, message,
                 std::string(i % 8 == 1 ? 60'000 : 700, static_cast<char>('a' + i % 26)));
      const EntryId id = Must(message.Id());
      Must(message.SubmitMessage());
      ids_.push_back(id);
    }
    for (std::size_t i = 0; i < ids_.size(); i += 4) {
      Must(store.AbortSubmit(ids_[i]));
      const MessageId id{ids_[i].Object()};
      Must(store.DeleteMessages(store.Folders().outbox, {&id, 1}));
    }
    std::erase_if(ids_, [&](const EntryId& id) { return !IsStored(database_.Database(), id); });
    for (const EntryId& id : ids_) described_.push_back(Describe(database_.Database(), id));
    database_.Close();
  }

  // 0: every message is as it was; 2: some are named as damaged, the others are as they were.
  int ReadAll(const Database& database) const {
    int ending = kAsItWas;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      try {
        if (Describe(database, ids_[i]) != described_[i]) return kFirstWrong;
      } catch (const std::runtime_error& error) {
        if (std::string_view(error.what()).find("CORRUPT_DATA") == std::string_view::npos) {
          return kFirstWrong + 1;
        }
        ending = kRowsNamed;
      }
    }
    std::vector<Error> damaged;
    const auto queue = database.GetOutgoingQueue().Rows(1'000, 0, &damaged);
    if (!queue && queue.error().code != ErrorCode::kCorruptData) return kFirstWrong + 2;
    if (queue && damaged.empty() && queue->size() != ids_.size()) return kFirstWrong + 3;
    return ending;
  }

  int Use(const std::filesystem::path& path) const {
    ForkedChild child([&](const ForkedChild::Line&) -> int {
      alarm(30);
      Result<Database> database = Database::Open(path);
      if (!database) {
        const ErrorCode code = database.error().code;
        return code == ErrorCode::kNotADatabase || code == ErrorCode::kCorruptStore
                   ? kRefused
                   : kFirstWrong + 4;
      }
      const int before = ReadAll(*database);
      if (before >= kFirstWrong) return before;
      const Result<CheckReport> report = database->CheckStore();
      if (!report) return kFirstWrong + 5;
      if (before == kRowsNamed && report->findings.empty()) return kFirstWrong + 6;
      // New mail may meet damaged rows, but must not make anything worse.
      if (Result<MessageStore> store = database->OpenMessageStore(TemporaryDatabase::kStoreName)) {
        try {
          SubmitNew(*store);
        } catch (const std::runtime_error&) {
          if (report->findings.empty()) return kFirstWrong + 7;
        }
      } else if (report->findings.empty()) {
        return kFirstWrong + 8;
      }
      for (std::size_t i = 0; i < ids_.size(); ++i) {
        try {
          if (Describe(*database, ids_[i]) != described_[i]) return kFirstWrong + 9;
        } catch (const std::runtime_error&) {
          if (before == kAsItWas) return kFirstWrong + 10;
        }
      }
      return before == kAsItWas && !report->findings.empty() ? int{kRowsNamed} : before;
    });
    return child.Wait();
  }

  TemporaryDatabase database_;
  std::vector<EntryId> ids_;
  std::vector<std::string> described_;
};

// Its keys are still in order, and every record of it is whole.
TEST_F(DamagedPages, WithAChangedKeyAreNoAnswerThatAMessageIsGone) {
  const std::filesystem::path file = database_.Path() / "data.mdb";
  std::string bytes = ReadFile(file);
  const std::string node = Key8(ids_.back().Object()) + std::string(kRecordMagicBytes);
  int changed = 0;
  for (std::size_t at = bytes.find(node); at != std::string::npos; at = bytes.find(node, at + 1)) {
    bytes[at + 6] = static_cast<char>(bytes[at + 6] ^ 0x40);
    ++changed;
  }
  ASSERT_GT(changed, 0);
  WriteFile(file, bytes);
  const Result<Database> opened = Database::Open(database_.Path());
  ASSERT_THAT(opened, IsError(ErrorCode::kCorruptStore));
  EXPECT_NE(opened.error().detail.find("not that of its key"), std::string::npos);
}

TEST_F(DamagedPages, AreRefusedOrNamedAndNeverBelieved) {
  const std::filesystem::path file = database_.Path() / "data.mdb";
  const auto groups = kv::test::PagesByGroup(file);
  ASSERT_EQ(groups.size(), 5U) << "a kind of page is missing";
  kv::test::Random random(11);
  DamagedCopy copy(ReadFile(file));
  std::filesystem::copy(database_.Path() / "identity", copy.Directory() / "identity");
  std::map<int, int> endings;
  kv::test::ForEachDamage(copy, groups, random, [&](const std::string&, Kind) {
    const int ending = Use(copy.Directory());
    ASSERT_TRUE(ending >= 0 && ending < kFirstWrong) << "ended with " << ending;
    ++endings[ending];
    if (ending != kRefused) copy.WillBeWritten();
  });
  EXPECT_GT(endings[kRefused], kDamageCases * 3);
  EXPECT_GT(endings[kRowsNamed], kDamageCases / 3);
  std::printf("%d as it was, %d refused, %d with rows named\n", endings[kAsItWas],
              endings[kRefused], endings[kRowsNamed]);
}

}  // namespace
}  // namespace bobbin

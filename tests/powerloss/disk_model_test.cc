// The rules of what a disk may hold, each on a log of a few entries made by hand.

#include "tests/powerloss/disk_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace bobbin::powerloss {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using Kind = OpenQuestion::Kind;

constexpr std::uint64_t kFile = 7;

class DiskModelTest : public ::testing::Test {
 protected:
  DiskModelTest() { Add(EntryKind::kAdd, 0, kRootObject, kFile, 0, 0, "file"); }

  void Add(EntryKind kind, std::uint16_t flags, std::uint64_t object, std::uint64_t other,
           std::uint64_t offset, std::uint64_t ticket, std::string_view data) {
    std::string bytes(sizeof(Entry) + data.size(), '\0');
    const Entry entry{
        static_cast<std::uint32_t>(bytes.size()), kind, flags, object, other, offset, ticket,
        static_cast<std::uint32_t>(data.size()),  0};
    std::memcpy(bytes.data(), &entry, sizeof(entry));
    std::memcpy(bytes.data() + sizeof(entry), data.data(), data.size());
    disk_.Apply(*reinterpret_cast<const Entry*>(bytes.data()));
  }
  void Write(std::uint64_t offset, std::string_view data) {
    Add(EntryKind::kWrite, 0, kFile, 0, offset, 0, data);
  }
  void Begin(std::uint64_t object, std::uint64_t ticket) {
    Add(EntryKind::kFlush, 0, object, 0, 0, ticket, {});
  }
  void End(std::uint64_t object, std::uint64_t ticket, bool failed = false) {
    Add(EntryKind::kDone, failed ? kFailed : std::uint16_t{0}, object, 0, 0, ticket, {});
  }
  void Flush(std::uint64_t object) {
    Begin(object, ++ticket_ + 100);
    End(object, ticket_ + 100);
  }

  std::vector<Kind> Open() const {
    std::vector<Kind> kinds;
    for (const OpenQuestion& question : disk_.OpenQuestions()) kinds.push_back(question.kind);
    return kinds;
  }
  // The file when nothing that is open has happened.
  std::string Least() const {
    std::vector<Answer> answers;
    const auto questions = disk_.OpenQuestions();
    for (const OpenQuestion& question : questions) {
      answers.emplace_back();
      if (question.kind == Kind::kSize) answers.back().bytes = disk_.SizeRange(question).first;
    }
    return disk_.With(questions, answers).File(kFile).Content();
  }

  DiskModel disk_;
  std::uint64_t ticket_ = 0;
};

TEST_F(DiskModelTest, AFlushCoversWhatWasWrittenBeforeItBegan) {
  Write(0, "one");
  Begin(kFile, 1);
  Write(0, "two");
  EXPECT_EQ(Least(), "") << "the flush has not returned";
  End(kFile, 1);
  EXPECT_EQ(Least(), "one");
  EXPECT_THAT(Open(), ElementsAre(Kind::kPage, Kind::kName));
  Flush(kFile);
  EXPECT_EQ(Least(), "two");
}

TEST_F(DiskModelTest, ASynchronousWriteCoversItsPagesAlone) {
  Write(0, std::string(2 * kPageBytes, 'a'));
  Flush(kFile);
  Write(0, "b");
  Add(EntryKind::kWrite, kSynchronous, kFile, 0, kPageBytes, 9, "c");
  EXPECT_THAT(Open(), ElementsAre(Kind::kPage, Kind::kPage, Kind::kName));
  End(kFile, 9);
  EXPECT_THAT(Open(), ElementsAre(Kind::kPage, Kind::kName));
  EXPECT_EQ(Least()[0], 'a');
  EXPECT_EQ(Least()[kPageBytes], 'c');
}

TEST_F(DiskModelTest, WhatAFailedFlushLeftIsCoveredByNoLaterOneUntilItIsWrittenAgain) {
  Write(0, "one");
  Begin(kFile, 1);
  End(kFile, 1, true);
  Flush(kFile);
  EXPECT_EQ(Least(), "");
  Write(0, "ONE");
  Flush(kFile);
  EXPECT_EQ(Least(), "ONE");
}

TEST_F(DiskModelTest, PagesTearAtSectors) {
  Write(0, std::string(kPageBytes, 'a'));
  Flush(kFile);
  Write(0, std::string(kPageBytes, 'b'));
  const auto questions = disk_.OpenQuestions();
  std::vector<Answer> answers(questions.size());
  answers[0] = {1, 0b1, 0, 0};  // The new page, its first sector old.
  const std::string content = disk_.With(questions, answers).File(kFile).Content();
  EXPECT_EQ(content, std::string(kSectorBytes, 'a') + std::string(kPageBytes - kSectorBytes, 'b'));
}

TEST_F(DiskModelTest, NamesStandForThemselvesUntilTheirDirectoryIsFlushed) {
  Flush(kRootObject);
  Add(EntryKind::kRename, 0, kRootObject, kFile, kRootObject, 0, std::string("file\0new", 8));
  const auto questions = disk_.OpenQuestions();
  ASSERT_THAT(questions, SizeIs(2));
  int both = 0;
  int none = 0;
  for (std::size_t choice = 0; choice < 4; ++choice) {
    std::vector<Answer> answers(2);
    answers[0].option = choice & 1;
    answers[1].option = choice >> 1;
    const DiskState state = disk_.With(questions, answers);
    const bool has_old = state.Find(kRootObject, "file") != nullptr;
    const bool has_new = state.Find(kRootObject, "new") != nullptr;
    both += has_old && has_new ? 1 : 0;
    none += !has_old && !has_new ? 1 : 0;
  }
  EXPECT_EQ(both, 1);
  EXPECT_EQ(none, 1);
  Flush(kRootObject);
  const DiskState state = disk_.With({}, {});
  EXPECT_EQ(state.Find(kRootObject, "file"), nullptr);
  EXPECT_NE(state.Find(kRootObject, "new"), nullptr);
}

TEST_F(DiskModelTest, SizesAreOpenUntilTheFileIsFlushed) {
  Write(0, std::string(kPageBytes, 'a'));
  Flush(kFile);
  Write(2 * kPageBytes, "b");
  const auto questions = disk_.OpenQuestions();
  ASSERT_EQ(questions[1].kind, Kind::kSize);
  EXPECT_EQ(disk_.SizeRange(questions[1]),
            std::pair(std::uint64_t{kPageBytes}, std::uint64_t{2 * kPageBytes + 1}));
  Add(EntryKind::kTruncate, 0, kFile, 0, 10, 0, {});
  Flush(kFile);
  EXPECT_EQ(Least(), std::string(10, 'a'));
}

}  // namespace
}  // namespace bobbin::powerloss

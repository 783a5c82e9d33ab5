// What the hash leaves out may be anything: the database that is opened is the same.

#include "tests/powerloss/snapshot_hash.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "engine/kv/lmdb_sequence.h"
#include "tests/powerloss/disk_model.h"
#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin::powerloss {
namespace {

std::string ContentOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Unlike real hashes these are unlike for equal pages, too.
std::vector<std::uint64_t> NumbersFor(const std::string& file) {
  std::vector<std::uint64_t> numbers(file.size() / kPageBytes);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i + 1;
  return numbers;
}

std::uint64_t HashOf(const std::string& file, const std::vector<std::uint64_t>& numbers,
                     std::uint64_t transaction) {
  return SnapshotHash().Of(file, numbers, transaction);
}

TEST(SnapshotHash, CoversEveryPageThatAReaderMeets) {
  TemporaryDatabase database;
  Message draft = NewDraft(database.Store());
  MessageBodyWriter writer = database.Store().NewContent();
  ASSERT_TRUE(writer.Append(std::string(400'000, 'x')));
  ASSERT_TRUE(draft.SetContent(Must(writer.Finish())));
  const EntryId id = Must(draft.Id());
  ASSERT_TRUE(draft.SubmitMessage());
  for (int i = 0; i < 40; ++i) SubmitNew(database.Store());
  const std::string before = Describe(database.Database(), id);
  database.Close();
  const std::filesystem::path path = database.Path() / "data.mdb";
  const std::uint64_t transaction = Must(kv::GetLmdbSequence(database.Path()));
  std::string file = ContentOf(path);
  std::vector<std::uint64_t> numbers = NumbersFor(file);
  const std::uint64_t hash = HashOf(file, numbers, transaction);
  ASSERT_NE(hash, 0U);

  std::size_t left_out = 0;
  for (std::size_t page = 2; page < numbers.size(); ++page) {
    numbers[page] = 0;
    const bool covered = HashOf(file, numbers, transaction) != hash;
    numbers[page] = page + 1;
    if (covered) continue;
    file.replace(page * kPageBytes, kPageBytes, kPageBytes, '\xA5');
    ++left_out;
  }
  EXPECT_GT(left_out, 0U);
  EXPECT_LT(left_out, numbers.size() / 2);
  std::ofstream(path, std::ios::binary) << file;
  std::filesystem::remove(database.Path() / "clean");
  database.Open();
  EXPECT_EQ(Findings(database.Database()), "");
  EXPECT_EQ(Describe(database.Database(), id), before);
}

TEST(SnapshotHash, IsOfOneTransaction) {
  TemporaryDatabase database;
  SubmitNew(database.Store());
  const std::uint64_t transaction = Must(kv::GetLmdbSequence(database.Path()));
  const std::string file = ContentOf(database.Path() / "data.mdb");
  const std::vector<std::uint64_t> numbers = NumbersFor(file);
  EXPECT_NE(HashOf(file, numbers, transaction), HashOf(file, numbers, transaction - 1));
  EXPECT_EQ(HashOf(file, numbers, transaction + 1), 0U);
  // Trees that lead out of the file.
  const std::string half = file.substr(0, file.size() / 2 / kPageBytes * kPageBytes);
  EXPECT_EQ(HashOf(half, NumbersFor(half), transaction), 0U);
}

}  // namespace
}  // namespace bobbin::powerloss

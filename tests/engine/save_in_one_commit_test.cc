// Two saves that share one transaction are still told apart.
//
// Method: a closure on the same engine keeps the commit thread busy while two objects save the same
// message, one of them by force; both saves then go into one transaction, with one sequence number.
// Whoever was overwritten must be told so, at that save or at its next.

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "engine/database.h"
#include "engine/database_state.h"
#include "engine/kv/lmdb_engine.h"
#include "tests/support/temporary_directory.h"

namespace bobbin {
namespace {

TEST(SaveInOneCommit, AnOverwrittenSaverIsAlwaysTold) {
  const TemporaryDirectory directory;
  const auto path = directory.Path() / "db";
  ASSERT_TRUE(Database::Create(path));
  Result<Database> database = Database::Open(path);
  ASSERT_TRUE(database);
  kv::LmdbOptions options;
  options.tables = Database::TableNames();
  const auto engine = kv::OpenLmdbEngine(path, options);
  ASSERT_TRUE(engine);
  MessageStore store = *database->CreateMessageStore("store");

  for (int round = 0; round < 20; ++round) {
    Message draft = *store.CreateMessage(store.Folders().drafts);
    ASSERT_TRUE(draft.SaveChanges());
    const EntryId id = *draft.Id();
    Message one = *store.OpenMessage(id, kMapiModify);
    Message two = *store.OpenMessage(id, kMapiModify);
    const Property first[] = {Property::Bytes(pr::kSubject, "one")};
    const Property second[] = {Property::Bytes(pr::kSubject, "two")};
    ASSERT_TRUE(one.SetProps(first));
    ASSERT_TRUE(two.SetProps(second));

    std::binary_semaphore go_on{0};
    (*engine)->UpdateAsync(
        [&](kv::WriteTransaction&) -> Result<void> {
          go_on.acquire();
          return {};
        },
        [](const kv::CommitOutcome&) {});
    std::atomic<int> started{0};
    Result<void> saved;
    std::thread saver([&] {
      ++started;
      saved = one.SaveChanges(kKeepOpenReadWrite);
    });
    std::thread forcer([&] {
      ++started;
      EXPECT_TRUE(two.SaveChanges(kForceSave));
    });
    while (started < 2) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // Most often both are queued then.
    go_on.release();
    saver.join();
    forcer.join();
    const Result<void> told = saved ? one.SaveChanges(kKeepOpenReadWrite) : saved;
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().code, ErrorCode::kObjectChanged);
  }
}

}  // namespace
}  // namespace bobbin

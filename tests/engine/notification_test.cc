// Notifications as engine/notification.h promises them.
//
// Method: real sinks on a real database, and real processes where one is to be killed. What a sink
// is told is looked at up to a marker that the test causes last.
#include "engine/notification.h"

#include <gmock/gmock.h>

#include <csignal>
#include <future>
#include <latch>
#include <thread>

#include "engine/commit_announcer.h"
#include "engine/database_state.h"
#include "engine/kv/commit_fault.h"
#include "engine/kv/lmdb_engine.h"
#include "tests/support/advised_process.h"
#include "tests/support/matchers.h"
#include "tests/support/recorded_events.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kEverything = kFnevNewMail | kFnevAllObjects;

MessageId IdOf(const EntryId& id) { return {id.Object()}; }

class NotificationTest : public testing::Test {
 protected:
  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }
  std::shared_ptr<ChangeFeed> Feed() { return Db().State()->shared.changes; }
  EntryId FolderEntry(FolderId id) { return Store().EntryIdOf(id.value); }

  EntryId Save(FolderId folder, std::string_view subject = "subject") {
    Message message = NewDraft(Store(), folder, {"b@x.test"}, subject);
    Must(message.SaveChanges());
    return Must(message.Id());
  }
  // What `events`, of a queue, has before the marker.
  std::vector<QueueEvent> Told(RecordedEvents<QueueEvent>& events, MessageStore& store) {
    const MessageId marker = IdOf(SubmitNew(store));
    return events.Until([&](const QueueEvent& event) { return event.message == marker; });
  }
  std::vector<QueueEvent> Told(RecordedEvents<QueueEvent>& events) { return Told(events, Store()); }
  // What `events`, of objects, has before a marker in `folder`.
  std::vector<Notification> ToldIn(RecordedEvents<Notification>& events, FolderId folder) {
    const EntryId marker = Save(folder);
    return events.Until([&](const Notification& told) { return told.entry_id == marker; });
  }

  TemporaryDatabase database_;
};

// --- Order, restriction, rows ---

// A commit in the middle of an attempt changes the row, although its lock neither comes nor goes.
TEST_F(NotificationTest, AnAttemptThatKeepsItsLockIsTold) {
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message message = Must(session.OpenMessage(id));
  Must(session.SetLockState(message, LockState::kLocked));
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  Attempt attempt;
  attempt.next_due = database_.Clock().Now() + std::chrono::hours(1);
  attempt.keep_locked = true;
  ASSERT_EQ(Must(session.CommitAttempt(id, attempt)), FinishResult::kStillQueued);
  const std::vector<QueueEvent> told = Told(events);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, QueueEventKind::kRowModified);
  ASSERT_TRUE(told[0].row);
  EXPECT_EQ(told[0].row->message, IdOf(id));
  EXPECT_EQ(told[0].row->due, attempt.next_due);
  EXPECT_NE(told[0].row->submit_flags & kSubmitFlagLocked, 0U);
}

const ChildProgram kSubmitter("submit-some", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments.at(0)));
  MessageStore store = Must(database.OpenMessageStore(TemporaryDatabase::kStoreName));
  for (int i = 0; i < std::stoi(arguments.at(1)); ++i) SubmitNew(store);
  return 0;
});

// Three threads here and a process submit at once. Sequences are given out inside the transactions,
// so ascending ones are the order of the commits.
TEST_F(NotificationTest, EveryProcessesCommitsAreToldInTheirOrder) {
  constexpr int kEach = 40;
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  ChildProcess other("submit-some", {database_.Path().string(), std::to_string(kEach)});
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      MessageStore store = Must(Db().OpenMessageStore(TemporaryDatabase::kStoreName));
      for (int j = 0; j < kEach; ++j) SubmitNew(store);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(other.Wait(), 0);
  const std::vector<QueueEvent> told = Told(events);
  ASSERT_THAT(told, SizeIs(4 * kEach));
  for (std::size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i].kind, QueueEventKind::kRowAdded);
    EXPECT_EQ(told[i].sequence, i + 1);
  }
}

TEST_F(NotificationTest, RowsOutsideTheViewOfOneStoreAreNotTold) {
  MessageStore other = Must(Db().CreateMessageStore("bob@b.test"));
  RecordedEvents<QueueEvent> events;
  const SpoolerSession session = Must(Db().OpenSpoolerSession());
  const QueueAdvise advise = session.GetOutgoingQueue(Store().Id()).Advise(events.Sink());
  Must(other.AbortSubmit(SubmitNew(other)));
  const EntryId id = SubmitNew(Store());
  Must(Db().GetOutgoingQueue().Hold(IdOf(SubmitNew(other))));
  const std::vector<QueueEvent> told = Told(events);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].message, IdOf(id));
  EXPECT_EQ(told[0].store, Store().Id());
}

// Two stores in turn, so that the row before is not the number before.
TEST_F(NotificationTest, AQueueRowComesWithItselfAndThePredecessorsInstanceKey) {
  MessageStore other = Must(Db().CreateMessageStore("bob@b.test"));
  const SpoolerSession session = Must(Db().OpenSpoolerSession());
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = session.GetOutgoingQueue(Store().Id()).Advise(events.Sink());
  std::vector<EntryId> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(SubmitNew(Store(), {"b@x.test"}, "message " + std::to_string(i)));
    SubmitNew(other);
  }
  for (std::uint64_t i = 0; i < 3; ++i) {
    const QueueEvent added = events.Take(1).at(0);
    ASSERT_EQ(added.kind, QueueEventKind::kRowAdded);
    EXPECT_EQ(added.sequence, 2 * i + 1);
    EXPECT_EQ(added.prior_sequence, i == 0 ? 0 : 2 * i - 1);
    ASSERT_TRUE(added.row);
    EXPECT_EQ(added.row->subject, "message " + std::to_string(i));
    EXPECT_EQ(added.row->sequence, added.sequence);
  }
  Must(Store().AbortSubmit(ids[1]));
  const QueueEvent deleted = events.Take(1).at(0);
  EXPECT_EQ(deleted.kind, QueueEventKind::kRowDeleted);
  EXPECT_EQ(deleted.sequence, 3U);
  EXPECT_FALSE(deleted.row);
  Must(Db().GetOutgoingQueue().Hold(IdOf(ids[2])));
  const QueueEvent modified = events.Take(1).at(0);
  EXPECT_EQ(modified.kind, QueueEventKind::kRowModified);
  EXPECT_EQ(modified.row->lane, DueLane::kHeld);
  EXPECT_EQ(modified.prior_sequence, 1U) << "the row between is gone";
}

TEST_F(NotificationTest, TheRowOfALockSaysWhetherItIsLocked) {
  const EntryId id = SubmitNew(Store());
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  const auto is_locked = [&] {
    const QueueEvent event = events.Take(1).at(0);
    EXPECT_EQ(event.kind, QueueEventKind::kRowModified);
    return event.row && (event.row->submit_flags & kSubmitFlagLocked) != 0;
  };
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  {
    Message message = Must(session.OpenMessage(id));
    Must(session.SetLockState(message, LockState::kLocked));
  }
  EXPECT_TRUE(is_locked());
  Must(session.CommitAttempt(id, Attempt{}));
  EXPECT_FALSE(is_locked());
}

TEST_F(NotificationTest, LocksThatGoWithTheirOwnerAreAReloadOfTheQueue) {
  const EntryId id = SubmitNew(Store());
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    Message message = Must(session.OpenMessage(id));
    Must(session.SetLockState(message, LockState::kLocked));
  }
  const std::vector<QueueEvent> told = events.Take(2);
  EXPECT_EQ(told[0].kind, QueueEventKind::kRowModified);
  EXPECT_EQ(told[1].kind, QueueEventKind::kReload);
}

// INLINE (specification 6): not in the queue, until what is left is the spooler's.
TEST_F(NotificationTest, AnInlineMessageIsAddedToTheQueueWhenItCanBeSeenThere) {
  std::vector<std::string> names;
  for (int i = 0; i < 120; ++i) {
    names.push_back("r" + std::to_string(i) + "@a.test");
    Must(Db().CreateMessageStore(names.back()));
  }
  Must(Store().SetTightlyCoupled(true));
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  SubmitNew(Store(), names);
  names.push_back("foreign@x.test");
  const EntryId foreign = SubmitNew(Store(), names);
  const std::vector<QueueEvent> told = Told(events);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, QueueEventKind::kRowAdded);
  EXPECT_EQ(told[0].message, IdOf(foreign));
  EXPECT_TRUE(told[0].row);
}

TEST_F(NotificationTest, AContentsTableTellsWhatComesChangesAndGoes) {
  const StandardFolders& folders = Store().Folders();
  const EntryId first = Save(folders.inbox, "first");
  Save(folders.drafts, "elsewhere");
  RecordedEvents<ContentsEvent> events;
  const AdviseConnection advise = Must(Store().AdviseContentsTable(folders.inbox, events.Sink()));
  const EntryId second = Save(folders.inbox, "second");
  const ContentsEvent added = events.Take(1).at(0);
  EXPECT_EQ(added.kind, TableEvent::kRowAdded);
  EXPECT_EQ(added.message, IdOf(second));
  EXPECT_EQ(added.prior, IdOf(first));
  ASSERT_TRUE(added.row);
  EXPECT_EQ(added.row->subject, "second");

  Must(Must(Store().OpenMessage(first, 0)).SetReadFlag(kClearReadFlag));
  const ContentsEvent modified = events.Take(1).at(0);
  EXPECT_EQ(modified.kind, TableEvent::kRowModified);
  EXPECT_EQ(modified.message, IdOf(first));
  EXPECT_EQ(modified.prior, std::nullopt) << "it is the first row";
  EXPECT_EQ(modified.row->message_flags & kMsgFlagRead, 0U);

  const std::vector<MessageId> one{IdOf(second)};
  Must(Store().MoveMessages(folders.inbox, one, folders.drafts));
  Must(Store().MoveMessages(folders.drafts, one, folders.inbox));
  Must(Store().CopyMessages(folders.inbox, one, folders.inbox));
  Must(Store().DeleteMessages(folders.inbox, one));
  std::vector<TableEvent> kinds;
  for (const ContentsEvent& event : events.Take(4)) kinds.push_back(event.kind);
  EXPECT_THAT(kinds, ElementsAre(TableEvent::kRowDeleted, TableEvent::kRowAdded,
                                 TableEvent::kRowAdded, TableEvent::kRowDeleted));
  EXPECT_THAT(Store().AdviseContentsTable(FolderId{999'999}, events.Sink()).error().code,
              ErrorCode::kNotFound);
}

// --- Objects and new mail ---

TEST_F(NotificationTest, MovedAndCopiedCarryTheOldIdentifiers) {
  const StandardFolders& folders = Store().Folders();
  RecordedEvents<Notification> events;
  const AdviseConnection advise = Must(Store().Advise(std::nullopt, kEverything, events.Sink()));
  EXPECT_NE(advise.Number(), 0U);
  const EntryId id = Save(folders.inbox);
  {
    Message message = Must(Store().OpenMessage(id, kMapiModify));
    ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, "edited")));
    Must(message.SaveChanges());
  }
  const std::vector<MessageId> one{IdOf(id)};
  std::vector<MessageId> copies;
  Must(Store().CopyMessages(folders.inbox, one, folders.drafts, &copies));
  Must(Store().MoveMessages(folders.inbox, one, folders.sent_items));
  Must(Store().DeleteMessages(folders.sent_items, one));
  const FolderId below = Must(Store().CreateFolder(folders.inbox, "Below"));
  Must(Store().DeleteFolder(below));
  const std::vector<Notification> told = events.Take(7);

  EXPECT_EQ(told[0].event, kFnevObjectCreated);
  EXPECT_EQ(told[1].event, kFnevObjectModified);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(told[i].entry_id, id);
    EXPECT_EQ(told[i].parent_id, FolderEntry(folders.inbox));
    EXPECT_FALSE(told[i].old_id || told[i].old_parent_id);
  }
  EXPECT_EQ(told[2].event, kFnevObjectCopied);
  EXPECT_EQ(told[2].entry_id, Store().EntryIdOf(copies.at(0).value));
  EXPECT_EQ(told[2].parent_id, FolderEntry(folders.drafts));
  EXPECT_EQ(told[2].old_id, id);
  EXPECT_EQ(told[2].old_parent_id, FolderEntry(folders.inbox));
  EXPECT_EQ(told[3].event, kFnevObjectMoved);
  EXPECT_EQ(told[3].entry_id, id);
  EXPECT_EQ(told[3].parent_id, FolderEntry(folders.sent_items));
  EXPECT_EQ(told[3].old_id, id);
  EXPECT_EQ(told[3].old_parent_id, FolderEntry(folders.inbox));
  EXPECT_EQ(told[4].event, kFnevObjectDeleted);
  EXPECT_EQ(told[4].parent_id, FolderEntry(folders.sent_items));
  EXPECT_EQ(told[5].event, kFnevObjectCreated);
  EXPECT_EQ(told[5].object_type, ObjectType::kFolder);
  EXPECT_EQ(told[5].entry_id, FolderEntry(below));
  EXPECT_EQ(told[5].parent_id, FolderEntry(folders.inbox));
  EXPECT_EQ(told[6].event, kFnevObjectDeleted);
  EXPECT_EQ(told[6].object_type, ObjectType::kFolder);
}

TEST_F(NotificationTest, OnlyTheEventsAndTheObjectsThatWereAskedForAreTold) {
  const StandardFolders& folders = Store().Folders();
  const EntryId id = Save(folders.inbox);
  RecordedEvents<Notification> of_message;
  RecordedEvents<Notification> of_folder;
  const AdviseConnection message_advise =
      Must(Store().Advise(id, kFnevObjectMoved | kFnevObjectDeleted, of_message.Sink()));
  const AdviseConnection folder_advise =
      Must(Store().Advise(FolderEntry(folders.inbox), kEverything, of_folder.Sink()));
  EXPECT_NE(message_advise.Number(), folder_advise.Number());
  Save(folders.drafts);
  Save(folders.inbox);
  const std::vector<MessageId> one{IdOf(id)};
  Must(Must(Store().OpenMessage(id, 0)).SetReadFlag(kClearReadFlag));
  Must(Store().MoveMessages(folders.inbox, one, folders.drafts));
  Must(Store().DeleteMessages(folders.drafts, one));
  std::vector<std::uint32_t> told_of_message;
  for (const Notification& told : of_message.Take(2)) told_of_message.push_back(told.event);
  EXPECT_THAT(told_of_message, ElementsAre(kFnevObjectMoved, kFnevObjectDeleted));
  std::vector<std::uint32_t> told_of_folder;
  for (const Notification& told : ToldIn(of_folder, folders.inbox)) {
    told_of_folder.push_back(told.event);
  }
  EXPECT_THAT(told_of_folder,
              ElementsAre(kFnevObjectCreated, kFnevObjectModified, kFnevObjectMoved));
}

TEST_F(NotificationTest, NewMailIsToldToTheReceiveFolderAndToTheStore) {
  MessageStore bob = Must(Db().CreateMessageStore("bob@a.test"));
  RecordedEvents<Notification> of_store;
  RecordedEvents<Notification> of_inbox;
  RecordedEvents<Notification> of_drafts;
  const AdviseConnection store = Must(bob.Advise(std::nullopt, kFnevNewMail, of_store.Sink()));
  const AdviseConnection inbox =
      Must(bob.Advise(bob.EntryIdOf(bob.Folders().inbox.value), kFnevNewMail, of_inbox.Sink()));
  const AdviseConnection drafts =
      Must(bob.Advise(bob.EntryIdOf(bob.Folders().drafts.value), kFnevNewMail, of_drafts.Sink()));

  Must(Store().SetTightlyCoupled(true));
  SubmitNew(Store(), {"bob@a.test"});  // Delivered by the store itself.
  const auto arrived = Must(bob.GetContentsTable(bob.Folders().inbox, 10));
  ASSERT_THAT(arrived, SizeIs(1));
  for (auto* events : {&of_store, &of_inbox}) {
    const Notification told = events->Take(1).at(0);
    EXPECT_EQ(told.event, kFnevNewMail);
    EXPECT_EQ(told.entry_id, arrived[0].entry_id);
    EXPECT_EQ(told.parent_id, bob.EntryIdOf(bob.Folders().inbox.value));
    EXPECT_EQ(told.message_class, "IPM.Note");
    EXPECT_EQ(told.message_flags, arrived[0].message_flags);
  }

  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message message = Must(session.CreateMessage(bob.Id(), bob.Folders().drafts));
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kMessageClass, "IPM.Special")));
  Must(message.SaveChanges());
  Must(session.NotifyNewMail(Must(message.Id())));
  for (auto* events : {&of_store, &of_drafts}) {
    const Notification told = events->Take(1).at(0);
    EXPECT_EQ(told.entry_id, Must(message.Id())) << "and of_drafts has not heard of the first";
    EXPECT_EQ(told.message_class, "IPM.Special");
  }
  EXPECT_THAT(session.NotifyNewMail(Store().EntryIdOf(999'999)), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(session.NotifyNewMail(EntryId()), IsError(ErrorCode::kInvalidEntryId));
}

TEST_F(NotificationTest, AReportInTheInboxIsNewMail) {
  RecordedEvents<Notification> events;
  const AdviseConnection advise =
      Must(Store().Advise(FolderEntry(Store().Folders().inbox), kFnevNewMail, events.Sink()));
  const EntryId id = SubmitNew(Store());
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message message = Must(session.OpenMessage(id));
  Must(session.SetLockState(message, LockState::kLocked));
  Attempt attempt;
  ReportMessage report;
  report.properties = {Property::Bytes(pr::kMessageClass, "REPORT.IPM.Note.NDR")};
  attempt.reports.push_back(std::move(report));
  Must(session.CommitAttempt(id, attempt));
  EXPECT_EQ(events.Take(1).at(0).message_class, "REPORT.IPM.Note.NDR");
}

TEST_F(NotificationTest, WhatCannotBeAdvisedIsRefused) {
  const auto code = [&](const std::optional<EntryId>& id, std::uint32_t mask) {
    const auto advised = Store().Advise(id, mask, [](const Notification&) {});
    return advised ? ErrorCode{} : advised.error().code;
  };
  MessageStore other = Must(Db().CreateMessageStore("bob@b.test"));
  const EntryId theirs = other.EntryIdOf(other.Folders().inbox.value);
  EXPECT_EQ(code(std::nullopt, 0), ErrorCode::kInvalidParameter);
  EXPECT_EQ(code(std::nullopt, kFnevTableModified), ErrorCode::kInvalidParameter);
  EXPECT_EQ(code(std::nullopt, 0x1000), ErrorCode::kUnknownFlags);
  EXPECT_EQ(code(EntryId(), kFnevNewMail), ErrorCode::kInvalidEntryId);
  EXPECT_EQ(code(theirs, kFnevNewMail), ErrorCode::kInvalidEntryId);
  EXPECT_EQ(code(Store().EntryIdOf(999'999), kFnevNewMail), ErrorCode::kNotFound);
  EXPECT_FALSE(Feed()->HasReaders());
}

// --- Slow sinks, ends of connections ---

class InMemoryFiles {  // Ten thousand flushes to a disk would be all that a test does.
 public:
  InMemoryFiles() { setenv("TMPDIR", "/dev/shm", 1); }
  ~InMemoryFiles() { unsetenv("TMPDIR"); }
};

TEST(NotificationSinkTest, ASinkThatBlocksHoldsUpNobodyAndIsToldToReload) {
  const InMemoryFiles files;
  TemporaryDatabase database;
  OutgoingQueue queue = database.Database().GetOutgoingQueue();
  const EntryId id = SubmitNew(database.Store());
  std::latch blocked(1);
  std::latch released(1);
  RecordedEvents<QueueEvent> slow;
  RecordedEvents<QueueEvent> quick;
  const QueueAdvise slow_advise =
      queue.Advise([&, record = slow.Sink(), first = true](const QueueEvent& event) mutable {
        record(event);
        if (!std::exchange(first, false)) return;
        blocked.count_down();
        released.wait();
      });
  const QueueAdvise quick_advise = queue.Advise(quick.Sink());
  Must(queue.Hold(IdOf(id)));
  blocked.wait();
  for (int i = 0; i < 5'000; ++i) {
    Must(queue.Release(IdOf(id)));
    Must(queue.Hold(IdOf(id)));
  }
  const auto is = [](MessageId marker) {
    return [=](const QueueEvent& event) { return event.message == marker; };
  };
  const std::size_t heard = quick.Until(is(IdOf(SubmitNew(database.Store())))).size();
  EXPECT_GE(heard, 1U);
  released.count_down();
  // The reload stands for the marker above, too.
  const std::vector<QueueEvent> told =
      slow.Until([](const QueueEvent& event) { return event.kind == QueueEventKind::kReload; });
  EXPECT_LT(told.size(), 300U) << "what it did not take was kept for it";
  EXPECT_THAT(slow.Until(is(IdOf(SubmitNew(database.Store())))), IsEmpty());
}

// No commit is among what is missed, so no sequence is missing.
TEST_F(NotificationTest, MissedLocksAreAReloadToo) {
  const EntryId id = SubmitNew(Store());
  std::latch blocked(1);
  std::latch released(1);
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(
      [&, record = events.Sink(), first = true](const QueueEvent& event) mutable {
        record(event);
        if (!std::exchange(first, false)) return;
        blocked.count_down();
        released.wait();
      });
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  Message message = Must(session.OpenMessage(id));
  Must(session.SetLockState(message, LockState::kLocked));
  blocked.wait();
  for (std::uint32_t i = 0; i < kChangeSlots; ++i) {
    Must(session.SetLockState(message, LockState::kUnlocked));
    Must(session.SetLockState(message, LockState::kLocked));
  }
  released.count_down();
  events.Until([](const QueueEvent& event) { return event.kind == QueueEventKind::kReload; });
  EXPECT_THAT(Told(events), IsEmpty());
}

// Two rows in one commit, so that the second is at hand when the sink is told of the first.
TEST_F(NotificationTest, UnadviseWithinTheSinkEndsItsCalls) {
  const StandardFolders& folders = Store().Folders();
  const std::vector<MessageId> two{IdOf(Save(folders.inbox)), IdOf(Save(folders.inbox))};
  RecordedEvents<ContentsEvent> events;
  RecordedEvents<ContentsEvent> others;
  AdviseConnection advise;
  std::latch set(1);
  advise = Must(Store().AdviseContentsTable(
      folders.drafts, [&, record = events.Sink()](const ContentsEvent& event) {
        set.wait();
        advise.Unadvise();
        record(event);  // Last: after it `advise` is the test's.
      }));
  set.count_down();
  const AdviseConnection other = Must(Store().AdviseContentsTable(folders.drafts, others.Sink()));
  Must(Store().CopyMessages(folders.inbox, two, folders.drafts));
  Save(folders.drafts);
  EXPECT_THAT(others.Take(3), SizeIs(3));
  EXPECT_THAT(events.Take(1), SizeIs(1));
  advise = AdviseConnection();  // No call is under way any more.
  EXPECT_THAT(events.All(), IsEmpty());
}

TEST_F(NotificationTest, AConnectionMayBeDestroyedWithinItsSink) {
  auto advise = std::make_unique<QueueAdvise>();
  std::latch set(1);
  std::promise<void> destroyed;
  *advise = Db().GetOutgoingQueue().Advise([&](const QueueEvent&) {
    set.wait();
    advise.reset();
    destroyed.set_value();  // A second call would throw here.
  });
  set.count_down();
  SubmitNew(Store());
  destroyed.get_future().wait();
  RecordedEvents<QueueEvent> others;
  const QueueAdvise other = Db().GetOutgoingQueue().Advise(others.Sink());
  SubmitNew(Store());
  EXPECT_THAT(others.Take(1), SizeIs(1));
}

TEST_F(NotificationTest, DestroyingAConnectionWaitsForItsSink) {
  std::latch called(1);
  std::latch released(1);
  std::atomic<bool> returned{false};
  std::optional<QueueAdvise> advise = Db().GetOutgoingQueue().Advise([&](const QueueEvent&) {
    called.count_down();
    released.wait();
    returned = true;
  });
  SubmitNew(Store());
  called.wait();
  advise->Unadvise();  // Does not wait.
  EXPECT_FALSE(returned);
  released.count_down();
  advise.reset();
  EXPECT_TRUE(returned);
  EXPECT_FALSE(Feed()->HasReaders());
}

TEST_F(NotificationTest, AFailedStoreIsToldOnceAndEndsIt) {
  RecordedEvents<QueueEvent> of_queue;
  RecordedEvents<Notification> of_store;
  const QueueAdvise queue = Db().GetOutgoingQueue().Advise(of_queue.Sink());
  const AdviseConnection store =
      Must(Store().Advise(std::nullopt, kFnevCriticalError, of_store.Sink()));
  kv::FailCommitForTesting(*database_.Engine(), 1, kv::CommitFault::kNothingCommitted);
  EXPECT_THAT(NewDraft(Store()).SubmitMessage(), IsError(ErrorCode::kStoreFailed));
  const QueueEvent error = of_queue.Take(1).at(0);
  EXPECT_EQ(error.kind, QueueEventKind::kError);
  EXPECT_EQ(error.error->code, ErrorCode::kStoreFailed);
  EXPECT_EQ(of_store.Take(1).at(0).event, kFnevCriticalError);
}

// --- Processes that are killed ---

// Announces as a process does, and is killed where its name says.
class KilledAnnouncer final : public CommitAnnouncer {
 public:
  KilledAnnouncer(const VolatileState& shared, std::string when)
      : CommitAnnouncer(shared), when_(std::move(when)) {}
  void Committing(std::uint64_t sequence, kv::Bytes notes) override {
    if (when_ != "unannounced") CommitAnnouncer::Committing(sequence, notes);
    if (when_ == "announced") raise(SIGKILL);
  }
  void Committed(std::uint64_t /*sequence*/, kv::Bytes /*notes*/) override { raise(SIGKILL); }

 private:
  const std::string when_;
};

const ChildProgram kKilled("submit-and-be-killed", [](const ChildProgram::Arguments& arguments) {
  Database database = Must(Database::Open(arguments.at(0)));
  MessageStore store = Must(database.OpenMessageStore(TemporaryDatabase::kStoreName));
  Message message = NewDraft(store);
  Say(Must(message.Id()).ToHex());
  kv::LmdbOptions options;
  options.tables = Database::TableNames();
  const auto engine = Must(kv::OpenLmdbEngine(arguments.at(0), options));
  engine->Listen(std::make_shared<KilledAnnouncer>(database.State()->shared, arguments.at(1)));
  Must(message.SubmitMessage());
  return 0;
});

EntryId SubmitAndBeKilled(const std::filesystem::path& database, const std::string& when) {
  ChildProcess child("submit-and-be-killed", {database.string(), when});
  const EntryId id = Must(EntryId::FromHex(child.ReadLine()));
  EXPECT_EQ(child.Wait(), 128 + SIGKILL);
  return id;
}

TEST_F(NotificationTest, WhatAProcessCommittedIsToldAlthoughItWasKilledRightAfter) {
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  const EntryId id = SubmitAndBeKilled(database_.Path(), "committed");
  const QueueEvent told = events.Take(1).at(0);  // Nobody else wakes it.
  EXPECT_EQ(told.kind, QueueEventKind::kRowAdded);
  EXPECT_EQ(told.message, IdOf(id));
  EXPECT_TRUE(told.row);
}

// Its announcement is there, and its transaction is not; the next one has the same sequence.
TEST_F(NotificationTest, WhatAProcessDidNotLiveToCommitIsNotTold) {
  RecordedEvents<QueueEvent> events;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  for (int i = 0; i < 3; ++i) {
    const EntryId id = SubmitAndBeKilled(database_.Path(), "announced");
    EXPECT_FALSE(IsStored(Db(), id));
  }
  EXPECT_THAT(Told(events), IsEmpty());
  EXPECT_THAT(Told(events), IsEmpty());
}

TEST_F(NotificationTest, ACommitThatWasNotAnnouncedIsAReload) {
  RecordedEvents<QueueEvent> events;
  RecordedEvents<Notification> of_store;
  const QueueAdvise advise = Db().GetOutgoingQueue().Advise(events.Sink());
  const AdviseConnection store = Must(Store().Advise(std::nullopt, kFnevNewMail, of_store.Sink()));
  const EntryId id = SubmitAndBeKilled(database_.Path(), "unannounced");
  EXPECT_EQ(events.Take(1).at(0).kind, QueueEventKind::kReload);
  const Notification told = of_store.Take(1).at(0);
  EXPECT_EQ(told.event, kFnevTableModified);
  EXPECT_EQ(told.table_event, TableEvent::kReload);
  EXPECT_THAT(QueueOrder(Db()), ElementsAre(IdOf(id)));
  EXPECT_THAT(Told(events), IsEmpty());
}

// Else everybody would announce for a reader that is no more.
TEST_F(NotificationTest, TheReadersOfAKilledProcessAreTakenBack) {
  EXPECT_FALSE(Feed()->HasReaders());
  AdvisedProcess other(database_.Path());
  EXPECT_TRUE(Feed()->HasReaders());
  const EntryId id = SubmitNew(Store());
  EXPECT_EQ(other.Next().message, IdOf(id));
  other.Kill();
  OutgoingQueue queue = Db().GetOutgoingQueue();
  int commits = 0;
  for (; Feed()->HasReaders() && commits < 300; ++commits) {
    Must(commits % 2 == 0 ? queue.Hold(IdOf(id)) : queue.Release(IdOf(id)));
  }
  EXPECT_LT(commits, 300);
  EXPECT_FALSE(Feed()->HasReaders());
}

// --- StoreLogoff ---

TEST_F(NotificationTest, StoreLogoffSaysWhatIsStillToBeSentAndLosesNothing) {
  constexpr std::uint32_t kAll[] = {0, kLogoffNoWait, kLogoffOrderly, kLogoffPurge};
  for (const std::uint32_t flags : kAll) {
    EXPECT_EQ(Must(Store().StoreLogoff(flags)), kLogoffComplete);
  }
  MessageStore other = Must(Db().CreateMessageStore("bob@b.test"));
  SpoolerSession session = Must(Db().OpenSpoolerSession());
  const EntryId id = SubmitNew(Store());
  {
    Message theirs = Must(session.OpenMessage(SubmitNew(other)));
    Must(session.SetLockState(theirs, LockState::kLocked));
  }
  const std::uint32_t seen = session.SignalCount();
  for (const std::uint32_t flags : {0U, kLogoffOrderly, kLogoffAbort, kLogoffQuiet}) {
    EXPECT_EQ(Must(Store().StoreLogoff(flags)), kLogoffComplete | kLogoffOutboundQueue) << flags;
  }
  EXPECT_EQ(session.SignalCount(), seen);
  Must(Store().StoreLogoff(kLogoffNoWait));
  EXPECT_EQ(session.SignalCount(), seen + 1);
  Must(Store().StoreLogoff(kLogoffPurge));
  EXPECT_EQ(session.SignalCount(), seen + 2);

  Message message = Must(session.OpenMessage(id));
  Must(session.SetLockState(message, LockState::kLocked));
  constexpr std::uint32_t kBusy = kLogoffOutbound | kLogoffOutboundQueue;
  for (const std::uint32_t flags : kAll) {
    EXPECT_EQ(Must(Store().StoreLogoff(flags)), kLogoffComplete | kBusy) << flags;
  }
  EXPECT_EQ(Must(Store().StoreLogoff(kLogoffAbort)), kBusy) << "refused";
  EXPECT_EQ(Must(Store().StoreLogoff(kLogoffQuiet | kLogoffNoWait)), kBusy) << "refused";
  EXPECT_THAT(Store().StoreLogoff(0x20), IsError(ErrorCode::kUnknownFlags));
  EXPECT_THAT(QueueOrder(Db()), SizeIs(2));
}

}  // namespace
}  // namespace bobbin

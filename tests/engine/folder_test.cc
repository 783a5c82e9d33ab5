// Folders: the tree every store has, its counters, and what may not be done to it.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/support/matchers.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class Folders : public testing::Test {
 protected:
  MessageStore& Store() { return database_.Store(); }
  const StandardFolders& Standard() { return Store().Folders(); }
  std::vector<std::string> NamesIn(FolderId parent) {
    std::vector<std::string> names;
    for (const FolderInfo& folder : Must(Store().GetFolders(parent))) names.push_back(folder.name);
    return names;
  }
  MessageId SaveIn(FolderId folder, std::int64_t flags = kMsgFlagRead | kMsgFlagUnsent) {
    Message message = NewDraft(Store(), folder, {"b@x.test"});
    Must(message.SetProps(std::vector{Property::Number(pr::kMessageFlags, flags)}));
    Must(message.SaveChanges());
    return {Must(message.Id()).Object()};
  }

  TemporaryDatabase database_;
};

TEST_F(Folders, EveryStoreHasTheStandardTree) {
  EXPECT_THAT(NamesIn(Standard().root), ElementsAre("Top of Information Store"));
  EXPECT_THAT(NamesIn(Standard().ipm_subtree),
              UnorderedElementsAre("Inbox", "Outbox", "Sent Items", "Deleted Items", "Drafts"));
  const FolderInfo root = Must(Store().GetFolder(Standard().root));
  EXPECT_EQ(root.parent, root.id) << "the root's parent is itself";
  EXPECT_EQ(root.folder_count, 1U);
  EXPECT_EQ(Must(Store().GetFolder(Standard().ipm_subtree)).folder_count, 5U);
  EXPECT_EQ(Must(Store().GetFolder(Standard().inbox)).parent, Standard().ipm_subtree);
  const auto opened = Must(Store().OpenEntry(std::nullopt, 0));
  EXPECT_EQ(std::get<FolderInfo>(opened).id, Standard().root);
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(Folders, AreMadeAndDeletedAndCounted) {
  const FolderId a = Must(Store().CreateFolder(Standard().inbox, "a"));
  const FolderId b = Must(Store().CreateFolder(a, "b"));
  EXPECT_EQ(Must(Store().GetFolder(a)).folder_count, 1U);
  EXPECT_EQ(Must(Store().GetFolder(b)).parent, a);
  EXPECT_THAT(Store().DeleteFolder(a), IsError(ErrorCode::kNoAccess)) << "it holds a folder";
  Must(Store().DeleteFolder(b));
  EXPECT_THAT(Store().GetFolder(b), IsError(ErrorCode::kNotFound));
  EXPECT_EQ(Must(Store().GetFolder(a)).folder_count, 0U);
  const MessageId message = SaveIn(a);
  EXPECT_THAT(Store().DeleteFolder(a), IsError(ErrorCode::kNoAccess)) << "it holds a message";
  Must(Store().DeleteMessages(a, std::vector{message}));
  Must(Store().DeleteFolder(a));
  EXPECT_THAT(NamesIn(Standard().inbox), IsEmpty());
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(Folders, HaveNamesThatAreUniqueInTheirParentUtf8AndOfBoundedLength) {
  const auto invalid = IsError(ErrorCode::kInvalidParameter);
  EXPECT_THAT(Store().CreateFolder(Standard().inbox, ""), invalid);
  EXPECT_THAT(Store().CreateFolder(Standard().inbox, std::string(256, 'x')), invalid);
  EXPECT_THAT(Store().CreateFolder(Standard().inbox, "\xff"), invalid);
  EXPECT_THAT(Store().CreateFolder(Standard().inbox, std::string(255, 'x')), IsOk());
  EXPECT_THAT(Store().CreateFolder(Standard().inbox, "Post\xc3\xa9"), IsOk());
  EXPECT_THAT(Store().CreateFolder(Standard().inbox, "Post\xc3\xa9"),
              IsError(ErrorCode::kCollision));
  EXPECT_THAT(Store().CreateFolder(Standard().inbox, "post\xc3\xa9"), IsOk());
  EXPECT_THAT(Store().CreateFolder(Standard().drafts, "Post\xc3\xa9"), IsOk());
  EXPECT_THAT(Store().CreateFolder(FolderId{999'999}, "x"), IsError(ErrorCode::kNotFound));
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(Folders, OfTheStandardTreeStay) {
  for (const FolderId id :
       {Standard().root, Standard().ipm_subtree, Standard().inbox, Standard().outbox,
        Standard().sent_items, Standard().deleted_items, Standard().drafts}) {
    EXPECT_THAT(Store().DeleteFolder(id), IsError(ErrorCode::kNoAccess));
  }
}

TEST_F(Folders, OfAnotherStoreCannotBeReached) {
  MessageStore other = Must(database_.Database().CreateMessageStore("bob@b.test"));
  const FolderId theirs = Must(other.CreateFolder(other.Folders().inbox, "theirs"));
  const auto not_found = IsError(ErrorCode::kNotFound);
  EXPECT_THAT(Store().GetFolder(theirs), not_found);
  EXPECT_THAT(Store().GetFolders(theirs), not_found);
  EXPECT_THAT(Store().GetContentsTable(theirs, 1), not_found);
  EXPECT_THAT(Store().CreateMessage(theirs), not_found);
  EXPECT_THAT(Store().CreateMessage(other.Folders().inbox), not_found);
  EXPECT_THAT(Store().CreateFolder(theirs, "mine"), not_found);
  EXPECT_THAT(Store().DeleteFolder(theirs), not_found);
  EXPECT_THAT(Store().EmptyFolder(theirs), not_found);
  EXPECT_THAT(Store().OpenEntry(other.EntryIdOf(theirs.value), 0),
              IsError(ErrorCode::kInvalidEntryId));
  const MessageId mine = SaveIn(Standard().inbox);
  EXPECT_THAT(Store().MoveMessages(Standard().inbox, std::vector{mine}, theirs), not_found);
  EXPECT_THAT(Store().CopyMessages(Standard().inbox, std::vector{mine}, theirs), not_found);
  EXPECT_THAT(Store().DeleteMessages(theirs, std::vector{mine}), not_found);
  EXPECT_THAT(Must(Store().GetContentsTable(Standard().inbox, 10)), SizeIs(1));

  // Their messages cannot be reached either, by any identifier.
  Message message = NewDraft(other, {"b@x.test"});
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  EXPECT_THAT(Store().OpenMessage(id, 0), IsError(ErrorCode::kInvalidEntryId));
  EXPECT_THAT(Store().AbortSubmit(id), IsError(ErrorCode::kInvalidEntryId));
  const EntryId foreign(DatabaseId{{1, 2, 3}}, id.Object());
  EXPECT_THAT(other.OpenMessage(foreign, 0), IsError(ErrorCode::kInvalidEntryId));
  EXPECT_THAT(other.AbortSubmit(foreign), IsError(ErrorCode::kInvalidEntryId));
  SpoolerSession session = Must(database_.Database().OpenSpoolerSession());
  EXPECT_THAT(session.OpenMessage(foreign), IsError(ErrorCode::kInvalidEntryId));
  EXPECT_THAT(session.FinishMessage(foreign), IsError(ErrorCode::kInvalidEntryId));
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(Folders, CountTheirMessagesThroughEveryChange) {
  const FolderId inbox = Standard().inbox;
  const FolderId drafts = Standard().drafts;
  const auto counts = [&](FolderId folder) {
    const FolderInfo info = Must(Store().GetFolder(folder));
    return std::pair(info.content_count, info.content_unread);
  };
  const MessageId read = SaveIn(inbox);
  const MessageId unread = SaveIn(inbox, kMsgFlagUnsent);
  EXPECT_EQ(counts(inbox), std::pair(2U, 1U));
  Must(Store().MoveMessages(inbox, std::vector{unread}, drafts));
  EXPECT_EQ(counts(inbox), std::pair(1U, 0U));
  EXPECT_EQ(counts(drafts), std::pair(1U, 1U));
  std::vector<MessageId> copies;
  Must(Store().CopyMessages(drafts, std::vector{unread, unread}, inbox, &copies));
  EXPECT_EQ(counts(inbox), std::pair(3U, 2U));
  EXPECT_EQ(Must(Store().MoveMessages(inbox, std::vector{read}, inbox)), Completion::kComplete);
  EXPECT_EQ(counts(inbox), std::pair(3U, 2U)) << "a move to where it is changes nothing";
  EXPECT_EQ(Must(Store().DeleteMessages(inbox, std::vector{copies[0], unread})),
            Completion::kPartial)
      << "one is not in this folder";
  EXPECT_EQ(counts(inbox), std::pair(2U, 1U));
  EXPECT_EQ(Must(Store().EmptyFolder(inbox)), Completion::kComplete);
  EXPECT_EQ(counts(inbox), std::pair(0U, 0U));
  EXPECT_EQ(counts(drafts), std::pair(1U, 1U));
  EXPECT_EQ(Findings(database_.Database()), "");
}

// More messages than one transaction of a bulk operation takes, and two that must stay.
TEST_F(Folders, AreEmptiedOfEverythingThatIsNotSubmitted) {
  const FolderId outbox = Standard().outbox;
  const EntryId first = SubmitNew(Store());
  for (int i = 0; i < 150; ++i) SaveIn(outbox);
  const EntryId last = SubmitNew(Store());
  EXPECT_EQ(Must(Store().EmptyFolder(outbox)), Completion::kPartial);
  std::vector<EntryId> left;
  for (const ContentsRow& row : Must(Store().GetContentsTable(outbox, 1'000))) {
    left.push_back(row.entry_id);
  }
  EXPECT_THAT(left, ElementsAre(first, last));
  EXPECT_THAT(QueueOrder(database_.Database()), SizeIs(2)) << "emptying must not abort";
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(Folders, ShowTheirContentsInPages) {
  std::vector<MessageId> all;
  for (int i = 0; i < 7; ++i) all.push_back(SaveIn(Standard().drafts));
  std::vector<MessageId> paged;
  MessageId after;
  for (;;) {
    const auto page = Must(Store().GetContentsTable(Standard().drafts, 3, after));
    if (page.empty()) break;
    EXPECT_LE(page.size(), 3U);
    for (const ContentsRow& row : page) paged.push_back(row.message);
    after = page.back().message;
  }
  EXPECT_EQ(paged, all);
  EXPECT_THAT(Store().GetContentsTable(Standard().drafts, 0),
              IsError(ErrorCode::kInvalidParameter));
}

}  // namespace
}  // namespace bobbin

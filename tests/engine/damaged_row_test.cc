// A damaged row: kCorruptData naming table and key to whoever needs it, everything else as before.
//
// Method: a small database with every kind of row; every row of every table is damaged in turn, in
// several ways, through the kv engine the database itself uses; then everything is tried.
#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "engine/attachment.h"
#include "engine/named_property.h"
#include "tests/support/matchers.h"
#include "tests/support/stored_rows.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<PropertyName> kNames{{kPublicStringsPropertySet, 7U},
                                       {kPublicStringsPropertySet, "Keywords"}};

EntryId SubmitWithContent(MessageStore& store, std::string_view recipient, std::size_t bytes) {
  Message message = NewDraft(store, {std::string(recipient), "also@x.test"});
  SetContent(store, message, std::string(bytes, 'x'));
  AttachStreamAndMessage(store, message, std::string(bytes, 'y'));
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  return id;
}

// Tries everything that reads; the errors met. Nothing may crash, and none may say "not found".
std::vector<Error> TryEverything(Database& database, const std::vector<EntryId>& ids) {
  std::vector<Error> errors;
  const auto note = [&](const auto& result) {
    if (!result) errors.push_back(result.error());
    return result.has_value();
  };
  note(database.ListMessageStores());
  note(GetIdsFromNames(database, kNames));
  note(GetNamesFromIds(database, std::vector{PropertyTag{0x80000000}, PropertyTag{0x80010000}}));
  Result<MessageStore> store = database.OpenMessageStore(TemporaryDatabase::kStoreName);
  if (note(store)) {
    for (const FolderId folder : {store->Folders().root, store->Folders().ipm_subtree,
                                  store->Folders().outbox, store->Folders().inbox}) {
      note(store->GetFolder(folder));
      note(store->GetFolders(folder));
      note(store->GetContentsTable(folder, 100));
    }
    for (const EntryId& id : ids) {
      Result<Message> message = store->OpenMessage(id, kMapiBestAccess);
      if (!note(message)) continue;
      Result<Attachment> attachment = message->OpenAttachment(0);
      if (!note(attachment)) continue;
      note(attachment->OpenEmbeddedMessage());
      std::vector<Result<MessageBodyReader>> readers;
      readers.push_back(message->OpenContent());
      readers.push_back(attachment->OpenStream(pr::kAttachDataBinary));
      for (Result<MessageBodyReader>& content : readers) {
        for (bool more = note(content); more;) {
          const Result<std::string_view> piece = content->Next();
          more = note(piece) && !piece->empty();
        }
      }
    }
  }
  note(database.GetOutgoingQueue().Rows(100));
  for (const EntryId& id : ids) note(database.GetOutgoingQueue().Row(MessageId{id.Object()}));
  const SpoolerSession session = Must(database.OpenSpoolerSession());
  if (const auto due = session.NextDue(Time::max()); note(due)) {
    for (const auto& damaged : due->damaged) errors.push_back(damaged.error);
  }
  return errors;
}

class DamagedRow : public testing::Test {
 protected:
  void SetUp() override {
    Must(GetIdsFromNames(database_.Database(), kNames, kMapiCreate));
    ids_ = {SubmitWithContent(database_.Store(), "a@x.test", 100),
            SubmitWithContent(database_.Store(), "b@x.test", 100'000),
            SubmitWithContent(database_.Store(), "c@x.test", 300'000)};
    ASSERT_THAT(TryEverything(database_.Database(), ids_), IsEmpty());
    ASSERT_EQ(Findings(database_.Database()), "");
  }

  TemporaryDatabase database_;
  std::vector<EntryId> ids_;
};

TEST_F(DamagedRow, IsNamedByTableAndKeyWhereverItIsRead) {
  const auto engine = database_.Engine();
  const std::vector<StoredRow> rows = AllRows(*engine);
  std::set<std::uint8_t> tables;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const StoredRow& row = rows[i];
    tables.insert(row.table.index);
    const std::string name = "table " + std::string(table::kNames[row.table.index]);
    const std::string other = rows[(i + 1) % rows.size()].value;
    for (const std::string& damaged :
         {Flipped(row.value, row.value.size() / 2), Flipped(row.value, 0),
          row.value.substr(0, row.value.size() - 1), row.value.substr(0, 3), std::string(), other,
          std::string(200, '\xA5')}) {
      SCOPED_TRACE(name + " key " + ToHex(row.key) + " now " + ToHex(damaged.substr(0, 16)));
      PutRow(*engine, row, damaged);
      for (const Error& error : TryEverything(database_.Database(), ids_)) {
        EXPECT_EQ(error.code, ErrorCode::kCorruptData) << ToString(error);
        EXPECT_THAT(error.detail, testing::AllOf(HasSubstr(name), HasSubstr(ToHex(row.key))));
      }
      const std::string findings = Findings(database_.Database());
      EXPECT_THAT(findings, HasSubstr(ToHex(row.key))) << "CheckStore does not name the row";
      EXPECT_THAT(findings, HasSubstr(std::string(table::kNames[row.table.index])));
    }
    PutRow(*engine, row, row.value);
  }
  EXPECT_EQ(tables.size(), table::kNames.size()) << "a table without a row proves nothing";
  EXPECT_THAT(TryEverything(database_.Database(), ids_), IsEmpty());
  EXPECT_EQ(Findings(database_.Database()), "");
}

TEST_F(DamagedRow, OfAMessageLeavesTheOthersUsable) {
  const auto engine = database_.Engine();
  for (const StoredRow& row : AllRows(*engine)) {
    if (row.table == table::kMessages && row.key == MessageKey(MessageId{ids_[1].Object()})) {
      PutRow(*engine, row, Flipped(row.value, 40));
    }
  }
  MessageStore& store = database_.Store();
  const std::vector<std::string> named{"table messages",
                                       ToHex(MessageKey(MessageId{ids_[1].Object()}))};
  EXPECT_THAT(store.OpenMessage(ids_[1], 0), IsErrorNaming(ErrorCode::kCorruptData, named));
  EXPECT_THAT(store.AbortSubmit(ids_[1]), IsErrorNaming(ErrorCode::kCorruptData, named));
  EXPECT_THAT(store.OpenMessage(ids_[0], 0), IsOk());
  EXPECT_THAT(store.AbortSubmit(ids_[0]), IsOk());
  SubmitNew(store);
  std::vector<Error> damaged;
  EXPECT_EQ(Must(database_.Database().GetOutgoingQueue().Rows(100, 0, &damaged)).size(), 2U);
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_THAT(damaged[0].detail, HasSubstr(named[1]));
}

}  // namespace
}  // namespace bobbin

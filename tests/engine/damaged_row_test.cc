// A damaged row: kCorruptData naming table and key to whoever needs it, everything else as before.
//
// Method: a small database with every kind of row; every row of every table is damaged in turn, in
// several ways, through the kv engine the database itself uses; then everything is tried.
#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "engine/attachment.h"
#include "engine/keyspace.h"
#include "engine/named_property.h"
#include "tests/support/matchers.h"
#include "tests/support/scripted_spooler.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<PropertyName> kNames{{kPublicStringsPropertySet, 7U},
                                       {kPublicStringsPropertySet, "Keywords"}};

struct Row {
  kv::TableId table;
  std::string key;
  std::string value;
};

std::vector<Row> AllRows(kv::Engine& engine) {
  std::vector<Row> rows;
  Must(engine.View([&](kv::ReadTransaction& transaction) -> Result<void> {
    rows.clear();
    for (std::size_t i = 0; i < table::kNames.size(); ++i) {
      const kv::TableId table{static_cast<std::uint8_t>(i)};
      RETURN_IF_ERROR(transaction.Scan(table, {}, [&](kv::Bytes key, kv::Bytes value) {
        rows.push_back({table, std::string(key), std::string(value)});
        return true;
      }));
    }
    return {};
  }));
  return rows;
}

void PutRow(kv::Engine& engine, const Row& row, std::string_view value) {
  Must(engine
           .Update([&](kv::WriteTransaction& transaction) {
             return transaction.Put(row.table, row.key, value);
           })
           .ToResult());
}

std::string Flipped(std::string value, std::size_t at) {
  value[at] = static_cast<char>(value[at] ^ 0x10);
  return value;
}

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
    errors.insert(errors.end(), due->damaged.begin(), due->damaged.end());
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
  const std::vector<Row> rows = AllRows(*engine);
  std::set<std::uint8_t> tables;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
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
  for (const Row& row : AllRows(*engine)) {
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

// Whatever row of the first message is damaged, the spooler delivers the other two and comes to
// rest; and nothing of the damaged message is lost: what is in the database stays in it.
TEST_F(DamagedRow, DoesNotKeepTheSpoolerFromTheOtherMessages) {
  const MessageId damaged_id{ids_[0].Object()};
  const auto belongs_to_first = [&](const Row& row) {
    if (row.table == table::kMessages) return row.key == MessageKey(damaged_id);
    if (row.table == table::kRecipients) return row.key.substr(0, 8) == Key8(damaged_id.value);
    // The first in the queue and in the due index is the first message's.
    return row.table == table::kQueue || row.table == table::kDue;
  };
  std::set<std::uint8_t> seen;
  for (const Row& row : AllRows(*database_.Engine())) {
    if (!belongs_to_first(row) || !seen.insert(row.table.index).second) continue;
    SCOPED_TRACE(table::kNames[row.table.index]);
    TemporaryDatabase database;
    const std::vector<EntryId> ids{SubmitWithContent(database.Store(), "a@x.test", 100),
                                   SubmitWithContent(database.Store(), "b@x.test", 100),
                                   SubmitWithContent(database.Store(), "c@x.test", 100)};
    const auto engine = database.Engine();
    for (const Row& own : AllRows(*engine)) {
      if (own.table == row.table && own.key == row.key)
        PutRow(*engine, own, Flipped(own.value, 40));
    }
    TransportScript script;
    ScriptedSpooler spooler(database.Database(), script);
    spooler.RunUntilIdle(database.Clock().Now());
    std::set<MessageId> offered;
    for (const auto& offer : script.offers) offered.insert(offer.message);
    for (std::size_t i = 1; i < ids.size(); ++i) {
      EXPECT_TRUE(offered.contains(MessageId{ids[i].Object()})) << i;
      EXPECT_EQ(StoredFlags(database.Database(), ids[i]) & kMsgFlagSubmit, 0U) << i;
    }
    EXPECT_THAT(spooler.Events(), testing::Contains(testing::Field(
                                      &SpoolerEvent::kind, SpoolerEventKind::kMessageDamaged)));
    const std::size_t offers = script.offers.size();
    spooler.RunUntilIdle(database.Clock().Now() + std::chrono::hours(1));
    EXPECT_EQ(script.offers.size(), offers) << "the damaged message is offered again and again";
    // Three, and one embedded in each.
    EXPECT_EQ(Must(database.Database().CheckStore()).messages, 6U);
  }
  EXPECT_EQ(seen.size(), 4U);
}

}  // namespace
}  // namespace bobbin

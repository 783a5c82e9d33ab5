// Mail that was composed without a sender leaves in the name of its store, or not at all: from <>
// it would look like a report, and nobody would be told that it did not arrive.
//
// Method: a real database in which rows of stores are damaged through the kv engine that it uses;
// the real Spooler on scripted transports.
#include <gmock/gmock.h>

#include "tests/support/scripted_spooler.h"
#include "tests/support/stored_rows.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class SenderOfAStore : public testing::Test {
 protected:
  void SetUp() override {
    script_.during = [&](OutboundMessage& message) {
      reverse_paths_.push_back(message.ReversePath());
    };
  }

  Database& Db() { return database_.Database(); }
  StoredRow StoreRow(const MessageStore& store) {
    return FindRow(*database_.Engine(), table::kMeta, StoreKey(store.Id())).value();
  }
  void Damage(const StoredRow& row) { PutRow(*database_.Engine(), Damaged(row)); }
  void Deliver() { ScriptedSpooler(Db(), script_).RunUntilIdle(database_.Clock().Now()); }
  std::vector<QuarantinedMessage> Quarantined() { return Must(Db().GetQuarantine().Messages()); }

  TemporaryDatabase database_;
  TransportScript script_;
  std::vector<std::string> reverse_paths_;
};

TEST_F(SenderOfAStore, IsItsAddressWhateverHasBecomeOfOtherStores) {
  Damage(StoreRow(Must(Db().CreateMessageStore("another@a.test"))));
  SubmitNew(database_.Store());
  Deliver();
  EXPECT_THAT(reverse_paths_, ElementsAre(TemporaryDatabase::kStoreName));
}

TEST_F(SenderOfAStore, IsNobodyWhenItsNameIsNoAddress) {
  MessageStore store = Must(Db().CreateMessageStore("no address"));
  SubmitNew(store);
  Deliver();
  EXPECT_THAT(reverse_paths_, ElementsAre(""));
}

TEST_F(SenderOfAStore, IsNotGuessedWhenItIsDamaged) {
  const EntryId id = SubmitNew(database_.Store());
  const StoredRow whole = StoreRow(database_.Store());
  Damage(whole);
  Deliver();
  EXPECT_THAT(script_.offers, IsEmpty());
  ASSERT_THAT(Quarantined(), SizeIs(1));
  EXPECT_EQ(Quarantined()[0].message, MessageId{id.Object()});
  EXPECT_THAT(Quarantined()[0].detail, testing::HasSubstr(ToHex(whole.key)));
  PutRow(*database_.Engine(), whole);
  Must(Db().GetQuarantine().Release(MessageId{id.Object()}));
  Deliver();
  EXPECT_THAT(reverse_paths_, ElementsAre(TemporaryDatabase::kStoreName));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
}

TEST_F(SenderOfAStore, IsNotGuessedWhenItIsMissing) {
  SubmitNew(database_.Store());
  EraseRow(*database_.Engine(), StoreRow(database_.Store()));
  Deliver();
  EXPECT_THAT(script_.offers, IsEmpty());
  EXPECT_THAT(Quarantined(), SizeIs(1));
}

TEST_F(SenderOfAStore, IsNotNeededByMailThatHasOne) {
  Message message = NewDraft(database_.Store());
  ASSERT_TRUE(SetProp(message, Property::Bytes(pr::kSenderEmailAddress, "c@a.test")));
  Must(message.SubmitMessage());
  Damage(StoreRow(database_.Store()));
  Deliver();
  EXPECT_THAT(reverse_paths_, ElementsAre("c@a.test"));
  EXPECT_THAT(Quarantined(), IsEmpty());
}

}  // namespace
}  // namespace bobbin

// What the spooler does with a message whose content it cannot read.
//
// Method: a real database, in which rows of the content of one queued message are damaged or erased
// through the kv engine that the database itself uses; the real Spooler on scripted transports.
#include <gmock/gmock.h>

#include "engine/attachment.h"
#include "engine/keyspace.h"
#include "tests/support/matchers.h"
#include "tests/support/scripted_spooler.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

using BodyRows = std::vector<std::pair<std::string, std::string>>;

class UnreadableContent : public testing::Test {
 protected:
  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }
  Time Now() { return database_.Clock().Now(); }
  static MessageId IdOf(const EntryId& id) { return {id.Object()}; }

  MessageBody Content(std::size_t bytes) {
    MessageBodyWriter writer = Store().NewContent();
    const std::string piece(kMebibyte, 'x');
    for (std::size_t left = bytes; left > 0; left -= std::min(left, piece.size())) {
      Must(writer.Append(std::string_view(piece).substr(0, std::min(left, piece.size()))));
    }
    return Must(writer.Finish());
  }
  // A message without an original: what is sent is made of its properties, before any transport is
  // called, and the text is in rows of its own.
  EntryId SubmitLong(const RecipientTable& recipients) {
    Message message = NewDraft(Store(), {});
    Must(message.ModifyRecipients(kModifyRecipientsAdd, recipients));
    Must(message.SetStream(pr::kBody, Content(100'000)));
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    return id;
  }
  EntryId SubmitLong() { return SubmitLong({MakeSmtpRecipient("b@x.test", kRecipientTo)}); }

  BodyRows Bodies() {
    BodyRows rows;
    Must(database_.Engine()->View([&](kv::ReadTransaction& transaction) -> Result<void> {
      rows.clear();
      return transaction.Scan(table::kBodies, {}, [&](kv::Bytes key, kv::Bytes value) {
        rows.emplace_back(key, value);
        return true;
      });
    }));
    return rows;
  }
  void Put(const BodyRows& rows) {
    for (const auto& [key, value] : rows) {
      Must(database_.Engine()
               ->Update([&, key = key, value = value](kv::WriteTransaction& transaction) {
                 return transaction.Put(table::kBodies, key, value);
               })
               .ToResult());
    }
  }
  // One byte of every row is another.
  void Damage() {
    BodyRows rows = Bodies();
    ASSERT_THAT(rows, testing::Not(IsEmpty()));
    for (auto& [key, value] : rows) value[value.size() / 2] ^= 0x10;
    Put(rows);
  }
  void Erase() {
    for (const auto& [key, value] : Bodies()) {
      Must(database_.Engine()
               ->Update([&, key = key](kv::WriteTransaction& transaction) {
                 return transaction.Erase(table::kBodies, key);
               })
               .ToResult());
    }
  }
  RecipientTable Recipients(const EntryId& id) {
    return Must(Must(Db().OpenMessageForOperator(IdOf(id))).GetRecipientTable());
  }
  std::vector<MessageId> Quarantined() {
    std::vector<MessageId> ids;
    for (const QuarantinedMessage& one : Must(Db().GetQuarantine().Messages())) {
      ids.push_back(one.message);
    }
    return ids;
  }

  TemporaryDatabase database_;
  TransportScript script_;
};

TEST_F(UnreadableContent, ThatIsDamagedIsQuarantinedAndSentWhenItIsRepaired) {
  const EntryId id = SubmitLong();
  const EntryId other = SubmitNew(Store());
  const BodyRows whole = Bodies();
  Damage();
  ScriptedSpooler spooler(Db(), script_);
  spooler.RunUntilIdle(Now());
  ASSERT_THAT(script_.offers, SizeIs(1)) << "not the damaged one";
  EXPECT_EQ(script_.offers[0].message, IdOf(other));
  EXPECT_THAT(Quarantined(), ElementsAre(IdOf(id)));
  EXPECT_EQ(Must(Db().Statistics()).locks, 0U);
  EXPECT_THAT(spooler.Events(),
              Contains(AllOf(Field(&SpoolerEvent::kind, SpoolerEventKind::kMessageQuarantined),
                             Field(&SpoolerEvent::message, IdOf(id)))));
  // Nobody is told that it failed, also when it is old: a backup may have it whole.
  spooler.RunUntilIdle(Now() + std::chrono::hours(24 * 10));
  EXPECT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kPending);
  EXPECT_THAT(Must(Store().GetContentsTable(Store().Folders().inbox, 10)), IsEmpty());

  Put(whole);
  Must(Db().GetQuarantine().Release(IdOf(id)));
  spooler.RunUntilIdle(Now());
  EXPECT_THAT(script_.offers, SizeIs(2));
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  EXPECT_EQ(Findings(Db()), "");
}

// What one transport has delivered is written down before the damage that the next one meets.
TEST_F(UnreadableContent, ThatIsDamagedOnTheWayLosesNoOutcome) {
  RecipientRow fax = MakeSmtpRecipient("+1 555", kRecipientTo);
  fax.properties.Set(Property::Bytes(pr::kAddressType, "FAX"));
  fax.properties.Erase(pr::kSearchKey);
  const EntryId id = SubmitLong({MakeSmtpRecipient("b@x.test", kRecipientTo), fax});
  TransportScript by_fax;
  by_fax.address_types = {"FAX"};
  script_.during = [&](OutboundMessage&) { Damage(); };
  ScriptedSpooler spooler(Db(), {&script_, &by_fax});
  spooler.RunUntilIdle(Now());
  EXPECT_THAT(Quarantined(), ElementsAre(IdOf(id)));
  EXPECT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kDelivered);
  EXPECT_THAT(script_.offers, SizeIs(1));
  EXPECT_THAT(by_fax.offers, IsEmpty());
}

// All of it is gone, as when its message were being deleted: that may pass, so it is looked at
// again and nobody's attempt counts, but not for ever.
TEST_F(UnreadableContent, ThatDoesNotComeBackExpires) {
  const EntryId id = SubmitLong();
  Erase();
  ScriptedSpooler spooler(Db(), script_);
  const Time start = Now();
  const StepResult idle = spooler.RunUntilIdle(start);
  ASSERT_TRUE(idle.next_due);
  EXPECT_EQ(*idle.next_due, start + std::chrono::seconds(60));
  EXPECT_EQ(Recipients(id).at(0).delivery.attempts, 0U);

  database_.Clock().Advance(std::chrono::hours(24 * 5) - std::chrono::seconds(1));
  spooler.RunUntilIdle(Now());
  EXPECT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kPending);
  database_.Clock().Advance(std::chrono::seconds(60));
  spooler.RunUntilIdle(Now());
  EXPECT_EQ(Recipients(id).at(0).delivery.state, RecipientState::kExpired);
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  EXPECT_THAT(script_.offers, IsEmpty());
  const auto inbox = Must(Store().GetContentsTable(Store().Folders().inbox, 10));
  ASSERT_THAT(inbox, SizeIs(1)) << "the sender is told";
  const Message report = Must(Store().OpenMessage(inbox[0].entry_id, 0));
  EXPECT_EQ(Must(report.GetProp(pr::kMessageClass)).bytes, "REPORT.IPM.Note.NDR");
}

// Its parts are stored, each as large as one may be; together they are more than mail may have.
TEST_F(UnreadableContent, ThatIsTooBigFailsAtOnce) {
  Message message = NewDraft(Store());
  for (int i = 0; i < 2; ++i) {
    Attachment attachment = Must(message.CreateAttachment());
    Must(attachment.SetStream(pr::kAttachDataBinary, Content(76 * kMebibyte)));
    Must(attachment.SaveChanges());
  }
  const EntryId id = Must(message.Id());
  Must(message.SubmitMessage());
  ScriptedSpooler spooler(Db(), script_);
  spooler.RunUntilIdle(Now());
  EXPECT_THAT(script_.offers, IsEmpty());
  EXPECT_THAT(QueueOrder(Db()), IsEmpty());
  const RecipientDelivery delivery = Recipients(id).at(0).delivery;
  EXPECT_EQ(delivery.state, RecipientState::kFailed);
  EXPECT_EQ(delivery.last_reply.enhanced_code, "5.3.4");
  const auto inbox = Must(Store().GetContentsTable(Store().Folders().inbox, 10));
  ASSERT_THAT(inbox, SizeIs(1));
  const Message report = Must(Store().OpenMessage(inbox[0].entry_id, 0));
  MessageBodyReader content = Must(report.OpenContent());
  EXPECT_THAT(std::string(Must(content.Next())), testing::HasSubstr("Status: 5.3.4"));
  EXPECT_EQ(Findings(Db()), "");
}

}  // namespace
}  // namespace bobbin

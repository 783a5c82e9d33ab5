// Damage in the outgoing queue: the damaged message is out of the way of the others, told once,
// kept, and comes back as it was when it is whole again.
//
// Method: a real database with ten queued messages; one byte of one record of the fifth is changed
// through the kv engine that the database itself uses, for each kind of record that a queued
// message has; the real Spooler on scripted transports.
#include <gmock/gmock.h>

#include "engine/attachment.h"
#include "engine/keyspace.h"
#include "tests/support/matchers.h"
#include "tests/support/scripted_spooler.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kMessages = 10;

struct Row {
  kv::TableId table;
  std::string key;
  std::string value;
};

class QueueDamage : public testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < kMessages; ++i) ids_.push_back(Submit(i));
    script_.during = [&](OutboundMessage& message) {
      is_unreadable_ = false;
      for (bool more = true; more;) {
        const auto piece = message.Content().Next();
        is_unreadable_ = !piece;
        more = piece && !piece->empty();
      }
    };
    script_.outcome = [&](const OutboundRecipient&) {
      return is_unreadable_ ? OutcomeKind::kRetryLater : OutcomeKind::kDelivered;
    };
  }

  Database& Db() { return database_.Database(); }
  Time Now() { return database_.Clock().Now(); }
  static MessageId IdOf(const EntryId& id) { return {id.Object()}; }
  MessageId DamagedId() const { return IdOf(ids_[damaged_]); }

  // With an original in rows of its own, which is handed over as it is, or without one: then what
  // is sent is made of all the parts.
  EntryId Submit(std::size_t number) {
    const std::string address = std::to_string(number) + "@x.test";
    Message message = NewDraft(database_.Store(), {address, "also@x.test"});
    if (number % 2 == 1) {
      Must(message.SetContent(Content(200'000)));
    } else {
      Must(message.SetStream(pr::kBody, Content(100'000)));
      Attachment attachment = Must(message.CreateAttachment());
      Must(attachment.SetStream(pr::kAttachDataBinary, Content(50'000)));
      Must(attachment.SaveChanges());
    }
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    return id;
  }
  MessageBody Content(std::size_t bytes) {
    MessageBodyWriter writer = database_.Store().NewContent();
    Must(writer.Append(std::string(bytes, 'x')));
    return Must(writer.Finish());
  }

  std::vector<Row> Rows(kv::TableId table) {
    std::vector<Row> rows;
    Must(database_.Engine()->View([&](kv::ReadTransaction& transaction) {
      rows.clear();
      return transaction.Scan(table, {}, [&](kv::Bytes key, kv::Bytes value) {
        rows.push_back({table, std::string(key), std::string(value)});
        return true;
      });
    }));
    return rows;
  }
  Row RowOf(kv::TableId table, std::string_view key) {
    for (const Row& row : Rows(table)) {
      if (row.key == key) return row;
    }
    throw std::runtime_error("no such row");
  }
  void Put(const Row& row) {
    Must(database_.Engine()
             ->Update([&](kv::WriteTransaction& transaction) {
               return transaction.Put(row.table, row.key, row.value);
             })
             .ToResult());
  }
  // Rows that are put behind the store's back are in no total.
  std::string FindingsButTotals() {
    std::istringstream lines(Findings(Db()));
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      if (line.find("were committed") == std::string::npos) text += line + "\n";
    }
    return text;
  }
  void Erase(const Row& row) {
    Must(database_.Engine()
             ->Update([&](kv::WriteTransaction& transaction) {
               return transaction.Erase(row.table, row.key);
             })
             .ToResult());
  }
  void Damage(Row row) {
    row.value[row.value.size() / 2] = static_cast<char>(row.value[row.value.size() / 2] ^ 0x10);
    Put(row);
  }

  Row QueueRowOf(std::size_t number) {
    const QueueRow row = Must(Db().GetOutgoingQueue().Row(IdOf(ids_[number])));
    return RowOf(table::kQueue, QueueKey(row.store, row.sequence));
  }
  Row DueRowOf(std::size_t number) {
    const QueueRow row = Must(Db().GetOutgoingQueue().Row(IdOf(ids_[number])));
    return RowOf(table::kDue, EncodeDueKey({row.lane, row.due, row.sequence}));
  }
  // The head, or a chunk, of the only body of the damaged message, when it has an original.
  Row BodyRowOf(std::size_t number, std::uint32_t chunk) {
    std::vector<std::uint64_t> bodies;
    for (const Row& row : Rows(table::kBodies)) {
      const std::uint64_t body = Must(KeyNumber8(row.key, 0));
      if (bodies.empty() || bodies.back() != body) bodies.push_back(body);
    }
    // An even message has two, an odd one has one; in the order in which they were submitted.
    const std::size_t before = number / 2 * 3 + (number % 2 == 1 ? 2 : 0);
    return RowOf(table::kBodies, BodyKey(bodies.at(before), chunk));
  }

  // One spooler after the other, as after restarts: the reports of all of them.
  std::vector<SpoolerEvent> Deliver() {
    std::vector<SpoolerEvent> told;
    for (int start = 0; start < 3; ++start) {
      ScriptedSpooler spooler(Db(), script_);
      spooler.RunUntilIdle(Now() + std::chrono::hours(start));
      for (const SpoolerEvent& event : spooler.Events()) {
        const bool is_of_damage = event.kind == SpoolerEventKind::kMessageQuarantined ||
                                  event.kind == SpoolerEventKind::kQueueMended ||
                                  event.kind == SpoolerEventKind::kError;
        if (is_of_damage) told.push_back(event);
      }
    }
    return told;
  }
  std::vector<MessageId> Quarantined() {
    std::vector<MessageId> ids;
    for (const QuarantinedMessage& one : Must(Db().GetQuarantine().Messages())) {
      ids.push_back(one.message);
    }
    return ids;
  }
  void ExpectDelivered(std::size_t number) {
    EXPECT_EQ(StoredFlags(Db(), ids_[number]) & kMsgFlagSubmit, 0U) << number;
    for (const RecipientRow& row :
         Must(Must(Db().OpenMessageForOperator(IdOf(ids_[number]))).GetRecipientTable())) {
      EXPECT_EQ(row.delivery.state, RecipientState::kDelivered);
      EXPECT_EQ(row.delivery.attempts, 1U);
    }
  }

  void ExpectQuarantinedAndBack(const Row& row) {
    SCOPED_TRACE(std::string(table::kNames[row.table.index]) + " " + ToHex(row.key));
    const QueueRow before = Must(Db().GetOutgoingQueue().Row(DamagedId()));
    Damage(row);
    const std::vector<SpoolerEvent> told = Deliver();
    ASSERT_THAT(told, SizeIs(1)) << "told once, also after a restart";
    EXPECT_EQ(told[0].kind, SpoolerEventKind::kMessageQuarantined);
    EXPECT_EQ(told[0].message, DamagedId());
    EXPECT_THAT(told[0].detail, HasSubstr(ToHex(row.key)));
    for (std::size_t i = 0; i < kMessages; ++i) {
      if (i != damaged_) ExpectDelivered(i);
    }
    EXPECT_THAT(QueueOrder(Db()), IsEmpty());
    EXPECT_EQ(Must(Db().Statistics()).quarantined, 1U);
    const QuarantinedMessage kept = Must(Db().GetQuarantine().Message(DamagedId()));
    EXPECT_EQ(kept.table, table::kNames[row.table.index]);
    EXPECT_EQ(kept.key, ToHex(row.key));
    const CheckReport report = Must(Db().CheckStore());
    EXPECT_EQ(report.quarantined, 1U);
    for (const Finding& finding : report.findings) {
      EXPECT_THAT(finding.detail, testing::Not(HasSubstr("no queue row")));
    }
    EXPECT_THAT(Must(Db().GetQuarantine().Export(DamagedId())),
                HasSubstr("X-Bobbin-Recipient: also@x.test (pending)"));
    // Nothing but a release brings it back, and that only when it is whole.
    EXPECT_THAT(Db().GetOutgoingQueue().Release(DamagedId()), IsError(ErrorCode::kNotInQueue));
    EXPECT_THAT(Db().AbortSubmit(DamagedId()), IsError(ErrorCode::kNotInQueue));
    EXPECT_THAT(Db().GetQuarantine().Release(DamagedId()), IsError(ErrorCode::kCorruptData));

    Put(row);
    Must(Db().GetQuarantine().Release(DamagedId()));
    EXPECT_EQ(Findings(Db()), "");
    const QueueRow after = Must(Db().GetOutgoingQueue().Row(DamagedId()));
    EXPECT_EQ(after.sequence, before.sequence);
    EXPECT_EQ(after.client_submit_time, before.client_submit_time);
    EXPECT_EQ(after.due, before.due);
    EXPECT_THAT(Deliver(), IsEmpty());
    ExpectDelivered(damaged_);
    EXPECT_THAT(Quarantined(), IsEmpty());
  }

  TemporaryDatabase database_;
  TransportScript script_;
  std::vector<EntryId> ids_;
  std::size_t damaged_ = 4;
  bool is_unreadable_ = false;
};

TEST_F(QueueDamage, OfAMessageRecordQuarantines) {
  ExpectQuarantinedAndBack(RowOf(table::kMessages, MessageKey(DamagedId())));
}
TEST_F(QueueDamage, OfARecipientRowQuarantines) {
  ExpectQuarantinedAndBack(RowOf(table::kRecipients, RecipientKey(DamagedId(), {0})));
}
TEST_F(QueueDamage, OfAnAttachmentRowQuarantines) {
  ExpectQuarantinedAndBack(RowOf(table::kAttachments, AttachmentKey(DamagedId(), 0)));
}
TEST_F(QueueDamage, OfTheHeadOfAnOriginalQuarantines) {
  damaged_ = 5;
  ExpectQuarantinedAndBack(BodyRowOf(damaged_, 0));
}
TEST_F(QueueDamage, OfAPieceOfContentQuarantines) {
  ExpectQuarantinedAndBack(BodyRowOf(damaged_, 2));
}
// The transport has had the pieces before it.
TEST_F(QueueDamage, OfAPieceOfAnOriginalQuarantines) {
  damaged_ = 5;
  ExpectQuarantinedAndBack(BodyRowOf(damaged_, 3));
}

TEST_F(QueueDamage, OfAQueueRowIsMended) {
  const Row row = QueueRowOf(damaged_);
  Damage(row);
  const std::vector<SpoolerEvent> told = Deliver();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, SpoolerEventKind::kQueueMended);
  EXPECT_EQ(told[0].message, DamagedId());
  for (std::size_t i = 0; i < kMessages; ++i) ExpectDelivered(i);
  EXPECT_THAT(script_.offers, SizeIs(kMessages));
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(QueueDamage, OfADueRowIsMended) {
  Damage(DueRowOf(damaged_));
  const std::vector<SpoolerEvent> told = Deliver();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, SpoolerEventKind::kQueueMended);
  for (std::size_t i = 0; i < kMessages; ++i) ExpectDelivered(i);
  EXPECT_EQ(Findings(Db()), "");
}

TEST_F(QueueDamage, OfBothRowsIsMendedFromTheMessage) {
  const Row queue = QueueRowOf(damaged_);
  const Row due = DueRowOf(damaged_);
  Damage(queue);
  Damage(due);
  Deliver();
  EXPECT_EQ(Findings(Db()), "");
  for (std::size_t i = 0; i < kMessages; ++i) {
    if (i != damaged_) ExpectDelivered(i);
  }
  // When it was due is not known any more.
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(DamagedId())).lane, DueLane::kHeld);
  Must(Db().GetOutgoingQueue().Release(DamagedId()));
  Deliver();
  ExpectDelivered(damaged_);
}

TEST_F(QueueDamage, OfADueRowThatNoMessageClaimsIsQuarantinedByItself) {
  const Row due = DueRowOf(damaged_);
  const Row queue = QueueRowOf(damaged_);
  Must(Db().AbortSubmit(DamagedId()));
  Row stray = due;
  stray.value[stray.value.size() / 2] ^= 0x10;
  Put(stray);
  const std::vector<SpoolerEvent> told = Deliver();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, SpoolerEventKind::kMessageQuarantined);
  EXPECT_EQ(told[0].message, MessageId{});
  EXPECT_THAT(Quarantined(), ElementsAre(MessageId{}));
  for (std::size_t i = 0; i < kMessages; ++i) {
    if (i != damaged_) ExpectDelivered(i);
  }
  Must(Db().GetQuarantine().Delete({}));
  EXPECT_THAT(Quarantined(), IsEmpty());
  EXPECT_EQ(FindingsButTotals(), "");
}

TEST_F(QueueDamage, ARowOfAMessageThatIsNotThereHoldsNobodyUp) {
  Erase(RowOf(table::kMessages, MessageKey(DamagedId())));
  const std::vector<SpoolerEvent> told = Deliver();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, SpoolerEventKind::kMessageQuarantined);
  for (std::size_t i = 0; i < kMessages; ++i) {
    if (i != damaged_) ExpectDelivered(i);
  }
  EXPECT_THAT(Quarantined(), ElementsAre(DamagedId()));
}

TEST_F(QueueDamage, ARowOfAMessageThatIsNotQueuedIsErased) {
  const Row due = DueRowOf(damaged_);
  const Row queue = QueueRowOf(damaged_);
  Must(Db().AbortSubmit(DamagedId()));
  Put(due);
  Put(queue);
  ASSERT_NE(Findings(Db()), "");
  const std::vector<SpoolerEvent> told = Deliver();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, SpoolerEventKind::kQueueMended);
  EXPECT_EQ(FindingsButTotals(), "");
  EXPECT_THAT(Quarantined(), IsEmpty());
}

// Whom it reached is not sent to again, whatever was damaged meanwhile.
TEST_F(QueueDamage, LeavesServedRecipientsServed) {
  bool is_greylisted = true;
  script_.outcome = [&](const OutboundRecipient& recipient) {
    return is_greylisted && recipient.address == "also@x.test" ? OutcomeKind::kRetryLater
                                                               : OutcomeKind::kDelivered;
  };
  ScriptedSpooler(Db(), script_).RunUntilIdle(Now());
  is_greylisted = false;
  const Row row = RowOf(table::kMessages, MessageKey(DamagedId()));
  Damage(row);
  script_.offers.clear();
  database_.Clock().Advance(std::chrono::hours(1));
  Deliver();
  EXPECT_THAT(Quarantined(), ElementsAre(DamagedId()));
  EXPECT_THAT(script_.offers, SizeIs(kMessages - 1));
  Put(row);
  Must(Db().GetQuarantine().Release(DamagedId()));
  Deliver();
  ASSERT_THAT(script_.offers, SizeIs(kMessages));
  EXPECT_THAT(script_.offers.back().addresses, ElementsAre("also@x.test"));
}

// What a scrub does about the findings that name a message (tools/bobbind/scrubber.h).
std::vector<SetAsideOutcome> SetAsideFindings(Database& database) {
  std::vector<MessageId> found;
  ScrubOptions options;
  options.finding = [&](const Finding& finding) { found.push_back(finding.message); };
  Must(database.Scrub(options));
  SpoolerSession session = Must(database.OpenSpoolerSession());
  std::vector<SetAsideOutcome> outcomes;
  for (const MessageId id : found) {
    if (id.value != 0) outcomes.push_back(Must(session.SetAsideDamaged(id)).outcome);
  }
  return outcomes;
}

TEST_F(QueueDamage, OfAQuarantineRowToo) {
  const Row record = RowOf(table::kMessages, MessageKey(DamagedId()));
  const QueueRow before = Must(Db().GetOutgoingQueue().Row(DamagedId()));
  Damage(record);
  Deliver();
  ASSERT_THAT(Quarantined(), ElementsAre(DamagedId()));

  // Nobody knows any more where it was in the queue: its record does, when it is whole again.
  Damage(RowOf(table::kIndex, QuarantineKey(DamagedId())));
  EXPECT_THAT(SetAsideFindings(Db()), testing::Each(SetAsideOutcome::kNotQueued));
  EXPECT_THAT(Must(Db().GetQuarantine().Export(DamagedId())),
              HasSubstr("X-Bobbin-Recipient: also@x.test (pending)"));
  Put(record);
  Damage(RowOf(table::kRecipients, RecipientKey(DamagedId(), {0})));
  EXPECT_THAT(SetAsideFindings(Db()), testing::Contains(SetAsideOutcome::kQuarantined));
  EXPECT_THAT(Db().GetQuarantine().Release(DamagedId()), IsError(ErrorCode::kCorruptData));
  Damage(RowOf(table::kRecipients, RecipientKey(DamagedId(), {0})));  // As it was.
  Must(Db().GetQuarantine().Release(DamagedId()));
  EXPECT_EQ(Findings(Db()), "");
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(DamagedId())).sequence, before.sequence);
}

TEST_F(QueueDamage, OfTheQuarantineRowOfAWholeMessageQueuesItHeld) {
  const Row record = RowOf(table::kMessages, MessageKey(DamagedId()));
  Damage(record);
  Deliver();
  Put(record);
  Damage(RowOf(table::kIndex, QuarantineKey(DamagedId())));
  EXPECT_THAT(SetAsideFindings(Db()), ElementsAre(SetAsideOutcome::kMended));
  EXPECT_EQ(Findings(Db()), "");
  EXPECT_EQ(Must(Db().GetOutgoingQueue().Row(DamagedId())).lane, DueLane::kHeld);
  Must(Db().GetOutgoingQueue().Release(DamagedId()));
  Deliver();
  ExpectDelivered(damaged_);
}

// The row says nothing any more, but the operator knows what is to go.
TEST_F(QueueDamage, OfItsQuarantineRowDoesNotKeepItFromBeingDeleted) {
  Damage(RowOf(table::kMessages, MessageKey(DamagedId())));
  Deliver();
  Damage(RowOf(table::kIndex, QuarantineKey(DamagedId())));
  Must(Db().GetQuarantine().Delete(DamagedId()));
  EXPECT_THAT(Quarantined(), IsEmpty());
  EXPECT_FALSE(IsStored(Db(), ids_[damaged_]));
  for (const Finding& finding : Must(Db().CheckStore()).findings) {
    EXPECT_EQ(finding.table, "bodies") << finding.detail;
  }
}

TEST_F(QueueDamage, IsDeletedWhenTheOperatorSaysSo) {
  Damage(RowOf(table::kMessages, MessageKey(DamagedId())));
  Deliver();
  EXPECT_THAT(Db().GetQuarantine().Delete(IdOf(ids_[0])), IsError(ErrorCode::kNotFound));
  Must(Db().GetQuarantine().Delete(DamagedId()));
  EXPECT_THAT(Quarantined(), IsEmpty());
  EXPECT_THAT(Db().GetQuarantine().Release(DamagedId()), IsError(ErrorCode::kNotFound));
  // Its content is what nobody can tell the owner of any more.
  for (const Finding& finding : Must(Db().CheckStore()).findings) {
    EXPECT_EQ(finding.table, "bodies") << finding.detail;
  }
}

}  // namespace
}  // namespace bobbin

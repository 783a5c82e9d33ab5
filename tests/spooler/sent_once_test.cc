// What a transport has told about a recipient is never lost: whatever is damaged or fails between
// the transmission and its being written down, nobody who has got the message gets it again.
//
// Method: a real database with one queued message; while a scripted transport has it, one row of
// the database is damaged or erased, each in its turn, or writes begin to fail. Then spooler after
// spooler, as after restarts, an operator who repairs and releases, and spoolers again.
#include <gmock/gmock.h>

#include "engine/kv/commit_fault.h"
#include "tests/support/scripted_spooler.h"
#include "tests/support/stored_rows.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kTaken = "taken@x.test";
constexpr const char* kRefused = "refused@x.test";

enum class Wish : std::uint8_t { kSentMail, kDelete };

// One database with one message in its queue.
class Sending {
 public:
  explicit Sending(Wish wish, const std::vector<std::string>& addresses = {kTaken, kRefused}) {
    MessageStore& store = database_.Store();
    Message message = NewDraft(store, addresses);
    SetContent(store, message, std::string(100'000, 'x'));
    AttachStreamAndMessage(store, message, std::string(100'000, 'y'));
    if (wish == Wish::kSentMail) {
      const EntryId sent = store.EntryIdOf(store.Folders().sent_items.value);
      SetProp(message, Property::Bytes(pr::kSentMailEntryId, sent.ToBytes()));
    } else {
      SetProp(message, Property::Number(pr::kDeleteAfterSubmit, 1));
    }
    id_ = Must(message.Id());
    Must(message.SubmitMessage());
    script_.outcome = [](const OutboundRecipient& recipient) {
      return recipient.address == kTaken ? OutcomeKind::kDelivered : OutcomeKind::kFailed;
    };
  }

  Database& Db() { return database_.Database(); }
  MessageStore& Store() { return database_.Store(); }
  kv::Engine& Engine() {
    engine_ = database_.Engine();
    return *engine_;
  }
  const EntryId& Id() const { return id_; }
  MessageId Number() const { return {id_.Object()}; }
  StoredRow RowOf(kv::TableId table, std::string_view key) {
    return FindRow(Engine(), table, key).value();
  }
  StoredRow QueueRow() {
    const bobbin::QueueRow row = Must(Db().GetOutgoingQueue().Row(Number()));
    return RowOf(table::kQueue, QueueKey(row.store, row.sequence));
  }
  StoredRow FolderRow(FolderId folder) { return RowOf(table::kFolders, FolderKey(folder)); }

  // Once, while the transport has the message, behind the point of no return.
  void Meanwhile(std::function<void()> happens) {
    script_.during = [this, happens = std::move(happens)](OutboundMessage& message) {
      std::vector<RecipientRowId> rows;
      for (const OutboundRecipient& recipient : message.Recipients()) rows.push_back(recipient.row);
      const Result<void> marked = message.MarkInDoubt(rows);
      if (std::exchange(happened_, true)) return;
      Must(marked);
      happens();
    };
  }

  void Deliver() {
    for (int start = 0; start < 3; ++start) {
      ScriptedSpooler spooler(Db(), script_);
      // A second later, too: after an error that may pass.
      for (int second = 0; second < 3; ++second) {
        spooler.RunUntilIdle(Now());
        database_.Clock().Advance(std::chrono::seconds(1));
      }
      for (const SpoolerEvent& event : spooler.Events()) events_.push_back(event);
    }
  }
  // What of the quarantine an operator can put back.
  void ReleaseAll() {
    for (const QuarantinedMessage& one : Must(Db().GetQuarantine().Messages())) {
      const Result<void> released = Db().GetQuarantine().Release(one.message);
      EXPECT_TRUE(released || released.error().code == ErrorCode::kCorruptData);
    }
  }
  std::size_t TimesOffered(const std::string& address) const {
    std::ptrdiff_t times = 0;
    for (const TransportScript::Offer& offer : script_.offers) {
      times += std::count(offer.addresses.begin(), offer.addresses.end(), address);
    }
    return static_cast<std::size_t>(times);
  }
  RecipientDelivery StoredDelivery(std::uint32_t row) {
    return Must(Must(Db().OpenMessageForOperator(Number())).GetRecipientTable()).at(row).delivery;
  }
  std::vector<ContentsRow> Inbox() {
    return Must(Store().GetContentsTable(Store().Folders().inbox, 10));
  }
  std::vector<MessageId> Quarantined() {
    std::vector<MessageId> ids;
    for (const QuarantinedMessage& one : Must(Db().GetQuarantine().Messages())) {
      ids.push_back(one.message);
    }
    return ids;
  }
  const std::vector<SpoolerEvent>& Events() const { return events_; }
  TransportScript& Script() { return script_; }
  Time Now() { return database_.Clock().Now(); }
  void Advance(std::chrono::seconds time) { database_.Clock().Advance(time); }

 private:
  TemporaryDatabase database_;
  std::shared_ptr<kv::Engine> engine_;
  TransportScript script_;
  EntryId id_;
  bool happened_ = false;
  std::vector<SpoolerEvent> events_;
};

std::string NameOf(const StoredRow& row) {
  return std::string(table::kNames[row.table.index]) + " " + ToHex(row.key);
}

TEST(SentOnce, WhateverRowIsDamagedMeanwhile) {
  for (const Wish wish : {Wish::kSentMail, Wish::kDelete}) {
    const std::size_t rows = AllRows(Sending(wish).Engine()).size();
    ASSERT_GT(rows, 30U);
    for (std::size_t i = 0; i < rows; ++i) {
      Sending sending(wish);
      const StoredRow row = AllRows(sending.Engine()).at(i);
      SCOPED_TRACE(testing::Message() << NameOf(row) << " wish " << static_cast<int>(wish));
      StoredRow damaged;
      sending.Meanwhile([&] {
        // The attempt has begun to change rows: those of the recipients, the totals.
        damaged = Damaged(sending.RowOf(row.table, row.key));
        PutRow(sending.Engine(), damaged);
      });
      sending.Deliver();
      EXPECT_EQ(sending.TimesOffered(kTaken), 1U);

      const auto now = FindRow(sending.Engine(), row.table, row.key);
      if (now && now->value == damaged.value) PutRow(sending.Engine(), Damaged(damaged));
      sending.ReleaseAll();
      sending.Deliver();
      EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
      EXPECT_THAT(sending.Quarantined(), IsEmpty());
      EXPECT_THAT(QueueOrder(sending.Db()), IsEmpty());
      EXPECT_THAT(sending.Inbox(), SizeIs(1)) << "the sender is told of the refusal, once";
    }
  }
}

TEST(SentOnce, WhateverRowVanishesMeanwhile) {
  const std::size_t rows = AllRows(Sending(Wish::kSentMail).Engine()).size();
  for (std::size_t i = 0; i < rows; ++i) {
    Sending sending(Wish::kSentMail);
    const StoredRow row = AllRows(sending.Engine()).at(i);
    SCOPED_TRACE(NameOf(row));
    sending.Meanwhile([&] { EraseRow(sending.Engine(), row); });
    sending.Deliver();
    EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
    sending.ReleaseAll();
    sending.Deliver();
    EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
  }
}

// An error that may pass: the same outcome is written down when it has passed.
TEST(SentOnce, WhateverWriteFailsMeanwhile) {
  for (const ErrorCode code : {ErrorCode::kNotEnoughMemory, ErrorCode::kDiskError}) {
    std::uint64_t write = 1;
    for (bool has_failed = true; has_failed; ++write) {
      Sending sending(Wish::kSentMail);
      SCOPED_TRACE(testing::Message() << ErrorName(code) << " at write " << write);
      sending.Meanwhile([&] { kv::FailWriteForTesting(sending.Engine(), write, code); });
      sending.Deliver();
      has_failed = !kv::FaultPendingForTesting(sending.Engine());
      kv::ClearFaultsForTesting(sending.Engine());
      EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
      EXPECT_EQ(sending.TimesOffered(kRefused), 1U);
      EXPECT_EQ(sending.StoredDelivery(0).state, RecipientState::kDelivered);
      EXPECT_EQ(sending.StoredDelivery(1).state, RecipientState::kFailed);
      EXPECT_THAT(sending.Quarantined(), IsEmpty());
      EXPECT_THAT(QueueOrder(sending.Db()), IsEmpty());
      EXPECT_THAT(sending.Inbox(), SizeIs(1));
      EXPECT_EQ(Findings(sending.Db()), "");
    }
    EXPECT_GT(write, 10U) << "there was hardly anything to fail";
  }
}

TEST(SentOnce, AndFinishedWhenTheSentMailFolderIsDamaged) {
  Sending sending(Wish::kSentMail);
  PutRow(sending.Engine(), Damaged(sending.FolderRow(sending.Store().Folders().sent_items)));
  sending.Deliver();
  EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
  EXPECT_THAT(sending.Quarantined(), IsEmpty());
  EXPECT_THAT(QueueOrder(sending.Db()), IsEmpty());
  EXPECT_EQ(StoredFlags(sending.Db(), sending.Id()) & (kMsgFlagSubmit | kMsgFlagUnsent), 0U);
  EXPECT_EQ(sending.StoredDelivery(0).state, RecipientState::kDelivered);
  const auto outbox = Must(sending.Store().GetContentsTable(sending.Store().Folders().outbox, 10));
  ASSERT_THAT(outbox, SizeIs(1));
  EXPECT_EQ(outbox[0].message, sending.Number());
  EXPECT_THAT(sending.Events(),
              Contains(AllOf(Field(&SpoolerEvent::kind, SpoolerEventKind::kMessageFinished),
                             Field(&SpoolerEvent::detail, HasSubstr("damaged")))));
}

// The operator sees who has got it, and the sender has been told who has not.
TEST(SentOnce, AndQuarantinedWithTheOutcomesWhenItsFolderIsDamaged) {
  Sending sending(Wish::kSentMail);
  const StoredRow whole = sending.FolderRow(sending.Store().Folders().outbox);
  sending.Meanwhile([&] { PutRow(sending.Engine(), Damaged(whole)); });
  sending.Deliver();
  EXPECT_THAT(sending.Quarantined(), ElementsAre(sending.Number()));
  EXPECT_EQ(sending.StoredDelivery(0).state, RecipientState::kDelivered);
  EXPECT_TRUE(sending.StoredDelivery(0).responsibility);
  EXPECT_EQ(sending.StoredDelivery(0).last_reply.code, 250);
  EXPECT_EQ(sending.StoredDelivery(1).state, RecipientState::kFailed);
  EXPECT_THAT(sending.Inbox(), SizeIs(1));
  EXPECT_THAT(Must(sending.Db().GetQuarantine().Export(sending.Number())),
              HasSubstr(std::string(kTaken) + " (delivered)"));
  PutRow(sending.Engine(), whole);
  sending.ReleaseAll();
  sending.Deliver();
  EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
  EXPECT_EQ(sending.TimesOffered(kRefused), 1U);
  EXPECT_THAT(sending.Inbox(), SizeIs(1));
  EXPECT_EQ(Findings(sending.Db()), "");
}

// TRUE would say that the sender knows.
TEST(SentOnce, AndARefusalIsPendingUntilItCanBeReported) {
  Sending sending(Wish::kSentMail);
  const StoredRow whole = sending.FolderRow(sending.Store().Folders().inbox);
  sending.Meanwhile([&] { PutRow(sending.Engine(), Damaged(whole)); });
  sending.Deliver();
  EXPECT_THAT(sending.Quarantined(), ElementsAre(sending.Number()));
  EXPECT_EQ(sending.StoredDelivery(0).state, RecipientState::kDelivered);
  EXPECT_TRUE(sending.StoredDelivery(0).responsibility);
  const RecipientDelivery refused = sending.StoredDelivery(1);
  EXPECT_EQ(refused.state, RecipientState::kPending);
  EXPECT_FALSE(refused.responsibility);
  EXPECT_EQ(refused.attempts, 1U);
  EXPECT_EQ(refused.last_reply.text, "as told");
  PutRow(sending.Engine(), whole);
  sending.ReleaseAll();
  sending.Deliver();
  EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
  EXPECT_EQ(sending.TimesOffered(kRefused), 2U);
  EXPECT_EQ(sending.StoredDelivery(1).state, RecipientState::kFailed);
  EXPECT_THAT(sending.Inbox(), SizeIs(1));
  EXPECT_EQ(Findings(sending.Db()), "");
}

// It may have got it: that it was too late for another attempt does not clear that up.
TEST(SentOnce, AndWhoExpiredInDoubtIsInDoubtUntilItCanBeReported) {
  for (const OutcomeKind outcome : {OutcomeKind::kInDoubt, OutcomeKind::kRetryLater}) {
    Sending sending(Wish::kSentMail);
    const StoredRow whole = sending.FolderRow(sending.Store().Folders().inbox);
    sending.Script().outcome = [&](const OutboundRecipient& recipient) {
      return recipient.address == kTaken ? OutcomeKind::kDelivered : outcome;
    };
    sending.Meanwhile([&] { PutRow(sending.Engine(), Damaged(whole)); });
    sending.Advance(std::chrono::hours(24 * 6));
    sending.Deliver();
    const RecipientDelivery stored = sending.StoredDelivery(1);
    EXPECT_FALSE(stored.responsibility);
    EXPECT_EQ(stored.state, outcome == OutcomeKind::kInDoubt ? RecipientState::kInDoubt
                                                             : RecipientState::kPending);
    PutRow(sending.Engine(), whole);
    sending.ReleaseAll();
    sending.Deliver();
    EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
    EXPECT_EQ(sending.StoredDelivery(1).state, RecipientState::kExpired);
    EXPECT_THAT(sending.Inbox(), SizeIs(1));
  }
}

// The outcomes are not given up when not even they can be written at once.
TEST(SentOnce, AlsoWhenAWriteFailsOnTopOfDamage) {
  int failed = 0;
  for (std::uint64_t write = 1; write <= 8; ++write) {
    SCOPED_TRACE(write);
    Sending sending(Wish::kSentMail, {kTaken});
    const StoredRow whole = sending.FolderRow(sending.Store().Folders().outbox);
    const StoredRow queued = sending.QueueRow();
    sending.Meanwhile([&] {
      PutRow(sending.Engine(), Damaged(whole));
      PutRow(sending.Engine(), Damaged(queued));
      kv::FailWriteForTesting(sending.Engine(), write, ErrorCode::kNotEnoughMemory);
    });
    sending.Deliver();
    failed += kv::FaultPendingForTesting(sending.Engine()) ? 0 : 1;
    kv::ClearFaultsForTesting(sending.Engine());
    EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
    EXPECT_EQ(sending.StoredDelivery(0).state, RecipientState::kDelivered);
    EXPECT_THAT(sending.Quarantined(), ElementsAre(sending.Number()));
    PutRow(sending.Engine(), whole);
    sending.ReleaseAll();
    sending.Deliver();
    EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
    EXPECT_EQ(Findings(sending.Db()), "");
  }
  EXPECT_GT(failed, 5);
}

// Until then it is this spooler's, and nothing of the attempt is forgotten.
TEST(SentOnce, AndFinishedWhenTheDamageIsRepairedBeforeTheOutcomesAreWritten) {
  int repaired = 0;
  for (std::uint64_t write = 1; write <= 16; ++write) {
    SCOPED_TRACE(write);
    Sending sending(Wish::kSentMail, {kTaken});
    const StoredRow whole = sending.FolderRow(sending.Store().Folders().outbox);
    sending.Meanwhile([&] {
      PutRow(sending.Engine(), Damaged(whole));
      kv::FailWriteForTesting(sending.Engine(), write, ErrorCode::kNotEnoughMemory);
    });
    ScriptedSpooler spooler(sending.Db(), sending.Script());
    spooler->RunOnce(sending.Now());
    kv::ClearFaultsForTesting(sending.Engine());
    if (!sending.Quarantined().empty() || sending.StoredDelivery(0).responsibility) continue;
    ++repaired;
    PutRow(sending.Engine(), whole);
    spooler.RunUntilIdle(sending.Now());
    EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
    EXPECT_THAT(sending.Quarantined(), IsEmpty());
    EXPECT_THAT(QueueOrder(sending.Db()), IsEmpty());
    EXPECT_EQ(Findings(sending.Db()), "");
  }
  EXPECT_GT(repaired, 5);
}

// It could not be completed, so it is not even begun.
TEST(SentOnce, OrNotAtAllWhenItsFolderIsMissing) {
  Sending sending(Wish::kSentMail);
  const StoredRow whole = sending.FolderRow(sending.Store().Folders().outbox);
  EraseRow(sending.Engine(), whole);
  sending.Deliver();
  EXPECT_EQ(sending.TimesOffered(kTaken), 0U);
  EXPECT_THAT(sending.Quarantined(), ElementsAre(sending.Number()));
  PutRow(sending.Engine(), whole);
  sending.ReleaseAll();
  sending.Deliver();
  EXPECT_EQ(sending.TimesOffered(kTaken), 1U);
  EXPECT_THAT(QueueOrder(sending.Db()), IsEmpty());
}

}  // namespace
}  // namespace bobbin

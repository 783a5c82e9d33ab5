// Salvage brings back every message whose pages survived, nothing that was deleted where that can
// be known, nothing that is wrong, and nobody's mail twice.
//
// Method: a database with a past (deliveries, deletions, long content, embedded messages) is closed
// and its file damaged: not at all, without meta and branch pages, with some of its pages gone at
// random. What is salvaged is compared with what was described before.
#include "engine/salvage.h"

#include <gmock/gmock.h>

#include <cstring>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "engine/identity_file.h"
#include "engine/keyspace.h"
#include "engine/named_property.h"
#include "engine/salvage_scan.h"
#include "tests/support/file_bytes.h"
#include "tests/support/matchers.h"
#include "tests/support/scripted_spooler.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;
namespace lmdb = kv::lmdb;

constexpr std::size_t kPage = 4096;

// Without its place in the queue, which is another when it is held.
std::string Core(const std::string& description) {
  return description.substr(0, description.find(" queued "));
}

// Where nothing proves that it is the last state, who has not got it is in doubt.
std::string Unproven(const std::string& description) {
  std::istringstream lines(Core(description));
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t open = line.find(" FALSE ");
    text += line.substr(0, line.starts_with(" row ") ? open : line.npos) + "\n";
  }
  return text;
}

// What a message says and to whom: what no later state of it changes.
std::string Said(const std::string& description) {
  std::istringstream lines(description);
  std::string said;
  const std::string address = "  " + std::to_string(pr::kEmailAddress.value) + "=";
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(" content ", 0) == 0 || line.rfind(address, 0) == 0) said += line + "\n";
  }
  return said;
}

class Salvaging : public testing::Test {
 protected:
  EntryId Submit(std::size_t bytes, const std::string& to) {
    MessageStore& store = database_.Store();
    Message message = NewDraft(store, {to, "later@x.test"});
    std::string text(bytes, '\0');
    for (char& c : text) c = static_cast<char>('a' + random_() % 26);
    SetContent(store, message, text);
    if (bytes % 3 == 0) AttachStreamAndMessage(store, message, text);
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    return id;
  }

  // Some recipients are TRUE, some messages sent and deleted, some aborted.
  void MakePast(int messages) {
    Must(GetIdsFromNames(database_.Database(),
                         std::vector<PropertyName>{{kPublicStringsPropertySet, "Keywords"}},
                         kMapiCreate));
    Must(database_.Store().CreateFolder(database_.Store().Folders().inbox, "Below"));
    std::vector<EntryId> ids;
    for (int i = 0; i < messages; ++i) {
      static constexpr std::size_t kLengths[] = {100, 600, 1'500, 2'900, 9'000, 100, 300'000};
      const std::size_t bytes = kLengths[i % 7] + static_cast<std::size_t>(i % 5);
      ids.push_back(Submit(bytes, i % 2 == 0 ? "now@x.test" : "later@x.test"));
    }
    TransportScript script;
    script.outcome = [](const OutboundRecipient& recipient) {
      return recipient.address == "now@x.test" ? OutcomeKind::kDelivered : OutcomeKind::kRetryLater;
    };
    ScriptedSpooler(database_.Database(), script).RunUntilIdle(database_.Clock().Now());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i % 10 == 3) {
        Must(database_.Store().AbortSubmit(ids[i]));
        const MessageId id{ids[i].Object()};
        Must(database_.Store().DeleteMessages(database_.Store().Folders().outbox, {&id, 1}));
        deleted_.push_back(ids[i]);
      } else {
        kept_[ids[i]] = Describe(database_.Database(), ids[i]);
      }
    }
    queue_ = QueueOrder(database_.Database());
    ASSERT_EQ(Findings(database_.Database()), "");
    database_.Close();
    sound_ = ReadFile(File());
  }

  fs::path File() const { return database_.Path() / "data.mdb"; }
  fs::path Target() const { return database_.Path().parent_path() / "salvaged"; }

  // Of what is not whole: why.
  std::string Details() const {
    std::string text;
    for (const SalvagedMessage& message : told_) {
      if (message.fate != SalvageFate::kWhole) {
        text += ToQueueId(message.id) + ": " + message.detail + "\n";
      }
    }
    return text;
  }

  SalvageReport SalvageNow() {
    told_.clear();
    fs::remove_all(Target());
    SalvageOptions options;
    options.message = [this](const SalvagedMessage& message) { told_.push_back(message); };
    return Must(Salvage(database_.Path(), Target(), options));
  }

  Database OpenTarget() const {
    Database database = Must(Database::Open(Target()));
    EXPECT_EQ(Findings(database), "");
    return database;
  }

  // How many of the kept messages are there, each as it was; none may be otherwise.
  std::size_t CountRestored(const Database& database,
                            std::string (*what)(const std::string&) = Core) const {
    std::size_t restored = 0;
    for (const auto& [id, description] : kept_) {
      if (!IsStored(database, id)) continue;
      EXPECT_EQ(what(Describe(database, id)), what(description)) << id.ToHex();
      ++restored;
    }
    return restored;
  }

  // Pages in use, but for meta pages; and of them the branches.
  std::vector<std::size_t> PagesInUse() const {
    const kv::LmdbPageFile file = Must(kv::LmdbPageFile::Open(File()));
    const kv::LmdbMetaPages metas = Must(kv::ReadLmdbMetaPages(file));
    kv::PageWalkOptions options;
    options.list_free_pages = true;
    const auto report = Must(kv::WalkLmdbPages(file, metas.Newest(), options));
    std::vector<std::size_t> pages;
    for (std::size_t page = 2; page < report.is_free->size(); ++page) {
      if (!(*report.is_free)[page]) pages.push_back(page);
    }
    return pages;
  }

  std::string WithoutStoresAndFolders() const {
    const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
    std::string bytes = sound_;
    for (const FoundRecord& record :
         Must(ScanForRecords(Must(kv::LmdbPageFile::Open(File())), codec)).records) {
      const bool is_store = record.table == table::kMeta.index && record.Key()[0] == 'S';
      if (is_store || record.table == table::kFolders.index) bytes[record.offset + 30] ^= 1;
    }
    return bytes;
  }

  // The page of the last message has what is left of one that the last transaction deleted.
  std::pair<EntryId, EntryId> MakePastThatEndsWithADeletion() {
    MakePast(16);
    database_.Open();
    const EntryId kept = Submit(100, "later@x.test");
    kept_[kept] = Describe(database_.Database(), kept);
    const EntryId gone = Submit(100, "later@x.test");
    Must(database_.Store().AbortSubmit(gone));
    const MessageId id{gone.Object()};
    Must(database_.Store().DeleteMessages(database_.Store().Folders().outbox, {&id, 1}));
    deleted_.push_back(gone);
    database_.Close();
    sound_ = ReadFile(File());
    return {kept, gone};
  }

  std::set<std::size_t> LeavesOf(const SalvageScan& scan) const {
    std::set<std::size_t> leaves;
    for (const FoundRecord& record : scan.records) {
      const std::size_t page = record.offset / kPage;
      const auto header = lmdb::LoadAt<lmdb::PageHeader>(sound_, page * kPage);
      if (header.flags == lmdb::kLeafPage) leaves.insert(page);
    }
    return leaves;
  }

  bool IsLeafOfIntervals(std::size_t page) const {
    const std::string_view bytes = std::string_view(sound_).substr(page * kPage, kPage);
    const auto header = lmdb::LoadAt<lmdb::PageHeader>(bytes, 0);
    if (header.number != page || header.flags != lmdb::kLeafPage) return false;
    const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
    for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
      const auto node = lmdb::NodeAt(bytes, lmdb::LoadAt<std::uint16_t>(bytes, slot), false);
      const auto record = codec.OpenStray(node->data);
      if (record && record->table == table::kIndex && record->key[0] == 't') return true;
    }
    return false;
  }

  // 0: it is not there.
  static std::size_t PageOf(const SalvageScan& scan, const EntryId& message) {
    for (const FoundRecord& record : scan.records) {
      if (record.table == table::kMessages.index && record.Key() == Key8(message.Object())) {
        return record.offset / kPage;
      }
    }
    return 0;
  }

  static void ExpectHasAllOf(const SalvageScan& scan, const SalvageScan& sound) {
    std::map<std::pair<std::uint8_t, std::string>, std::uint64_t> found;
    for (const FoundRecord& record : scan.records) {
      found[{record.table, std::string(record.Key())}] = record.sequence;
    }
    for (const FoundRecord& record : sound.records) {
      ASSERT_EQ((found[{record.table, std::string(record.Key())}]), record.sequence);
    }
  }

  SalvageScan ScanNow() const {
    const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
    return Must(ScanForRecords(Must(kv::LmdbPageFile::Open(File())), codec));
  }

  // Where the bytes of a leaf are that say what it has: its header, its slots, and of each node the
  // header.
  std::vector<std::size_t> StructureOf(std::size_t leaf) const {
    std::vector<std::size_t> places;
    const auto header = lmdb::LoadAt<lmdb::PageHeader>(sound_, leaf * kPage);
    for (std::size_t at = 0; at < header.lower; ++at) places.push_back(leaf * kPage + at);
    for (std::size_t slot = sizeof(header); slot < header.lower; slot += 2) {
      const auto node = lmdb::LoadAt<std::uint16_t>(sound_, leaf * kPage + slot);
      for (std::size_t i = 0; i < sizeof(lmdb::NodeHeader); ++i) {
        places.push_back(leaf * kPage + node + i);
      }
    }
    return places;
  }

  std::string WithoutMetaAndBranchPages() const {
    std::string bytes = sound_;
    bytes.replace(0, 2 * kPage, std::string(2 * kPage, '\0'));
    for (std::size_t page = 2; page < bytes.size() / kPage; ++page) {
      const auto header = lmdb::LoadAt<lmdb::PageHeader>(bytes, page * kPage);
      if (header.number == page && header.flags == lmdb::kBranchPage) {
        bytes.replace(page * kPage, kPage, std::string(kPage, '\0'));
      }
    }
    return bytes;
  }

  static void ExpectNobodyIsSentToUnasked(const Database& salvaged) {
    for (const QueueRow& row : Must(salvaged.GetOutgoingQueue().Rows(100'000))) {
      EXPECT_EQ(row.lane, DueLane::kHeld);
      const Message message = Must(salvaged.OpenMessageForOperator(row.message));
      for (const RecipientRow& recipient : Must(message.GetRecipientTable())) {
        EXPECT_TRUE(recipient.delivery.responsibility || recipient.delivery.AwaitsDecision());
      }
    }
  }

  TemporaryDatabase database_;
  std::mt19937_64 random_{7};
  std::map<EntryId, std::string> kept_;
  std::vector<EntryId> deleted_;
  std::vector<MessageId> queue_;
  std::string sound_;
  std::vector<SalvagedMessage> told_;
};

TEST_F(Salvaging, AWholeDatabaseComesBackAsItWas) {
  MakePast(80);
  const SalvageReport report = SalvageNow();
  EXPECT_TRUE(report.is_proven);
  EXPECT_EQ(report.damaged + report.lost + report.moved + report.held + report.bodies, 0U)
      << Details();
  EXPECT_GT(report.stale, 50U) << "there is no past to tell from the present";
  EXPECT_EQ(told_.size(), report.whole);
  const Database salvaged = OpenTarget();
  EXPECT_EQ(QueueOrder(salvaged), queue_);
  for (const auto& [id, description] : kept_) {
    EXPECT_EQ(Describe(salvaged, id), description) << id.ToHex();
  }
  for (const EntryId& id : deleted_) EXPECT_FALSE(IsStored(salvaged, id)) << id.ToHex();
  EXPECT_TRUE(ReadFile(File()) == sound_) << "the source is only read";
  EXPECT_THAT(Salvage(database_.Path(), Target()), IsError(ErrorCode::kCollision));
  // It is a database like any other.
  Database again = salvaged;
  MessageStore store = Must(again.OpenMessageStore(TemporaryDatabase::kStoreName));
  SubmitNew(store);
  EXPECT_EQ(Findings(again), "");
}

TEST_F(Salvaging, WithoutMetaAndBranchPagesNothingIsLostAndNothingIsSent) {
  MakePast(80);
  WriteFile(File(), WithoutMetaAndBranchPages());
  const SalvageReport report = SalvageNow();
  EXPECT_FALSE(report.is_proven);
  EXPECT_EQ(report.held, report.queued);
  Database salvaged = OpenTarget();
  EXPECT_EQ(CountRestored(salvaged, Unproven), kept_.size());
  TransportScript script;
  ScriptedSpooler(salvaged, script).RunUntilIdle(Time::max());
  EXPECT_THAT(script.offers, IsEmpty()) << "some of it may have been deleted";
}

// Though nothing says any more which pages are free.
TEST_F(Salvaging, WhatWasDeletedDoesNotComeBack) {
  MakePast(80);
  database_.Open();
  // What the very last transaction deleted could be of one that was never committed.
  const EntryId last = Submit(100, "later@x.test");
  kept_[last] = Describe(database_.Database(), last);
  database_.Close();
  sound_ = ReadFile(File());
  WriteFile(File(), WithoutMetaAndBranchPages());
  const SalvageReport report = SalvageNow();
  EXPECT_FALSE(report.is_proven);
  EXPECT_GT(report.deleted, 0U) << "no page has any of it";
  EXPECT_EQ(report.damaged + report.lost + report.moved, 0U) << Details();
  const Database salvaged = OpenTarget();
  for (const EntryId& id : deleted_) EXPECT_FALSE(IsStored(salvaged, id)) << id.ToHex();
  EXPECT_EQ(CountRestored(salvaged, Unproven), kept_.size());
}

// The last transaction made recipients TRUE, and its meta page is the one that is lost.
TEST_F(Salvaging, WhoIsTrueInALostTransactionIsNotSentToAgain) {
  MakePast(8);
  const auto even = lmdb::LoadAt<lmdb::Meta>(sound_, 16);
  const auto odd = lmdb::LoadAt<lmdb::Meta>(sound_, kPage + 16);
  std::string bytes = sound_;
  bytes.replace(odd.transaction > even.transaction ? kPage : 0, kPage, std::string(kPage, '\0'));
  WriteFile(File(), bytes);
  EXPECT_FALSE(SalvageNow().is_proven);
  EXPECT_EQ(CountRestored(OpenTarget(), Unproven), kept_.size());
  // Without the older one, the last is known to be the last.
  bytes = sound_;
  bytes.replace(odd.transaction > even.transaction ? 0 : kPage, kPage, std::string(kPage, '\0'));
  WriteFile(File(), bytes);
  EXPECT_TRUE(SalvageNow().is_proven);
  EXPECT_EQ(QueueOrder(OpenTarget()), queue_);
}

TEST_F(Salvaging, OfPagesDestroyedAtRandomTheRestComesBackUnharmed) {
  MakePast(300);
  const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
  const std::vector<std::size_t> used = PagesInUse();
  const auto live = Must(ScanForRecords(Must(kv::LmdbPageFile::Open(File())), codec)).records;
  std::set<std::pair<std::uint8_t, std::string>> rows;
  for (const FoundRecord& record : live) rows.emplace(record.table, record.Key());
  for (const int round : {1, 10, 50, -1, -10, -50}) {
    const auto percent = static_cast<std::size_t>(std::abs(round));
    SCOPED_TRACE(testing::Message() << percent << " % of the pages are destroyed");
    std::string bytes = round > 0 ? sound_ : WithoutMetaAndBranchPages();
    std::set<std::size_t> gone;
    while (gone.size() < std::max<std::size_t>(1, used.size() * percent / 100)) {
      const std::size_t page = used[random_() % used.size()];
      if (!gone.insert(page).second) continue;
      for (std::size_t i = 0; i < kPage; ++i) {
        bytes[page * kPage + i] = static_cast<char>(random_());
      }
    }
    WriteFile(File(), bytes);
    // Every record that touches no destroyed page is found.
    std::set<std::pair<std::uint8_t, std::string>> found;
    const auto scan = Must(ScanForRecords(Must(kv::LmdbPageFile::Open(File())), codec));
    for (const FoundRecord& record : scan.records) found.emplace(record.table, record.Key());
    for (const FoundRecord& record : live) {
      const std::size_t first = record.offset / kPage;
      const std::size_t last = (record.offset + record.bytes - 1) / kPage;
      const auto hit = gone.lower_bound(first);
      if (hit != gone.end() && *hit <= last) continue;
      EXPECT_TRUE(found.contains({record.table, std::string(record.Key())}));
    }
    const SalvageReport report = SalvageNow();
    EXPECT_TRUE(round > 0 || !report.is_proven);
    // Where the newest row is gone and nothing tells that another is stale, an earlier state is
    // back: of the delivery, never of the mail itself; and it is held.
    const std::size_t restored = CountRestored(OpenTarget(), report.is_proven ? Core : Said);
    if (!report.is_proven) {
      EXPECT_EQ(report.held, report.queued);
      ExpectNobodyIsSentToUnasked(OpenTarget());
    }
    EXPECT_GE(restored * 100, kept_.size() * (percent == 1 ? 80U : percent == 10 ? 30U : 0U));
    std::printf("%d %%: proven %d, %zu of %zu messages whole, %zu of %zu records found\n", round,
                report.is_proven, restored, kept_.size(), found.size(), rows.size());
    EXPECT_EQ(told_.size(), report.whole + report.moved + report.damaged + report.lost);
    for (const SalvagedMessage& message : told_) {
      if (message.fate < SalvageFate::kDamaged) continue;
      EXPECT_TRUE(fs::exists(Target() / "salvaged" / (ToQueueId(message.id) + ".eml")));
    }
  }
}

// LMDB leaves the header of a run where it was when other pages have taken the place of its end.
TEST_F(Salvaging, ARunOfThePastHidesNoPageThatIsThereNow) {
  MakePast(8);
  const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
  const auto found_with = [&](std::size_t page, const std::string& content) {
    std::string bytes = sound_;
    WriteFile(File(), bytes.replace(page * kPage, content.size(), content));
    return Must(ScanForRecords(Must(kv::LmdbPageFile::Open(File())), codec)).found;
  };
  for (std::size_t page = 2; page < sound_.size() / kPage; ++page) {
    const lmdb::PageHeader header{page, 0, lmdb::kOverflowPage, 16, 0};
    std::string run(kPage, 'x');
    std::memcpy(run.data(), &header, sizeof(header));
    EXPECT_EQ(found_with(page, run), found_with(page, std::string(kPage, '\0'))) << "page " << page;
  }
}

// Of a header, of slots, of the headers of nodes: the bytes of all records are as they were.
TEST_F(Salvaging, AFlippedBitOfALeafHidesNoRecordAndRevivesNone) {
  const auto [kept, gone] = MakePastThatEndsWithADeletion();
  const SalvageScan sound = ScanNow();
  ASSERT_TRUE(sound.is_proven);
  const std::set<std::size_t> leaves = LeavesOf(sound);
  const std::size_t leaf_of_kept = PageOf(sound, kept);
  const auto header = lmdb::LoadAt<lmdb::PageHeader>(sound_, leaf_of_kept * kPage);
  ASSERT_THAT(sound_.substr(leaf_of_kept * kPage + header.lower, header.upper - header.lower),
              HasSubstr(Key8(gone.Object())))
      << "its free space has nothing of the deleted message";

  int flips = 0;
  std::size_t doubtful = 0;
  std::size_t revived = 0;
  for (const std::size_t leaf : leaves) {
    const std::vector<std::size_t> places = StructureOf(leaf);
    for (std::size_t i = 0; i < 8 * places.size(); i += leaf == leaf_of_kept ? 1 : 11) {
      std::string bytes = sound_;
      bytes[places[i / 8]] = static_cast<char>(bytes[places[i / 8]] ^ (1 << i % 8));
      WriteFile(File(), bytes);
      SCOPED_TRACE(testing::Message()
                   << "page " << leaf << ", byte " << places[i / 8] % kPage << ", bit " << i % 8);
      const SalvageScan scan = ScanNow();
      ExpectHasAllOf(scan, sound);
      if (scan.is_proven) {
        ASSERT_EQ(scan.records.size(), sound.records.size());
      }
      const bool is_back = PageOf(scan, gone) != 0;
      ++flips;
      doubtful += scan.is_proven ? 0U : 1U;
      revived += is_back ? 1U : 0U;
      if (i % 64 != 0) continue;
      const SalvageReport report = SalvageNow();
      EXPECT_EQ(report.is_proven, scan.is_proven);
      EXPECT_EQ(report.damaged + report.lost + report.moved, 0U) << Details();
      const Database salvaged = OpenTarget();
      if (!report.is_proven) ExpectNobodyIsSentToUnasked(salvaged);
      EXPECT_EQ(CountRestored(salvaged, report.is_proven ? Core : Unproven), kept_.size());
      for (const EntryId& id : deleted_) EXPECT_FALSE(IsStored(salvaged, id)) << id.ToHex();
    }
  }
  std::printf("%d bits: %zu leave doubts, %zu show what was deleted\n", flips, doubtful, revived);
  EXPECT_GT(doubtful, 100U);
  EXPECT_GT(revived, 100U);
}

// Of an aborted transaction it can even be the newer one, as the next has the same number.
TEST_F(Salvaging, WhatIsInTheFreeSpaceOfABrokenPageGivesWayToTheRow) {
  const EntryId kept = MakePastThatEndsWithADeletion().first;
  const SalvageScan sound = ScanNow();
  const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
  const std::uint64_t newest = std::max(lmdb::LoadAt<lmdb::Meta>(sound_, 16).transaction,
                                        lmdb::LoadAt<lmdb::Meta>(sound_, kPage + 16).transaction);
  int branches = 0;
  for (const std::size_t page : PagesInUse()) {
    const auto header = lmdb::LoadAt<lmdb::PageHeader>(sound_, page * kPage);
    if (header.number != page || header.flags != lmdb::kBranchPage) continue;
    ++branches;
    for (const std::uint64_t message : {kept.Object(), std::uint64_t{987'654}}) {
      std::string record;
      codec.Seal(RecordKind::kMessage, table::kMessages, Key8(message), newest, "x", record);
      std::string bytes = sound_;
      // LMDB has left something in it already.
      record.resize(static_cast<std::size_t>(header.upper - header.lower));
      bytes.replace(page * kPage + header.lower, record.size(), record);
      bytes[page * kPage + 12] = static_cast<char>(bytes[page * kPage + 12] ^ 2);  // `lower`.
      WriteFile(File(), bytes);
      const SalvageScan scan = ScanNow();
      ExpectHasAllOf(scan, sound);
      EXPECT_EQ(scan.is_proven, message == kept.Object());
      for (const FoundRecord& found : scan.records) {
        EXPECT_EQ(found.is_doubtful, found.Key() == Key8(987'654));
      }
    }
  }
  EXPECT_GT(branches, 0);
}

// Of the row that tells of it there is only a copy on a free page.
TEST_F(Salvaging, WhatABrokenPageRevivesIsDeletedAlsoByACopyOfTheInterval) {
  const auto [kept, gone] = MakePastThatEndsWithADeletion();
  database_.Open();
  Must(database_.Store().CreateFolder(database_.Store().Folders().inbox, "Later"));
  database_.Close();
  sound_ = ReadFile(File());
  std::string bytes = sound_;
  bytes[PageOf(ScanNow(), kept) * kPage + 12] ^= 2;  // `lower`.
  WriteFile(File(), bytes);
  ASSERT_NE(PageOf(ScanNow(), gone), 0U);
  for (const std::size_t page : PagesInUse()) {
    if (IsLeafOfIntervals(page)) bytes.replace(page * kPage, kPage, std::string(kPage, '\0'));
  }
  WriteFile(File(), bytes);
  const SalvageReport report = SalvageNow();
  EXPECT_FALSE(report.is_proven);
  EXPECT_GT(report.deleted, 0U);
  EXPECT_EQ(report.damaged + report.lost, 0U) << "it is not whole, but it is back: " << Details();
  EXPECT_EQ(CountRestored(OpenTarget(), Unproven), kept_.size());
}

// And its number is damaged, so that it does not tell itself apart.
TEST_F(Salvaging, ARunOfThePastOnAFreePageHidesNoBrokenPage) {
  MakePastThatEndsWithADeletion();
  const SalvageScan sound = ScanNow();
  const std::vector<std::size_t> used = PagesInUse();
  int hidden = 0;
  for (const std::size_t leaf : LeavesOf(sound)) {
    std::size_t run = leaf - 1;
    while (run > 1 && std::find(used.begin(), used.end(), run) != used.end()) --run;
    if (run == 1 || leaf - run >= 16) continue;
    std::string bytes = sound_;
    const lmdb::PageHeader header{run, 0, lmdb::kOverflowPage, 16, 0};
    std::memcpy(bytes.data() + run * kPage, &header, sizeof(header));
    bytes[leaf * kPage + 4] ^= 1;
    WriteFile(File(), bytes);
    SCOPED_TRACE(testing::Message() << "page " << leaf);
    ExpectHasAllOf(ScanNow(), sound);
    ++hidden;
  }
  EXPECT_GT(hidden, 3);
}

// What a mail says is a record is none: not one sealed with another key, not a copy of a real one.
TEST_F(Salvaging, AMailCannotForgeARecord) {
  MakePast(8);
  const std::string key = Key8(987'654);
  std::string forged;
  RecordCodec(RecordKey{})
      .Seal(RecordKind::kMessage, table::kMessages, key, 1'000'000, "forged", forged);
  const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
  std::string copied;
  codec.Seal(RecordKind::kMessage, table::kMessages, key, 1'000'000, "copied", copied);
  database_.Open();
  for (const std::size_t padding : {0U, 5'000U, 100'000U}) {
    Message message = NewDraft(database_.Store());
    SetContent(database_.Store(), message, std::string(padding, 'x') + forged + copied);
    const EntryId id = Must(message.Id());
    Must(message.SubmitMessage());
    kept_[id] = Describe(database_.Database(), id);
  }
  database_.Close();
  sound_ = ReadFile(File());
  WriteFile(File(), WithoutMetaAndBranchPages());
  const SalvageReport report = SalvageNow();
  EXPECT_EQ(report.damaged + report.lost, 0U) << Details();
  const Database salvaged = OpenTarget();
  EXPECT_EQ(CountRestored(salvaged, Unproven), kept_.size());
  EXPECT_FALSE(IsStored(salvaged, {salvaged.Id(), 987'654}));
}

TEST_F(Salvaging, WhatWasNeverCommittedIsLeftOut) {
  MakePast(8);
  const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
  std::string record;
  codec.Seal(RecordKind::kMessage, table::kMessages, Key8(987'654), 1'000'000, "x", record);
  WriteFile(File(), sound_ + record);
  const SalvageReport report = SalvageNow();
  EXPECT_EQ(report.uncommitted, 1U);
  EXPECT_EQ(report.damaged + report.lost, 0U) << Details();
  EXPECT_EQ(CountRestored(OpenTarget()), kept_.size());
}

TEST_F(Salvaging, WithoutItsRecordAStoreIsKnownByTheRowOfItsName) {
  Must(database_.Database().CreateMessageStore("another@a.test"));
  const StoreId id = database_.Store().Id();
  MakePast(8);
  // A name that was never committed is none.
  const RecordCodec codec(Must(ReadIdentityFile(database_.Path())).record_key);
  const SalvageScan scan = Must(ScanForRecords(Must(kv::LmdbPageFile::Open(File())), codec));
  ASSERT_THAT(scan.store_names, testing::SizeIs(2));
  std::string uncommitted;
  codec.Seal(RecordKind::kReference, table::kMeta, StoreNameKey("nobody@a.test"), 1'000'000,
             codec.OpenStray(scan.store_names[0].value)->payload, uncommitted);
  WriteFile(File(), WithoutStoresAndFolders() + uncommitted);
  const SalvageReport report = SalvageNow();
  EXPECT_EQ(report.moved, told_.size());
  EXPECT_EQ(report.moved, kept_.size());
  Database salvaged = OpenTarget();
  const MessageStore store = Must(salvaged.OpenMessageStore(TemporaryDatabase::kStoreName));
  EXPECT_EQ(store.Id(), id);
  for (const SalvagedMessage& message : told_) {
    EXPECT_EQ(message.store, TemporaryDatabase::kStoreName);
  }
  for (const auto& [kept, description] : kept_) EXPECT_TRUE(IsStored(salvaged, kept));
}

TEST_F(Salvaging, WithoutItsStoreAndFoldersMailIsInLostAndFound) {
  MakePast(8);
  std::string bytes = WithoutStoresAndFolders();
  const std::string name_key = StoreNameKey(TemporaryDatabase::kStoreName);
  for (std::size_t at = bytes.find(name_key); at != std::string::npos;
       at = bytes.find(name_key, at + 1)) {
    bytes[at + 1] ^= 1;
  }
  WriteFile(File(), bytes);
  const SalvageReport report = SalvageNow();
  EXPECT_EQ(report.whole, 0U);
  EXPECT_EQ(report.moved, told_.size());
  const Database salvaged = OpenTarget();
  const auto stores = Must(salvaged.ListMessageStores());
  ASSERT_EQ(stores.size(), 1U);
  EXPECT_THAT(stores[0].name, testing::StartsWith("salvaged-"));
  for (const auto& [id, description] : kept_) EXPECT_TRUE(IsStored(salvaged, id));
}

TEST_F(Salvaging, WithoutTheIdentityFileNothingIsMade) {
  MakePast(4);
  fs::remove(database_.Path() / "identity");
  EXPECT_THAT(Salvage(database_.Path(), Target()), IsError(ErrorCode::kNotADatabase));
  EXPECT_FALSE(fs::exists(Target()));
}

}  // namespace
}  // namespace bobbin

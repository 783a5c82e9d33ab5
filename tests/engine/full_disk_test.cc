// A disk that fills up: what was acknowledged stays whole, nothing else is there, what ends work
// still runs on the reserve, and new mail is taken again when there is space.
//
// Method: a real database on a file system of its own, tmpfs and ext4
// (tests/support/small_disk.h), filled by a file beside the database and then by messages, of each
// way content is kept: beside the record, in rows of the same transaction, in rows written ahead.
// Where nothing can be mounted the limit of a file's size stands in for a disk without reserve, and
// an absurd reserve for a full one.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <optional>

#include "engine/database.h"
#include "engine/lock_table.h"
#include "tests/support/matchers.h"
#include "tests/support/not_checked.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_database.h"

namespace bobbin {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;

std::string ContentOf(int number) {
  constexpr std::size_t kSizes[] = {1'000, 40'000, 200'000, 600'000};
  return "Subject: " + std::to_string(number) + "\r\n\r\n" +
         std::string(kSizes[number % 4], static_cast<char>('a' + number % 26));
}

// While it lives no file of this process grows beyond `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uint64_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

class FullDisk : public testing::TestWithParam<SmallDisk::Kind> {
 public:
  FullDisk() { Create(); }
  ~FullDisk() override { Remove(); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 protected:
  fs::path Path() const { return disk_.Path() / "db"; }
  Database& Db() { return database_.value(); }
  MessageStore& Store() { return store_.value(); }
  void Create() {
    Must(Database::Create(Path()));
    Open(0);
  }
  void Remove() {
    const DatabaseId id = Db().Id();
    Close();
    RemoveVolatileState(id);
    fs::remove_all(Path());
    acknowledged_.clear();
  }
  void Open(std::uint64_t free_bytes_min) {
    DatabaseOptions options;
    options.free_bytes_min = free_bytes_min;
    database_ = Must(Database::Open(Path(), options));
    store_ = Must(database_->OpenOrCreateMessageStore("alice@a.test"));
  }
  void Close() {
    store_.reset();
    database_.reset();
  }

  // Submits the message of that number; `tried_` is its identifier, once it has one.
  Result<void> Submit(int number) {
    ASSIGN_OR_RETURN(Message message, Store().CreateMessage(Store().Folders().outbox));
    ASSIGN_OR_RETURN(const EntryId id, message.Id());
    tried_ = {id, number};
    EXPECT_TRUE(SetProp(message, Property::Bytes(pr::kSubject, std::to_string(number))));
    RETURN_IF_ERROR(message.ModifyRecipients(kModifyRecipientsAdd,
                                             {MakeSmtpRecipient("b@x.test", kRecipientTo)}));
    MessageBodyWriter writer = Store().NewContent();
    RETURN_IF_ERROR(writer.Append(ContentOf(number)));
    ASSIGN_OR_RETURN(MessageBody content, writer.Finish());
    RETURN_IF_ERROR(message.SetContent(std::move(content)));
    return message.SubmitMessage();
  }
  // Until one fails; says why.
  Error SubmitUntilRefused() {
    for (;; ++number_) {
      Result<void> submitted = Submit(number_);
      if (!submitted) return std::move(submitted).error();
      acknowledged_.emplace(tried_->first, number_);
    }
  }

  // Every acknowledged message is there, whole.
  void ExpectAcknowledged() {
    for (const auto& [id, number] : acknowledged_) ExpectWhole(id, number);
    EXPECT_EQ(Findings(Db()), "");
  }
  void ExpectWhole(const EntryId& id, int number) {
    SCOPED_TRACE(number);
    const Message message = Must(Db().OpenMessageForOperator(MessageId{id.Object()}));
    EXPECT_EQ(Must(message.GetProp(pr::kSubject)).bytes, std::to_string(number));
    EXPECT_THAT(Must(message.GetRecipientTable()), testing::SizeIs(1));
    MessageBodyReader reader = Must(message.OpenContent());
    std::string content;
    for (;;) {
      const std::string_view piece = Must(reader.Next());
      if (piece.empty()) break;
      content += piece;
    }
    EXPECT_TRUE(content == ContentOf(number));
  }
  // Beside what was acknowledged, only the one whose answer was lost may be queued: whole, too.
  void ExpectNothingElseQueued() {
    for (const MessageId queued : QueueOrder(Db())) {
      const EntryId id = Store().EntryIdOf(queued.value);
      if (acknowledged_.contains(id)) continue;
      ASSERT_TRUE(tried_ && tried_->first == id) << "a message that nobody submitted";
      ExpectWhole(id, tried_->second);
    }
  }

  SmallDisk disk_{24 * kMebibyte, GetParam()};
  std::optional<Database> database_;
  std::optional<MessageStore> store_;
  std::map<EntryId, int> acknowledged_;
  std::optional<std::pair<EntryId, int>> tried_;
  int number_ = 0;
};

// The disk ends at another page of a transaction each time: among its data, its last page, and in
// rows that are written ahead.
TEST_P(FullDisk, WithoutAReserveLosesAndHalvesNothing) {
  if (!disk_.IsMounted()) SayNotChecked("a full file system", "this process may not mount one");
  for (std::uint64_t round = 0; round < 16; ++round) {
    SCOPED_TRACE(round);
    const std::uint64_t room = 2 * kMebibyte + round * 12'288;
    std::optional<FileSizeLimit> limit;
    if (disk_.IsMounted()) {
      disk_.FillUntilFree(room);
    } else {
      limit.emplace(Must(Db().Statistics()).file_bytes + room);
    }
    const Error full = SubmitUntilRefused();
    EXPECT_EQ(full.code, ErrorCode::kStoreFailed) << ToString(full);
    if (disk_.IsMounted()) {
      EXPECT_THAT(full.detail, testing::HasSubstr("free some space"));
    }
    EXPECT_GT(acknowledged_.size(), 4U);
    EXPECT_THAT(Submit(number_), IsError(ErrorCode::kStoreFailed)) << "before it is opened again";
    Close();
    Open(0);  // On the full disk.
    ExpectAcknowledged();
    ExpectNothingElseQueued();

    limit.reset();
    disk_.Relieve();
    ++number_;
    EXPECT_THAT(Submit(number_), IsOk());
    acknowledged_.emplace(tried_->first, number_++);
    Must(Db().CollectAbandonedBodies());
    ExpectAcknowledged();
    Remove();
    Create();
  }
}

// A database that was copied there has no lock file; making one must not end in a SIGBUS.
TEST_P(FullDisk, RefusesToOpenWhatNeedsANewLockFile) {
  if (!disk_.IsMounted()) {
    return SayNotChecked("opening on a full file system", "this process may not mount one");
  }
  Close();
  fs::remove(Path() / "lock.mdb");
  disk_.FillUntilFree(0);
  for (int attempt = 0; attempt < 2; ++attempt) {
    EXPECT_THAT(Database::Open(Path()), IsError(ErrorCode::kNotEnoughDisk));
  }
  disk_.Relieve();
  Open(0);
  struct stat status {};
  ASSERT_EQ(stat((Path() / "lock.mdb").c_str(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, status.st_size) << "not every reader has its slot";
  // An older one has not all its pages: it opens, because its first is there.
  Close();
  const int file = open((Path() / "lock.mdb").c_str(), O_RDWR);
  ASSERT_EQ(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8'192, 57'344), 0);
  close(file);
  disk_.FillUntilFree(0);
  Open(0);
}

class DiskWithReserve : public FullDisk {
 protected:
  static constexpr std::uint64_t kReserve = 4 * kMebibyte;

  void FillUp() {
    Close();
    Open(disk_.IsMounted() ? kReserve : 0);
    if (disk_.IsMounted()) {
      disk_.FillUntilFree(kReserve + 6 * kMebibyte);
      full_ = SubmitUntilRefused();
      EXPECT_LT(disk_.FreeBytes(), kReserve);
      return;
    }
    for (; number_ < 40; ++number_) {
      Must(Submit(number_));
      acknowledged_.emplace(tried_->first, number_);
    }
    Close();
    Open(std::uint64_t{1} << 60);
    full_ = SubmitUntilRefused();
  }
  void ExpectRefused() {
    EXPECT_THAT(Submit(number_), IsError(ErrorCode::kNotEnoughDisk));
    MessageBodyWriter writer = Store().NewContent();
    EXPECT_THAT(writer.Append(std::string(600'000, 'x')), IsError(ErrorCode::kNotEnoughDisk));
  }
  // Every way a queued message can go on, one after the other.
  void WorkOff(SpoolerSession& session, const EntryId& id, int number) {
    SCOPED_TRACE(number);
    const MessageId message{id.Object()};
    if (number % 4 == 0) {
      EXPECT_THAT(Store().AbortSubmit(id), IsOk());
      EXPECT_THAT(Store().DeleteMessages(Store().Folders().outbox, std::vector{message}), IsOk());
      EXPECT_FALSE(IsStored(Db(), id));
      acknowledged_.erase(id);
      return;
    }
    if (number % 4 == 1) {
      EXPECT_THAT(Db().GetOutgoingQueue().Hold(message), IsOk());
      EXPECT_THAT(Db().GetOutgoingQueue().Release(message), IsOk());
      return;
    }
    Message locked = Must(session.OpenMessage(id));
    ASSERT_THAT(session.SetLockState(locked, LockState::kLocked), IsOk());
    if (number % 4 == 2) {
      EXPECT_THAT(session.FinishMessage(id), IsOk());
      return;
    }
    RecipientRow recipient = Must(locked.GetRecipientTable()).at(0);
    EXPECT_THAT(session.MarkInDoubt(id, std::vector{recipient.id}, Time{}), IsOk());
    recipient.delivery.state = RecipientState::kPending;
    Attempt attempt;
    attempt.updates = {{recipient.id, recipient.delivery}};
    EXPECT_THAT(session.CommitAttempt(id, attempt), IsOk());
  }

  std::optional<Error> full_;
};

TEST_P(DiskWithReserve, EndsWorkWhileItIsFullAndTakesNewMailWhenSpaceReturns) {
  FillUp();
  ASSERT_EQ(full_->code, ErrorCode::kNotEnoughDisk) << ToString(*full_);
  ASSERT_GT(acknowledged_.size(), 8U);
  ExpectRefused();
  ExpectAcknowledged();
  EXPECT_EQ(QueueOrder(Db()).size(), acknowledged_.size());
  {
    SpoolerSession session = Must(Db().OpenSpoolerSession());
    for (const auto& [id, number] : std::map(acknowledged_)) WorkOff(session, id, number);
  }
  ExpectRefused();
  ExpectAcknowledged();

  if (disk_.IsMounted()) {
    disk_.Relieve();
  } else {
    SayNotChecked("new mail when space returns, in the same process",
                  "this process may not mount a file system to fill");
    Close();
    Open(0);
  }
  EXPECT_THAT(Submit(number_), IsOk());
  acknowledged_.emplace(tried_->first, number_);
  ExpectAcknowledged();
  Close();
  Open(0);
  ExpectAcknowledged();
  ExpectNothingElseQueued();
}

const auto kFileSystems = testing::Values(SmallDisk::Kind::kTmpfs, SmallDisk::Kind::kExt4);
std::string NameOf(const testing::TestParamInfo<SmallDisk::Kind>& kind) {
  return kind.param == SmallDisk::Kind::kExt4 ? "Ext4" : "Tmpfs";
}
INSTANTIATE_TEST_SUITE_P(FileSystems, FullDisk, kFileSystems, NameOf);
INSTANTIATE_TEST_SUITE_P(FileSystems, DiskWithReserve, kFileSystems, NameOf);

}  // namespace
}  // namespace bobbin

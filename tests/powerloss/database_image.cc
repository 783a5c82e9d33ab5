#include "tests/powerloss/database_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>

#include "engine/check.h"
#include "engine/database.h"
#include "engine/database_state.h"
#include "engine/identity_file.h"
#include "engine/kv/lmdb_engine.h"
#include "tests/powerloss/content_digest.h"
#include "tests/support/temporary_database.h"

namespace bobbin::powerloss {
namespace {

constexpr std::size_t kMappedBytes = std::size_t{1} << 30;  // Address space.
constexpr std::uint64_t kUnlike = 1;                        // The hash of no page.
constexpr std::size_t kRememberedMax = 4096;
constexpr std::uint64_t kReadAgainEvery = 32;

std::string Text(const Error& error) { return ToString(error) + "\n"; }

std::string Text(const CheckReport& report) {
  std::string text;
  for (const Finding& finding : report.findings) {
    text += fmt::format("CheckStore: {} {}: {}\n", finding.table, finding.key, finding.detail);
  }
  return text;
}

void SetRecipients(const RecipientTable& recipients, MessageState& state) {
  state.recipient_count = static_cast<std::uint8_t>(recipients.size());
  for (std::size_t i = 0; i < recipients.size() && i < kMarkedRecipientsMax; ++i) {
    const RecipientDelivery& delivery = recipients[i].delivery;
    state.recipients[i] = static_cast<std::uint8_t>(static_cast<unsigned>(delivery.state) |
                                                    (delivery.responsibility ? kResponsible : 0U));
  }
}

// A report's content is the spooler's own words.
std::optional<std::uint64_t> DigestOfReport(const PropertyList& properties) {
  if (!properties.BytesOr(pr::kMessageClass, {}).starts_with("REPORT.")) return {};
  return ContentDigest(properties.BytesOr(pr::kOriginalSubject, {})).Value();
}

std::uint64_t AddedTo(const PropertyList& properties) {
  return AddedDigest(properties.BytesOr(kLayers, {}), properties.BytesOr(pr::kAddedFooter, {}));
}

Result<std::uint64_t> DigestOf(RowReader& rows, const MessageRecord& record) {
  if (const auto report = DigestOfReport(record.properties)) return *report;
  ContentDigest digest(record.properties.BytesOr(pr::kSubject, {}));
  if (record.content_body == 0) return digest.Add(record.content_inline).Value();
  ASSIGN_OR_RETURN(const auto head, rows.BodyHead(record.content_body));
  if (!head) return Fail(ErrorCode::kCorruptData, "a body is missing");
  for (std::uint32_t chunk = 1; chunk <= head->chunk_count; ++chunk) {
    ASSIGN_OR_RETURN(const auto piece, rows.BodyChunk(record.content_body, chunk));
    if (!piece) return Fail(ErrorCode::kCorruptData, "a part of a body is missing");
    digest.Add(*piece);
  }
  return digest.Value();
}

Result<MessageState> StateOf(RowReader& rows, MessageId id, const MessageRecord& record) {
  MessageState state;
  state.exists = true;
  state.queued = record.IsSubmitted();
  state.unsent = (record.message_flags & kMsgFlagUnsent) != 0;
  state.folder = record.folder.value;
  state.added = AddedTo(record.properties);
  if (state.queued) {
    ASSIGN_OR_RETURN(const auto row, rows.QueueRow(record.store, record.queue_sequence));
    if (!row) return Fail(ErrorCode::kCorruptData, "a queue row is missing");
    state.held = row->lane == DueLane::kHeld;
  }
  ASSIGN_OR_RETURN(const RecipientTable recipients, rows.Recipients(id));
  SetRecipients(recipients, state);
  ASSIGN_OR_RETURN(state.content, DigestOf(rows, record));
  return state;
}

Result<std::uint64_t> SequenceOf(const DatabaseState& database) {
  std::uint64_t sequence = 0;
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    sequence = rows.Sequence();
    return {};
  }));
  return sequence;
}

Result<void> Observe(DatabaseState& database, Observation& seen) {
  ASSIGN_OR_RETURN(const CheckReport report, CheckStore(database));
  seen.trouble = Text(report);
  return database.View([&](RowReader& rows) -> Result<void> {
    seen.messages.clear();
    return rows.Scan(table::kMessages, {}, {},
                     [&](std::string_view key, std::string_view value) -> Result<bool> {
                       ASSIGN_OR_RETURN(const MessageRecord record, rows.DecodeMessage(key, value));
                       if (record.embedded_in.value != 0) return true;
                       ASSIGN_OR_RETURN(const std::uint64_t id, KeyNumber8(key, 0));
                       ASSIGN_OR_RETURN(const MessageState state,
                                        StateOf(rows, MessageId{id}, record));
                       seen.messages.emplace_back(id, state);
                       return true;
                     });
  });
}

// By what any program may call.
Result<MessageState> StateOf(const Database& database, MessageId id) {
  ASSIGN_OR_RETURN(const Message message, database.OpenMessageForOperator(id));
  ASSIGN_OR_RETURN(const PropertyList properties, message.GetProps());
  const std::int64_t flags = properties.NumberOr(pr::kMessageFlags, 0);
  MessageState state;
  state.exists = true;
  state.queued = (flags & kMsgFlagSubmit) != 0;
  state.unsent = (flags & kMsgFlagUnsent) != 0;
  ASSIGN_OR_RETURN(const EntryId folder,
                   EntryId::FromBytes(properties.BytesOr(pr::kParentEntryId, {})));
  state.folder = folder.Object();
  if (state.queued) {
    ASSIGN_OR_RETURN(const QueueRow row, database.GetOutgoingQueue().Row(id));
    state.held = row.lane == DueLane::kHeld;
  }
  ASSIGN_OR_RETURN(const RecipientTable recipients, message.GetRecipientTable());
  SetRecipients(recipients, state);
  state.added = AddedTo(properties);
  if (const auto report = DigestOfReport(properties)) {
    state.content = *report;
    return state;
  }
  ContentDigest digest(properties.BytesOr(pr::kSubject, {}));
  ASSIGN_OR_RETURN(MessageBodyReader reader, message.OpenContent());
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view piece, reader.Next());
    if (piece.empty()) break;
    digest.Add(piece);
  }
  state.content = digest.Value();
  return state;
}

Result<void> ObserveAsAProgram(const std::filesystem::path& path, Observation& seen) {
  ASSIGN_OR_RETURN(const Database database, Database::Open(path));
  ASSIGN_OR_RETURN(const CheckReport report, database.CheckStore());
  seen.trouble = Text(report);
  ASSIGN_OR_RETURN(const auto stores, database.ListMessageStores());
  for (const MessageStoreInfo& info : stores) {
    ASSIGN_OR_RETURN(const MessageStore store, database.OpenMessageStore(info.name));
    const StandardFolders& folders = store.Folders();
    for (const FolderId folder : {folders.inbox, folders.outbox, folders.sent_items,
                                  folders.deleted_items, folders.drafts}) {
      ASSIGN_OR_RETURN(const auto rows, store.GetContentsTable(folder, 1'000'000));
      for (const ContentsRow& row : rows) {
        ASSIGN_OR_RETURN(const MessageState state, StateOf(database, row.message));
        seen.messages.emplace_back(row.message.value, state);
      }
    }
  }
  std::sort(seen.messages.begin(), seen.messages.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return {};
}

Result<std::string> SubmitOne(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(Database database, Database::Open(path));
  ASSIGN_OR_RETURN(MessageStore store, database.OpenOrCreateMessageStore("after@power.test"));
  const EntryId id = SubmitNew(store);
  ASSIGN_OR_RETURN(const CheckReport report, database.CheckStore());
  if (!IsStored(database, id)) return std::string("what was submitted afterwards is not there\n");
  return Text(report);
}

}  // namespace

Observation LookAsAProgram(const std::filesystem::path& path) {
  Observation seen;
  seen.has_database = true;
  if (const Result<void> observed = ObserveAsAProgram(path, seen); !observed) {
    seen.trouble += "through Database::Open: " + Text(observed.error());
  }
  return seen;
}

DatabaseImage::DatabaseImage(const std::filesystem::path& directory) : directory_(directory) {
  std::filesystem::create_directories(directory_);
  file_ = open((directory_ / "data.mdb").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  BOBBIN_CHECK(file_ >= 0);
  void* const memory = mmap(nullptr, kMappedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  BOBBIN_CHECK(memory != MAP_FAILED);
  memory_ = static_cast<char*>(memory);
}

DatabaseImage::~DatabaseImage() {
  munmap(memory_, kMappedBytes);
  close(file_);
}

void DatabaseImage::Set(const FileImage& data, const std::string& identity) {
  if (data.bytes != bytes_) {
    BOBBIN_CHECK(data.bytes <= kMappedBytes);
    BOBBIN_CHECK(ftruncate(file_, static_cast<off_t>(data.bytes)) == 0);
    // Of a page that was or is not whole, the rest is zeros.
    if (bytes_ % kPageBytes != 0) held_.back() = kUnlike;
    held_.resize(data.pages.size(), 0);
    bytes_ = data.bytes;
    if (bytes_ % kPageBytes != 0) held_.back() = kUnlike;
  }
  for (std::size_t i = 0; i < data.pages.size(); ++i) {
    const std::uint64_t hash = data.pages[i] ? data.pages[i]->hash : 0;
    if (held_[i] == hash) continue;
    const std::size_t count = std::min<std::uint64_t>(kPageBytes, bytes_ - i * kPageBytes);
    if (data.pages[i]) {
      std::memcpy(memory_ + i * kPageBytes, data.pages[i]->bytes.data(), count);
    } else {
      std::memset(memory_ + i * kPageBytes, 0, count);
    }
    held_[i] = hash;
  }
  if (identity == identity_) return;
  std::ofstream(directory_ / "identity", std::ios::binary) << identity;
  identity_ = identity;
  remembered_.clear();
}

Result<std::shared_ptr<DatabaseState>> DatabaseImage::Open() {
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentityFile(directory_));
  kv::LmdbOptions options;
  options.tables = Database::TableNames();
  options.free_bytes_min = 0;
  ASSIGN_OR_RETURN(std::shared_ptr<kv::Engine> engine, kv::OpenLmdbEngine(directory_, options));
  if (!shared_.locks || shared_of_ != identity.database) {
    ASSIGN_OR_RETURN(shared_, OpenVolatileState(identity.database));
    shared_of_ = identity.database;
  }
  auto state = std::make_shared<DatabaseState>(identity.database, identity.record_key,
                                               std::move(engine), shared_, nullptr);
  RETURN_IF_ERROR(state->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto root, rows.Root());
    if (root && root->database == identity.database) return {};
    return Fail(ErrorCode::kNotADatabase, "the root record is not this database's");
  }));
  return state;
}

Observation DatabaseImage::Look() {
  Observation seen;
  seen.has_database = true;
  // What vouches for the file is about another one.
  unlink((directory_ / "clean").c_str());
  const auto state = Open();
  if (!state) {
    seen.trouble = "it does not open: " + Text(state.error());
  } else if (const Result<void> observed = Read(**state, seen); !observed) {
    seen.trouble += Text(observed.error());
  }
  return seen;
}

Result<void> DatabaseImage::Read(DatabaseState& database, Observation& seen) {
  ASSIGN_OR_RETURN(const std::uint64_t sequence, SequenceOf(database));
  const std::uint64_t snapshot = snapshot_hash_.Of({memory_, bytes_}, held_, sequence);
  const auto known = snapshot == 0 ? remembered_.end() : remembered_.find(snapshot);
  const bool is_known = known != remembered_.end();
  if (is_known && ++reads_saved_ % kReadAgainEvery != 0) {
    seen.messages = known->second;
    return {};
  }
  ++reads_;
  RETURN_IF_ERROR(Observe(database, seen));
  if (is_known && seen.messages != known->second) {
    seen.trouble += "the same pages were read before, and had other rows\n";
  }
  if (snapshot == 0 || is_known || !seen.trouble.empty()) return {};
  if (remembered_.size() >= kRememberedMax) remembered_.clear();
  remembered_.emplace(snapshot, seen.messages);
  return {};
}

std::string DatabaseImage::UseAgain() {
  const Result<std::string> used = SubmitOne(directory_);
  BOBBIN_CHECK(ftruncate(file_, 0) == 0);
  held_.clear();
  bytes_ = 0;
  return used ? (used->empty() ? "" : "after another submission: " + *used)
              : "another submission fails: " + Text(used.error());
}

}  // namespace bobbin::powerloss

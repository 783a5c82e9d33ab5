#include "engine/message_body.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/check.h"
#include "engine/content_rows.h"
#include "engine/database_state.h"
#include "engine/message_rows.h"
#include "engine/process_identity.h"

namespace bobbin {
namespace {

// One write-ahead transaction: enough to be worth its flush, little enough to keep the other
// writers' latency low.
constexpr std::size_t kWriteAheadBytes = std::size_t{1} << 20;

// Bodies written ahead by this process that a writer or a MessageBody still stands for. One set
// for the process: a database may be open in it more than once.
class LiveBodies {
 public:
  static LiveBodies& OfProcess() {
    static LiveBodies bodies;
    return bodies;
  }
  std::shared_ptr<void> Add(const DatabaseId& database, std::uint64_t body) {
    {
      const std::lock_guard lock(mutex_);
      bodies_.insert({database, body});
    }
    // Not under the lock: what cannot be allocated calls the removal at once.
    return {nullptr, [this, database, body](void*) {
              const std::lock_guard removal(mutex_);
              bodies_.erase({database, body});
            }};
  }
  bool Contains(const DatabaseId& database, std::uint64_t body) {
    const std::lock_guard lock(mutex_);
    return bodies_.contains({database, body});
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<DatabaseId, std::uint64_t>> bodies_;
};

// What a write-ahead transaction writes. Shared with the closure, which may outlive the writer.
struct WriteAhead {
  std::uint64_t body_id = 0;
  std::uint32_t first_chunk = 1;
  BodyRecord head;
  std::string bytes;
};

Result<void> WriteChunks(RowWriter& rows, const WriteAhead& ahead) {
  std::string_view rest = ahead.bytes;
  for (std::uint32_t chunk = ahead.first_chunk; !rest.empty(); ++chunk) {
    const std::string_view piece = rest.substr(0, kBodyChunkBytes);
    RETURN_IF_ERROR(rows.PutBodyChunk(ahead.body_id, chunk, piece));
    rest.remove_prefix(piece.size());
  }
  if (ahead.first_chunk == 1) RETURN_IF_ERROR(rows.PutWrittenAheadRow(ahead.body_id));
  return rows.PutBodyHead(ahead.body_id, ahead.head);
}

bool IsAbandoned(const DatabaseState& database, std::uint64_t body, const BodyRecord& head) {
  if (head.owner_process == getpid() && head.owner_start == OwnProcessStartTime()) {
    return !LiveBodies::OfProcess().Contains(database.id, body);
  }
  return !IsProcessAlive(head.owner_process, head.owner_start);
}

}  // namespace

Result<std::uint64_t> CollectAbandonedBodies(DatabaseState& database) {
  std::vector<std::uint64_t> abandoned;
  RETURN_IF_ERROR(database.View([&](RowReader& rows) -> Result<void> {
    abandoned.clear();
    return rows.Scan(table::kIndex, "w", "x",
                     [&](std::string_view key, std::string_view) -> Result<bool> {
                       ASSIGN_OR_RETURN(const std::uint64_t body, KeyNumber8(key, 1));
                       ASSIGN_OR_RETURN(const auto head, rows.BodyHead(body));
                       if (!head || IsAbandoned(database, body, *head)) abandoned.push_back(body);
                       return true;
                     });
  }));
  for (const std::uint64_t body : abandoned) {
    RETURN_IF_ERROR(database.Update(
        [&](RowWriter& rows) -> Result<void> {
          ASSIGN_OR_RETURN(const auto head, rows.BodyHead(body));
          if (head && head->references == 0) {
            RETURN_IF_ERROR(ErasePrefix(rows, table::kBodies, body));
          }
          return rows.Erase(table::kIndex, WrittenAheadKey(body));
        },
        kv::SpaceUse::kMayUseReserve));
  }
  return abandoned.size();
}

struct MessageBodyWriter::Impl {
  std::shared_ptr<DatabaseState> database;
  std::string buffered;
  std::uint64_t bytes = 0;
  std::uint64_t body_id = 0;
  std::uint32_t chunks = 0;  // Written ahead so far.
  std::shared_ptr<void> owner;
  // Why the content has a hole: then it can only be dropped. Shared with what is under way.
  std::shared_ptr<std::optional<Error>> failed = std::make_shared<std::optional<Error>>();

  Result<void> CheckWhole() const {
    if (*failed) return tl::unexpected<Error>(**failed);
    return {};
  }

  Result<void> Take(std::string_view more) {
    RETURN_IF_ERROR(CheckWhole());
    if (bytes + more.size() > kContentBytesMax) {
      return Fail(ErrorCode::kTooBig,
                  "the content is longer than " + std::to_string(kContentBytesMax) + " bytes");
    }
    bytes += more.size();
    buffered.append(more);
    return {};
  }

  bool FlushDue() const {
    return buffered.size() >= (body_id == 0 ? kBufferedBytesMax : kWriteAheadBytes);
  }

  // Takes whole chunks (or, at the end, everything) out of the buffer.
  Result<std::shared_ptr<WriteAhead>> NextWriteAhead(bool all) {
    RETURN_IF_ERROR(CheckWhole());
    if (body_id == 0) {
      ASSIGN_OR_RETURN(body_id, database->DrawObjectId());
      owner = LiveBodies::OfProcess().Add(database->id, body_id);
    }
    auto ahead = std::make_shared<WriteAhead>();
    ahead->body_id = body_id;
    ahead->first_chunk = chunks + 1;
    const std::size_t whole = buffered.size() / kBodyChunkBytes * kBodyChunkBytes;
    const std::size_t taken = all ? buffered.size() : whole;
    ahead->bytes = buffered.substr(0, taken);
    buffered.erase(0, taken);
    chunks += static_cast<std::uint32_t>((taken + kBodyChunkBytes - 1) / kBodyChunkBytes);
    ahead->head.bytes = bytes - buffered.size();
    ahead->head.chunk_count = chunks;
    ahead->head.owner_process = getpid();
    ahead->head.owner_start = OwnProcessStartTime();
    return ahead;
  }

  Result<void> Write(const WriteAhead& ahead) {
    Result<void> written =
        database->Update([&](RowWriter& rows) { return WriteChunks(rows, ahead); });
    if (!written) *failed = written.error();
    return written;
  }

  void WriteAsync(std::shared_ptr<WriteAhead> ahead, std::function<void(Result<void>)> done) {
    database->UpdateAsync(
        [ahead = std::move(ahead)](RowWriter& rows) { return WriteChunks(rows, *ahead); },
        [failure = failed, done = std::move(done)](Result<void> written) {
          if (!written) *failure = written.error();
          done(std::move(written));
        });
  }
};

MessageBodyWriter::MessageBodyWriter(std::shared_ptr<DatabaseState> database)
    : impl_(std::make_unique<Impl>()) {
  impl_->database = std::move(database);
}
MessageBodyWriter::MessageBodyWriter(MessageBodyWriter&&) noexcept = default;
MessageBodyWriter& MessageBodyWriter::operator=(MessageBodyWriter&&) noexcept = default;
MessageBodyWriter::~MessageBodyWriter() = default;

std::uint64_t MessageBodyWriter::Bytes() const { return impl_->bytes; }

Result<void> MessageBodyWriter::Append(std::string_view bytes) {
  // In slices, so that the buffer stays bounded however long `bytes` is.
  while (!bytes.empty()) {
    const std::string_view slice = bytes.substr(0, kWriteAheadBytes);
    bytes.remove_prefix(slice.size());
    RETURN_IF_ERROR(impl_->Take(slice));
    if (!impl_->FlushDue()) continue;
    ASSIGN_OR_RETURN(const auto ahead, impl_->NextWriteAhead(false));
    RETURN_IF_ERROR(impl_->Write(*ahead));
  }
  return {};
}

Result<bool> MessageBodyWriter::AppendNoWait(std::string_view bytes) {
  RETURN_IF_ERROR(impl_->Take(bytes));
  return impl_->FlushDue();
}

void MessageBodyWriter::FlushAsync(std::function<void(Result<void>)> done) {
  Result<std::shared_ptr<WriteAhead>> ahead = impl_->NextWriteAhead(false);
  if (!ahead) {
    done(tl::unexpected<Error>(std::move(ahead).error()));
    return;
  }
  impl_->WriteAsync(*std::move(ahead), std::move(done));
}

Result<MessageBody> MessageBodyWriter::Finish() {
  MessageBody body;
  body.bytes = impl_->bytes;
  if (impl_->body_id == 0) {
    body.buffered = std::move(impl_->buffered);
    return body;
  }
  ASSIGN_OR_RETURN(const auto ahead, impl_->NextWriteAhead(true));
  RETURN_IF_ERROR(impl_->Write(*ahead));
  body.body_id = impl_->body_id;
  body.owner = impl_->owner;
  body.chunk_count = impl_->chunks;
  return body;
}

void MessageBodyWriter::FinishAsync(std::function<void(Result<MessageBody>)> done) {
  if (impl_->body_id == 0) {
    done(Finish());
    return;
  }
  Result<std::shared_ptr<WriteAhead>> ahead = impl_->NextWriteAhead(true);
  if (!ahead) {
    done(tl::unexpected<Error>(std::move(ahead).error()));
    return;
  }
  MessageBody body;
  body.bytes = impl_->bytes;
  body.body_id = impl_->body_id;
  body.owner = impl_->owner;
  body.chunk_count = impl_->chunks;
  impl_->WriteAsync(*std::move(ahead), [body, done = std::move(done)](Result<void> written) {
    if (written) {
      done(body);
    } else {
      done(tl::unexpected<Error>(std::move(written).error()));
    }
  });
}

struct MessageBodyReader::Impl {
  std::shared_ptr<DatabaseState> database;
  std::uint64_t bytes = 0;
  std::uint64_t body_id = 0;
  std::string inline_content;
  std::uint64_t read = 0;
  std::uint32_t next_chunk = 1;
  std::string piece;
  std::function<Result<void>()> check;
};

MessageBodyReader::MessageBodyReader(std::shared_ptr<DatabaseState> database, std::uint64_t bytes,
                                     std::uint64_t body_id, std::string inline_content)
    : impl_(std::make_unique<Impl>()) {
  impl_->database = std::move(database);
  impl_->bytes = bytes;
  impl_->body_id = body_id;
  impl_->inline_content = std::move(inline_content);
}
MessageBodyReader::MessageBodyReader(MessageBodyReader&&) noexcept = default;
MessageBodyReader& MessageBodyReader::operator=(MessageBodyReader&&) noexcept = default;
MessageBodyReader::~MessageBodyReader() = default;

std::uint64_t MessageBodyReader::Bytes() const { return impl_->bytes; }

void MessageBodyReader::CloseWith(std::function<Result<void>()> check) {
  impl_->check = std::move(check);
}

void MessageBodyReader::Rewind() {
  impl_->read = 0;
  impl_->next_chunk = 1;
}

Result<std::string_view> MessageBodyReader::Next() {
  Impl& impl = *impl_;
  if (impl.check) RETURN_IF_ERROR(impl.check());
  if (impl.read == impl.bytes) return std::string_view();
  if (impl.body_id == 0) {
    impl.read = impl.bytes;
    return std::string_view(impl.inline_content);
  }
  RETURN_IF_ERROR(impl.database->View([&](RowReader& rows) -> Result<void> {
    ASSIGN_OR_RETURN(const auto chunk, rows.BodyChunk(impl.body_id, impl.next_chunk));
    if (chunk) {
      impl.piece.assign(*chunk);
      return {};
    }
    // Chunks vanish with their head when the message is deleted; alone they are damage.
    ASSIGN_OR_RETURN(const auto head, rows.BodyHead(impl.body_id));
    if (!head) return Fail(ErrorCode::kObjectDeleted, "the message was deleted while it was read");
    return Fail(ErrorCode::kCorruptData, "table bodies, key " +
                                             ToHex(BodyKey(impl.body_id, impl.next_chunk)) +
                                             ": the chunk is missing");
  }));
  if (impl.piece.empty() || impl.piece.size() > impl.bytes - impl.read) {
    return Fail(ErrorCode::kCorruptData, "table bodies, key " +
                                             ToHex(BodyKey(impl.body_id, impl.next_chunk)) +
                                             ": the chunk is longer than the content");
  }
  impl.read += impl.piece.size();
  ++impl.next_chunk;
  return std::string_view(impl.piece);
}

}  // namespace bobbin

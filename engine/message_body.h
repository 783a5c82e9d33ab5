// Message content: the RFC 5322 original of a message, a stream of up to 150 MiB
// that no process ever holds whole.
//
//   MessageBodyWriter --Append*, Finish--> MessageBody --Message::SetContent, save--> stored
//
// Up to kInlineBytesMax stays beside the message's record. Up to kBufferedBytesMax is
// kept in memory and written by the transaction that makes the message exist. What is
// longer is written ahead, in transactions of its own; such rows belong to this process
// until a message owns them; when the writer is gone they are collected
// (Database::CollectAbandonedBodies). They are never shown.
//
// Copies inside one database share the rows by reference count.
//
// Threads     A writer or reader: one thread at a time.
// Ownership   Writers, readers and bodies keep the database open.
// Errors      kTooBig         more than kContentBytesMax
//             kNotEnoughDisk  refused before writing; nothing changed
//             kObjectDeleted  the message was deleted while it was read
//             kCorruptData, kDiskError, kStoreFailed as everywhere
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.h"

namespace bobbin {

struct DatabaseState;

inline constexpr std::uint64_t kContentBytesMax = std::uint64_t{150} << 20;
inline constexpr std::size_t kInlineBytesMax = 3'072;
inline constexpr std::size_t kBufferedBytesMax = std::size_t{256} << 10;

// Content that is complete but belongs to no message yet. Dropping it frees its rows
// at the next collection.
struct MessageBody {
  std::uint64_t bytes = 0;
  std::uint64_t body_id = 0;      // Rows written ahead; 0 = all of it is in `buffered`.
  std::uint32_t chunk_count = 0;  // Of the rows written ahead.
  std::string buffered;           // The content when body_id is 0.
  std::shared_ptr<void> owner;    // Keeps the rows written ahead from being collected.
};

class MessageBodyWriter {
 public:
  explicit MessageBodyWriter(std::shared_ptr<DatabaseState> database);
  MessageBodyWriter(MessageBodyWriter&&) noexcept;
  MessageBodyWriter& operator=(MessageBodyWriter&&) noexcept;
  ~MessageBodyWriter();

  // Takes over `bytes`. May write (blocking) when kBufferedBytesMax is exceeded.
  Result<void> Append(std::string_view bytes);

  // As Append for callers that must not block: true = FlushAsync must complete before
  // the next call.
  Result<bool> AppendNoWait(std::string_view bytes);
  void FlushAsync(std::function<void(Result<void>)> done);

  std::uint64_t Bytes() const;

  // Completes the content; the writer is used up. May write (blocking) if written ahead.
  Result<MessageBody> Finish();
  void FinishAsync(std::function<void(Result<MessageBody>)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Removes rows written ahead for which no message came, and whose writer is gone: its process
// died, or it was dropped. Returns how many bodies.
Result<std::uint64_t> CollectAbandonedBodies(DatabaseState& database);

// Reads stored content from start to end, one chunk in memory at a time.
class MessageBodyReader {
 public:
  MessageBodyReader(std::shared_ptr<DatabaseState> database, std::uint64_t bytes,
                    std::uint64_t body_id, std::string inline_content);
  MessageBodyReader(MessageBodyReader&&) noexcept;
  MessageBodyReader& operator=(MessageBodyReader&&) noexcept;
  ~MessageBodyReader();

  std::uint64_t Bytes() const;

  // The next piece (1 byte to 64 KiB), valid until the next call; empty at the end.
  Result<std::string_view> Next();

  // From now on Next asks `check` first and fails with its error: the object it was opened on may
  // become invalid.
  void CloseWith(std::function<Result<void>()> check);

  // Back to the first byte, for a second attempt.
  void Rewind();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bobbin
